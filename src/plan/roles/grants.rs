//! Which role is assigned or taken back next for what a workspace is made of, and what is said of the roles.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::api::common::{Acknowledgement, Door, MissingRole, acknowledged};
use crate::api::condition::ConditionStatus;
use crate::api::connection::{AzureConnectionSpec, Verb};
use crate::api::ids::{ArmId, covers};
use crate::api::workspace::RolePolicy;
use crate::azure::authorization::{RoleAssignment, RoleDefinition};
use crate::plan::fence::Fence;
use crate::plan::outcome::{Reason, Verdict};

use super::needs::{Checked, Identity, Need, RoleCheck, missing};
use super::record::{Entry, Record, Term};

/// The namespace of assignments' names (RFC 9562, version 5): any fixed value would do, as long as it never changes.
const NAMES: Uuid = Uuid::from_u128(0x6d1f_0a52_8c3b_5e47_9a20_b7d4_13c8_5e96);

/// The name of the assignment of `role` to `principal` on `scope` by `installation`. It follows from all four, so that losing
/// every memory loses nothing: the same is never assigned twice, and what is ours is known by its name.
fn assignment_name(installation: &str, scope: &ArmId, principal: &str, role: &str) -> Uuid {
    let text = [installation, &scope.key(), &principal.to_ascii_lowercase(), &role.to_ascii_lowercase()].join("\n");
    Uuid::new_v5(&NAMES, text.as_bytes())
}

/// The path of that assignment.
pub fn assignment_path(installation: &str, scope: &ArmId, principal: &str, role: &str) -> String {
    let name = assignment_name(installation, scope, principal, role);
    format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}")
}

/// What `installation` writes into its assignments.
pub fn description(installation: &str) -> String {
    format!("Assigned by aml-operator, installation {installation}")
}

/// True if `assignment` was made by `installation` on `scope`: name and description both prove it.
pub fn is_ours(assignment: &RoleAssignment, installation: &str, scope: &ArmId) -> bool {
    let name = assignment_name(installation, scope, &assignment.principal, &assignment.role);
    assignment.name.eq_ignore_ascii_case(&name.to_string()) && assignment.description == description(installation)
}

/// An assignment to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assign {
    /// Where.
    pub scope: ArmId,
    /// GUID of the role, lower case.
    pub role: String,
    /// To whom.
    pub principal: String,
    /// Which identity that is.
    pub identity: String,
    /// For how long.
    pub term: Term,
}

impl Assign {
    /// Its path.
    pub fn path(&self, installation: &str) -> String {
        assignment_path(installation, &self.scope, &self.principal, &self.role)
    }

    /// The body of the PUT. A fresh identity is not known everywhere yet; saying what it is makes Azure take it all the same
    /// (OpenAPI Authorization 2022-04-01, `principalType`).
    pub fn body(&self, installation: &str) -> Value {
        let subscription = self.scope.subscription();
        json!({"properties": {
            "roleDefinitionId":
                format!("/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{}", self.role),
            "principalId": self.principal,
            "principalType": "ServicePrincipal",
            "description": description(installation),
        }})
    }
}

/// An assignment of ours that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TakeBack(pub Entry);

/// Whether the operator may assign `role` on `scope` by what the cluster says: the namespace holds the verb, and the connection
/// lists the role there.
///
/// # Errors
/// With the verdict to report.
pub fn is_grantable(
    fence: &Fence<'_>,
    connection: &AzureConnectionSpec,
    scope: &ArmId,
    role: &str,
) -> Result<(), Verdict> {
    fence.allows(Verb::GrantRoles, scope)?;
    let listed = connection.grantable_roles.iter().any(|roles| {
        covers(&roles.scope, scope) && roles.role_definition_ids.iter().any(|id| id.eq_ignore_ascii_case(role))
    });
    if !listed {
        return Err(Verdict::new(
            Reason::ScopeNotAllowed,
            format!(
                "the AzureConnection does not list role {role} among its grantableRoles on {scope}. A platform administrator can \
                 add it, or assign it by hand"
            ),
        ));
    }
    Ok(())
}

/// Whether `role` may be assigned by an operator at all: it cannot assign roles itself.
///
/// # Errors
/// With the verdict to report.
pub fn is_harmless(scope: &ArmId, role: &str, definition: Option<&RoleDefinition>) -> Result<(), Verdict> {
    let Some(definition) = definition else {
        return Err(Verdict::new(
            Reason::AuthorizationFailed,
            format!(
                "role definition {role} cannot be read, so it cannot be told what it allows; let the operator read it"
            ),
        ));
    };
    if definition.is_privileged() {
        return Err(Verdict::new(
            Reason::ScopeNotAllowed,
            format!("role {role} can assign roles itself, so the operator never assigns it; a person may, on {scope}"),
        ));
    }
    Ok(())
}

/// All that is looked at.
#[derive(Clone, Copy)]
pub struct GrantsInput<'a> {
    /// The installation's id.
    pub installation: &'a str,
    /// What the workspace says about roles.
    pub policy: RolePolicy,
    /// The declared identity, once ARM states its object id.
    pub identity: Option<&'a Identity>,
    /// What it needs on the workspace and its resources, and whether it holds it.
    pub needs: &'a [Checked],
    /// What is needed besides and nobody looks at, for people.
    pub unchecked: Option<&'a str>,
    /// ARM ids of what the workspace is made of, as Azure shows it.
    pub in_use: &'a [String],
    /// Object id of the identity that acts for the workspace, as Azure shows it: nothing is taken from it on what is in use, declared
    /// or not. `None` if Azure does not say: then from nobody.
    pub acting: Option<&'a str>,
    /// The workspace's namespace.
    pub fence: &'a Fence<'a>,
    /// The connection.
    pub connection: &'a AzureConnectionSpec,
    /// Roles by GUID.
    pub definitions: &'a BTreeMap<String, RoleDefinition>,
    /// What was done before.
    pub record: &'a Record,
    /// The workspace's acknowledgements.
    pub acknowledge: &'a [Acknowledgement],
    /// What Azure refused lately and is not asked for again yet, by the assignment's path.
    pub waits: &'a BTreeMap<String, Verdict>,
}

impl GrantsInput<'_> {
    /// True if `need` is satisfied by nothing but an assignment of this installation that the workspace has no claim on: whoever has
    /// one may give it up any moment.
    fn rests_on_others(&self, one: &Checked, principal: &str) -> bool {
        let claim = one.need.role.id.and_then(|role| self.record.find(&one.need.scope, role, principal, false));
        one.check == RoleCheck::Held && one.otherwise == RoleCheck::Missing && !claim.is_some_and(Entry::claims)
    }

    /// True if Azure still has the workspace use what `entry` is on, as whom it was assigned to.
    fn in_use(&self, entry: &Entry) -> bool {
        self.in_use.iter().any(|id| id.eq_ignore_ascii_case(&entry.scope))
            && self.acting.is_none_or(|acting| acting.eq_ignore_ascii_case(&entry.principal))
    }
}

/// What is said of the roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RolesReady {
    /// Whether the identity holds all it needs.
    pub status: ConditionStatus,
    /// Why, in one word.
    pub reason: &'static str,
    /// Why, for people.
    pub message: String,
}

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    /// The next assignment.
    pub assign: Option<Assign>,
    /// The assignment that goes next; only if none is to be made.
    pub take_back: Option<TakeBack>,
    /// What is missing, with the command that assigns each.
    pub missing: Vec<MissingRole>,
    /// What to say.
    pub ready: RolesReady,
}

/// Whether `identity` is who it was when a role was first assigned to it: an identity that was deleted and made anew under the same
/// name is somebody else's.
///
/// # Errors
/// With the verdict to report if it is not, and nobody has acknowledged that.
pub fn same_as_pinned(record: &Record, identity: &Identity, acknowledge: &[Acknowledgement]) -> Result<(), Verdict> {
    let pinned = record.pins.get(&identity.kind.key());
    if pinned.is_none_or(|pinned| *pinned == identity.principal)
        || acknowledged(acknowledge, Door::IdentityChanged, &identity.principal)
    {
        return Ok(());
    }
    Err(Verdict::new(
        Reason::AcknowledgementRequired,
        format!(
            "the workspace's identity {} is another one than before: it was {}, and is {} now. Nothing is assigned to it. If that is \
             meant, acknowledge {{door: IdentityChanged, value: {}}} on the AmlWorkspace",
            identity.kind.key(),
            pinned.map(String::as_str).unwrap_or_default(),
            identity.principal,
            identity.principal
        ),
    ))
}

/// Decides the next assignment for what the workspace is made of.
pub fn plan(input: GrantsInput<'_>) -> Grants {
    let say = |status, reason, mut message: String| {
        if let Some(unchecked) = input.unchecked {
            message.push_str(". ");
            message.push_str(unchecked);
        }
        RolesReady { status, reason, message }
    };
    let nothing = |ready| Grants { assign: None, take_back: None, missing: Vec::new(), ready };
    let Some(identity) = input.identity else {
        return nothing(say(
            ConditionStatus::Unknown,
            "IdentityUnknown",
            "Azure does not state the object id of the declared identity yet".into(),
        ));
    };
    let lacking: Vec<&Need> =
        input.needs.iter().filter(|one| one.check == RoleCheck::Missing).map(|one| &one.need).collect();
    let resting = input.needs.iter().filter(|one| input.rests_on_others(one, &identity.principal)).map(|one| &one.need);
    let missing: Vec<MissingRole> = lacking.iter().map(|need| missing(&identity.principal, need)).collect();
    let unknown = input.needs.iter().filter(|one| one.check == RoleCheck::Unknown).count();
    if let Err(verdict) = same_as_pinned(input.record, identity, input.acknowledge) {
        let ready = say(ConditionStatus::False, "IdentityChanged", verdict.message);
        return Grants { assign: None, take_back: None, missing, ready };
    }
    let grants = input.policy == RolePolicy::Grant;
    let mut refused: Vec<Verdict> = Vec::new();
    let mut assign = None;
    for need in lacking.iter().copied().filter(|_| grants) {
        match granting(input, identity, need) {
            Ok(one) => {
                assign = Some(one);
                break;
            }
            Err(verdict) => refused.push(verdict),
        }
    }
    // What may not be claimed serves for as long as it is there.
    let assign = assign.or_else(|| resting.filter(|_| grants).find_map(|need| granting(input, identity, need).ok()));
    let stale = |entry: &&Entry| {
        let needed =
            |one: &Checked| one.need.role.id.is_some_and(|role| entry.is(&one.need.scope, role, &identity.principal));
        entry.term == Term::Needed && entry.claims() && !input.needs.iter().any(needed) && !input.in_use(entry)
    };
    let take_back = input.record.entries.iter().find(stale).filter(|_| assign.is_none()).cloned().map(TakeBack);
    let names: Vec<String> = lacking.iter().map(|need| format!("{} on {}", need.role.name, need.scope)).collect();
    let ready = if let Some(assign) = &assign {
        say(ConditionStatus::False, "Assigning", format!("role {} is being assigned on {}", assign.role, assign.scope))
    } else if let Some(first) = refused.first() {
        say(
            ConditionStatus::False,
            "RolesMissing",
            format!("the workspace's identity {} lacks {}. {}", identity.principal, names.join(", "), first.message),
        )
    } else if !names.is_empty() {
        say(
            ConditionStatus::False,
            "RolesMissing",
            format!(
                "the workspace's identity {} lacks {}. Somebody who may assign roles there can run the commands in \
                 status.missingRoles, or set roles: Grant",
                identity.principal,
                names.join(", ")
            ),
        )
    } else if unknown > 0 {
        say(
            ConditionStatus::Unknown,
            "RolesUnknown",
            format!(
                "{unknown} roles of the workspace's identity could not be looked up. The operator needs to read role assignments and \
                 definitions there"
            ),
        )
    } else if input.needs.is_empty() {
        say(
            ConditionStatus::True,
            "AssignedByAzure",
            "Azure assigns what a system-assigned identity needs on the workspace's own resources".into(),
        )
    } else {
        say(
            ConditionStatus::True,
            "AllHeld",
            format!("the workspace's identity {} holds all it needs", identity.principal),
        )
    };
    Grants { assign, take_back, missing, ready }
}

fn granting(input: GrantsInput<'_>, identity: &Identity, need: &Need) -> Result<Assign, Verdict> {
    let role = need.role.id.ok_or_else(|| {
        Verdict::new(Reason::ScopeNotAllowed, "no built-in role will do; make a custom one and assign it by hand")
    })?;
    is_grantable(input.fence, input.connection, &need.scope, role)?;
    is_harmless(&need.scope, role, input.definitions.get(role))?;
    let assign = Assign {
        scope: need.scope.clone(),
        role: role.to_owned(),
        principal: identity.principal.clone(),
        identity: identity.kind.key(),
        term: Term::Needed,
    };
    match input.waits.get(&assign.path(input.installation)) {
        Some(verdict) => Err(verdict.clone()),
        None => Ok(assign),
    }
}
