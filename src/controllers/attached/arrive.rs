//! The object shall be there: everything that the cluster can tell first, then one look at Azure, one decision, and its writes.

use kube::ResourceExt;

use super::carry_out::{self, Turn};
use super::{Attached, Memory, Scene, owner, report, workspace_of};
use crate::api::AmlWorkspace;
use crate::api::common::ManagementPolicy;
use crate::api::ids::ArmId;
use crate::azure::client::Priority;
use crate::plan::attached::Site;
use crate::plan::fence::Fence;
use crate::plan::ownership::Owner;
use crate::plan::{Reason, Verdict};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::driver::{Error, Outcome};
use crate::runtime::indexes::{age, key_of};
use crate::runtime::status::{Basis, has_finalizer};

/// Brings Azure to what `object` says.
pub(super) async fn arrive<K: Attached>(
    context: &Context,
    object: &mut K,
    memory: &mut Memory<K>,
    priority: Priority,
) -> Result<Outcome, Error> {
    let (workspace, id) = match workspace_of(context, object) {
        Ok(found) => found,
        Err(verdict) => return report::unchanged(context, object, verdict).await,
    };
    let connected = match Connected::find(&context.indexes, &context.clients, &workspace.spec.connection_ref.name) {
        Ok(connected) => connected,
        Err(verdict) => return report::unchanged(context, object, verdict).await,
    };
    let namespace = object.namespace().unwrap_or_default();
    let (labels, _) = context.indexes.namespace(&namespace);
    let fence = Fence::new(&connected.name, &connected.spec, &namespace, &labels);
    if let Err(verdict) = admitted(context, object, &workspace) {
        return report::unchanged(context, object, verdict).await;
    }
    let Some(view) = context.views.read(&id) else {
        // The workspace's lane posts what it sees, and asks for this object again.
        context.triggers.workspace(&key_of(&workspace));
        if object.status().is_none() {
            let verdict = Verdict::new(Reason::Pending, "waiting for the workspace's turn");
            return report::unchanged(context, object, verdict).await;
        }
        return Ok(Outcome::Again(context.pace.poll));
    };
    let owner = owner(context, object);
    let observes = object.policies().management == ManagementPolicy::Observe || connected.is_read_only();
    let site = Site {
        owner: &owner,
        fence: &fence,
        workspace: &workspace,
        id: &id,
        view: &view,
        observes,
        now: context.now(),
    };
    let resource = match object.check(&site).and_then(|()| object.resource(&id)) {
        Ok(resource) => resource,
        Err(verdict) => return report::unchanged(context, object, verdict).await,
    };
    let _lane = match &resource {
        None => None,
        Some(resource) => {
            if let Some(rival) = rival(context, object, &owner, resource) {
                let noun = K::NOUN;
                let message = format!("{} {rival} manages {noun} {resource} already; delete one of the two", K::NAME);
                return report::unchanged(context, object, Verdict::new(Reason::ManagedElsewhere, message)).await;
            }
            match context.lanes.enter(resource.key()) {
                Some(lane) => Some(lane),
                None => return Ok(Outcome::Again(context.pace.lane)),
            }
        }
    };
    // Only now: an object that was never let through has nothing in Azure to come back for, and its deletion must not ask there.
    if object.policies().management != ManagementPolicy::Observe && !has_finalizer(object) {
        if object.status().is_none() {
            let verdict = Verdict::new(Reason::Pending, "seen for the first time");
            context.report(object, Default::default(), &verdict, Vec::new(), Basis::Version).await?;
        }
        context.status.hold(object).await?;
        return Ok(Outcome::Again(context.pace.lane));
    }
    let scene = Scene { context, connected: &connected, site, priority };
    attend(&scene, object, memory, resource.as_ref()).await
}

/// The heart: follow what is under way, look, decide, write, report.
async fn attend<K: Attached>(
    scene: &Scene<'_>,
    object: &mut K,
    memory: &mut Memory<K>,
    resource: Option<&ArmId>,
) -> Result<Outcome, Error> {
    let Scene { context, connected, site, .. } = scene;
    let said = object.status().map(|status| K::said(status).0.to_vec()).unwrap_or_default();
    memory.writes.take_over(&said, |id| object.owns(Some(site.id), id));
    let followed = carry_out::follow(context, connected, object, memory).await;
    if let (Some(wait), false) = (followed.running, followed.ended) {
        return report::while_running(context, object, memory, followed.unread, wait).await;
    }
    let observed = match object.observe(scene, &mut memory.extra).await {
        Ok(observed) => observed,
        Err(verdict) => return report::unseen(context, object, memory, verdict).await,
    };
    if let Some(resource) = resource
        && context.memories.note_owner_tag(resource, K::owner_tag(&observed))
    {
        K::station(context).ask_all(|other| other.resource(site.id).is_ok_and(|id| id.as_ref() == Some(resource)));
    }
    let mut decided = object.plan(site, &observed, &memory.extra);
    if !site.observes {
        decided.conditions.extend(object.publish(scene, &decided.status).await);
    }
    let policies = object.policies();
    let held = if policies.suspend {
        Some(Verdict::new(Reason::Suspended, "suspended: nothing new is started (spec.suspend)"))
    } else {
        connected.holds_writes()
    };
    let turn = Turn {
        context,
        connected,
        fence: Some(site.fence),
        workspace: Some(site.workspace),
        observes: site.observes,
        held,
        looked: site.now,
        running: followed.running,
    };
    let scene = Some(scene);
    carry_out::carry_out(&turn, scene, object, memory, decided, |id| K::is_moving(&observed, id)).await
}

/// Whether the workspace takes objects of this namespace.
fn admitted<K: Attached>(context: &Context, object: &K, workspace: &AmlWorkspace) -> Result<(), Verdict> {
    let namespace = object.namespace().unwrap_or_default();
    let (labels, _) = context.indexes.namespace(&namespace);
    let allowed = workspace.spec.allowed_rules.as_ref();
    let home = workspace.namespace().unwrap_or_default();
    if namespace == home || allowed.is_some_and(|allowed| allowed.namespaces.matches(&namespace, &labels)) {
        return Ok(());
    }
    Err(Verdict::new(
        Reason::NotAdmitted,
        format!(
            "AmlWorkspace {home}/{} does not admit objects from namespace {namespace:?}. Ask whoever owns that object, in namespace \
             {home:?}, to add it to spec.allowedRules.namespaces",
            workspace.name_any()
        ),
    ))
}

/// Another object that manages the same resource: the one that the tag names wins, else the older. Only an object that could manage it
/// counts, so that nobody blocks a resource by declaring it without the right to.
fn rival<K: Attached>(context: &Context, object: &K, owner: &Owner, resource: &ArmId) -> Option<String> {
    let tag = context.memories.owner_tag(resource);
    if tag.as_deref().is_some_and(|tag| owner.is(tag)) {
        return None;
    }
    K::station(context).objects().find_map(|other| {
        let (workspace, id) = workspace_of(context, &other).ok()?;
        let same = key_of(&other) != key_of(object)
            && other.meta().deletion_timestamp.is_none()
            && other.policies().management != ManagementPolicy::Observe
            && other.resource(&id).is_ok_and(|other| other.as_ref() == Some(resource))
            && may_attach(context, &other, &workspace);
        let named = tag.as_deref().is_some_and(|tag| {
            Owner { namespace: other.namespace().unwrap_or_default(), name: other.name_any(), ..owner.clone() }.is(tag)
        });
        (same && (named || age(&other) < age(object)))
            .then(|| format!("{}/{}", other.namespace().unwrap_or_default(), other.name_any()))
    })
}

/// True if `object` may attach to `workspace` and be written to Azure, by what the cluster says.
pub fn may_attach<K: Attached>(context: &Context, object: &K, workspace: &AmlWorkspace) -> bool {
    let Ok(id) = crate::runtime::indexes::workspace_id(workspace) else { return false };
    let resource = object.resource(&id).ok().flatten().unwrap_or(id);
    admitted(context, object, workspace).is_ok() && may_write(context, object, workspace, &resource)
}

/// True if `workspace` counts `object` in: it admits it, and the object may be written to Azure, or never wants to.
pub fn counts<K: Attached>(context: &Context, object: &K, workspace: &AmlWorkspace) -> bool {
    let observes = object.policies().management == ManagementPolicy::Observe;
    observes && admitted(context, object, workspace).is_ok() || may_attach(context, object, workspace)
}

/// True if the namespace of `object` may write to `resource` by what the cluster says.
fn may_write<K: Attached>(context: &Context, object: &K, workspace: &AmlWorkspace, resource: &ArmId) -> bool {
    let name = &workspace.spec.connection_ref.name;
    let Ok(connected) = Connected::find(&context.indexes, &context.clients, name) else { return false };
    let namespace = object.namespace().unwrap_or_default();
    let (labels, _) = context.indexes.namespace(&namespace);
    let fence = Fence::new(&connected.name, &connected.spec, &namespace, &labels);
    K::CLAIMS_BY.iter().any(|verb| fence.allows(*verb, resource).is_ok())
}
