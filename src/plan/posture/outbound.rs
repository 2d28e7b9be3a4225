//! What the workspace, and what runs in its network, may reach.

use serde_json::Value;

use crate::api::workspace::Check;
use crate::azure::machine_learning::OutboundRule;
use crate::plan::cover;

use super::Sight;
use super::facts::Facts;

pub(super) fn judge(facts: &Facts<'_>) -> Vec<Sight> {
    let mut sights = Vec::new();
    // A project lives in its hub's network, whose object speaks of that.
    if !facts.workspace.is_project() {
        sights.extend(network(facts));
        sights.extend(rules(facts));
    }
    for compute in facts.computes {
        let check = Check::ComputeNotIsolated;
        let id = format!("{}/computes/{}", facts.id, compute.name);
        sights.push(match compute.isolated {
            Some(isolated) => Sight::of(check, &id, !isolated, compute.why.clone()),
            None => Sight::unknown(check, &id, compute.why.clone()),
        });
    }
    sights
}

fn network(facts: &Facts<'_>) -> Vec<Sight> {
    let id = facts.id.as_str();
    let mode = facts.workspace.isolation_mode();
    let is = |word: &str| mode.eq_ignore_ascii_case(word);
    let isolation = if is("AllowOnlyApprovedOutbound") {
        Sight::pass(Check::IsolationMode, id)
    } else if is("AllowInternetOutbound") {
        Sight::fail(
            Check::IsolationMode,
            id,
            "the isolation mode is AllowInternetOutbound: data can be carried anywhere",
        )
    } else if is("Disabled") {
        Sight::fail(Check::IsolationMode, id, "there is no managed network (isolation mode Disabled)")
    } else {
        Sight::unknown(
            Check::IsolationMode,
            id,
            format!("Azure shows the isolation mode {mode}, which this version does not know"),
        )
    };
    let network = facts.workspace.properties.managed_network.as_ref();
    let status = network.and_then(|network| network.status.as_ref()).and_then(|status| status.status.as_deref());
    let active = match status {
        _ if is("Disabled") => Sight::pass(Check::ManagedNetworkInactive, id),
        None => Sight::unknown(
            Check::ManagedNetworkInactive,
            id,
            "Azure does not state whether the managed network is built",
        ),
        Some(status) => {
            let fails = !status.eq_ignore_ascii_case("Active");
            Sight::of(
                Check::ManagedNetworkInactive,
                id,
                fails,
                format!("the managed network is {status}: rules are not in force yet"),
            )
        }
    };
    vec![isolation, active]
}

fn rules(facts: &Facts<'_>) -> Vec<Sight> {
    let mut sights = Vec::new();
    for rule in facts.rules {
        let id = format!("{}/outboundRules/{}", facts.id, rule.name);
        // While the network is not built no rule is in force, which is said once.
        if facts.workspace.network_active() && !rule.is_moving() {
            sights.push(in_force(rule, &id));
        }
        // What the service made it needs.
        if rule.is_user_defined() {
            sights.extend(breadth(rule, &id));
        }
    }
    sights
}

fn in_force(rule: &OutboundRule, id: &str) -> Sight {
    let check = Check::RuleNotActive;
    let Some(status) = rule.status() else {
        return Sight::unknown(check, id, "Azure does not state whether the rule is in force");
    };
    let why = rule.error_information().map(|words| format!(": {}", super::names::plain(words))).unwrap_or_default();
    if !rule.is_active() {
        return Sight::fail(check, id, format!("the rule is {status}{why}"));
    }
    Sight::of(check, id, rule.spark_is_behind(), "the rule is active, but not for Spark, for which it is declared too")
}

fn breadth(rule: &OutboundRule, id: &str) -> Option<Sight> {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    let destination = rule.properties.get("destination");
    let member = |key: &str| destination.and_then(|destination| destination.get(key));
    let type_ = text(rule.properties.get("type"));
    if type_.eq_ignore_ascii_case("FQDN") {
        let host = text(destination);
        return Some(Sight::of(
            Check::RuleWildcardFqdn,
            id,
            host.contains('*'),
            format!("the rule lets out to {host}"),
        ));
    }
    if !type_.eq_ignore_ascii_case("ServiceTag") {
        return None;
    }
    let tag = text(member("serviceTag"));
    let prefixes = member("addressPrefixes").and_then(Value::as_array).is_some_and(|prefixes| !prefixes.is_empty());
    let allows = !text(member("action")).eq_ignore_ascii_case("Deny");
    let broad = allows && !prefixes && cover::is_broad(&tag);
    let evidence = format!("the rule lets out to {tag}, which stands for other customers' resources too");
    Some(Sight::of(Check::RuleBroadServiceTag, id, broad, evidence))
}
