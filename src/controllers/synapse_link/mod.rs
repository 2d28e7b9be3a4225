//! `SynapseLink`: a Synapse workspace whose notebooks may use a workspace privately. What it shares with other kinds is in
//! [`super::attached`].

mod ask;
mod leave;
mod observe;
mod role;
mod vouch;

use std::collections::BTreeMap;

use async_trait::async_trait;
use jiff::Timestamp;

use super::attached::{Attached, Exit, Scene, fields};
use crate::api::SynapseLink;
use crate::api::common::{DeletionPolicy, ManagementPolicy};
use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::api::synapse_link::SynapseLinkStatus;
use crate::azure::authorization::{self, RoleAssignment, RoleDefinition};
use crate::azure::client::Client;
use crate::azure::place::SynapsePath;
use crate::azure::synapse::{API_VERSION, DATA_API_VERSION, SPARK_POOLS, WORKSPACES};
use crate::plan::approval::Linked;
use crate::plan::attached::{Decided, Farewell, Policies, Site};
use crate::plan::fence::Fence;
use crate::plan::rules::ObjectKey;
use crate::plan::step::Request;
use crate::plan::synapse::{CONDITIONS, Observed, SynapseInput, Waits, check, plan, synapse_of};
use crate::plan::{Reason, Verdict};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::indexes::key_of;
use crate::runtime::link_ledger::OpenLink;
use crate::runtime::station::workspace_of;

pub(crate) use vouch::{look_at, owner_of, vouches};

/// What is remembered between turns.
#[derive(Clone, Debug, Default)]
pub struct Remembered {
    /// The link's page of the ledger, as this turn read it.
    open: Option<OpenLink>,
    /// Names drawn for endpoints that have none on record yet.
    drawn: BTreeMap<String, String>,
    /// Assignments of Synapse's identity on the workspace, and when they were read.
    assignments: Option<(Timestamp, String, Vec<RoleAssignment>)>,
    /// Roles by GUID, and when they were read.
    definitions: BTreeMap<String, (Timestamp, RoleDefinition)>,
}

/// What is seen, with what else decides.
pub struct Seen {
    observed: Observed,
    connection: crate::api::connection::AzureConnectionSpec,
    waits: Waits,
}

/// The client of the data plane of the Synapse workspace `synapse`.
fn data_plane(connected: &Connected, synapse: &ArmId) -> Result<Client, Verdict> {
    connected.client.synapse(synapse.name()).map_err(|error| {
        Verdict::new(Reason::ConnectionNotReady, format!("AzureConnection {:?}: {error}", connected.name))
    })
}

/// The connections on `target` that are the link `key`'s for sure. None if it is missing, being deleted, only observes, uses another connection
/// than `connection`, or may not reach what it links.
pub fn endpoints_on(context: &Context, key: &ObjectKey, connection: &str, target: &ArmId) -> Vec<Linked> {
    let found = || -> Option<Vec<Linked>> {
        let object = standing(context, key, connection)?;
        let synapse = synapse_of(&object.spec).ok()?;
        may_link(context, key, connection, &synapse, target).then_some(())?;
        let record = context.link_ledger.known(key, &synapse)?;
        let here = record.endpoints.iter().filter(|asked| asked.target.eq_ignore_ascii_case(target.as_str()));
        let linked = here.filter_map(|asked| asked.own()).filter_map(|own| {
            Some(Linked { endpoint: ArmId::parse(&own.endpoint).ok()?, connection: Some(own.connection.clone()) })
        });
        Some(linked.collect())
    };
    found().unwrap_or_default()
}

/// The link `key`, if it is there to stay, manages, and uses `connection`.
fn standing(context: &Context, key: &ObjectKey, connection: &str) -> Option<SynapseLink> {
    let object = context.indexes.stations.links.get(key)?;
    let workspace = context.indexes.workspace(&workspace_of(&object))?;
    let same = workspace.0.as_ref().is_ok_and(|workspace| workspace.spec.connection_ref.name == connection);
    let stands = object.metadata.deletion_timestamp.is_none()
        && object.spec.management_policy.unwrap_or_default() != ManagementPolicy::Observe;
    (same && stands).then_some(object)
}

/// Whether the namespace of the link may reach both what it links.
fn may_link(context: &Context, key: &ObjectKey, connection: &str, synapse: &ArmId, target: &ArmId) -> bool {
    let Some(found) = context.indexes.connection(connection) else { return false };
    let Ok(found) = &found.0 else { return false };
    let (labels, _) = context.indexes.namespace(&key.namespace);
    let fence = Fence::new(connection, &found.spec, &key.namespace, &labels);
    fence.allows(Verb::Reach, synapse).is_ok() && fence.allows(Verb::Reach, target).is_ok()
}

#[async_trait]
impl Attached for SynapseLink {
    type Observed = Seen;
    type Extra = Remembered;
    const PART_OF_WORKSPACE: bool = false;
    const CLAIMS_BY: &'static [Verb] = &[Verb::Reach];
    const NOUN: &'static str = "the link";
    const CONDITIONS: &'static [&'static str] = CONDITIONS;

    fn policies(&self) -> Policies<'_> {
        let spec = &self.spec;
        Policies {
            workspace_ref: &spec.workspace_ref,
            management: spec.management_policy.unwrap_or_default(),
            deletion: spec.deletion_policy.unwrap_or(DeletionPolicy::Delete),
            adoption: spec.adoption.unwrap_or_default(),
            suspend: spec.suspend,
            acknowledge: &spec.acknowledge,
        }
    }

    fields!(SynapseLinkStatus, links);

    fn azure_version(id: &str) -> &'static str {
        if SynapsePath::parse(id).is_some() {
            DATA_API_VERSION
        } else if id.to_ascii_lowercase().contains("/providers/microsoft.authorization/") {
            authorization::API_VERSION
        } else {
            API_VERSION
        }
    }

    fn resource(&self, _: &ArmId) -> Result<Option<ArmId>, Verdict> {
        // A linked service of a derived name is this object's own; only one that is named may be named by two.
        let Some(named) = &self.spec.linked_service else { return Ok(None) };
        let id = synapse_of(&self.spec)?.child("linkedservices", &named.azure_name);
        id.map(Some).map_err(|error| Verdict::new(Reason::Invalid, error.to_string()))
    }

    fn owns(&self, workspace: Option<&ArmId>, id: &str) -> bool {
        let Ok(synapse) = synapse_of(&self.spec) else { return false };
        if let Some(path) = SynapsePath::parse(id) {
            return path.workspace().eq_ignore_ascii_case(synapse.name());
        }
        let below = |parent: &ArmId, rest: &str| {
            id.to_ascii_lowercase().starts_with(&format!("{}/{rest}/", parent.key()).to_ascii_lowercase())
        };
        below(&synapse, SPARK_POOLS)
            || workspace.is_some_and(|workspace| below(workspace, "providers/Microsoft.Authorization/roleAssignments"))
    }

    fn check(&self, site: &Site<'_>) -> Result<(), Verdict> {
        check(&self.spec, site)
    }

    async fn observe(&self, scene: &Scene<'_>, extra: &mut Remembered) -> Result<Seen, Verdict> {
        let pace = &scene.context.pace;
        Ok(Seen {
            observed: observe::observe(self, scene, extra).await?,
            connection: scene.connected.spec.clone(),
            waits: Waits { pause: pace.handshake, role_effective: pace.role_effective },
        })
    }

    fn plan(&self, site: &Site<'_>, seen: &Seen, extra: &Remembered) -> Decided<SynapseLinkStatus> {
        match synapse_of(&self.spec) {
            Ok(synapse) => plan(SynapseInput {
                site,
                synapse: &synapse,
                spec: &self.spec,
                policies: self.policies(),
                connection: &seen.connection,
                observed: &seen.observed,
                drawn: &extra.drawn,
                waits: seen.waits,
            }),
            Err(verdict) => Decided::stopped(SynapseLinkStatus::default(), verdict),
        }
    }

    fn is_moving(seen: &Seen, id: &str) -> bool {
        let last = id.rsplit('/').next().unwrap_or_default();
        let observed = &seen.observed;
        if id.contains("/managedprivateendpoints/") {
            return observed.endpoints.iter().any(|one| one.name.eq_ignore_ascii_case(last) && one.is_moving());
        }
        let pools = format!("/{}/", SPARK_POOLS.to_ascii_lowercase());
        id.contains(&pools)
            && observed.pools.iter().any(|pool| pool.name.eq_ignore_ascii_case(last) && pool.is_moving())
    }

    async fn prepare(&self, scene: &Scene<'_>, requests: &[&Request], extra: &mut Remembered) -> Result<(), Verdict> {
        ask::prepare(self, scene, requests, extra).await
    }

    fn client(&self, connected: &Connected, id: &str) -> Result<Client, Verdict> {
        let Some(path) = SynapsePath::parse(id) else { return Ok(connected.client.clone()) };
        let synapse = synapse_of(&self.spec)?;
        if path.workspace().eq_ignore_ascii_case(synapse.name()) {
            return data_plane(connected, &synapse);
        }
        let message = format!("{id} lies in another {WORKSPACES} than the one that is linked");
        Err(Verdict::new(Reason::Invalid, message))
    }

    async fn farewell(&self, exit: &Exit<'_>, _: &mut Remembered) -> Result<Farewell, Verdict> {
        leave::farewell(self, exit).await
    }
}

/// How the ledger names `object`.
fn ledger_key(object: &SynapseLink) -> ObjectKey {
    key_of(object)
}
