//! What a reconcile comes to: a reason out of one table, and words for people.

use std::time::Duration;

use crate::api::condition::{ConditionDraft, ConditionStatus, READY, RECONCILING, STALLED};
use crate::azure::error::{ArmError, ErrorClass};

/// When an object is looked at again if nothing else calls for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requeue {
    /// All is well: at the next resync.
    Resync,
    /// Something moves: soon, at the pace of polls.
    Soon,
    /// Somebody else has to act: slowly.
    Slow,
    /// It failed: later each time.
    Backoff,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    word: &'static str,
    ready: bool,
    reconciling: bool,
    stalled: bool,
    requeue: Requeue,
}

const fn ready(word: &'static str) -> Row {
    Row { word, ready: true, reconciling: false, stalled: false, requeue: Requeue::Resync }
}

/// Under way, or waiting for somebody else: GitOps engines wait too.
const fn waiting(word: &'static str, requeue: Requeue) -> Row {
    Row { word, ready: false, reconciling: true, stalled: false, requeue }
}

/// Only a change of this object's spec can help: GitOps engines fail.
const fn stalled(word: &'static str) -> Row {
    Row { word, ready: false, reconciling: false, stalled: true, requeue: Requeue::Resync }
}

/// Deliberately not done.
const fn idle(word: &'static str) -> Row {
    Row { word, ready: false, reconciling: false, stalled: false, requeue: Requeue::Resync }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident => $row:expr;)*) => {
        /// Why an object is in the state it is in. The word is part of the API: programs may rely on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            const fn row(self) -> Row {
                match self { $(Self::$name => $row,)* }
            }
        }
    };
}

reasons! {
    /// The workspace is as declared and its network isolated as declared.
    Secured => ready("Secured");
    /// The rule is active in Azure.
    Active => ready("Active");
    /// The rule is defined in Azure and becomes active when the network is built.
    Defined => ready("Defined");
    /// The policy decides on its target's connections.
    InForce => ready("InForce");
    /// The policy decides and reports; with `mode: DryRun` it neither approves nor rejects.
    DryRun => ready("DryRun");
    /// The credential works.
    Available => ready("Available");
    /// Azure shows what the person decided.
    Applied => ready("Applied");
    /// Every private endpoint is approved, and its names lead to it.
    Attached => ready("Attached");
    /// Synapse's notebooks can use the workspace privately, by all that can be told from outside Spark.
    Verified => ready("Verified");
    /// The compute runs, or is a cluster that runs when it is needed.
    Running => ready("Running");
    /// The compute is stopped, as declared.
    Stopped => ready("Stopped");
    /// The datastore is registered on its workspace as declared.
    Registered => ready("Registered");
    /// The online endpoint is as declared; whether it answers is another question.
    Online => ready("Online");
    /// With `Observe`: Azure is as declared.
    Matches => ready("Matches");

    /// With `Observe`: Azure is not as declared, and the operator leaves it so.
    Differs => idle("Differs");
    /// `suspend` is set here.
    Suspended => idle("Suspended");

    /// The policy's time is over: it approves nothing new.
    Expired => idle("Expired");

    /// Just seen; nothing is known yet.
    Pending => waiting("Pending", Requeue::Soon);
    /// ARM is creating it.
    Creating => waiting("Creating", Requeue::Soon);
    /// ARM is changing it.
    Updating => waiting("Updating", Requeue::Soon);
    /// ARM is building the managed network.
    Provisioning => waiting("Provisioning", Requeue::Soon);
    /// ARM is deleting it, or a policy that is being deleted waits to withdraw what it approved.
    Deleting => waiting("Deleting", Requeue::Soon);
    /// A request went out and its answer never came; the operator only reads until ARM shows what became of it.
    OutcomeUnknown => waiting("OutcomeUnknown", Requeue::Soon);

    /// The AzureConnection does not exist.
    ConnectionMissing => waiting("ConnectionMissing", Requeue::Slow);
    /// The AzureConnection gives no token.
    ConnectionNotReady => waiting("ConnectionNotReady", Requeue::Backoff);
    /// The AzureConnection is suspended or read-only, and this would write.
    ConnectionSuspended => waiting("ConnectionSuspended", Requeue::Slow);
    /// The AzureConnection is being deleted and serves deletions only.
    ConnectionDeleting => waiting("ConnectionDeleting", Requeue::Slow);
    /// It is being deleted but still used: an AzureConnection by objects, an online endpoint by deployments.
    InUse => waiting("InUse", Requeue::Slow);
    /// No grant allows it.
    ScopeNotAllowed => waiting("ScopeNotAllowed", Requeue::Slow);
    /// No grant's egress allows it.
    EgressNotAllowed => waiting("EgressNotAllowed", Requeue::Slow);
    /// The AmlWorkspace does not exist.
    WorkspaceMissing => waiting("WorkspaceMissing", Requeue::Slow);
    /// The AmlWorkspace exists but not in Azure yet.
    WorkspaceNotReady => waiting("WorkspaceNotReady", Requeue::Slow);
    /// The AmlWorkspace does not admit rules of this namespace.
    NotAdmitted => waiting("NotAdmitted", Requeue::Slow);
    /// The workspace's isolation mode does not take rules of this type.
    IsolationModeForbids => waiting("IsolationModeForbids", Requeue::Slow);
    /// Azure has not built the workspace's managed network yet.
    ManagedNetworkInactive => waiting("ManagedNetworkInactive", Requeue::Slow);
    /// The workspace's managed network is not built, and its object does not build it.
    ManagedNetworkNotProvisioned => waiting("ManagedNetworkNotProvisioned", Requeue::Slow);
    /// Private endpoints cannot lie in the subnet.
    SubnetNotUsable => waiting("SubnetNotUsable", Requeue::Slow);
    /// A private endpoint waits until somebody approves its connection.
    ApprovalPending => waiting("ApprovalPending", Requeue::Slow);
    /// The connection of a private endpoint was rejected or removed on the other side.
    ConnectionRejected => waiting("ConnectionRejected", Requeue::Slow);
    /// It is being made sure which connection on the target is the link's own.
    Attributing => waiting("Attributing", Requeue::Soon);
    /// Somebody raises connections under the names of the link's endpoints: nothing is approved.
    Imitated => waiting("Imitated", Requeue::Slow);
    /// An identity lacks a role that somebody has to assign.
    RoleMissing => waiting("RoleMissing", Requeue::Slow);
    /// A role was assigned only just, and Azure takes some minutes to heed it.
    RoleSettling => waiting("RoleSettling", Requeue::Soon);
    /// A private DNS zone, or a record in it, is missing, and somebody else makes it.
    ZoneMissing => waiting("ZoneMissing", Requeue::Slow);
    /// The network is linked to another private DNS zone of the same name, and Azure lets it have one.
    ZoneElsewhere => waiting("ZoneElsewhere", Requeue::Slow);
    /// A record in a private DNS zone leads to another endpoint, and is never overwritten.
    RecordOwned => waiting("RecordOwned", Requeue::Slow);
    /// The workspace cannot be reached privately, which the object needs.
    PrivatePathMissing => waiting("PrivatePathMissing", Requeue::Slow);
    /// The Secret with a datastore's credential is not there, is not made for that, or does not agree to be used for this object.
    CredentialMissing => waiting("CredentialMissing", Requeue::Slow);
    /// The operator may not read the Secret with a datastore's credential.
    CredentialNotReadable => waiting("CredentialNotReadable", Requeue::Slow);
    /// The rule is for Spark, and the workspace's network is not prepared for it.
    SparkNotIncluded => waiting("SparkNotIncluded", Requeue::Slow);
    /// Another object of this cluster manages the same resource, or a rule with this destination is there already.
    ManagedElsewhere => waiting("ManagedElsewhere", Requeue::Slow);
    /// The workspace's identity may not approve its connection on the target.
    ApproverRoleMissing => waiting("ApproverRoleMissing", Requeue::Slow);
    /// The approver role was assigned for a time, which is over, and the rule was not in force.
    ApproverRoleExpired => waiting("ApproverRoleExpired", Requeue::Slow);
    /// A step of this object waits for an acknowledgement on another one.
    AcknowledgementRequiredElsewhere => waiting("AcknowledgementRequired", Requeue::Slow);
    /// Many removals at once wait for an acknowledgement on the AzureConnection.
    MassChange => waiting("MassChange", Requeue::Slow);

    /// A policy's group holds more resources than a policy may decide on.
    TooManyTargets => waiting("TooManyTargets", Requeue::Slow);
    /// The ledger's page of the target cannot be read, or is gone: lost memory means hold.
    LedgerDamaged => waiting("LedgerDamaged", Requeue::Slow);

    /// The ledger's page of the target has no room for another approval.
    LedgerFull => waiting("LedgerFull", Requeue::Slow);

    /// The admission policy that vouches for decisions is not in force as this version expects it: no decision counts.
    GuardMissing => waiting("GuardMissing", Requeue::Slow);
    /// The PrivateEndpointApproval does not exist, or none names the rule's workspace.
    PolicyMissing => waiting("PolicyMissing", Requeue::Slow);
    /// The PrivateEndpointApproval exists, and does not act, or gives no leave.
    PolicyNotInForce => waiting("PolicyNotInForce", Requeue::Slow);
    /// No connection of that name asks for that endpoint.
    RequestMissing => waiting("RequestMissing", Requeue::Slow);
    /// More people have to approve.
    ApproversMissing => waiting("ApproversMissing", Requeue::Slow);
    /// A policy or another person decided against it.
    Overruled => waiting("Overruled", Requeue::Slow);

    /// Azure keeps a deleted workspace of that name, and `onSoftDeleted` says to leave it.
    SoftDeletedNamesake => waiting("SoftDeletedNamesake", Requeue::Slow);
    /// What ARM is doing takes more than twice the usual time; it is followed all the same.
    Overdue => waiting("Overdue", Requeue::Soon);

    /// The operator lacks a right in Azure.
    AuthorizationFailed => waiting("AuthorizationFailed", Requeue::Backoff);
    /// A resource lock forbids it.
    Locked => waiting("Locked", Requeue::Slow);
    /// An Azure policy forbids it.
    PolicyDenied => waiting("PolicyDenied", Requeue::Slow);
    /// A quota is used up.
    QuotaExceeded => waiting("QuotaExceeded", Requeue::Slow);
    /// A resource provider is not registered in the subscription.
    ProviderNotRegistered => waiting("ProviderNotRegistered", Requeue::Slow);
    /// A resource group, subscription or other resource that must exist does not.
    ParentMissing => waiting("ParentMissing", Requeue::Slow);
    /// Another operation holds the resource.
    AzureBusy => waiting("AzureBusy", Requeue::Soon);
    /// ARM asks to slow down.
    Throttled => waiting("Throttled", Requeue::Soon);
    /// ARM cannot be reached or does not answer properly.
    AzureUnavailable => waiting("AzureUnavailable", Requeue::Backoff);
    /// ARM refused it in its own words.
    AzureRefused => waiting("AzureRefused", Requeue::Backoff);

    /// The object cannot be understood.
    Invalid => stalled("Invalid");
    /// Azure takes no rule to this destination.
    DestinationRefused => stalled("DestinationRefused");
    /// Azure already has one, and `adoption` does not allow to take it.
    AdoptionRefused => stalled("AdoptionRefused");
    /// The resource carries another's owner tag.
    OwnedElsewhere => stalled("OwnedElsewhere");
    /// A one-way or costly step waits for this object's `acknowledge`.
    AcknowledgementRequired => stalled("AcknowledgementRequired");
    /// Another one stands behind a name than before; nothing is done for it until that is acknowledged.
    IdentityChanged => stalled("IdentityChanged");
    /// Data exfiltration protection is on in the Synapse workspace, which the integration does not go with.
    ExfiltrationProtectionOn => stalled("ExfiltrationProtectionOn");
    /// The Synapse workspace has no managed virtual network.
    ManagedVnetMissing => stalled("ManagedVnetMissing");
    /// Many removals at once wait for an acknowledgement here.
    MassChangeToAcknowledge => stalled("MassChange");
    /// Azure cannot change this once it exists.
    NotChangeable => stalled("NotChangeable");
    /// The decision is older than what vouches for it, or was carried out before: it has to be made again.
    Outdated => stalled("Outdated");
    /// The approver may edit the policy, which asks for approvers who may not.
    ApproverMayEditPolicy => stalled("ApproverMayEditPolicy");
    /// The operator does not know how this type of resource approves connections.
    UnsupportedTarget => stalled("UnsupportedTarget");
}

impl Reason {
    /// The word in conditions.
    pub const fn word(self) -> &'static str {
        self.row().word
    }

    /// Whether the object is ready.
    pub const fn is_ready(self) -> bool {
        self.row().ready
    }

    /// Whether somebody should be alarmed: not while it is ready, moves by itself in time, or waits for its own workspace.
    pub const fn is_alarming(self) -> bool {
        matches!(self, Self::Overdue)
            || !self.is_ready() && !matches!(self.requeue(), Requeue::Soon) && !matches!(self, Self::WorkspaceNotReady)
    }

    /// When it is looked at again.
    pub const fn requeue(self) -> Requeue {
        self.row().requeue
    }
}

/// What a reconcile came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Why.
    pub reason: Reason,
    /// What is wrong, what to do, who can.
    pub message: String,
    /// When to look again, if somebody said so (`Retry-After`); else the reason decides.
    pub after: Option<Duration>,
}

impl Verdict {
    /// A verdict whose reason decides when to look again.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), after: None }
    }

    /// The same, to be looked at again after `after`.
    pub fn after(mut self, after: Option<Duration>) -> Self {
        self.after = after.or(self.after);
        self
    }

    /// The verdict on an answer of ARM that is no success. `doing` says what was tried.
    pub fn of_error(doing: &str, error: &ArmError) -> Self {
        let (reason, fix) = match error.class {
            ErrorClass::Throttled => (Reason::Throttled, "ARM asks to slow down; it is tried again when it allows"),
            ErrorClass::Busy => (Reason::AzureBusy, "another operation is under way there; it is tried again"),
            ErrorClass::Transient => (Reason::AzureUnavailable, "it is tried again"),
            ErrorClass::NotFound | ErrorClass::ParentNotFound => {
                (Reason::ParentMissing, "create what is missing, or correct the id")
            }
            ErrorClass::Forbidden => {
                (Reason::AuthorizationFailed, "give the operator's identity the role that allows it")
            }
            ErrorClass::Unauthenticated => (Reason::ConnectionNotReady, "check the AzureConnection's credential"),
            ErrorClass::Locked => (Reason::Locked, "remove the resource lock"),
            ErrorClass::PolicyDenied => (Reason::PolicyDenied, "ask for an exemption from the Azure policy it names"),
            ErrorClass::Quota => (Reason::QuotaExceeded, "ask for more quota, or remove what is not needed"),
            ErrorClass::NotRegistered => {
                (Reason::ProviderNotRegistered, "register the resource provider in the subscription")
            }
            ErrorClass::ApproverRoleMissing => {
                (Reason::ApproverRoleMissing, "give the workspace's identity the approver role on the target")
            }
            ErrorClass::PrincipalNotReady => (Reason::AzureBusy, "a fresh identity is not known everywhere yet"),
            ErrorClass::Precondition => {
                (Reason::AzureBusy, "somebody else changed it meanwhile; it is read and tried again")
            }
            ErrorClass::SoftDeleted => (
                Reason::SoftDeletedNamesake,
                "set onSoftDeleted: Recover or Purge, purge it in Azure, or choose another name",
            ),
            ErrorClass::Validation | ErrorClass::Exists => (Reason::AzureRefused, "correct what ARM names"),
            ErrorClass::Protocol | ErrorClass::Unknown => (Reason::AzureRefused, "it is tried again later"),
        };
        Self::new(reason, format!("{doing}: {error}. {fix}")).after(error.retry_after)
    }

    /// The three summary conditions. Reconciling and Stalled are there only while they hold, as kstatus and Flux read them.
    pub fn conditions(&self) -> Vec<ConditionDraft> {
        let row = self.reason.row();
        let draft = |type_, holds: bool| ConditionDraft {
            type_,
            status: ConditionStatus::from(holds),
            reason: row.word.to_owned(),
            message: self.message.clone(),
        };
        let mut conditions = vec![draft(READY, row.ready)];
        if row.reconciling {
            conditions.push(draft(RECONCILING, true));
        }
        if row.stalled {
            conditions.push(draft(STALLED, true));
        }
        conditions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_reason_is_two_things_at_once() {
        for reason in Reason::ALL {
            let row = reason.row();
            let claims = [row.ready, row.reconciling, row.stalled].into_iter().filter(|claim| *claim).count();
            assert!(claims <= 1, "{reason:?} is {row:?}");
            assert!(row.word.chars().all(char::is_alphanumeric), "{reason:?}: a reason is one CamelCase word");
        }
    }

    #[test]
    fn what_nobody_knows_is_retried_and_never_given_up() {
        for code in ["SomethingNew", "Conflict", "AuthorizationFailed", "ScopeLocked", "TooManyRequests"] {
            let verdict = Verdict::of_error("trying", &ArmError::from_failure(code, "no"));
            assert!(!verdict.reason.row().stalled && !verdict.reason.is_ready(), "{code} became {:?}", verdict.reason);
            assert!(verdict.message.contains(code), "ARM's own code is told: {}", verdict.message);
        }
    }

    #[test]
    fn every_reason_is_documented() {
        let page = include_str!("../../docs/conditions.md");
        for reason in Reason::ALL {
            assert!(page.contains(&format!("| `{}` |", reason.word())), "docs/conditions.md lacks {}", reason.word());
        }
    }

    #[test]
    fn abnormal_conditions_exist_only_while_they_hold() {
        let types = |reason| Verdict::new(reason, "m").conditions().iter().map(|c| c.type_).collect::<Vec<_>>();
        assert_eq!(types(Reason::Secured), ["Ready"]);
        assert_eq!(types(Reason::Creating), ["Ready", "Reconciling"]);
        assert_eq!(types(Reason::OwnedElsewhere), ["Ready", "Stalled"]);
        assert_eq!(types(Reason::Suspended), ["Ready"]);
    }
}
