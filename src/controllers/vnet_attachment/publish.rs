//! Writes the names of an attachment into a ConfigMap, if the object asks for it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::api::PostParams;
use kube::{Api, Resource, ResourceExt};

use crate::api::VnetAttachment;
use crate::api::condition::{ConditionDraft, ConditionStatus};
use crate::api::vnet_attachment::DnsRecord;
use crate::plan::vnet::{DNS_CONFIG_MAP, hosts, zone};
use crate::runtime::context::Context;
use crate::runtime::status::FIELD_MANAGER;

/// The label by which a ConfigMap of the operator's is known: the uid of the object that it belongs to.
const BELONGS_TO: &str = "aml-operator.io/belongs-to";

/// Why a ConfigMap is not as it should be.
enum Trouble {
    /// Somebody else made it.
    Foreign,
    /// Kubernetes does not let the operator write it.
    Forbidden,
    /// Anything else.
    Other(kube::Error),
}

impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) if status.code == 403 => Self::Forbidden,
            _ => Self::Other(error),
        }
    }
}

/// Brings the ConfigMap that `object` names to `records`, and says how that went; `None` if it names none.
pub(super) async fn publish(
    context: &Context,
    object: &VnetAttachment,
    records: &[DnsRecord],
) -> Option<ConditionDraft> {
    let name = object.spec.dns.as_ref()?.config_map.as_ref()?;
    let written = write(context, object, name, records).await;
    let (holds, reason, message) = match written {
        Ok(()) => (true, "Written", format!("ConfigMap {name} holds the names")),
        Err(Trouble::Foreign) => {
            let message =
                format!("ConfigMap {name} exists and was not made for this object; it is left alone. Name another one");
            (false, "OwnedElsewhere", message)
        }
        Err(Trouble::Forbidden) => {
            let message = format!(
                "the operator may not write ConfigMap {name}: whoever installed it can set the chart's dnsConfigMaps.enabled"
            );
            (false, "NotAllowed", message)
        }
        Err(Trouble::Other(error)) => (false, "Failed", format!("ConfigMap {name}: {error}")),
    };
    let reason = reason.to_owned();
    Some(ConditionDraft { type_: DNS_CONFIG_MAP, status: ConditionStatus::from(holds), reason, message })
}

async fn write(context: &Context, object: &VnetAttachment, name: &str, records: &[DnsRecord]) -> Result<(), Trouble> {
    let maps: Api<ConfigMap> = Api::namespaced(context.kube.clone(), &object.namespace().unwrap_or_default());
    let uid = object.uid().unwrap_or_default();
    let data = BTreeMap::from([("hosts".to_owned(), hosts(records)), ("zone".to_owned(), zone(records))]);
    let params = PostParams { field_manager: Some(FIELD_MANAGER.into()), ..PostParams::default() };
    match maps.get_opt(name).await? {
        Some(present) if present.labels().get(BELONGS_TO) != Some(&uid) => Err(Trouble::Foreign),
        Some(present) if present.data.as_ref() == Some(&data) => Ok(()),
        Some(mut present) => {
            // With the version that was read: another writer in between is a conflict, and the next turn looks again.
            present.data = Some(data);
            maps.replace(name, &params, &present).await?;
            Ok(())
        }
        None => {
            let owner = OwnerReference {
                api_version: VnetAttachment::api_version(&()).into_owned(),
                kind: VnetAttachment::kind(&()).into_owned(),
                name: object.name_any(),
                uid: uid.clone(),
                ..OwnerReference::default()
            };
            let metadata = ObjectMeta {
                name: Some(name.to_owned()),
                labels: Some(BTreeMap::from([(BELONGS_TO.to_owned(), uid)])),
                owner_references: Some(vec![owner]),
                ..ObjectMeta::default()
            };
            maps.create(&params, &ConfigMap { metadata, data: Some(data), ..ConfigMap::default() }).await?;
            Ok(())
        }
    }
}
