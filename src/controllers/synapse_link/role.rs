//! Reads which roles Synapse's identity holds on the workspace, and which of them this installation assigned.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::Remembered;
use crate::api::SynapseLink;
use crate::api::ids::ArmId;
use crate::api::synapse_link::LinkPins;
use crate::api::workspace::RolePolicy;
use crate::azure::authorization::{API_VERSION, RoleAssignment, RoleDefinition, assignments_path, definition_path};
use crate::azure::client::{Client, Priority};
use crate::azure::error::ErrorClass;
use crate::controllers::attached::Scene;
use crate::plan::Verdict;
use crate::plan::roles::{RoleCheck, assignment_path, check_role, held_since, is_ours};
use crate::plan::synapse::{Granted, Record, RoleSeen, role_of};
use crate::runtime::context::Context;
use crate::runtime::indexes::{key_of, workspace_id};
use crate::runtime::station::workspace_of;

/// Roles by GUID, and when they were read.
type Definitions = BTreeMap<String, (Timestamp, RoleDefinition)>;

/// Looks at the roles, as far as what is known of them is not fresh enough. What cannot be read is unknown, and stops nothing.
pub(super) async fn look(object: &SynapseLink, scene: &Scene<'_>, pins: &LinkPins, extra: &mut Remembered) -> RoleSeen {
    let (now, pace, scope) = (scene.context.now(), &scene.context.pace, scene.site.id);
    let client = &scene.connected.client;
    let (role, _) = role_of(&object.spec);
    let fresh = |at: Timestamp, wait| Duration::try_from(now.duration_since(at)).is_ok_and(|age| age < wait);
    // What was missing may have been assigned meanwhile; what was there is believed for a while.
    let known = extra.assignments.take().filter(|(at, principal, assignments)| {
        let held = seen(&role, &extra.definitions, assignments).check == RoleCheck::Held;
        *principal == pins.principal_id && fresh(*at, if held { pace.role_memory } else { pace.role_recheck })
    });
    let known = match known {
        Some(known) => known,
        None => {
            let Some(path) = assignments_path(scope, &pins.principal_id) else { return RoleSeen::default() };
            let Ok(listed) = client.list(&path, API_VERSION, scene.priority).await else { return RoleSeen::default() };
            (now, pins.principal_id.clone(), listed.iter().filter_map(RoleAssignment::read).collect())
        }
    };
    // The role itself too: whether another one contains it, and whether it may be assigned.
    let wanted: BTreeSet<String> = known.2.iter().map(|one| one.role.clone()).chain([role.clone()]).collect();
    for id in wanted {
        if extra.definitions.get(&id).is_some_and(|(at, _)| fresh(*at, pace.role_memory)) {
            continue;
        }
        let Some(path) = definition_path(scope, &id) else { continue };
        let read = client.get(&path, API_VERSION, scene.priority).await.ok();
        let definition = read.and_then(|read| serde_json::from_value(read["properties"].clone()).ok());
        if let Some(definition) = definition {
            extra.definitions.insert(id, (now, definition));
        }
    }
    let seen = seen(&role, &extra.definitions, &known.2);
    extra.assignments = Some(known);
    seen
}

fn seen(role: &str, definitions: &Definitions, assignments: &[RoleAssignment]) -> RoleSeen {
    let definitions = definitions.iter().map(|(id, (_, one))| (id.clone(), one.clone())).collect();
    RoleSeen {
        check: check_role(role, assignments, &definitions),
        since: held_since(role, assignments, &definitions),
        definitions,
    }
}

/// What was assigned for the link and is not asked for any more: the paths to remove. What is gone is forgotten.
pub(super) async fn stale(
    object: &SynapseLink,
    scene: &Scene<'_>,
    pins: &LinkPins,
    record: &mut Record,
) -> Result<Vec<ArmId>, Verdict> {
    let grants = grants(object);
    let (role, _) = role_of(&object.spec);
    let wanted = |granted: &Granted| {
        grants && granted.role == role && granted.principal == pins.principal_id && granted.is_on(scene.site.id)
    };
    let mut found = Vec::new();
    for granted in record.granted.clone().into_iter().filter(|granted| !wanted(granted)) {
        let (context, client) = (scene.context, &scene.connected.client);
        match granted_here(context, client, object, &granted, scene.priority).await? {
            Some(path) => found.push(path),
            None => record.granted.retain(|one| *one != granted),
        }
    }
    Ok(found)
}

fn grants(object: &SynapseLink) -> bool {
    object.spec.role.as_ref().and_then(|role| role.policy) == Some(RolePolicy::Grant)
}

/// The path of the assignment `granted`, if it is there, is this installation's, and no other link needs it.
pub(super) async fn granted_here(
    context: &Context,
    client: &Client,
    object: &SynapseLink,
    granted: &Granted,
    priority: Priority,
) -> Result<Option<ArmId>, Verdict> {
    let Ok(scope) = ArmId::parse(&granted.scope) else { return Ok(None) };
    if needed_elsewhere(context, object, granted, &scope) {
        return Ok(None);
    }
    let path = assignment_path(&context.installation, &scope, &granted.principal, &granted.role);
    let found = match client.find(&path, API_VERSION, priority).await {
        // With the scope went what was assigned on it.
        Err(error) if error.class == ErrorClass::ParentNotFound => None,
        found => found.map_err(|error| Verdict::of_error("reading an assigned role", &error))?,
    };
    let ours = found.as_ref().and_then(RoleAssignment::read);
    let ours = ours.is_some_and(|one| is_ours(&one, &context.installation, &scope));
    Ok(ArmId::parse(&path).ok().filter(|_| ours))
}

/// True if another link of this installation asks for the same assignment.
fn needed_elsewhere(context: &Context, object: &SynapseLink, granted: &Granted, scope: &ArmId) -> bool {
    context.indexes.stations.links.objects().any(|other| {
        let workspace = context.indexes.workspace(&workspace_of(&other));
        let same_scope = workspace.is_some_and(|workspace| {
            workspace.0.as_ref().is_ok_and(|workspace| workspace_id(workspace).is_ok_and(|id| id == *scope))
        });
        let same = |a: &SynapseLink, b: &SynapseLink| {
            a.spec.synapse_workspace.resource_id.eq_ignore_ascii_case(&b.spec.synapse_workspace.resource_id)
        };
        key_of(&other) != key_of(object)
            && other.metadata.deletion_timestamp.is_none()
            && same_scope
            && same(&other, object)
            && grants(&other)
            && role_of(&other.spec).0 == granted.role
    })
}
