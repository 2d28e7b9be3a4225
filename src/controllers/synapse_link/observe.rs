//! Reads both sides: the Synapse workspace with what lies in it, then the targets; and takes into the ledger what that comes to.

use serde::de::DeserializeOwned;
use serde_json::Value;
use tracing::warn;
use uuid::Uuid;

use super::{Remembered, data_plane, ledger_key, role};
use crate::api::SynapseLink;
use crate::api::ids::ArmId;
use crate::azure::client::{Client, Priority};
use crate::azure::error::clean;
use crate::azure::place::SynapsePath;
use crate::azure::private_link::Dialect;
use crate::azure::synapse::{
    API_VERSION, DATA_API_VERSION, LinkedService, ManagedEndpoint, SPARK_POOLS, SparkPool, Workspace, endpoints_path,
    linked_services_path, workspace_path,
};
use crate::controllers::approval::connections;
use crate::controllers::attached::Scene;
use crate::plan::names;
use crate::plan::synapse::{
    Observed, Wanted, advance, check_pins, is_usable, key_of, pins_now, prefix, synapse_of, wanted,
};
use crate::plan::{Reason, Verdict};
use crate::runtime::context::Context;
use crate::runtime::ledger::LedgerError;
use crate::runtime::link_ledger::OpenLink;
use crate::telemetry::AUDIT;

/// What stands for the random part of a name that is not drawn, because nothing is asked for.
const NOT_DRAWN: &str = "random";

fn read<T: DeserializeOwned>(what: &str, value: Value) -> Result<T, Verdict> {
    serde_json::from_value(value).map_err(|error| {
        Verdict::new(Reason::AzureRefused, format!("what Azure shows of {what} cannot be read: {error}"))
    })
}

/// Reads the Synapse workspace as ARM shows it.
pub(super) async fn workspace(
    client: &Client,
    synapse: &ArmId,
    priority: Priority,
) -> Result<Option<Workspace>, Verdict> {
    let found = client.find(synapse.as_str(), API_VERSION, priority).await;
    let found = found.map_err(|error| Verdict::of_error("reading the Synapse workspace", &error))?;
    found.map(|value| read("the Synapse workspace", value)).transpose()
}

async fn list<T: DeserializeOwned>(
    client: &Client,
    what: &str,
    path: &str,
    version: &str,
    priority: Priority,
) -> Result<Vec<T>, Verdict> {
    let listed = client.list(path, version, priority).await;
    let listed = listed.map_err(|error| Verdict::of_error(&format!("listing {what}"), &error))?;
    listed.into_iter().map(|value| read(what, value)).collect()
}

/// Sees that the data plane that answers is that of the workspace that ARM shows: its host follows from a name that somebody else may have
/// by now.
pub(super) async fn recognise(data: &Client, synapse: &ArmId, shown: &Workspace) -> Result<(), Verdict> {
    let path = workspace_path(synapse.name()).to_string();
    let answers = data.get(&path, DATA_API_VERSION, Priority::Change).await;
    let answers: Workspace = read(
        "the data plane",
        answers.map_err(|error| Verdict::of_error("asking Synapse's data plane who it is", &error))?,
    )?;
    let (is, shall) = (&answers.properties.workspace_uid, &shown.properties.workspace_uid);
    if is.is_some() && is == shall {
        return Ok(());
    }
    let message = format!(
        "the data plane under the name {} is that of another workspace ({}) than the one that Resource Manager shows ({})",
        synapse.name(),
        clean(is.as_deref().unwrap_or("not stated"), 64),
        clean(shall.as_deref().unwrap_or("not stated"), 64)
    );
    Err(Verdict::new(Reason::AzureRefused, message))
}

/// The managed private endpoints of the workspace.
pub(super) async fn endpoints(
    data: &Client,
    synapse: &ArmId,
    priority: Priority,
) -> Result<Vec<ManagedEndpoint>, Verdict> {
    let path: SynapsePath = endpoints_path(synapse.name());
    let mut all: Vec<ManagedEndpoint> =
        list(data, "managed private endpoints", &path.to_string(), DATA_API_VERSION, priority).await?;
    all.retain(|endpoint| endpoint.properties.is_reserved != Some(true));
    Ok(all)
}

/// The linked services of the workspace.
pub(super) async fn linked_services(
    data: &Client,
    synapse: &ArmId,
    priority: Priority,
) -> Result<Vec<LinkedService>, Verdict> {
    let path = linked_services_path(synapse.name());
    list(data, "linked services", &path.to_string(), DATA_API_VERSION, priority).await
}

/// The Spark pools of the workspace.
pub(super) async fn pools(client: &Client, synapse: &ArmId, priority: Priority) -> Result<Vec<SparkPool>, Verdict> {
    list(client, "Spark pools", &format!("{synapse}/{SPARK_POOLS}"), API_VERSION, priority).await
}

/// What to say if the ledger cannot be used: nothing is decided without it.
pub(super) fn trouble(error: LedgerError) -> Verdict {
    match error {
        LedgerError::Write(error) => Verdict::new(
            Reason::Pending,
            format!("the ledger could not be read or written, it is tried again: {error}"),
        ),
        error => Verdict::new(
            Reason::LedgerDamaged,
            format!("nothing is asked for while the ledger cannot be read: {error}"),
        ),
    }
}

/// Reads all that the decision needs.
pub(super) async fn observe(
    object: &SynapseLink,
    scene: &Scene<'_>,
    extra: &mut Remembered,
) -> Result<Observed, Verdict> {
    let (context, priority) = (scene.context, scene.priority);
    let mut observed = Observed::default();
    let Ok(shown) = scene.site.shown() else { return Ok(observed) };
    let synapse = synapse_of(&object.spec)?;
    let arm = &scene.connected.client;
    let mut open = context.link_ledger.open(&ledger_key(object), &synapse).await.map_err(trouble)?;
    let before = open.record.clone();
    observed.synapse = workspace(arm, &synapse, priority).await?;
    let usable = observed.synapse.as_ref().filter(|found| is_usable(found) && !found.is_moving());
    let wanted = wanted(&object.spec, &scene.site.workspace.spec, scene.site.id, shown);
    let pins = usable.and_then(|found| pins_now(shown, found));
    if let (Some(found), Some(pins), Ok(wanted)) = (usable, pins, wanted) {
        if check_pins(&open.record, &pins, &object.spec.acknowledge).is_ok() {
            if open.record.pins.is_some() {
                open.record.pin(&pins);
            }
            look(object, scene, extra, found.clone(), &wanted, &mut open, &mut observed).await?;
            observed.role = role::look(object, scene, &pins, extra).await;
            observed.stale_roles = role::stale(object, scene, &pins, &mut open.record).await?;
            // What was taken up without a memory is on record from here on.
            if open.record.pins.is_none() && open.record.has_names() {
                open.record.pins = Some(pins);
            }
        } else {
            open.record.distrust();
        }
    } else if observed.synapse.is_none() {
        open.record.distrust();
    }
    // Nothing is on record before something is asked for, and with `Observe` nothing ever is.
    let asked = !open.is_missing() || open.record.has_names();
    if open.record != before && asked && !scene.site.observes {
        context.link_ledger.save(&mut open).await.map_err(trouble)?;
        tell_policies(context, &before, &open);
    }
    observed.record = open.record.clone();
    extra.open = Some(open);
    Ok(observed)
}

/// Asks the policies on the targets to look again, where it is news which connection is the link's.
fn tell_policies(context: &Context, before: &crate::plan::synapse::Record, open: &OpenLink) {
    for asked in &open.record.endpoints {
        let known = before.endpoints.iter().find(|one| one.target == asked.target && one.group == asked.group);
        if asked.own() != known.and_then(|known| known.own()) {
            context.ask_policies_on(&asked.target);
        }
    }
}

/// Reads what lies in the workspace, then what the targets show, in this order: what a list shows counts only after Synapse said that the
/// endpoint waits.
async fn look(
    object: &SynapseLink,
    scene: &Scene<'_>,
    extra: &mut Remembered,
    found: Workspace,
    wanted: &[Wanted],
    open: &mut OpenLink,
    observed: &mut Observed,
) -> Result<(), Verdict> {
    let priority = scene.priority;
    let synapse = synapse_of(&object.spec)?;
    let data = data_plane(scene.connected, &synapse)?;
    recognise(&data, &synapse, &found).await?;
    observed.pools = match pools(&scene.connected.client, &synapse, priority).await {
        // A right that only those need who ask for a pool.
        Err(verdict) if verdict.reason == Reason::AuthorizationFailed && object.spec.spark_pool.is_none() => Vec::new(),
        pools => pools?,
    };
    observed.linked_services = linked_services(&data, &synapse, priority).await?;
    observed.endpoints = endpoints(&data, &synapse, priority).await?;
    let (uid, token) = (object.metadata.uid.clone().unwrap_or_default(), token(object));
    open.record.prepare(&uid, &token, wanted);
    let prefix = prefix(scene.site.owner);
    if open.is_missing() {
        open.record.take_up(&prefix, wanted, &observed.endpoints);
    }
    open.record.forget_gone(&observed.endpoints);
    for one in wanted {
        follow(object, scene, one, open, observed).await?;
        let named = open.record.asked(one).is_some_and(|asked| asked.name.is_some());
        if named {
            extra.drawn.remove(&key_of(one));
        } else {
            let draw = || draw(&prefix, scene.site.observes);
            extra.drawn.entry(key_of(one)).or_insert_with(draw);
        }
    }
    Ok(())
}

/// A name that nobody could know before.
fn draw(prefix: &str, observes: bool) -> String {
    if observes {
        return format!("{prefix}-{NOT_DRAWN}");
    }
    let mut noise = [0; 32];
    noise[..16].copy_from_slice(Uuid::new_v4().as_bytes());
    noise[16..].copy_from_slice(Uuid::new_v4().as_bytes());
    names::random(prefix, noise)
}

fn token(object: &SynapseLink) -> String {
    let annotations = object.metadata.annotations.as_ref();
    annotations
        .and_then(|all| all.get(crate::api::RECONCILE_AT))
        .map(|token| token.chars().take(256).collect())
        .unwrap_or_default()
}

/// Follows one endpoint on its target, once Synapse shows that it has a connection there.
async fn follow(
    object: &SynapseLink,
    scene: &Scene<'_>,
    wanted: &Wanted,
    open: &mut OpenLink,
    observed: &mut Observed,
) -> Result<(), Verdict> {
    let Some(asked) = open.record.asked(wanted).cloned() else { return Ok(()) };
    let name = asked.name.as_deref().unwrap_or_default();
    let shown = observed.endpoints.iter().find(|shown| !name.is_empty() && shown.name.eq_ignore_ascii_case(name));
    let Some(shown) = shown.filter(|shown| !shown.state().is_empty() && !shown.is_moving()) else { return Ok(()) };
    let Some(dialect) = Dialect::of(&wanted.target.type_()) else { return Ok(()) };
    let listing = connections(&scene.connected.client, &wanted.target, dialect).await?;
    let now = scene.context.now();
    let advanced = advance(&asked, shown, &listing, now, scene.context.pace.handshake);
    observed.listings.insert(wanted.target.key(), listing);
    if !scene.site.observes {
        for (connection, endpoint) in &advanced.imitations {
            alarm(object, scene, wanted, connection, endpoint, advanced.asked.name.is_none()).await;
        }
        *open.record.asked_mut(wanted) = advanced.asked;
    }
    Ok(())
}

/// Tells people of a connection that carries the name of an endpoint of this link and may not be its own.
async fn alarm(
    object: &SynapseLink,
    scene: &Scene<'_>,
    wanted: &Wanted,
    connection: &str,
    endpoint: &str,
    given_up: bool,
) {
    let context = scene.context;
    let (connection, endpoint) = (clean(connection, 128), clean(endpoint, 512));
    let so = if given_up {
        "it cannot be told which one is this link's, so none is approved, and the endpoint is asked for under another name"
    } else {
        "it is not this link's, and is not approved"
    };
    warn!(
        target: AUDIT, link = format!("{}/{}", scene.site.owner.namespace, scene.site.owner.name), target_id = %wanted.target,
        connection, requester = endpoint, "imitated"
    );
    context.metrics.decided("imitated");
    let note = format!(
        "the connection {connection} from {endpoint} on {} carries the name of this link's endpoint: {so}",
        wanted.target
    );
    context.events.publish(object, true, "Imitated", &note).await;
}
