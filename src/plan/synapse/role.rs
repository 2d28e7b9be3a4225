//! The role of Synapse's identity on the workspace.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::api::common::MissingRole;
use crate::api::condition::{ConditionDraft, ConditionStatus};
use crate::api::ids::ArmId;
use crate::api::synapse_link::{LinkPins, SynapseLinkSpec};
use crate::api::workspace::RolePolicy;
use crate::azure::authorization::{API_VERSION, RoleDefinition};
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::roles::{Assign, RoleCheck, Term, is_grantable, is_harmless, missing_role};
use crate::plan::step::Step;

use super::{ROLE, Stage, SynapseInput, left_of};

/// The built-in role Contributor, which Microsoft's page on the integration names.
pub const CONTRIBUTOR: &str = "b24988ac-6180-42a0-ab88-20f7382dd24c";
/// What the role is for.
const WHY: &str = "using the workspace from Synapse notebooks";

/// What was seen of the role.
#[derive(Clone, Debug, PartialEq)]
pub struct RoleSeen {
    /// Whether Synapse's identity holds it, or one that contains it, on the workspace or above.
    pub check: RoleCheck,
    /// When it was assigned, if Azure says so.
    pub since: Option<Timestamp>,
    /// Roles by GUID, as far as they could be read.
    pub definitions: BTreeMap<String, RoleDefinition>,
}

impl Default for RoleSeen {
    fn default() -> Self {
        Self { check: RoleCheck::Unknown, since: None, definitions: BTreeMap::new() }
    }
}

/// GUID and name of the role that `spec` asks for.
pub fn role_of(spec: &SynapseLinkSpec) -> (String, String) {
    let own = spec.role.as_ref().and_then(|role| role.role_definition_id.as_ref());
    match own.map(|id| id.to_ascii_lowercase()) {
        Some(id) if id != CONTRIBUTOR => (id.clone(), format!("role {id}")),
        _ => (CONTRIBUTOR.to_owned(), "Contributor".to_owned()),
    }
}

/// What is to be said and done about the role.
pub(super) struct Judged {
    status: ConditionStatus,
    reason: &'static str,
    message: String,
    stops: Option<Verdict>,
    step: Option<Step>,
    since: Option<Timestamp>,
    pub(super) missing: Vec<MissingRole>,
}

impl Judged {
    pub(super) fn condition(&self) -> ConditionDraft {
        let (reason, message) = (self.reason.to_owned(), self.message.clone());
        ConditionDraft { type_: ROLE, status: self.status, reason, message }
    }

    pub(super) fn stage(&self) -> Stage {
        let stage = Stage::new(ROLE, self.status, self.reason, self.message.clone());
        Stage { stops: self.stops.clone(), ..stage }.with(self.step.iter().cloned().collect())
    }

    /// How long a role that was assigned only just may not be in effect yet.
    pub(super) fn settling(&self, now: Timestamp, wait: Duration) -> Option<Duration> {
        left_of(self.since, wait, now)
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.status == ConditionStatus::Unknown
    }
}

pub(super) fn judge(input: &SynapseInput<'_>, pins: &LinkPins) -> Judged {
    let (role, name) = role_of(input.spec);
    let (scope, principal) = (input.site.id, pins.principal_id.as_str());
    let seen = &input.observed.role;
    let say = |status, reason, message: String| Judged {
        status,
        reason,
        message,
        stops: None,
        step: None,
        since: seen.since,
        missing: Vec::new(),
    };
    if principal.is_empty() {
        let message = "the Synapse workspace has no system-assigned identity, with which its notebooks would use the workspace: give it one";
        let stops = Verdict::new(Reason::RoleMissing, message);
        return Judged { stops: Some(stops), ..say(ConditionStatus::False, "IdentityMissing", message.into()) };
    }
    match seen.check {
        RoleCheck::Held | RoleCheck::Fresh => say(
            ConditionStatus::True,
            "Held",
            format!("Synapse's identity {principal} holds {name} on {scope}, or a role that contains it"),
        ),
        RoleCheck::Unknown => say(
            ConditionStatus::Unknown,
            "RoleUnknown",
            format!(
                "whether Synapse's identity {principal} holds {name} on {scope} could not be looked up; the operator needs to read role \
                 assignments and definitions there"
            ),
        ),
        RoleCheck::Missing => {
            let missing = vec![missing_role(principal, scope, &role, &name, WHY)];
            let lacks = format!("Synapse's identity {principal} lacks {name} on {scope}");
            let grants = input.spec.role.as_ref().and_then(|role| role.policy) == Some(RolePolicy::Grant);
            let judged = if grants { grant(input, scope, &role, principal) } else { Err(None) };
            let (message, step, stops) = match judged {
                Ok(step) => (step.verdict.message.clone(), Some(step.clone()), step.verdict),
                Err(refused) => {
                    let message = match refused {
                        Some(verdict) => format!("{lacks}. {}", verdict.message),
                        None => format!(
                            "{lacks}. Somebody who may assign roles there can run the command in status.missingRoles, or set role.policy: Grant"
                        ),
                    };
                    (message.clone(), None, Verdict::new(Reason::RoleMissing, message))
                }
            };
            let reason = if step.is_some() { "Assigning" } else { "RoleMissing" };
            Judged { step, stops: Some(stops), missing, ..say(ConditionStatus::False, reason, message) }
        }
    }
}

/// The step that removes an assignment that the link does not ask for any more.
pub(super) fn take_back(path: &ArmId) -> Step {
    let message = "a role that is not asked for any more is being taken back from Synapse's identity";
    Step::delete(path, API_VERSION, Verdict::new(Reason::Updating, message))
}

/// The step that assigns the role, if the operator may.
fn grant(input: &SynapseInput<'_>, scope: &ArmId, role: &str, principal: &str) -> Result<Step, Option<Verdict>> {
    is_grantable(input.site.fence, input.connection, scope, role).map_err(Some)?;
    is_harmless(scope, role, input.observed.role.definitions.get(role)).map_err(Some)?;
    let assign = Assign {
        scope: scope.clone(),
        role: role.to_owned(),
        principal: principal.to_owned(),
        identity: input.synapse.key(),
        term: Term::Needed,
    };
    let installation = &input.site.owner.installation;
    let path = ArmId::parse(&assign.path(installation))
        .map_err(|error| Some(Verdict::new(Reason::Invalid, error.to_string())))?;
    let verdict = Verdict::new(
        Reason::Updating,
        format!("role {role} is being assigned to Synapse's identity {principal} on {scope}"),
    );
    Ok(Step::put(&path, API_VERSION, assign.body(installation), verdict))
}
