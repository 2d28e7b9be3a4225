//! Reads what ARM shows: two requests for the workspace and its rules, more only while a role is in question.

use std::collections::BTreeMap;

use kube::ResourceExt;

use super::{Memory, Turn};
use crate::api::OWNER_TAG;
use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::api::{AmlWorkspace, OutboundRule as OutboundRuleObject};
use crate::azure::authorization;
use crate::azure::error::ArmError;
use crate::azure::machine_learning::{API_VERSION, OutboundRule, Workspace};
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
    let Some(value) = client.find(path, API_VERSION, turn.priority).await.map_err(reading)? else {
        note_tag(turn, workspace, None);
        return Ok(Seen { workspace: None, rules: Vec::new(), roles: BTreeMap::new() });
    };
    let shown = Workspace::read(value).map_err(|error| {
        Verdict::new(Reason::AzureRefused, format!("what Azure shows of the workspace cannot be read: {error}"))
    })?;
    note_tag(turn, workspace, shown.tag(OWNER_TAG));
    memory.principal = shown.acting_principal().map(ToOwned::to_owned);
    let list = client.list(&format!("{path}/outboundRules"), API_VERSION, turn.priority).await;
    let rules: Vec<OutboundRule> = list
        .map_err(|error| Verdict::of_error("reading the workspace's rules", &error))?
        .iter()
        .filter_map(OutboundRule::read)
        .collect();
    let roles = roles(turn, workspace, &shown, &rules, memory).await;
    Ok(Seen { workspace: Some(shown), rules, roles })
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
    for (_, resource) in workspace.spec.associated_resources.ids() {
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
