//! Whether the workspace's managed network leads to a place in a storage account, and if not, the rule that would.

use crate::api::condition::{ConditionDraft, ConditionStatus};
use crate::api::datastore::Place;
use crate::api::ids::ArmId;
use crate::api::workspace::IsolationMode;
use crate::azure::machine_learning::{OutboundRule, Workspace};
use crate::azure::storage::Account;
use crate::plan::cover;
use crate::plan::rule_body::RuleBody;

use super::DatastoreInput;

/// Says whether the workspace's managed network leads to the place.
pub const REACHABLE: &str = "Reachable";
/// The port on which storage accounts are asked; shares are mounted by another one besides.
const HTTPS: u16 = 443;
const SMB: u16 = 445;
/// The longest name that a suggested rule takes from its datastore, so that it stays one that Kubernetes takes.
const NAME: usize = 56;

/// An OutboundRule that is to lead to the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coming {
    /// Namespace and name.
    pub name: String,
    /// What its Ready condition says.
    pub reason: String,
}

/// How a rule of the workspace leads to the place.
struct Way<'a> {
    rule: &'a OutboundRule,
    reason: &'static str,
    /// It leads to the account's public address, which has to let everybody in.
    public: bool,
}

fn draft(status: ConditionStatus, reason: &str, message: String) -> ConditionDraft {
    ConditionDraft { type_: REACHABLE, status, reason: reason.to_owned(), message }
}

/// Judges, and writes down the missing rule if one would help.
pub(super) fn judge(
    input: &DatastoreInput<'_>,
    shown: &Workspace,
    (place, account): (&Place<'_>, &ArmId),
    found: &Account,
) -> (ConditionDraft, Option<String>) {
    use ConditionStatus::{False, True, Unknown};
    let what = format!("{}/{}", account.name(), place.subresource);
    let open = is_open(found);
    if shown.is_project() {
        let message =
            "the workspace is a project and lives in its hub's network; see what leads out of that".to_owned();
        return (draft(Unknown, "HubNetwork", message), None);
    }
    let mode = shown.isolation_mode();
    if mode.eq_ignore_ascii_case(IsolationMode::Disabled.as_str()) {
        if open {
            let message =
                format!("{what} lets everybody in who has the rights, and nothing keeps the workspace's computes");
            return (draft(True, "PublicAccess", message), None);
        }
        let message = format!(
            "{what} is closed to the public and the workspace has no managed network, so that it takes a way from the networks of its \
             computes, which is not looked at"
        );
        return (draft(Unknown, "NoManagedNetwork", message), None);
    }
    let rules = &input.site.view.rules;
    let mut ways: Vec<Way<'_>> = rules.iter().filter_map(|rule| way(rule, (place, account), found)).collect();
    // What is in force tells more than what is not, and a private endpoint more than an open account.
    ways.sort_by_key(|way| (!way.rule.is_active(), way.public));
    let leads = |way: &&Way<'_>| way.rule.is_active() && (!way.public || open);
    if let Some(way) = ways.iter().find(leads).filter(|_| shown.network_active()) {
        let message = format!("rule {} leads to {what}", way.rule.name);
        return (draft(True, way.reason, message), None);
    }
    if mode.eq_ignore_ascii_case(IsolationMode::AllowInternetOutbound.as_str()) && open {
        let message = format!("{what} lets everybody in who has the rights, and the workspace may reach the internet");
        return (draft(True, "PublicAccess", message), None);
    }
    if let Some(way) = ways.iter().find(|way| !way.public) {
        let state = way.rule.status().unwrap_or("not in force");
        let message = format!("rule {} is to lead to {what}; Azure shows it as {state}", way.rule.name);
        return (draft(False, "RuleNotActive", message), None);
    }
    if let Some(coming) = &input.observed.coming {
        let message = format!("OutboundRule {} is to lead to {what}; it says {}", coming.name, coming.reason);
        return (draft(False, "RuleNotActive", message), None);
    }
    let message = format!(
        "nothing in the workspace's managed network leads to {what}. The OutboundRule in status.suggestedRule does: apply it in this \
         namespace, or have it applied"
    );
    (draft(False, "NoRule", message), Some(suggested(input, place, account)))
}

/// Whether the account lets everybody in by its public address who has the rights. Lists of addresses and networks never hold a managed
/// network, whose addresses change.
fn is_open(account: &Account) -> bool {
    let own = &account.properties;
    let is = |text: Option<&str>, wanted: &str| text.is_none_or(|text| text.eq_ignore_ascii_case(wanted));
    let rules = own.network_acls.as_ref().and_then(|rules| rules.default_action.as_deref());
    is(own.public_network_access.as_deref(), "Enabled") && is(rules, "Allow")
}

fn way<'a>(rule: &'a OutboundRule, (place, account): (&Place<'_>, &ArmId), found: &Account) -> Option<Way<'a>> {
    match RuleBody::observed(rule)? {
        RuleBody::PrivateEndpoint { resource_id, subresource, .. } => {
            let leads = resource_id.eq_ignore_ascii_case(account.as_str())
                && subresource.eq_ignore_ascii_case(place.subresource);
            leads.then_some(Way { rule, reason: "PrivateEndpoint", public: false })
        }
        RuleBody::Fqdn { host } => {
            let below = host.strip_prefix("*.");
            let covers = |name: &String| {
                below.map_or(host == *name, |below| name.strip_suffix(below).is_some_and(|rest| rest.ends_with('.')))
            };
            // Azure opens 80 and 443 for a host, and a share is mounted by neither.
            let leads = place.subresource != "file"
                && cover::storage_hosts(account.name(), place.subresource).any(|name| covers(&name));
            leads.then_some(Way { rule, reason: "Fqdn", public: true })
        }
        RuleBody::ServiceTag { tag, protocol, port_ranges, action, address_prefixes } => {
            let region: String =
                found.location.as_deref().unwrap_or_default().chars().filter(|c| !c.is_whitespace()).collect();
            let covers =
                ["Storage", "AzureCloud"].iter().any(|service| cover::tag(&tag, &format!("{service}.{region}")));
            let port = if place.subresource == "file" { SMB } else { HTTPS };
            let leads = covers
                && address_prefixes.is_empty()
                && action.eq_ignore_ascii_case("Allow")
                && ["TCP", "*"].contains(&protocol.as_str())
                && holds(&port_ranges, port);
            leads.then_some(Way { rule, reason: "ServiceTag", public: true })
        }
    }
}

/// Whether `port` is among `ranges`, as rules write them: `443`, `80,8080-8089`, `*`.
fn holds(ranges: &str, port: u16) -> bool {
    ranges.split(',').any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        range == "*"
            || matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(first), Ok(last)) if (first..=last).contains(&port))
    })
}

/// The rule that would lead to the place, as a manifest.
fn suggested(input: &DatastoreInput<'_>, place: &Place<'_>, account: &ArmId) -> String {
    let owner = input.site.owner;
    let reference = &input.spec.workspace_ref;
    let kept: String = owner.name.chars().take(NAME).collect();
    let elsewhere = reference.namespace.as_ref().filter(|namespace| **namespace != owner.namespace);
    let namespace = elsewhere.map_or_else(String::new, |namespace| format!("    namespace: {namespace}\n"));
    format!(
        "apiVersion: aml-operator.io/v1alpha1\nkind: OutboundRule\nmetadata:\n  name: {}-{}\n  namespace: {}\nspec:\n  workspaceRef:\n    \
         name: {}\n{namespace}  privateEndpoint:\n    resourceId: {account}\n    subresource: {}\n",
        kept.trim_end_matches(['-', '.']),
        place.subresource,
        owner.namespace,
        reference.name,
        place.subresource
    )
}

#[cfg(test)]
mod tests {
    use super::holds;

    #[test]
    fn a_port_is_found_in_lists_and_ranges() {
        for (ranges, want) in [
            ("443", true),
            ("80,443", true),
            ("80,440-450", true),
            ("*", true),
            ("80", false),
            ("x", false),
            ("", false),
        ] {
            assert_eq!(holds(ranges, 443), want, "{ranges}");
        }
    }
}
