//! Reads what ARM shows: two requests for the workspace and its rules, more only while a role is in question.

use std::collections::BTreeMap;

use kube::ResourceExt;
use serde_json::Value;

use super::{Memory, Turn};
use crate::api::OWNER_TAG;
use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::api::workspace::IsolationMode;
use crate::api::{AmlWorkspace, OutboundRule as OutboundRuleObject};
use crate::azure::authorization;
use crate::azure::error::{ArmError, ErrorClass};
use crate::azure::machine_learning::{ADDRESSES_API_VERSION, API_VERSION, OutboundRule, Workspace};
use crate::plan::fence::Fence;
use crate::plan::roles::{RoleCheck, approval_action};
use crate::plan::rule_body::RuleBody;
use crate::plan::{Reason, Verdict};
use crate::runtime::indexes::{admits, key_of, workspace_id};

/// How many targets are asked for roles in one turn; the others follow in the next.
const ROLES_PER_TURN: usize = 20;

/// What ARM shows.
pub(super) struct Seen {
    /// The workspace, if it is there.
    pub(super) workspace: Option<Workspace>,
    /// Its rules.
    pub(super) rules: Vec<OutboundRule>,
    /// The names of its computes, if they matter and could be listed.
    pub(super) computes: Option<Vec<String>>,
    /// Whether its identity may approve, by target.
    pub(super) roles: BTreeMap<String, RoleCheck>,
}

/// Why nothing could be seen.
pub(super) struct Unseen {
    /// What to say.
    pub(super) verdict: Verdict,
    /// ARM says that the whole resource group is gone, and the workspace with it.
    pub(super) group_gone: bool,
}

impl From<Verdict> for Unseen {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, group_gone: false }
    }
}

/// Reads the workspace and what belongs to it.
pub(super) async fn observe(turn: &Turn<'_>, workspace: &AmlWorkspace, memory: &mut Memory) -> Result<Seen, Unseen> {
    let client = &turn.connected.client;
    let path = turn.id.as_str();
    let reading = |error: ArmError| Unseen {
        verdict: Verdict::of_error("reading the workspace", &error),
        group_gone: error.code == "ResourceGroupNotFound",
    };
    let version = if workspace.spec.network_acls.is_some() { ADDRESSES_API_VERSION } else { API_VERSION };
    let Some(value) = client.find(path, version, turn.priority).await.map_err(reading)? else {
        note_tag(turn, workspace, None);
        return Ok(Seen { workspace: None, rules: Vec::new(), computes: None, roles: BTreeMap::new() });
    };
    let shown = Workspace::read(value).map_err(|error| {
        Verdict::new(Reason::AzureRefused, format!("what Azure shows of the workspace cannot be read: {error}"))
    })?;
    note_tag(turn, workspace, shown.tag(OWNER_TAG));
    (memory.soft_deleted, memory.purged) = (false, false);
    memory.principal = shown.acting_principal().map(ToOwned::to_owned);
    // A project has no rules of its own.
    let rules = if shown.is_project() { Vec::new() } else { rules(turn).await? };
    let computes = if isolates(workspace, &shown) { computes(turn).await? } else { None };
    let roles = roles(turn, workspace, &shown, &rules, memory).await;
    Ok(Seen { workspace: Some(shown), rules, computes, roles })
}

async fn rules(turn: &Turn<'_>) -> Result<Vec<OutboundRule>, Verdict> {
    let list = turn.connected.client.list(&format!("{}/outboundRules", turn.id), API_VERSION, turn.priority).await;
    let list = list.map_err(|error| Verdict::of_error("reading the workspace's rules", &error))?;
    Ok(list.iter().filter_map(OutboundRule::read).collect())
}

/// True if the declaration switches the managed network on, which leaves existing computes outside.
fn isolates(workspace: &AmlWorkspace, shown: &Workspace) -> bool {
    let off = IsolationMode::Disabled;
    shown.isolation_mode().eq_ignore_ascii_case(off.as_str()) && workspace.spec.isolation_mode() != off
}

/// The names of the workspace's computes; `None` without the right to list them, which nothing else needs.
async fn computes(turn: &Turn<'_>) -> Result<Option<Vec<String>>, Verdict> {
    match turn.connected.client.list(&format!("{}/computes", turn.id), API_VERSION, turn.priority).await {
        Ok(list) => {
            let name = |compute: &Value| compute["name"].as_str().map(ToOwned::to_owned);
            Ok(Some(list.iter().filter_map(name).collect()))
        }
        Err(error) if error.class == ErrorClass::Forbidden => Ok(None),
        Err(error) => Err(Verdict::of_error("reading the workspace's computes", &error)),
    }
}

/// Notes whose the workspace is; other objects that declare it hear of a change, since one of them may take over.
fn note_tag(turn: &Turn<'_>, workspace: &AmlWorkspace, tag: Option<&str>) {
    if !turn.context.memories.note_owner_tag(turn.id, tag) {
        return;
    }
    for other in turn.context.indexes.workspaces.state() {
        let Ok(other) = &other.0 else { continue };
        if key_of(other) != key_of(workspace) && workspace_id(other).is_ok_and(|id| id == *turn.id) {
            turn.context.triggers.workspace(&key_of(other));
        }
    }
}

/// Asks, where it matters and is not known, whether the workspace's identity may approve on the targets of its rules.
async fn roles(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    shown: &Workspace,
    rules: &[OutboundRule],
    memory: &mut Memory,
) -> BTreeMap<String, RoleCheck> {
    let mut roles = BTreeMap::new();
    // The workspace's own storage, vault and registry are covered by what Azure grants at its creation (Microsoft: "Workspace managed virtual network isolation", required role assignments).
    for (_, resource) in workspace.spec.associated_ids() {
        roles.insert(resource.to_ascii_lowercase(), RoleCheck::Held);
    }
    let Some(principal) = shown.acting_principal() else { return roles };
    let mut asked = 0;
    for declared in turn.context.indexes.rules_of(&key_of(workspace)) {
        let Some(RuleBody::PrivateEndpoint { resource_id, .. }) = RuleBody::declared(&declared.spec) else { continue };
        let key = resource_id.to_ascii_lowercase();
        let Ok(target) = ArmId::parse(&resource_id) else { continue };
        // What a rule that has no say here names is not even looked at.
        if roles.contains_key(&key) || !has_say(turn, workspace, &declared, &target) {
            continue;
        }
        let name = super::declare::azure_name(turn.context, &declared);
        let active = rules.iter().any(|rule| rule.name == name && rule.is_active());
        let known = memory.roles.get(&key).filter(|(check, at)| {
            let age = turn.context.now().duration_since(*at).try_into().unwrap_or_default();
            let pace = &turn.context.pace;
            let last = if *check == RoleCheck::Held { pace.role_memory } else { pace.role_recheck };
            let age: std::time::Duration = age;
            age < last
        });
        let check = match known {
            Some((check, _)) => *check,
            None if active || asked >= ROLES_PER_TURN => RoleCheck::Unknown,
            None => {
                asked += 1;
                let check = approver(turn, principal, &target, memory).await;
                memory.roles.insert(key.clone(), (check, turn.context.now()));
                check
            }
        };
        roles.insert(key, check);
    }
    roles
}

/// True if the workspace admits `rule`, and its namespace may reach `target`.
fn has_say(turn: &Turn<'_>, workspace: &AmlWorkspace, rule: &OutboundRuleObject, target: &ArmId) -> bool {
    let namespace = rule.namespace().unwrap_or_default();
    let (labels, _) = turn.context.indexes.namespace(&namespace);
    let fence = Fence::new(&turn.connected.name, &turn.connected.spec, &namespace, &labels);
    admits(workspace, rule, &labels) && fence.allows(Verb::Reach, target).is_ok()
}

/// Whether `principal` may approve on `target`, by the assignments on and above it, groups included.
async fn approver(turn: &Turn<'_>, principal: &str, target: &ArmId, memory: &mut Memory) -> RoleCheck {
    let client = &turn.connected.client;
    let Some(path) = authorization::assignments_path(target, principal) else { return RoleCheck::Unknown };
    let Ok(assignments) = client.list(&path, authorization::API_VERSION, turn.priority).await else {
        return RoleCheck::Unknown;
    };
    let action = approval_action(target);
    let mut unread = false;
    for assignment in assignments {
        let stated = assignment["properties"]["roleDefinitionId"].as_str();
        let Some(role) = stated.and_then(|stated| authorization::definition_path(target, stated)) else {
            unread = true;
            continue;
        };
        let cached = memory.definitions.get(&role).filter(|(_, at)| {
            let age: std::time::Duration = turn.context.now().duration_since(*at).try_into().unwrap_or_default();
            age < turn.context.pace.role_memory
        });
        let definition = match cached {
            Some((definition, _)) => definition.clone(),
            None => {
                let read = client.get(&role, authorization::API_VERSION, turn.priority).await;
                let Some(definition) = read.ok().and_then(|value| {
                    serde_json::from_value::<authorization::RoleDefinition>(value["properties"].clone()).ok()
                }) else {
                    unread = true;
                    continue;
                };
                memory.definitions.insert(role, (definition.clone(), turn.context.now()));
                definition
            }
        };
        if definition.allows(&action) {
            return RoleCheck::Held;
        }
    }
    if unread { RoleCheck::Unknown } else { RoleCheck::Missing }
}
