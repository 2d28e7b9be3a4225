//! Private endpoints on the workspace and on what it depends on: whose they are.
//!
//! Attacker model: an approved connection is a private line into the data, and whoever asks chooses the name of the endpoint. Only the
//! subscription, and the full id where the operator knows it, say whose it is. The endpoints of managed networks lie in Microsoft's
//! subscriptions, among other customers': an active rule of the workspace accounts for one of them, and what carries a rule's name twice,
//! or is more than rules account for, is a stranger's.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::api::ids::ArmId;
use crate::api::workspace::Check;

use super::Sight;
use super::dependency::{Dependency, PrivateConnection};
use super::facts::Facts;

/// How long a request may wait before somebody should look at it.
const TOO_LONG_DAYS: i64 = 7;

/// Whose a connection is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    /// From one of the connection's own subscriptions, of an attachment, or approved by a policy.
    Ours,
    /// A rule of the managed network accounts for it.
    Managed,
    /// Nothing accounts for it, and these are the words for that.
    Stranger(String),
    /// It cannot be told, for this reason.
    Unknown(String),
}

/// Connections on one resource, each with whose it is.
pub(super) type Attributed<'a> = Vec<(&'a PrivateConnection, Whose)>;

pub(super) fn of_dependency<'a>(facts: &Facts<'_>, dependency: &'a Dependency) -> Attributed<'a> {
    let connections = dependency.shown.as_ref().map(|shown| shown.connections.as_slice()).unwrap_or_default();
    attribute(facts, &dependency.id, connections)
}

/// The connections of the workspace itself.
pub(super) fn of_workspace(facts: &Facts<'_>) -> Vec<PrivateConnection> {
    let connections = facts.workspace.properties.private_endpoint_connections.iter().flatten();
    let read = connections.map(|connection| {
        let own = &connection.properties;
        let name = connection.name.as_deref().unwrap_or_default();
        PrivateConnection {
            id: format!("{}/privateEndpointConnections/{name}", facts.id),
            endpoint: own.private_endpoint.as_ref().and_then(|endpoint| endpoint.id.clone()).unwrap_or_default(),
            state: own
                .private_link_service_connection_state
                .as_ref()
                .and_then(|state| state.status.clone())
                .unwrap_or_default(),
            created: None,
        }
    });
    read.collect()
}

/// The names of rules that lead to `target`: those in force account for approved connections, the others for pending ones.
fn rules_to(facts: &Facts<'_>, target: &str, active: bool) -> Vec<String> {
    let leads = |id: Option<&str>| id.is_some_and(|id| id.eq_ignore_ascii_case(target));
    let own = facts.rules.iter().filter(|rule| {
        rule.is_active() == active
            && leads(
                rule.properties
                    .get("destination")
                    .and_then(|destination| destination.get("serviceResourceId")?.as_str()),
            )
    });
    let own = own.map(|rule| rule.name.clone());
    let others = facts.rules_of_others.iter().filter(|rule| active && leads(Some(&rule.target)));
    own.chain(others.map(|rule| rule.name.clone())).collect()
}

pub(super) fn attribute<'a>(facts: &Facts<'_>, target: &str, connections: &'a [PrivateConnection]) -> Attributed<'a> {
    let mut attributed: Attributed<'a> = Vec::new();
    for (state, active) in [("Approved", true), ("Pending", false)] {
        let mut foreign = Vec::new();
        for connection in connections.iter().filter(|connection| connection.is(state)) {
            match ours(facts, &connection.endpoint) {
                Some(whose) => attributed.push((connection, whose)),
                None => foreign.push(connection),
            }
        }
        attributed.extend(managed(foreign, &rules_to(facts, target, active), facts.others_unseen));
    }
    attributed
}

/// `None` if it lies in a subscription of others, and nothing but a rule could account for it.
fn ours(facts: &Facts<'_>, endpoint: &str) -> Option<Whose> {
    let Ok(id) = ArmId::parse(endpoint) else {
        return Some(Whose::Unknown("Azure does not say from which endpoint".to_owned()));
    };
    let known =
        facts.is_own(id.subscription()) || facts.is_attached(endpoint) || facts.approved_by_policy.contains(&id.key());
    known.then_some(Whose::Ours)
}

/// Which of the foreign connections the rules account for. Endpoints of service-made rules carry their rule's name (seen in the field), so
/// that such a rule accounts for no other; what a user's rule calls its endpoint, no source tells, so those are only counted.
fn managed<'a>(foreign: Vec<&'a PrivateConnection>, rules: &[String], others_unseen: bool) -> Attributed<'a> {
    let named = |connection: &PrivateConnection| {
        connection.endpoint.rsplit('/').next().unwrap_or_default().to_ascii_lowercase()
    };
    let mut by_name: BTreeMap<String, Vec<&PrivateConnection>> = BTreeMap::new();
    for connection in foreign {
        by_name.entry(named(connection)).or_default().push(connection);
    }
    let mut unnamed_rules = 0;
    let mut attributed = Attributed::new();
    for rule in rules {
        match by_name.remove(&rule.to_ascii_lowercase()) {
            None => unnamed_rules += usize::from(!rule.starts_with("__SYS_")),
            Some(alike) if alike.len() == 1 => attributed.extend(alike.into_iter().map(|one| (one, Whose::Managed))),
            Some(alike) => {
                let words = format!("{} endpoints carry the name of the rule {rule}, which has only one", alike.len());
                attributed.extend(alike.into_iter().map(|one| (one, Whose::Stranger(words.clone()))));
            }
        }
    }
    let rest: Vec<&PrivateConnection> = by_name.into_values().flatten().collect();
    let whose = match rest.len() {
        more if more > unnamed_rules && others_unseen => Whose::Unknown(
            "a rule of another workspace of this cluster may account for it, and not all of them have been looked at yet".to_owned(),
        ),
        more if more > unnamed_rules => {
            let words = if unnamed_rules == 0 {
                "no own subscription, VnetAttachment, policy or outbound rule accounts for it".to_owned()
            } else {
                format!(
                    "{more} endpoints lie in subscriptions of others, and only {unnamed_rules} outbound rules can account for one each"
                )
            };
            Whose::Stranger(words)
        }
        _ => Whose::Managed,
    };
    attributed.extend(rest.into_iter().map(|one| (one, whose.clone())));
    attributed
}

pub(super) fn judge(facts: &Facts<'_>) -> Vec<Sight> {
    let own = of_workspace(facts);
    let mut sights = Vec::new();
    // A project is reached through its hub's endpoints, whose object speaks of them.
    if !facts.workspace.is_project() {
        sights.extend(on(facts, facts.id.as_str(), attribute(facts, facts.id.as_str(), &own)));
    }
    for dependency in facts.dependencies {
        match &dependency.shown {
            // A component is reached through a private link scope, which has the connections.
            Ok(_) if dependency.kind == super::DependencyKind::Insights => {}
            Ok(_) => sights.extend(on(facts, &dependency.id, of_dependency(facts, dependency))),
            Err(_) if dependency.kind == super::DependencyKind::Insights => {}
            Err(why) => {
                let unknown =
                    |check| Sight::unknown(check, &dependency.id, format!("its connections are not known: {why}"));
                sights.extend(CHECKS.map(unknown));
            }
        }
    }
    sights
}

const CHECKS: [Check; 3] =
    [Check::ConnectionStrangerApproved, Check::ConnectionStrangerPending, Check::ConnectionPendingTooLong];

fn on(facts: &Facts<'_>, target: &str, attributed: Attributed<'_>) -> Vec<Sight> {
    let mut sights = Vec::new();
    for (connection, whose) in attributed {
        let approved = connection.is("Approved");
        let stranger = if approved { Check::ConnectionStrangerApproved } else { Check::ConnectionStrangerPending };
        // What asks is what a reader looks for, and what a waiver names.
        let who = if connection.endpoint.is_empty() { &connection.id } else { &connection.endpoint };
        let is = if approved { "is approved" } else { "asks to be approved" };
        match whose {
            Whose::Stranger(why) => {
                sights.push(Sight::fail(stranger, who, format!("it {is} on {target}: {why}")).about(&connection.id));
                continue;
            }
            Whose::Unknown(why) => {
                let evidence = format!("a connection {is} on {target}: {why}");
                sights.push(Sight::unknown(stranger, who, evidence).about(&connection.id));
            }
            Whose::Ours | Whose::Managed => {}
        }
        if !approved {
            sights.extend(waiting(facts, target, connection, who));
        }
    }
    for check in CHECKS {
        if !sights.iter().any(|sight| sight.check == check) {
            sights.push(Sight::pass(check, target));
        }
    }
    sights
}

/// A pending connection of somebody known, if it has waited for too long, or nobody knows since when.
fn waiting(facts: &Facts<'_>, target: &str, connection: &PrivateConnection, who: &str) -> Option<Sight> {
    let check = Check::ConnectionPendingTooLong;
    let since: Option<Timestamp> =
        connection.created.or_else(|| facts.first_seen.get(&connection.endpoint.to_ascii_lowercase()).copied());
    let Some(since) = since else {
        return Some(Sight::unknown(check, who, format!("it waits on {target}, and since when is not known")));
    };
    let days = facts.now.duration_since(since).as_hours() / 24;
    let evidence = format!("it has been waiting on {target} since {}", crate::api::condition::rfc3339(since));
    (days >= TOO_LONG_DAYS).then(|| Sight::fail(check, who, evidence).about(&connection.id))
}
