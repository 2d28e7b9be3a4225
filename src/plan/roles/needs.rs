//! What the identity of a workspace needs: one table, and whether what ARM shows satisfies it.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::api::common::MissingRole;
use crate::api::ids::ArmId;
use crate::api::workspace::{self, AmlWorkspaceSpec, IdentityType};
use crate::azure::authorization::{APPROVER_ROLE, APPROVER_ROLE_NAME, RoleAssignment, RoleDefinition};
use crate::azure::machine_learning::{WORKSPACES, Workspace};
use crate::plan::resources;

/// What is known of a role that an identity needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleCheck {
    /// It holds it, or one that contains it, or one on a scope above.
    Held,
    /// It was assigned only just and may not be in effect yet: what needs it goes by itself.
    Fresh,
    /// It has not, as far as assignments on and above the scope show.
    Missing,
    /// Nobody could tell: the operator may not read the assignments, or nobody looked yet.
    Unknown,
}

impl RoleCheck {
    /// True if what needs the role may be tried.
    pub fn is_held(self) -> bool {
        matches!(self, Self::Held | Self::Fresh)
    }
}

/// Whose identity acts for a workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentityKind {
    /// Made with the workspace; Azure assigns what it needs on the workspace's own resources.
    SystemAssigned,
    /// Made by somebody else, by ARM id; nobody assigns anything to it by itself.
    UserAssigned(String),
}

impl IdentityKind {
    /// How the ledger names it.
    pub fn key(&self) -> String {
        match self {
            Self::SystemAssigned => "SystemAssigned".to_owned(),
            Self::UserAssigned(id) => id.to_ascii_lowercase(),
        }
    }
}

/// The identity that the declaration makes act for the workspace, with the object id that ARM states for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Which.
    pub kind: IdentityKind,
    /// Its object id.
    pub principal: String,
}

/// Which identity acts for the workspace by what is *declared*; `None` if that is not said.
pub fn declared(identity: &workspace::Identity) -> Option<IdentityKind> {
    if let Some(primary) = &identity.primary_user_assigned_identity {
        return Some(IdentityKind::UserAssigned(primary.clone()));
    }
    if identity.type_ != IdentityType::UserAssigned {
        return Some(IdentityKind::SystemAssigned);
    }
    match identity.user_assigned_identities.as_slice() {
        [only] => Some(IdentityKind::UserAssigned(only.clone())),
        _ => None,
    }
}

/// The identity that acts for the workspace by what is *declared*: the primary user-assigned one, else the system-assigned one,
/// else the only user-assigned one. ARM is asked only for its object id, never for which identity it is: otherwise anybody who
/// may edit the workspace in the portal could have a role assigned to an identity of their own.
pub fn acting(declaration: &workspace::Identity, shown: &Workspace) -> Option<Identity> {
    let observed = shown.identity.as_ref()?;
    let kind = declared(declaration)?;
    let principal = match &kind {
        IdentityKind::SystemAssigned => observed.principal_id.clone()?,
        IdentityKind::UserAssigned(id) => {
            let assigned = observed.user_assigned_identities.as_ref()?;
            let (_, identity) = assigned.iter().find(|(shown, _)| shown.eq_ignore_ascii_case(id))?;
            identity.as_ref()?.principal_id.clone()?
        }
    };
    Some(Identity { kind, principal })
}

/// A role, by what Azure calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Role {
    /// GUID of the built-in role; `None` if Azure brings none along that would do.
    pub id: Option<&'static str>,
    /// Its name.
    pub name: &'static str,
}

const fn built_in(id: &'static str, name: &'static str) -> Role {
    Role { id: Some(id), name }
}

const CONTRIBUTOR: Role = built_in("b24988ac-6180-42a0-ab88-20f7382dd24c", "Contributor");
const READER: Role = built_in("acdd72a7-3385-48ef-bd42-f606fba81ae7", "Reader");
const BLOBS: Role = built_in("ba92f5b4-2d11-453d-a403-e96b0029c9fe", "Storage Blob Data Contributor");
/// The built-in role Key Vault Administrator.
pub const KEY_VAULT_ADMINISTRATOR: Role = built_in("00482a5a-887f-4fb3-b363-3b7fe8e74483", "Key Vault Administrator");
const APPROVER: Role = built_in(APPROVER_ROLE, APPROVER_ROLE_NAME);
const CUSTOM: Role = Role { id: None, name: "a custom role that may read the target and approve connections on it" };

const STORAGE: &str = "Microsoft.Storage/storageAccounts";
const KEY_VAULT: &str = "Microsoft.KeyVault/vaults";
const REGISTRY: &str = "Microsoft.ContainerRegistry/registries";
const INSIGHTS: &str = "Microsoft.Insights/components";

/// When a row of the table counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// Only for a vault that goes by roles; one that goes by access policies needs a policy instead.
    VaultByRoles,
}

/// What a user-assigned identity needs on the workspace itself and on what it is made of (Microsoft: "Set up authentication between
/// Azure Machine Learning and other services", user-assigned managed identity, workspace). A system-assigned one needs nothing
/// here: its assignments are managed by Azure, which makes them with the workspace (same page; "Workspace managed virtual network
/// isolation" on the approval of the default resources' endpoints). With data isolation Azure puts a condition on the one for
/// blobs, which counts as held and is left alone.
const USER_ASSIGNED: &[(&str, When, Role, &str)] = &[
    (WORKSPACES, When::Always, CONTRIBUTOR, "the workspace itself"),
    (STORAGE, When::Always, CONTRIBUTOR, "the workspace's default storage account"),
    (STORAGE, When::Always, BLOBS, "data in the workspace's default storage account, which the studio shows"),
    (KEY_VAULT, When::Always, CONTRIBUTOR, "the workspace's key vault"),
    (
        KEY_VAULT,
        When::VaultByRoles,
        KEY_VAULT_ADMINISTRATOR,
        "secrets in the workspace's key vault, which goes by roles",
    ),
    (REGISTRY, When::Always, CONTRIBUTOR, "the workspace's container registry"),
    (INSIGHTS, When::Always, CONTRIBUTOR, "the workspace's Application Insights"),
];

/// Types of targets that the approver role does not cover, so that a custom role is needed (Microsoft: "Workspace managed virtual
/// network isolation", approval of private endpoints).
const NOT_COVERED: [&str; 3] =
    ["Microsoft.DataFactory/factories", "Microsoft.Databricks/workspaces", "Microsoft.Web/sites"];

/// One role that an identity needs on one scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Where.
    pub scope: ArmId,
    /// Which role.
    pub role: Role,
    /// What it is really about, if that is known: whatever allows these actions will do. Empty: the role, or one that contains it.
    pub actions: Vec<String>,
    /// What for.
    pub why: &'static str,
}

/// A need, and whether it is satisfied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What is needed.
    pub need: Need,
    /// Whether the identity holds it.
    pub check: RoleCheck,
    /// Whether it would without what this installation assigned.
    pub otherwise: RoleCheck,
}

/// What has to be said of the key that the workspace's data is encrypted with. Whoever reads it needs access to its vault, and Azure's
/// specification (Microsoft.MachineLearningServices 2024-10-01, `EncryptionProperty.identity`: "the identity that will be used to
/// access the key vault for encryption at rest") says neither by which role nor by which actions. So nothing is checked, assigned or
/// guessed here: it is told, for a person to see to.
pub fn of_key(spec: &AmlWorkspaceSpec) -> Option<String> {
    let key = spec.encryption.as_ref()?;
    let reader = key.user_assigned_identity.as_deref();
    Some(format!(
        "Not looked at: {} has to access the encryption key in {}, by a role or an access policy that Azure's specification does not          name; somebody has to give it that by hand",
        reader.unwrap_or("the workspace's own identity"),
        key.key_vault.resource_id
    ))
}

/// What the acting identity needs on the workspace `id` and on its associated resources. `vault_by_roles` says whether the key
/// vault goes by roles; as long as that is not known, it may.
pub fn of_workspace(
    id: &ArmId,
    spec: &AmlWorkspaceSpec,
    identity: &IdentityKind,
    vault_by_roles: Option<bool>,
) -> Vec<Need> {
    if *identity == IdentityKind::SystemAssigned {
        return Vec::new();
    }
    let named = resources::ids(spec, id).filter_map(|(_, resource)| ArmId::parse(&resource).ok());
    let scopes: Vec<ArmId> = std::iter::once(id.clone()).chain(named).collect();
    let mut needs = Vec::new();
    for scope in &scopes {
        for (type_, when, role, why) in USER_ASSIGNED {
            if scope.is(type_) && (*when == When::Always || vault_by_roles != Some(false)) {
                needs.push(Need { scope: scope.clone(), role: *role, actions: Vec::new(), why });
            }
        }
    }
    needs
}

/// What the acting identity needs on the target of a private-endpoint rule, to read it and to approve the connection that the rule
/// raises there. The approver role lacks the reading of registries (seen in the field), so those need Reader besides.
pub fn of_target(target: &ArmId) -> Vec<Need> {
    let type_ = target.type_();
    let action = |suffix: &str| format!("{type_}/{suffix}");
    let need = |role, actions, why| Need { scope: target.clone(), role, actions, why };
    let approve = action("privateEndpointConnectionsApproval/action");
    if target.is(REGISTRY) {
        return vec![
            need(APPROVER, vec![approve], "approving the private endpoint of an outbound rule"),
            need(READER, vec![action("read")], "reading the registry, which the approver role does not cover"),
        ];
    }
    let role = if NOT_COVERED.iter().any(|not| target.is(not)) { CUSTOM } else { APPROVER };
    vec![need(role, vec![approve, action("read")], "approving the private endpoint of an outbound rule")]
}

/// Whether `assignments`, those of one principal on the need's scope and above, satisfy it. `definitions` are the roles that could
/// be read, by GUID in lower case.
pub fn check(need: &Need, assignments: &[RoleAssignment], definitions: &BTreeMap<String, RoleDefinition>) -> RoleCheck {
    if need.actions.is_empty() {
        return check_role(need.role.id.unwrap_or_default(), assignments, definitions);
    }
    let held: Vec<Option<&RoleDefinition>> = assignments.iter().map(|one| definitions.get(&one.role)).collect();
    let satisfied = need.actions.iter().all(|action| held.iter().flatten().any(|one| one.allows(action)));
    found(satisfied, held.iter().any(Option::is_none))
}

/// Whether `assignments` hold `role` (GUID in lower case), or one that contains it.
pub fn check_role(
    role: &str,
    assignments: &[RoleAssignment],
    definitions: &BTreeMap<String, RoleDefinition>,
) -> RoleCheck {
    let held: Vec<Option<&RoleDefinition>> = assignments.iter().map(|one| definitions.get(&one.role)).collect();
    let wanted = definitions.get(role);
    let contained = |one: &&RoleDefinition| wanted.is_some_and(|wanted| one.contains(wanted));
    let satisfied = assignments.iter().any(|one| one.role == role) || held.iter().flatten().any(contained);
    found(satisfied, held.iter().any(Option::is_none) || wanted.is_none() && !assignments.is_empty())
}

fn found(satisfied: bool, undecided: bool) -> RoleCheck {
    match (satisfied, undecided) {
        (true, _) => RoleCheck::Held,
        (false, true) => RoleCheck::Unknown,
        (false, false) => RoleCheck::Missing,
    }
}

/// Since when `assignments` hold `role`, or one that contains it: the oldest that does counts. `None` if Azure does not say.
pub fn held_since(
    role: &str,
    assignments: &[RoleAssignment],
    definitions: &BTreeMap<String, RoleDefinition>,
) -> Option<Timestamp> {
    let holds = |one: &&RoleAssignment| check_role(role, std::slice::from_ref(*one), definitions) == RoleCheck::Held;
    let since: Option<Vec<Timestamp>> = assignments.iter().filter(holds).map(|one| one.created_on).collect();
    since?.into_iter().min()
}

/// What several needs together come to.
pub fn check_all(checks: impl IntoIterator<Item = RoleCheck>) -> RoleCheck {
    checks.into_iter().fold(RoleCheck::Held, |all, one| match (all, one) {
        (RoleCheck::Missing, _) | (_, RoleCheck::Missing) => RoleCheck::Missing,
        (RoleCheck::Unknown, _) | (_, RoleCheck::Unknown) => RoleCheck::Unknown,
        (RoleCheck::Fresh, _) | (_, RoleCheck::Fresh) => RoleCheck::Fresh,
        (RoleCheck::Held, RoleCheck::Held) => RoleCheck::Held,
    })
}

/// Says that `principal` lacks what `need` names, and how to assign it.
pub fn missing(principal: &str, need: &Need) -> MissingRole {
    missing_role(principal, &need.scope, need.role.id.unwrap_or("<id of that role>"), need.role.name, need.why)
}

/// Says that `principal` lacks `role` (GUID), called `name`, on `scope`, and how to assign it.
pub fn missing_role(principal: &str, scope: &ArmId, role: &str, name: &str, why: &str) -> MissingRole {
    MissingRole {
        scope: scope.to_string(),
        role: name.into(),
        needed_for: why.into(),
        principal_id: principal.into(),
        command: format!(
            "az role assignment create --assignee-object-id {principal} --assignee-principal-type ServicePrincipal \
             --role {role} --scope {scope}"
        ),
    }
}
