//! Right before anything is asked for: who stands behind the names, under which name the endpoints are asked for, and what the targets show
//! before, all goes into the ledger first.

use super::observe::trouble;
use super::{Remembered, ledger_key};
use crate::api::SynapseLink;
use crate::azure::authorization;
use crate::azure::place::SynapsePath;
use crate::azure::private_link::Dialect;
use crate::azure::synapse::{endpoint_path, linked_service_path};
use crate::controllers::approval::connections;
use crate::controllers::attached::Scene;
use crate::plan::step::Request;
use crate::plan::synapse::{
    Granted, Wanted, key_of, linked_service_name, mark, namesakes, pins_now, role_of, synapse_of, wanted,
};
use crate::plan::{Reason, Verdict};

pub(super) async fn prepare(
    object: &SynapseLink,
    scene: &Scene<'_>,
    requests: &[&Request],
    extra: &mut Remembered,
) -> Result<(), Verdict> {
    let (context, site) = (scene.context, &scene.site);
    let shown = site.shown()?;
    let synapse = synapse_of(&object.spec)?;
    let mut open = match extra.open.take() {
        Some(open) => open,
        None => context.link_ledger.open(&ledger_key(object), &synapse).await.map_err(trouble)?,
    };
    let before = open.record.clone();
    if open.record.pins.is_none() {
        let found = super::observe::workspace(&scene.connected.client, &synapse, scene.priority).await?;
        let pins = found.as_ref().and_then(|found| pins_now(shown, found));
        open.record.pins = Some(pins.ok_or_else(|| {
            Verdict::new(Reason::Pending, "Azure does not say any more who stands behind the Synapse workspace's name")
        })?);
    }
    let puts = |path: &SynapsePath| {
        requests.iter().any(|request| request.method == "PUT" && request.id.eq_ignore_ascii_case(&path.to_string()))
    };
    let service = linked_service_name(site.owner, &object.spec);
    open.record.wrote_linked_service |= puts(&linked_service_path(synapse.name(), &service));
    for one in wanted(&object.spec, &site.workspace.spec, site.id, shown)? {
        let Some(drawn) = extra.drawn.get(&key_of(&one)).cloned() else { continue };
        if puts(&endpoint_path(synapse.name(), &drawn)) {
            let baseline = match baseline(scene, &one, &drawn).await {
                Ok(baseline) => baseline,
                Err(verdict) => {
                    // Another one is drawn.
                    extra.drawn.remove(&key_of(&one));
                    return Err(verdict);
                }
            };
            let asked = open.record.asked_mut(&one);
            (asked.name, asked.baseline) = (Some(drawn), baseline);
        }
    }
    let roles =
        requests.iter().filter(|request| request.method == "PUT" && request.version == authorization::API_VERSION);
    if roles.count() > 0 {
        let (role, _) = role_of(&object.spec);
        let principal = open.record.pins.as_ref().map(|pins| pins.principal_id.clone()).unwrap_or_default();
        let granted = Granted { scope: site.id.to_string(), role, principal };
        if !open.record.granted.contains(&granted) {
            open.record.granted.push(granted);
        }
        // What was read before says nothing after.
        extra.assignments = None;
    }
    if open.record != before || open.is_missing() {
        context.link_ledger.save(&mut open).await.map_err(trouble)?;
    }
    extra.open = Some(open);
    Ok(())
}

/// What the target shows before the endpoint is asked for.
async fn baseline(scene: &Scene<'_>, wanted: &Wanted, name: &str) -> Result<Vec<String>, Verdict> {
    let Some(dialect) = Dialect::of(&wanted.target.type_()) else {
        let message =
            format!("connections on {} are not known to the operator; it knows {}", wanted.target, Dialect::known());
        return Err(Verdict::new(Reason::UnsupportedTarget, message));
    };
    let listing = connections(&scene.connected.client, &wanted.target, dialect).await?;
    if !namesakes(&listing, name).is_empty() {
        // By chance never.
        let message =
            format!("a connection on {} carries a name that nobody can know yet; another one is drawn", wanted.target);
        return Err(Verdict::new(Reason::Imitated, message));
    }
    Ok(listing.iter().map(mark).collect())
}
