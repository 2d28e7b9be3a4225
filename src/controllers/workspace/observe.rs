//! Reads what ARM shows: two requests for the workspace and its rules, more only while a role is in question.

use serde_json::Value;

use super::roles::{Look, look};
use super::{Memory, Turn};
use crate::api::workspace::IsolationMode;
use crate::api::{AmlWorkspace, OWNER_TAG};
use crate::azure::error::{ArmError, ErrorClass};
use crate::azure::machine_learning::{ADDRESSES_API_VERSION, API_VERSION, OutboundRule, Workspace};
use crate::plan::effective::Effective;
use crate::plan::{Reason, Verdict};
use crate::runtime::indexes::key_of;

/// What ARM shows.
pub(super) struct Seen {
    /// The workspace, if it is there.
    pub(super) workspace: Option<Workspace>,
    /// Its rules.
    pub(super) rules: Vec<OutboundRule>,
    /// The names of its computes, if they matter and could be listed.
    pub(super) computes: Option<Vec<String>>,
    /// What its identity may do.
    pub(super) roles: Look,
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
        return Ok(Seen { workspace: None, rules: Vec::new(), computes: None, roles: Look::default() });
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
    let roles = look(turn, workspace, &shown, &rules, memory).await;
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
    shown.isolation_mode().eq_ignore_ascii_case(off.as_str()) && Effective::of(&workspace.spec).isolation_mode() != off
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
    for other in turn.context.indexes.declarers(turn.id) {
        if key_of(other.as_ref()) != key_of(workspace) {
            turn.context.triggers.workspace(&key_of(other.as_ref()));
        }
    }
}
