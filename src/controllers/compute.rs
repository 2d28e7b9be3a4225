//! `AmlCompute`: one compute of a workspace. What it shares with other kinds is in [`super::attached`].

use async_trait::async_trait;

use super::attached::{Attached, Exit, Scene, fields};
use crate::api::AmlCompute;
use crate::api::common::DeletionPolicy;
use crate::api::compute::AmlComputeStatus;
use crate::api::ids::ArmId;
use crate::azure::client::{Client, Priority};
use crate::azure::compute::{API_VERSION, Compute, PREVIEW_API_VERSION};
use crate::plan::attached::{Decided, Farewell, Policies, Site};
use crate::plan::compute::{ComputeInput, ISOLATED, check, farewell, plan};
use crate::plan::{Reason, Verdict};

/// The compute's ARM id.
fn id_of(object: &AmlCompute, workspace: &ArmId) -> Result<ArmId, Verdict> {
    let own = object.metadata.name.clone().unwrap_or_default();
    let name = object.spec.azure_name.clone().unwrap_or(own);
    workspace.child("computes", &name).map_err(|error| Verdict::new(Reason::Invalid, error.to_string()))
}

async fn find(
    client: &Client,
    object: &AmlCompute,
    id: &ArmId,
    priority: Priority,
) -> Result<Option<Compute>, Verdict> {
    let root = object.spec.instance.as_ref().and_then(|instance| instance.root_access);
    let version = if root.is_some() { PREVIEW_API_VERSION } else { API_VERSION };
    let found = client.find(id.as_str(), version, priority).await;
    let Some(found) = found.map_err(|error| Verdict::of_error("reading the compute", &error))? else {
        return Ok(None);
    };
    let unreadable =
        |error| Verdict::new(Reason::AzureRefused, format!("what Azure shows of the compute cannot be read: {error}"));
    Compute::read(found).map(Some).map_err(unreadable)
}

#[async_trait]
impl Attached for AmlCompute {
    type Observed = Option<Compute>;
    type Extra = ();
    const PART_OF_WORKSPACE: bool = true;
    const NOUN: &'static str = "the compute";
    const CONDITIONS: &'static [&'static str] = &[ISOLATED];

    fn policies(&self) -> Policies<'_> {
        let spec = &self.spec;
        let reported = spec.kubernetes.is_some();
        let default = if reported { DeletionPolicy::Retain } else { DeletionPolicy::Delete };
        Policies {
            workspace_ref: &spec.workspace_ref,
            management: spec.management_policy.unwrap_or_default(),
            deletion: spec.deletion_policy.unwrap_or(default),
            adoption: spec.adoption.unwrap_or_default(),
            suspend: spec.suspend,
            acknowledge: &spec.acknowledge,
        }
    }

    fields!(AmlComputeStatus, computes);

    fn azure_version(_: &str) -> &'static str {
        API_VERSION
    }

    fn resource(&self, workspace: &ArmId) -> Result<Option<ArmId>, Verdict> {
        id_of(self, workspace).map(Some)
    }

    fn owns(&self, workspace: Option<&ArmId>, id: &str) -> bool {
        let own = workspace.and_then(|workspace| id_of(self, workspace).ok()).map(|own| own.key());
        let id = id.to_ascii_lowercase();
        own.is_some_and(|own| id == own || id.starts_with(&format!("{own}/")))
    }

    fn needs_network(&self) -> bool {
        self.spec.kubernetes.is_none()
    }

    fn check(&self, site: &Site<'_>) -> Result<(), Verdict> {
        check(&self.spec, site, &id_of(self, site.id)?)
    }

    async fn observe(&self, scene: &Scene<'_>, _: &mut ()) -> Result<Option<Compute>, Verdict> {
        // Below a workspace that is not there nothing can be.
        if scene.site.view.workspace.is_none() {
            return Ok(None);
        }
        find(&scene.connected.client, self, &id_of(self, scene.site.id)?, scene.priority).await
    }

    fn plan(&self, site: &Site<'_>, observed: &Option<Compute>, _: &()) -> Decided<AmlComputeStatus> {
        match id_of(self, site.id) {
            Ok(id) => plan(ComputeInput {
                site,
                id: &id,
                spec: &self.spec,
                policies: self.policies(),
                said: self.status.as_ref(),
                observed: observed.as_ref(),
            }),
            Err(verdict) => Decided::stopped(AmlComputeStatus::default(), verdict),
        }
    }

    fn owner_tag(observed: &Option<Compute>) -> Option<&str> {
        observed.as_ref()?.tag(crate::api::OWNER_TAG)
    }

    fn is_moving(observed: &Option<Compute>, _: &str) -> bool {
        observed.as_ref().is_some_and(Compute::is_moving)
    }

    fn accepted(&self, verb: &str, status: &mut AmlComputeStatus) {
        if verb == "POST restart" {
            status.restarted_at = self.spec.power.as_ref().and_then(|power| power.restart_at.clone());
        }
    }

    async fn farewell(&self, exit: &Exit<'_>, _: &mut ()) -> Result<Farewell, Verdict> {
        let Some((_, workspace)) = exit.workspace else {
            return Ok(Farewell::Release("its workspace is gone, and the compute with it".into()));
        };
        let id = id_of(self, workspace)?;
        let observed = find(&exit.connected.client, self, &id, Priority::Urgent).await?;
        Ok(farewell(exit.owner, &id, observed.as_ref()))
    }
}
