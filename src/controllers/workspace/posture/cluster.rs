//! What the posture knows from the cluster, without asking ARM: attached networks and computes, other workspaces' rules, and what policies
//! approved.

use std::collections::BTreeSet;

use kube::ResourceExt;

use super::super::Turn;
use crate::api::AmlWorkspace;
use crate::api::condition::{ConditionStatus, find};
use crate::api::ids::ArmId;
use crate::azure::machine_learning::OutboundRule;
use crate::controllers::attached::counts;
use crate::plan::compute::ISOLATED;
use crate::plan::posture::{ComputeIsolation, Dependency, Network, RuleOfOther};
use crate::plan::vnet::Places;
use crate::runtime::indexes::{key_of, workspace_id};

/// Endpoints that a policy of this installation approved on the workspace or what it depends on, by the ledger.
pub(super) async fn approved_by_policy(turn: &Turn<'_>, resources: impl Iterator<Item = &str>) -> BTreeSet<String> {
    let context = turn.context;
    let ids = resources.filter_map(|id| ArmId::parse(id).ok()).chain([turn.id.clone()]);
    let mut approved = BTreeSet::new();
    for id in ids {
        if context.indexes.policies_on(&id).is_empty() {
            continue;
        }
        // A page that cannot be read explains nothing.
        let Ok(open) = context.ledger.open(&id).await else { continue };
        approved.extend(open.page.approvals.iter().map(|approval| approval.endpoint.to_ascii_lowercase()));
    }
    approved
}

/// The networks that are attached, each as its own turn saw it last.
pub(super) fn networks(turn: &Turn<'_>, workspace: &AmlWorkspace) -> Vec<Network> {
    let context = turn.context;
    let attachments = context.indexes.stations.attachments.of(&key_of(workspace));
    // Whom the workspace does not admit has no say in what is told of it.
    let attachments = attachments.into_iter().filter(|attachment| {
        attachment.metadata.deletion_timestamp.is_none() && counts(context, attachment, workspace)
    });
    let network = |attachment: crate::api::VnetAttachment| {
        let known = context.surroundings.network(attachment.metadata.uid.as_deref().unwrap_or_default());
        known.unwrap_or_else(|| {
            let named = format!("{}/{}", attachment.namespace().unwrap_or_default(), attachment.name_any());
            let id = Places::of(&attachment.spec).map(|places| places.network.to_string()).unwrap_or_default();
            let unseen = Some("it has not been looked at; see its condition Ready".to_owned());
            Network { attachment: named, id, unseen, ..Network::default() }
        })
    };
    attachments.map(network).collect()
}

/// What the objects of the workspace's computes say.
pub(super) fn computes(turn: &Turn<'_>, workspace: &AmlWorkspace) -> Vec<ComputeIsolation> {
    let computes = turn.context.indexes.stations.computes.of(&key_of(workspace));
    let of = |compute: crate::api::AmlCompute| {
        let name = compute.spec.azure_name.clone().unwrap_or_else(|| compute.name_any());
        let said = compute.status.as_ref().and_then(|status| find(&status.conditions, ISOLATED));
        let isolated = said.and_then(|said| match said.status {
            ConditionStatus::True => Some(true),
            ConditionStatus::False => Some(false),
            ConditionStatus::Unknown => None,
        });
        let why = said.map_or_else(|| "its object does not say yet".to_owned(), |said| said.message.clone());
        ComputeIsolation { name, isolated, why }
    };
    let there = computes
        .into_iter()
        .filter(|compute| compute.metadata.deletion_timestamp.is_none() && counts(turn.context, compute, workspace));
    there.map(of).collect()
}

/// The rules that account for a connection on their target.
pub(super) fn endpoint_rules(rules: &[OutboundRule]) -> Vec<RuleOfOther> {
    let active = rules.iter().filter(|rule| rule.is_active());
    let target = |rule: &OutboundRule| {
        let target = rule.properties.get("destination")?.get("serviceResourceId")?.as_str()?.to_owned();
        Some(RuleOfOther { name: rule.name.clone(), target })
    };
    active.filter_map(target).collect()
}

/// Rules of other workspaces of this cluster that lead to the workspace or to what it depends on, as their own turns saw them.
pub(super) fn rules_of_others(turn: &Turn<'_>, dependencies: &[Dependency]) -> Vec<RuleOfOther> {
    let targets = dependencies.iter().map(|dependency| dependency.id.as_str()).chain([turn.id.as_str()]);
    targets.flat_map(|target| turn.context.surroundings.rules_of_others(turn.id, target)).collect()
}

/// True if there are other workspaces at which nobody has looked yet: their rules may account for connections.
pub(super) fn others_unseen(turn: &Turn<'_>) -> bool {
    let context = turn.context;
    context.indexes.workspaces.state().iter().filter_map(|other| other.0.as_ref().ok()).any(|other| {
        other.metadata.deletion_timestamp.is_none()
            && workspace_id(other).is_ok_and(|id| id != *turn.id && !context.surroundings.was_seen(&id))
    })
}
