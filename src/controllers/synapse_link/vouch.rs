//! What a link has to say, at the moment it is asked, about a connection that a policy is about to approve or has approved: read anew on
//! Synapse's side. Endpoints of managed networks lie in Microsoft's subscriptions, where nobody can ask them themselves.

use super::observe::{endpoints, recognise, trouble, workspace};
use super::{data_plane, standing};
use crate::api::SynapseLink;
use crate::api::ids::ArmId;
use crate::azure::client::Priority;
use crate::azure::private_link::{Connection, Dialect};
use crate::azure::synapse::ManagedEndpoint;
use crate::controllers::approval::connections;
use crate::plan::requester::{Link, Shown};
use crate::plan::rules::ObjectKey;
use crate::plan::synapse::{Asked, Record, namesakes, synapse_of};
use crate::plan::{Reason, Verdict};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::indexes::key_of;

/// What Synapse's side shows of one endpoint.
enum Side {
    /// Another workspace, or another identity, stands behind the name.
    Others,
    /// The workspace has no such endpoint.
    Gone,
    /// This.
    Endpoint(ManagedEndpoint),
}

/// Reads Synapse's side of `asked`.
async fn side(connected: &Connected, synapse: &ArmId, record: &Record, asked: &Asked) -> Result<Side, Verdict> {
    let found = workspace(&connected.client, synapse, Priority::Urgent).await?;
    let same = found.as_ref().zip(record.pins.as_ref()).is_some_and(|(found, pins)| {
        let identity = found.identity.as_ref();
        let text = |text: Option<&String>| text.cloned().unwrap_or_default();
        found.properties.workspace_uid.as_ref() == Some(&pins.synapse_workspace_uid)
            && text(identity.and_then(|identity| identity.principal_id.as_ref())) == pins.principal_id
            && text(identity.and_then(|identity| identity.tenant_id.as_ref())) == pins.tenant_id
    });
    let Some(found) = found.filter(|_| same) else { return Ok(Side::Others) };
    let data = data_plane(connected, synapse)?;
    recognise(&data, synapse, &found).await?;
    let name = asked.name.as_deref().unwrap_or_default();
    let mut all = endpoints(&data, synapse, Priority::Urgent).await?.into_iter();
    Ok(all.find(|one| one.name.eq_ignore_ascii_case(name)).map_or(Side::Gone, Side::Endpoint))
}

/// The link whose own connection on `target` comes from `endpoint`, if there is one that uses `connection`.
pub(crate) fn owner_of(context: &Context, connection: &str, target: &ArmId, endpoint: &str) -> Option<ObjectKey> {
    let owns = |object: &SynapseLink| {
        let Ok(synapse) = synapse_of(&object.spec) else { return false };
        let record = context.link_ledger.known(&key_of(object), &synapse);
        record.is_some_and(|record| asked_from(&record, target, endpoint).is_some())
    };
    let keys = context.indexes.stations.links.objects().filter(owns).map(|object| key_of(&object));
    keys.into_iter().find(|key| standing(context, key, connection).is_some())
}

fn asked_from<'a>(record: &'a Record, target: &ArmId, endpoint: &str) -> Option<&'a Asked> {
    record.endpoints.iter().find(|asked| {
        asked.target.eq_ignore_ascii_case(target.as_str())
            && asked.own().is_some_and(|own| own.endpoint.eq_ignore_ascii_case(endpoint))
    })
}

/// What Synapse's side shows of the endpoint whose connection on `target` was approved; `None` if there is no answer, which says nothing.
pub(crate) async fn look_at(context: &Context, connected: &Connected, target: &ArmId, endpoint: &str) -> Option<Shown> {
    let key = owner_of(context, &connected.name, target, endpoint)?;
    let object = standing(context, &key, &connected.name)?;
    let synapse = synapse_of(&object.spec).ok()?;
    let record = context.link_ledger.known(&key, &synapse)?;
    let asked = asked_from(&record, target, endpoint)?;
    let link = match side(connected, &synapse, &record, asked).await.ok()? {
        // Whoever has the line now is not who was let in.
        Side::Others | Side::Gone => Link { target: target.to_string(), state: "Disconnected".to_owned() },
        Side::Endpoint(shown) => Link {
            target: shown.properties.private_link_resource_id.clone().unwrap_or_default(),
            state: shown.state().to_owned(),
        },
    };
    Some(Shown::Links(vec![link]))
}

/// Whether the link `key` stands by `connection` on `target` right now, before it is approved: the same ones stand behind the names, Synapse
/// itself says that its endpoint waits, and the target shows no other connection under its name.
///
/// # Errors
/// With the verdict to report if not.
pub(crate) async fn vouches(
    context: &Context,
    connected: &Connected,
    key: &ObjectKey,
    target: &ArmId,
    dialect: &Dialect,
    connection: &Connection,
) -> Result<(), Verdict> {
    let checked = vouch(context, connected, key, target, dialect, connection).await;
    if checked.is_err() {
        context.indexes.stations.links.ask(key);
    }
    checked
}

async fn vouch(
    context: &Context,
    connected: &Connected,
    key: &ObjectKey,
    target: &ArmId,
    dialect: &Dialect,
    connection: &Connection,
) -> Result<(), Verdict> {
    let not = |why: &str| {
        let message = format!("SynapseLink {}/{} does not stand by the connection: {why}", key.namespace, key.name);
        Verdict::new(Reason::Attributing, message)
    };
    let object = standing(context, key, &connected.name).ok_or_else(|| not("it is gone or going"))?;
    let synapse = synapse_of(&object.spec)?;
    let record = context.link_ledger.open(key, &synapse).await.map_err(trouble)?.record;
    let mut asked = record.endpoints.iter();
    let asked = asked.find(|asked| {
        asked.target.eq_ignore_ascii_case(target.as_str()) && asked.own().is_some_and(|own| own.is(connection))
    });
    let asked = asked.ok_or_else(|| not("it is not known to be the link's any more"))?;
    match side(connected, &synapse, &record, asked).await? {
        Side::Others => Err(not("another one stands behind the Synapse workspace's name than when it was asked for")),
        Side::Gone => Err(not("Synapse has no such endpoint any more")),
        Side::Endpoint(shown) if !shown.leads_to(target.as_str(), &asked.group) => {
            Err(not("Synapse's endpoint leads elsewhere"))
        }
        Side::Endpoint(shown) if !shown.is("Pending") => {
            Err(not(&format!("Synapse says that its endpoint is {:?}, not that it waits", shown.state())))
        }
        Side::Endpoint(_) => {
            let listing = connections(&connected.client, target, dialect).await?;
            match namesakes(&listing, asked.name.as_deref().unwrap_or_default()).as_slice() {
                [only] if asked.own().is_some_and(|own| own.is(only)) => Ok(()),
                _ => Err(not("the target shows another connection under its name")),
            }
        }
    }
}
