//! Who else uses the identity that gets the approver role: whoever does could then approve anything that is pending on the target.
//!
//! Asked before the role is assigned, and again while it is out. Not all can be known: the cluster tells of other workspaces, of
//! computes and online endpoints, Azure of the computes and endpoints of this one. What else may have the identity (virtual machines, other services, federated credentials,
//! jobs, workspaces that no object here declares) no question answers; docs/security/azure-roles.md says so.

use std::time::Duration;

use kube::ResourceExt;

use super::super::{Memory, Through, Turn};
use crate::api::AmlWorkspace;
use crate::api::common::OwnIdentity;
use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::azure::error::{ArmError, ErrorClass};
use crate::azure::machine_learning::API_VERSION;
use crate::controllers::attached::Attached;
use crate::plan::Verdict;
use crate::plan::roles::{Identity, IdentityKind};
use crate::plan::rules::ObjectKey;
use crate::runtime::context::Context;
use crate::runtime::indexes::{key_of, workspace_id};
use crate::runtime::kind::Kind;
use crate::runtime::station::{Station, workspace_of};

/// What in a workspace may have an identity of its own (OpenAPI MachineLearningServices 2024-10-01: `ComputeResource`,
/// `OnlineEndpointTrackedResource` and `BatchEndpointTrackedResource` have `identity`).
const KINDS: [&str; 3] = ["computes", "onlineEndpoints", "batchEndpoints"];

/// What Azure says of an identity's use within its workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// Nothing of the workspace uses it.
    Alone,
    /// This does, or may.
    Others(String),
}

/// Who else uses `identity`, for people; `None` if nobody does as far as can be known. A system-assigned one belongs to the workspace
/// alone. `assigned` says that the role is out: then an answer that does not come just now is no reason to take it back.
///
/// # Errors
/// With the verdict to report if Azure does not answer and the role is not out.
pub(super) async fn others(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    memory: &mut Memory,
    identity: &Identity,
    assigned: bool,
) -> Result<Option<String>, Verdict> {
    let IdentityKind::UserAssigned(id) = &identity.kind else { return Ok(None) };
    if let Some(other) = in_cluster(turn, workspace, id) {
        return Ok(Some(other));
    }
    let (context, key) = (turn.context, identity.kind.key());
    let known = memory.role_memory.uses.get(&key).filter(|(_, at)| {
        let age: Duration = context.now().duration_since(*at).try_into().unwrap_or_default();
        age < context.pace.role_recheck
    });
    let known = match known {
        Some((known, _)) => known.clone(),
        None => match in_azure(turn, id).await {
            Ok(found) => {
                memory.role_memory.uses.insert(key, (found.clone(), context.now()));
                found
            }
            Err(_) if assigned => Use::Alone,
            Err(error) => return Err(Verdict::of_error("asking who else uses the workspace's identity", &error)),
        },
    };
    Ok(match known {
        Use::Alone => None,
        Use::Others(who) => Some(who),
    })
}

/// Another object of the cluster that has the identity, or may: a workspace, or a compute or online endpoint of any.
fn in_cluster(turn: &Turn<'_>, workspace: &AmlWorkspace, id: &str) -> Option<String> {
    let context = turn.context;
    let workspaces = context.indexes.having(id);
    let mut others = workspaces.iter().filter_map(|object| {
        let key = key_of(object.as_ref());
        let named = in_words(AmlWorkspace::NAME, &key);
        let Ok(other) = &object.0 else { return perhaps(named) };
        let same = key == key_of(workspace) || workspace_id(other).is_ok_and(|own| own == *turn.id);
        (!same && has_identity(context, other, id)).then_some(named)
    });
    let stations = &context.indexes.stations;
    others
        .next()
        .or_else(|| attached(context, &stations.computes, id, |compute| compute.spec.identity.as_ref()))
        .or_else(|| attached(context, &stations.endpoints, id, |endpoint| endpoint.spec.identity.as_ref()))
}

/// An object at `station` that declares the user-assigned identity `id` and may, or cannot be understood.
fn attached<K: Attached>(
    context: &Context,
    station: &Station<K>,
    id: &str,
    identity: impl Fn(&K) -> Option<&OwnIdentity>,
) -> Option<String> {
    station.index.state().iter().find_map(|object| {
        let named = in_words(K::NAME, &key_of(object.as_ref()));
        let Ok(object) = &object.0 else { return perhaps(named) };
        let found = context.indexes.workspace(&workspace_of(object))?;
        let connection = &found.0.as_ref().ok()?.spec.connection_ref.name;
        let mut identities = identity(object).into_iter().flat_map(|identity| &identity.user_assigned_identities);
        let has = identities.any(|named| named.eq_ignore_ascii_case(id))
            && may_reach(context, connection, &object.namespace().unwrap_or_default(), id);
        has.then_some(named)
    })
}

fn in_words(kind: &str, key: &ObjectKey) -> String {
    format!("{kind} {}/{}", key.namespace, key.name)
}

fn perhaps(named: String) -> Option<String> {
    Some(format!("{named}, perhaps, which cannot be understood"))
}

/// True if `workspace` declares the user-assigned identity `id`, and may.
pub(super) fn has_identity(context: &Context, workspace: &AmlWorkspace, id: &str) -> bool {
    workspace.spec.user_assigned_identities().any(|named| named.eq_ignore_ascii_case(id))
        && may_reach(context, &workspace.spec.connection_ref.name, &workspace.namespace().unwrap_or_default(), id)
}

/// True if the AzureConnection `name` lets `namespace` reach the identity `id`. An object of a namespace that may not is never let
/// through with it, and says nothing: else anybody could hold up others by naming their identities.
fn may_reach(context: &Context, name: &str, namespace: &str, id: &str) -> bool {
    let (Some(connection), Ok(scope)) = (context.indexes.connection(name), ArmId::parse(id)) else { return false };
    connection.0.as_ref().is_ok_and(|connection| {
        let through = Through { context, name, spec: &connection.spec };
        through.fenced(namespace, |fence| fence.allows(Verb::Reach, &scope).is_ok())
    })
}

/// What of the workspace in Azure uses the identity.
async fn in_azure(turn: &Turn<'_>, id: &str) -> Result<Use, ArmError> {
    for kind in KINDS {
        let list = match turn.connected.client.list(&format!("{}/{kind}", turn.id), API_VERSION, turn.priority).await {
            Ok(list) => list,
            Err(error) if passes(error.class) => return Err(error),
            // What cannot be looked at may use it.
            Err(error) => {
                return Ok(Use::Others(format!("one of its {kind}, perhaps, which cannot be listed ({})", error.code)));
            }
        };
        let user = list.iter().find(|one| {
            let users = one["identity"]["userAssignedIdentities"].as_object();
            users.is_some_and(|users| users.keys().any(|user| user.eq_ignore_ascii_case(id)))
        });
        if let Some(user) = user {
            let name = user["name"].as_str().unwrap_or_default();
            return Ok(Use::Others(format!("{} of its {kind}", crate::azure::error::clean(name, 128))));
        }
    }
    Ok(Use::Alone)
}

/// True of a failure that is no answer: the same question may be answered in a moment.
fn passes(class: ErrorClass) -> bool {
    matches!(class, ErrorClass::Throttled | ErrorClass::Busy | ErrorClass::Transient | ErrorClass::Unauthenticated)
}
