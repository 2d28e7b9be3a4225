//! Reads what ARM shows: two requests for the workspace and its rules, more only while a role is in question.

use super::roles::{Look, look};
use super::{Memory, Turn};
use crate::api::{AmlWorkspace, OWNER_TAG};
use crate::azure::client::Priority;
use crate::azure::error::ArmError;
use crate::azure::machine_learning::{API_VERSION, OutboundRule, Workspace};
use crate::plan::{Reason, Verdict};
use crate::runtime::indexes::{key_of, workspace_id};

/// What ARM shows.
pub(super) struct Seen {
    /// The workspace, if it is there.
    pub(super) workspace: Option<Workspace>,
    /// Its rules.
    pub(super) rules: Vec<OutboundRule>,
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
    let Some(value) = client.find(path, API_VERSION, Priority::Resync).await.map_err(reading)? else {
        note_tag(turn, workspace, None);
        return Ok(Seen { workspace: None, rules: Vec::new(), roles: Look::default() });
    };
    let shown = Workspace::read(value).map_err(|error| {
        Verdict::new(Reason::AzureRefused, format!("what Azure shows of the workspace cannot be read: {error}"))
    })?;
    note_tag(turn, workspace, shown.tag(OWNER_TAG));
    memory.principal = shown.acting_principal().map(ToOwned::to_owned);
    let list = client.list(&format!("{path}/outboundRules"), API_VERSION, Priority::Resync).await;
    let rules: Vec<OutboundRule> = list
        .map_err(|error| Verdict::of_error("reading the workspace's rules", &error))?
        .iter()
        .filter_map(OutboundRule::read)
        .collect();
    let roles = look(turn, workspace, &shown, &rules, memory).await;
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
