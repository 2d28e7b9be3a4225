//! `AmlOnlineEndpoint`: where models are called. What it shares with other kinds is in [`super::attached`].

use async_trait::async_trait;

use super::attached::{Attached, Exit, Scene, fields};
use crate::api::AmlOnlineEndpoint;
use crate::api::common::DeletionPolicy;
use crate::api::ids::ArmId;
use crate::api::online_endpoint::AmlOnlineEndpointStatus;
use crate::azure::client::{Client, Priority};
use crate::azure::online_endpoint::{API_VERSION, Deployment, OnlineEndpoint};
use crate::plan::attached::{Decided, Farewell, Policies, Site};
use crate::plan::compute::ISOLATED;
use crate::plan::online_endpoint::{EndpointInput, Observed, SERVING, check, farewell, plan};
use crate::plan::{Reason, Verdict};

/// The endpoint's ARM id.
fn id_of(object: &AmlOnlineEndpoint, workspace: &ArmId) -> Result<ArmId, Verdict> {
    let own = object.metadata.name.clone().unwrap_or_default();
    let name = object.spec.azure_name.clone().unwrap_or(own);
    workspace.child("onlineEndpoints", &name).map_err(|error| Verdict::new(Reason::Invalid, error.to_string()))
}

/// The endpoint and its deployments.
async fn look(client: &Client, id: &ArmId, priority: Priority) -> Result<Observed, Verdict> {
    let unreadable = |error: serde_json::Error| {
        let message = format!("what Azure shows of the online endpoint cannot be read: {error}");
        Verdict::new(Reason::AzureRefused, message)
    };
    let found = client.find(id.as_str(), API_VERSION, priority).await;
    let Some(found) = found.map_err(|error| Verdict::of_error("reading the online endpoint", &error))? else {
        return Ok(Observed::default());
    };
    let endpoint = Some(OnlineEndpoint::read(found).map_err(unreadable)?);
    let list = client.list(&format!("{id}/deployments"), API_VERSION, priority).await;
    let list = list.map_err(|error| Verdict::of_error("listing the deployments", &error))?;
    let deployments = list.into_iter().map(Deployment::read).collect::<Result<_, _>>().map_err(unreadable)?;
    Ok(Observed { endpoint, deployments })
}

#[async_trait]
impl Attached for AmlOnlineEndpoint {
    type Observed = Observed;
    type Extra = ();
    const PART_OF_WORKSPACE: bool = true;
    const NOUN: &'static str = "the online endpoint";
    const CONDITIONS: &'static [&'static str] = &[ISOLATED, SERVING];

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

    fields!(AmlOnlineEndpointStatus, endpoints);

    fn azure_version(_: &str) -> &'static str {
        API_VERSION
    }

    fn resource(&self, workspace: &ArmId) -> Result<Option<ArmId>, Verdict> {
        id_of(self, workspace).map(Some)
    }

    fn needs_network(&self) -> bool {
        true
    }

    fn check(&self, site: &Site<'_>) -> Result<(), Verdict> {
        check(&self.spec, site, &id_of(self, site.id)?)
    }

    async fn observe(&self, scene: &Scene<'_>, _: &mut ()) -> Result<Observed, Verdict> {
        // Below a workspace that is not there nothing can be.
        if scene.site.view.workspace.is_none() {
            return Ok(Observed::default());
        }
        look(&scene.connected.client, &id_of(self, scene.site.id)?, scene.priority).await
    }

    fn plan(&self, site: &Site<'_>, observed: &Observed, _: &()) -> Decided<AmlOnlineEndpointStatus> {
        match id_of(self, site.id) {
            Ok(id) => plan(EndpointInput { site, id: &id, spec: &self.spec, policies: self.policies(), observed }),
            Err(verdict) => Decided::stopped(AmlOnlineEndpointStatus::default(), verdict),
        }
    }

    fn owner_tag(observed: &Observed) -> Option<&str> {
        observed.endpoint.as_ref()?.tag(crate::api::OWNER_TAG)
    }

    fn is_moving(observed: &Observed, _: &str) -> bool {
        observed.endpoint.as_ref().is_some_and(OnlineEndpoint::is_moving)
    }

    async fn farewell(&self, exit: &Exit<'_>, _: &mut ()) -> Result<Farewell, Verdict> {
        let Some((_, workspace)) = exit.workspace else {
            return Ok(Farewell::Release("its workspace is gone, and the online endpoint with it".into()));
        };
        let id = id_of(self, workspace)?;
        let observed = look(&exit.connected.client, &id, Priority::Urgent).await?;
        Ok(farewell(exit.owner, &id, &observed))
    }
}
