//! `VnetAttachment`: a network from which a workspace can be used privately. What it shares with other kinds is in
//! [`super::attached`].

mod leave;
mod observe;
mod obstacles;
mod posture;
mod publish;
mod siblings;

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::attached::{Attached, Exit, Scene, fields};
use crate::api::VnetAttachment;
use crate::api::common::{Adoption, DeletionPolicy};
use crate::api::condition::ConditionDraft;
use crate::api::ids::ArmId;
use crate::api::vnet_attachment::VnetAttachmentStatus;
use crate::azure::network::{API_VERSION, DNS_API_VERSION, PRIVATE_ZONES};
use crate::azure::private_link::groups;
use crate::plan::Verdict;
use crate::plan::attached::{Decided, Farewell, Policies, Site};
use crate::plan::ownership::Owner;
use crate::plan::rules::ObjectKey;
use crate::plan::vnet::{CONDITIONS, Observed, Places, Target, VnetInput, check, endpoint_id, plan};
use crate::runtime::context::Context;
use crate::runtime::station::workspace_of;

/// What is remembered between turns, to ask ARM less.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// By target: what it says of its sub-resources' zones, and when.
    zones: BTreeMap<String, (Timestamp, BTreeMap<String, Vec<String>>)>,
    /// By endpoint and version: its names. They do not change while the endpoint does not.
    names: BTreeMap<String, Vec<(String, std::net::IpAddr)>>,
    /// Endpoints whose approval was asked for, by version.
    asked: std::collections::BTreeSet<String>,
}

/// The ids of the endpoints that the attachment `key` has, or would have, on `target`: they follow from the object. None if it is missing,
/// being deleted, or uses another connection than `connection`.
pub fn endpoints_on(context: &Context, key: &ObjectKey, connection: &str, target: &ArmId) -> Vec<ArmId> {
    let stations = &context.indexes.stations;
    let Some(object) = stations.attachments.get(key).filter(|object| object.metadata.deletion_timestamp.is_none())
    else {
        return Vec::new();
    };
    let workspace = context.indexes.workspace(&workspace_of(&object));
    let same = workspace.is_some_and(|workspace| {
        workspace.0.as_ref().is_ok_and(|workspace| workspace.spec.connection_ref.name == connection)
    });
    let (Ok(places), true) = (Places::of(&object.spec), same) else { return Vec::new() };
    let owner = Owner {
        installation: context.installation.clone(),
        kind: "VnetAttachment",
        namespace: key.namespace.clone(),
        name: key.name.clone(),
    };
    let declared =
        object.spec.extra_targets.iter().filter(|extra| extra.resource_id.eq_ignore_ascii_case(target.as_str()));
    let named = declared.flat_map(|extra| extra.subresources.iter().map(String::as_str));
    let known = groups(&target.type_()).unwrap_or_default().iter().copied();
    let id = |group: &str| {
        let target = Target { id: target.clone(), group: group.to_owned(), addresses: 0, zones: Vec::new() };
        endpoint_id(&owner, &places, &target).ok()
    };
    known.chain(named).filter_map(id).collect()
}

#[async_trait]
impl Attached for VnetAttachment {
    type Observed = (Observed, crate::api::connection::CloudName);
    type Extra = Remembered;
    const PART_OF_WORKSPACE: bool = false;
    const NOUN: &'static str = "the network's endpoints";
    const CONDITIONS: &'static [&'static str] = CONDITIONS;

    fn policies(&self) -> Policies<'_> {
        let spec = &self.spec;
        Policies {
            workspace_ref: &spec.workspace_ref,
            management: spec.management_policy.unwrap_or_default(),
            deletion: spec.deletion_policy.unwrap_or(DeletionPolicy::Delete),
            // Its names are its own: what exists under one is never taken over.
            adoption: Adoption::Never,
            suspend: spec.suspend,
            acknowledge: &spec.acknowledge,
        }
    }

    fields!(VnetAttachmentStatus, attachments);

    fn azure_version(id: &str) -> &'static str {
        if id.to_ascii_lowercase().contains(&PRIVATE_ZONES.to_ascii_lowercase()) {
            DNS_API_VERSION
        } else {
            API_VERSION
        }
    }

    fn resource(&self, _: &ArmId) -> Result<Option<ArmId>, Verdict> {
        // Every endpoint has a name of this object's own, and what is shared is made only if it is absent.
        Ok(None)
    }

    fn owns(&self, _: Option<&ArmId>, id: &str) -> bool {
        let Ok(places) = Places::of(&self.spec) else { return false };
        let below = |group: &str, type_: &str| {
            id.to_ascii_lowercase()
                .starts_with(&format!("{group}/providers/microsoft.network/{type_}/").to_ascii_lowercase())
        };
        below(&places.endpoints, "privateEndpoints") || below(&places.zones, "privateDnsZones")
    }

    fn check(&self, site: &Site<'_>) -> Result<(), Verdict> {
        check(&self.spec, site)
    }

    async fn observe(&self, scene: &Scene<'_>, extra: &mut Remembered) -> Result<Self::Observed, Verdict> {
        let observed = (observe::observe(self, scene, extra).await?, scene.connected.spec.cloud);
        let decided = self.plan(&scene.site, &observed, extra);
        posture::post(self, scene, &observed.0, &decided).await;
        Ok(observed)
    }

    fn plan(&self, site: &Site<'_>, observed: &Self::Observed, _: &Remembered) -> Decided<VnetAttachmentStatus> {
        plan(VnetInput { site, spec: &self.spec, cloud: observed.1, observed: &observed.0 })
    }

    async fn publish(&self, scene: &Scene<'_>, status: &VnetAttachmentStatus) -> Vec<ConditionDraft> {
        publish::publish(scene.context, self, &status.dns_records).await.into_iter().collect()
    }

    fn is_moving(observed: &Self::Observed, id: &str) -> bool {
        observed.0.endpoints.iter().filter_map(|seen| seen.own.as_ref()).any(|own| own.is_moving())
            && id.contains("/privateendpoints/")
    }

    async fn farewell(&self, exit: &Exit<'_>, _: &mut Remembered) -> Result<Farewell, Verdict> {
        leave::farewell(self, exit).await
    }
}
