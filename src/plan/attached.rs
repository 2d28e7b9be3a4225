//! What the kinds that attach to a workspace have in common: what they are decided on, and what a decision is.

use jiff::Timestamp;

use crate::api::AmlWorkspace;
use crate::api::common::{Acknowledgement, Adoption, DeletionPolicy, ManagementPolicy, ObjectRef};
use crate::api::condition::ConditionDraft;
use crate::api::ids::ArmId;
use crate::api::workspace::{IsolationMode, ProvisionWhen};
use crate::azure::machine_learning::{OutboundRule, Workspace};

use super::difference::Difference;
use super::effective::Effective;
use super::fence::Fence;
use super::outcome::{Reason, Verdict};
use super::ownership::{Claim, Owner, claim};
use super::step::Step;

/// The fields of a spec that every such kind has.
#[derive(Clone, Copy, Debug)]
pub struct Policies<'a> {
    /// The workspace it attaches to.
    pub workspace_ref: &'a ObjectRef,
    /// Whether anything is written.
    pub management: ManagementPolicy,
    /// What its deletion does in Azure.
    pub deletion: DeletionPolicy,
    /// What to do about what exists already.
    pub adoption: Adoption,
    /// Starts nothing new.
    pub suspend: bool,
    /// Words for doors.
    pub acknowledge: &'a [Acknowledgement],
}

/// What ARM shows of a workspace, as its own lane saw it last.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// The workspace; `None` if there is none.
    pub workspace: Option<Workspace>,
    /// Its rules.
    pub rules: Vec<OutboundRule>,
}

/// What every decision about an attached object rests on.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Who the object is.
    pub owner: &'a Owner,
    /// What its namespace may do.
    pub fence: &'a Fence<'a>,
    /// The workspace's object.
    pub workspace: &'a AmlWorkspace,
    /// The workspace's ARM id.
    pub id: &'a ArmId,
    /// What ARM shows of it.
    pub view: &'a View,
    /// Nothing will be written, so that neither a claim nor a verb is needed.
    pub observes: bool,
    /// Now.
    pub now: Timestamp,
}

impl Site<'_> {
    /// The workspace as ARM shows it.
    ///
    /// # Errors
    /// With the verdict to report if there is none, or it is not ready for anything to be attached.
    pub fn shown(&self) -> Result<&Workspace, Verdict> {
        let name = &self.owner.name;
        let waiting = |why: &str| {
            let message = format!("{name} waits for the workspace {}: {why}", self.id);
            Verdict::new(Reason::WorkspaceNotReady, message)
        };
        let shown = self.view.workspace.as_ref().ok_or_else(|| waiting("it is not in Azure yet; see its object"))?;
        if shown.properties.workspace_id.is_none() {
            return Err(waiting("Azure has not finished making it"));
        }
        Ok(shown)
    }

    /// Whether the workspace's managed network, where it has one, is built: computes and online endpoints wait for that.
    ///
    /// # Errors
    /// With the verdict to report if it is not.
    pub fn managed_network_ready(&self, shown: &Workspace) -> Result<(), Verdict> {
        if shown.network_active() || shown.isolation_mode().eq_ignore_ascii_case(IsolationMode::Disabled.as_str()) {
            return Ok(());
        }
        let effective = Effective::of(&self.workspace.spec);
        let when = effective.provision().map(|provision| provision.when);
        if when == Some(ProvisionWhen::Never) {
            return Err(Verdict::new(
                Reason::ManagedNetworkNotProvisioned,
                "the workspace's managed network is not built, and its object says provision.when: Never. Its owner can set \
                 OnFirstCompute or Immediately, or provision it in Azure",
            ));
        }
        Err(Verdict::new(
            Reason::ManagedNetworkInactive,
            "waiting until Azure has built the workspace's managed network, which takes about half an hour",
        ))
    }

    /// Whether what was made at `created` (RFC 3339) is older than the workspace's managed network, and so not in it.
    pub fn predates_network(&self, created: Option<&str>) -> bool {
        let since = self.workspace.status.as_ref().and_then(|status| status.isolated_since.as_deref());
        let at = |text: Option<&str>| text.and_then(|text| text.parse::<Timestamp>().ok());
        at(created).zip(at(since)).is_some_and(|(made, since)| made < since)
    }

    /// Decides whether the object may write to a resource that carries this owner tag.
    pub fn claim(&self, tag: Option<&str>, policies: &Policies<'_>) -> Claim {
        if self.observes { Claim::Ours } else { claim(self.owner, tag, policies.adoption, policies.acknowledge) }
    }
}

/// What was decided about an attached object.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided<S> {
    /// The next writes, which do not depend on each other.
    pub steps: Vec<Step>,
    /// What to say if nothing is written.
    pub verdict: Verdict,
    /// Where Azure is not as declared: told as drift if it was before.
    pub differences: Vec<Difference>,
    /// The status, but for what every kind has.
    pub status: S,
    /// Conditions beside the summary.
    pub conditions: Vec<ConditionDraft>,
}

impl<S> Decided<S> {
    /// Nothing is written, for the reason that `verdict` tells.
    pub fn stopped(status: S, verdict: Verdict) -> Self {
        Self { steps: Vec::new(), verdict, differences: Vec::new(), status, conditions: Vec::new() }
    }

    /// `step` is the next thing to do.
    pub fn writing(status: S, step: Step) -> Self {
        let verdict = step.verdict.clone();
        Self { steps: vec![step], ..Self::stopped(status, verdict) }
    }

    /// The same, with where Azure differs.
    pub fn differing(mut self, differences: Vec<Difference>) -> Self {
        self.differences = differences;
        self
    }

    /// The same, with conditions beside the summary.
    pub fn with(mut self, conditions: impl IntoIterator<Item = ConditionDraft>) -> Self {
        self.conditions.extend(conditions);
        self
    }
}

/// What the deletion of an attached object means for Azure.
#[derive(Clone, Debug, PartialEq)]
pub enum Farewell {
    /// Nothing more: the object may go. The words are for the event.
    Release(String),
    /// These writes come first.
    Remove(Vec<Step>),
    /// Something else has to happen first.
    Wait(Verdict),
}
