//! Reads role assignments and definitions, where they matter and are not known.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::{Memory, Turn};
use super::Said;
use super::sharing::Use;
use crate::api::common::MissingRole;
use crate::api::ids::ArmId;
use crate::api::outbound_rule::ApproverRole;
use crate::api::workspace::RolePolicy;
use crate::api::{AmlWorkspace, OutboundRule as OutboundRuleObject};
use crate::azure::authorization::{API_VERSION, RoleAssignment, RoleDefinition, assignments_path, definition_path};
use crate::azure::key_vault;
use crate::azure::machine_learning::{OutboundRule, Workspace};
use crate::plan::Verdict;
use crate::plan::resources::{self, Field};
use crate::plan::roles::{
    Checked, Identity, IdentityKind, KEY_VAULT_ADMINISTRATOR, Need, RoleCheck, acting, check, check_all, is_ours,
    missing, of_target, of_workspace,
};
use crate::plan::rule_body::RuleBody;
use crate::plan::rules::ObjectKey;
use crate::runtime::indexes::key_of;
use jiff::Timestamp;

/// How many scopes are asked for roles in one turn; the others follow in the next.
const SCOPES_PER_TURN: usize = 20;

/// The assignments of one principal on one scope and above it.
#[derive(Clone, Debug)]
struct OnScope {
    /// Whose.
    principal: String,
    /// `None` if they could not be read.
    assignments: Option<Vec<RoleAssignment>>,
    /// When they were read.
    at: Timestamp,
}

/// What is remembered of roles between turns. All of it can be lost: then a few reads are done again.
#[derive(Clone, Debug, Default)]
pub(crate) struct RoleMemory {
    /// Assignments by the scope's key.
    scopes: BTreeMap<String, OnScope>,
    /// Role definitions by GUID, `None` if one could not be read, and when.
    definitions: BTreeMap<String, (Option<RoleDefinition>, Timestamp)>,
    /// Whether the key vault goes by roles, `None` if that could not be read, and when.
    vault: Option<(Option<bool>, Timestamp)>,
    /// What Azure refused, by the assignment's path, until when.
    pub(super) refused: BTreeMap<String, (Verdict, Timestamp)>,
    /// The ledger was seen to hold nothing of this workspace.
    pub(super) nothing_recorded: bool,
    /// Whether others in Azure use an identity, by its key, and when that was asked.
    pub(super) uses: BTreeMap<String, (Use, Timestamp)>,
}

impl RoleMemory {
    /// Forgets what was read about `scope`: it was changed just now.
    pub(super) fn forget(&mut self, scope: &ArmId) {
        self.scopes.remove(&scope.key());
    }
}

/// What is known of roles, for one turn.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Look {
    /// The declared identity.
    pub(super) identity: Option<Identity>,
    /// What it needs on the workspace and its resources.
    pub(super) needs: Vec<Checked>,
    /// Roles by GUID, as far as they could be read.
    pub(super) definitions: BTreeMap<String, RoleDefinition>,
    /// Whether the identity may approve on a target, by the target's key.
    pub(in super::super) checks: BTreeMap<String, RoleCheck>,
    /// The same without what this installation assigned.
    pub(super) otherwise: BTreeMap<String, RoleCheck>,
    /// Targets on which an assignment of this installation shows, with its role.
    pub(super) shown: BTreeSet<(String, String)>,
    /// Scopes whose assignments were read in this turn, by key.
    pub(super) read: BTreeSet<String>,
    /// What is missing on a target, by its key.
    pub(in super::super) lacking: BTreeMap<String, MissingRole>,
    /// What there is to say.
    pub(in super::super) said: Said,
    /// Rules that wait for the approver role, and why.
    pub(in super::super) frozen: BTreeMap<ObjectKey, Verdict>,
    /// Rules that are written with a role assigned for that, and what is said while Azure still refuses.
    pub(in super::super) fresh: BTreeMap<ObjectKey, Verdict>,
}

struct Reader<'r, 't> {
    turn: &'r Turn<'t>,
    principal: &'r str,
    memory: &'r mut RoleMemory,
    read: BTreeSet<String>,
}

fn younger(turn: &Turn<'_>, at: Timestamp, than: Duration) -> bool {
    let age: Duration = turn.context.now().duration_since(at).try_into().unwrap_or_default();
    age < than
}

impl Reader<'_, '_> {
    /// The role definition `id`, where the subscription of `scope` knows it.
    async fn definition(&mut self, id: &str, scope: &ArmId) {
        let pace = &self.turn.context.pace;
        let known = self.memory.definitions.get(id).is_some_and(|(definition, at)| {
            younger(self.turn, *at, if definition.is_some() { pace.role_memory } else { pace.role_recheck })
        });
        if known {
            return;
        }
        let read = match definition_path(scope, id) {
            Some(path) => self.turn.connected.client.get(&path, API_VERSION, self.turn.priority).await.ok(),
            None => None,
        };
        let definition = read.and_then(|value| serde_json::from_value(value["properties"].clone()).ok());
        self.memory.definitions.insert(id.to_owned(), (definition, self.turn.context.now()));
    }

    fn definitions(&self) -> BTreeMap<String, RoleDefinition> {
        let known = |(id, (definition, _)): (&String, &(Option<RoleDefinition>, Timestamp))| {
            Some((id.clone(), definition.clone()?))
        };
        self.memory.definitions.iter().filter_map(known).collect()
    }

    /// The principal's assignments on and above `scope`, if they could be read: those of this installation, and those of others.
    fn assignments(&self, scope: &ArmId) -> Option<(Vec<RoleAssignment>, Vec<RoleAssignment>)> {
        let on_scope = self.memory.scopes.get(&scope.key()).filter(|known| known.principal == self.principal)?;
        let assignments = on_scope.assignments.clone()?;
        Some(assignments.into_iter().partition(|one| is_ours(one, &self.turn.context.installation, scope)))
    }

    fn checks(&self, needs: &[Need]) -> Vec<RoleCheck> {
        self.judge(needs, |ours, others| ours.into_iter().chain(others).collect())
    }

    /// The same without what this installation assigned.
    fn otherwise(&self, needs: &[Need]) -> Vec<RoleCheck> {
        self.judge(needs, |_, others| others)
    }

    fn judge(
        &self,
        needs: &[Need],
        of: impl FnOnce(Vec<RoleAssignment>, Vec<RoleAssignment>) -> Vec<RoleAssignment>,
    ) -> Vec<RoleCheck> {
        let Some(first) = needs.first() else { return Vec::new() };
        let Some((ours, others)) = self.assignments(&first.scope) else {
            return vec![RoleCheck::Unknown; needs.len()];
        };
        let (assignments, definitions) = (of(ours, others), self.definitions());
        needs.iter().map(|need| check(need, &assignments, &definitions)).collect()
    }

    /// Whether the needs, all on one scope, are satisfied; asked for if that is not known, or was not satisfied a while ago.
    async fn ask(&mut self, needs: &[Need]) -> Vec<RoleCheck> {
        let checks = self.checks(needs);
        let Some(scope) = needs.first().map(|need| need.scope.clone()) else { return checks };
        let pace = &self.turn.context.pace;
        let held = check_all(checks.iter().copied()) == RoleCheck::Held;
        let believed = if held { pace.role_memory } else { pace.role_recheck };
        let known = self
            .memory
            .scopes
            .get(&scope.key())
            .is_some_and(|known| known.principal == self.principal && younger(self.turn, known.at, believed));
        if known || self.read.len() >= SCOPES_PER_TURN {
            return checks;
        }
        self.read.insert(scope.key());
        let principal = self.principal;
        let read = match assignments_path(&scope, principal) {
            Some(path) => self.turn.connected.client.list(&path, API_VERSION, self.turn.priority).await.ok(),
            None => None,
        };
        let assignments: Option<Vec<RoleAssignment>> =
            read.map(|list| list.iter().filter_map(RoleAssignment::read).collect());
        let mut roles: BTreeSet<String> =
            assignments.iter().flatten().map(|assignment| assignment.role.clone()).collect();
        if assignments.as_ref().is_some_and(|assignments| !assignments.is_empty()) {
            // To see whether another role contains the one that is needed.
            roles.extend(
                needs.iter().filter(|need| need.actions.is_empty()).filter_map(|need| need.role.id).map(Into::into),
            );
        }
        for role in roles {
            self.definition(&role, &scope).await;
        }
        let at = self.turn.context.now();
        self.memory.scopes.insert(scope.key(), OnScope { principal: principal.to_owned(), assignments, at });
        self.checks(needs)
    }

    /// Whether the key vault goes by roles.
    async fn vault_by_roles(&mut self, vault: &str) -> Option<bool> {
        let pace = &self.turn.context.pace;
        if let Some((known, at)) = self.memory.vault
            && younger(self.turn, at, if known.is_some() { pace.role_memory } else { pace.role_recheck })
        {
            return known;
        }
        let read = self.turn.connected.client.get(vault, key_vault::API_VERSION, self.turn.priority).await;
        // A vault that says nothing goes by access policies (OpenAPI KeyVault 2024-11-01, enableRbacAuthorization).
        let by_roles = read.ok().map(|vault| vault["properties"]["enableRbacAuthorization"].as_bool().unwrap_or(false));
        self.memory.vault = Some((by_roles, self.turn.context.now()));
        by_roles
    }
}

/// The target of a private-endpoint rule.
pub(super) fn target_of(rule: &OutboundRuleObject) -> Option<ArmId> {
    match RuleBody::declared(&rule.spec)? {
        RuleBody::PrivateEndpoint { resource_id, .. } => ArmId::parse(&resource_id).ok(),
        _ => None,
    }
}

/// True if `rule` asks for the approver role to be assigned.
pub(super) fn asks_for_role(rule: &OutboundRuleObject) -> bool {
    let role = rule.spec.private_endpoint.as_ref().and_then(|endpoint| endpoint.approver_role);
    role.is_some_and(|role| role != ApproverRole::Report)
}

/// Looks at the roles of the workspace's identity.
pub(in super::super) async fn look(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    shown: &Workspace,
    rules: &[OutboundRule],
    memory: &mut Memory,
) -> Look {
    let mut look = Look { identity: acting(&workspace.spec.identity, shown), ..Look::default() };
    // What the workspace is made of needs no approver role: Azure covers that when it makes the workspace (Microsoft: "Workspace managed virtual network isolation", required role assignments).
    let own = resources::ids(&workspace.spec, turn.id).map(|(_, resource)| resource.to_ascii_lowercase());
    for resource in own.chain([turn.id.key()]) {
        look.otherwise.insert(resource.clone(), RoleCheck::Held);
        look.checks.insert(resource, RoleCheck::Held);
    }
    let declared = look.identity.as_ref().map(|identity| identity.principal.clone());
    let Some(principal) = declared.or_else(|| shown.acting_principal().map(ToOwned::to_owned)) else { return look };
    let mut reader = Reader { turn, principal: &principal, memory: &mut memory.role_memory, read: BTreeSet::new() };
    if let Some(identity) = &look.identity {
        let by_roles = match identity.kind {
            IdentityKind::SystemAssigned => None,
            IdentityKind::UserAssigned(_) => {
                let mut declared = resources::declared(&workspace.spec, turn.id).into_iter();
                match declared.find(|resource| resource.field == Field::KeyVault) {
                    Some(vault) => reader.vault_by_roles(&vault.id).await,
                    None => None,
                }
            }
        };
        let needs = of_workspace(turn.id, &workspace.spec, &identity.kind, by_roles);
        for on_scope in needs.chunk_by(|one, other| one.scope == other.scope) {
            let checks = reader.ask(on_scope).await.into_iter().zip(reader.otherwise(on_scope));
            look.needs.extend(on_scope.iter().cloned().zip(checks).map(|(need, (check, otherwise))| {
                let unsure = by_roles.is_none() && need.role == KEY_VAULT_ADMINISTRATOR;
                let known = |check| if unsure && check == RoleCheck::Missing { RoleCheck::Unknown } else { check };
                Checked { need, check: known(check), otherwise: known(otherwise) }
            }));
        }
        if workspace.spec.roles == Some(RolePolicy::Grant) {
            let wanted = |one: &Checked| {
                (one.otherwise == RoleCheck::Missing).then_some((one.need.role.id?, one.need.scope.clone()))
            };
            for (role, scope) in look.needs.iter().filter_map(wanted).collect::<Vec<_>>() {
                reader.definition(role, &scope).await;
            }
        }
    }
    for declared in turn.context.indexes.rules_of(&key_of(workspace)) {
        let Some(target) = target_of(&declared) else { continue };
        // What a rule that has no say here names is not even looked at.
        if !turn.through().has_say(workspace, &declared, &target) {
            continue;
        }
        let asks = asks_for_role(&declared);
        if asks && let Some(role) = &turn.connected.spec.approver_role_definition_id {
            reader.definition(&role.to_ascii_lowercase(), &target).await;
        }
        if look.checks.get(&target.key()).is_some_and(|check| *check != RoleCheck::Unknown) {
            continue;
        }
        let name = super::super::declare::azure_name(turn.context, &declared);
        let active = rules.iter().any(|rule| rule.name == name && rule.is_active());
        let needs = of_target(&target);
        // A rule in force shows that nothing is missing; only what we assigned ourselves is looked after all the same.
        let checks = if active && !asks { reader.checks(&needs) } else { reader.ask(&needs).await };
        look.note(&reader, &target, &needs, &checks);
    }
    look.definitions = reader.definitions();
    look.read = reader.read;
    look
}

impl Look {
    fn note(&mut self, reader: &Reader<'_, '_>, target: &ArmId, needs: &[Need], checks: &[RoleCheck]) {
        let key = target.key();
        self.checks.insert(key.clone(), check_all(checks.iter().copied()));
        if let Some((need, _)) = needs.iter().zip(checks).find(|(_, check)| **check == RoleCheck::Missing) {
            self.lacking.insert(key.clone(), missing(reader.principal, need));
        }
        let Some((ours, _)) = reader.assignments(target) else {
            self.otherwise.insert(key, RoleCheck::Unknown);
            return;
        };
        self.shown.extend(ours.into_iter().map(|one| (key.clone(), one.role)));
        self.otherwise.insert(key, check_all(reader.otherwise(needs)));
    }
}
