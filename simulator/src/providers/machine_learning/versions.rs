//! Which api-version has which member. One truth is stored; every version takes and shows its own view of it.
//!
//! Computed from the bicep types of each version and compared with the OpenAPI files of 2024-04-01, 2024-10-01 and
//! their previews.

use serde_json::{Map, Value};

use crate::call::{Answer, Call};
use crate::http::Payload;

use super::WORKSPACE;

/// The versions that are served, after older ones that only some paths take.
macro_rules! versions {
    ($($older:literal),*) => {
        &[
            $($older,)*
            "2023-08-01-preview",
            "2023-10-01",
            "2024-04-01",
            "2024-07-01-preview",
            "2024-10-01",
            "2024-10-01-preview",
            "2025-04-01",
            "2025-06-01",
            "2025-09-01",
            "2025-10-01-preview",
            "2025-12-01",
            "2026-03-01",
            "2026-03-15-preview",
            "2026-05-01",
        ]
    };
}

/// Versions of workspaces, rules, provisioning and computes.
pub(super) const ALL: &[&str] = versions!();

/// Versions in which workspaces can be read: these, and the one of azure-mgmt-machinelearningservices 1.0.1.
pub(super) const READ: &[&str] = versions!("2020-08-01");

/// Versions of private endpoint connections: 2021-01-01 is the one with which azure-cli approves them.
pub(super) const CONNECTIONS: &[&str] = versions!("2020-08-01", "2021-01-01");

/// Versions in which keys are listed: the recording asks for them at an old one.
pub(super) const KEYS: &[&str] = versions!("2021-07-01");

/// Versions with the `managedNetworks` child resource: previews only.
pub(super) const MANAGED_NETWORKS: &[&str] = &["2024-10-01-preview", "2025-10-01-preview", "2026-03-15-preview"];

/// The previews.
pub(super) const PREVIEWS: &[&str] =
    &["2023-08-01-preview", "2024-07-01-preview", "2024-10-01-preview", "2025-10-01-preview", "2026-03-15-preview"];

/// Where a member stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// `properties` of a workspace.
    Workspace,
    /// `encryption` of a workspace.
    Encryption,
    /// `managedNetwork` of a workspace.
    Network,
    /// A rule.
    Rule,
    /// The `destination` of a rule.
    Destination,
    /// `properties.properties` of a compute.
    Compute,
}

/// The first version of each kind that has something, without `-preview`.
struct Since {
    stable: Option<&'static str>,
    preview: Option<&'static str>,
}

impl Since {
    fn covers(&self, version: &str) -> bool {
        match version.strip_suffix("-preview") {
            Some(date) => self.preview.is_some_and(|since| date >= since),
            None => self.stable.is_some_and(|since| version >= since),
        }
    }
}

/// A member that not every version has.
struct Member {
    place: Place,
    name: &'static str,
    since: Since,
    /// Shown by every version: older ones show it read-only, or a recording has it in a version that does not declare it.
    always_shown: bool,
}

const fn member(
    place: Place,
    name: &'static str,
    stable: Option<&'static str>,
    preview: Option<&'static str>,
) -> Member {
    Member { place, name, since: Since { stable, preview }, always_shown: false }
}

const fn shown(member: Member) -> Member {
    Member { always_shown: true, ..member }
}

const MEMBERS: &[Member] = &[
    member(Place::Workspace, "provisionNetworkNow", Some("2025-06-01"), Some("2024-10-01")),
    member(Place::Workspace, "systemDatastoresAuthMode", Some("2025-06-01"), Some("2023-02-01")),
    member(Place::Workspace, "enableServiceSideCMKEncryption", Some("2025-09-01"), Some("2024-07-01")),
    // The recording of 2024-04-01 shows the next three, which that version does not declare.
    shown(member(Place::Workspace, "ipAllowlist", None, Some("2024-01-01"))),
    shown(member(Place::Workspace, "allowRoleAssignmentOnRG", None, Some("2024-07-01"))),
    shown(member(Place::Workspace, "enableSoftwareBillOfMaterials", None, Some("2024-07-01"))),
    member(Place::Workspace, "networkAcls", None, Some("2024-10-01")),
    member(Place::Workspace, "softDeleteRetentionInDays", None, Some("2024-07-01")),
    member(Place::Workspace, "enableSimplifiedCmk", None, Some("2024-07-01")),
    member(Place::Workspace, "storageAccounts", None, Some("2024-07-01")),
    member(Place::Workspace, "keyVaults", None, Some("2024-07-01")),
    member(Place::Workspace, "containerRegistries", None, Some("2024-07-01")),
    member(Place::Workspace, "existingWorkspaces", None, Some("2024-07-01")),
    member(Place::Encryption, "cosmosDbResourceId", Some("2025-12-01"), Some("2024-07-01")),
    member(Place::Encryption, "searchAccountResourceId", Some("2025-12-01"), Some("2024-07-01")),
    member(Place::Encryption, "storageAccountResourceId", Some("2025-12-01"), Some("2024-07-01")),
    member(Place::Network, "firewallSku", Some("2024-10-01"), Some("2024-10-01")),
    member(Place::Network, "managedNetworkKind", Some("2025-04-01"), Some("2024-10-01")),
    member(Place::Network, "firewallPublicIpAddress", Some("2025-04-01"), Some("2024-10-01")),
    member(Place::Network, "enableNetworkMonitor", Some("2025-09-01"), Some("2024-10-01")),
    // Recorded too, for a network that is Disabled.
    shown(member(Place::Network, "changeableIsolationModes", None, Some("2023-08-01"))),
    member(Place::Rule, "errorInformation", Some("2025-04-01"), Some("2024-10-01")),
    member(Place::Rule, "parentRuleNames", Some("2025-04-01"), Some("2024-04-01")),
    member(Place::Rule, "fqdns", Some("2025-12-01"), Some("2024-07-01")),
    member(Place::Compute, "idleTimeBeforeShutdown", Some("2025-12-01"), Some("2023-08-01")),
    member(Place::Compute, "enableOSPatching", None, Some("2024-07-01")),
    member(Place::Compute, "enableRootAccess", None, Some("2024-07-01")),
    member(Place::Compute, "releaseQuotaOnStop", None, Some("2024-07-01")),
    shown(member(Place::Destination, "addressPrefixes", Some("2025-12-01"), Some("2024-07-01"))),
];

/// Rules have the states `Provisioning`, `Failed` and `Deleting`.
const LONG_STATUS: Since = Since { stable: Some("2025-04-01"), preview: Some("2024-10-01") };

/// `systemDatastoresAuthMode` may be `UserDelegationSAS`.
pub(super) fn has_user_delegation(version: &str) -> bool {
    Since { stable: Some("2025-06-01"), preview: Some("2024-10-01") }.covers(version)
}

/// Which way a document goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

fn prune(members: Option<&mut Map<String, Value>>, place: Place, version: &str, way: Way) {
    let Some(members) = members else { return };
    let hidden = MEMBERS.iter().filter(|member| member.place == place && !member.since.covers(version));
    for member in hidden.filter(|member| way == Way::In || !member.always_shown) {
        members.remove(member.name);
    }
}

fn rule_view(rule: &mut Value, version: &str, way: Way) {
    prune(rule.as_object_mut(), Place::Rule, version, way);
    prune(rule.get_mut("destination").and_then(Value::as_object_mut), Place::Destination, version, way);
    if way == Way::Out && !LONG_STATUS.covers(version) {
        // Chosen: what such a version cannot say is not active.
        for status in ["/status", "/destination/sparkStatus"] {
            if let Some(status) = rule.pointer_mut(status).filter(|status| *status != "Active") {
                *status = "Inactive".into();
            }
        }
    }
}

fn network_view(network: Option<&mut Value>, version: &str, way: Way) {
    let Some(network) = network else { return };
    prune(network.as_object_mut(), Place::Network, version, way);
    for rule in network.get_mut("outboundRules").and_then(Value::as_object_mut).into_iter().flatten() {
        rule_view(rule.1, version, way);
    }
}

fn workspace_view(document: &mut Value, version: &str, way: Way) {
    let Some(properties) = document.get_mut("properties") else { return };
    prune(properties.as_object_mut(), Place::Workspace, version, way);
    prune(properties.get_mut("encryption").and_then(Value::as_object_mut), Place::Encryption, version, way);
    network_view(properties.get_mut("managedNetwork"), version, way);
}

/// The part of a workspace's body that a version has.
pub(super) fn workspace_taken(mut body: Value, version: &str) -> Value {
    workspace_view(&mut body, version, Way::In);
    body
}

/// The part of a rule's properties that a version has.
pub(super) fn rule_taken(mut rule: Value, version: &str) -> Value {
    rule_view(&mut rule, version, Way::In);
    rule
}

/// The part of a compute's own properties that a version has.
pub(super) fn compute_taken(mut compute: Value, version: &str) -> Value {
    prune(compute.as_object_mut(), Place::Compute, version, Way::In);
    compute
}

fn document_view(document: &mut Value, version: &str) {
    if let Some(items) = document.get_mut("value").and_then(Value::as_array_mut) {
        items.iter_mut().for_each(|item| document_view(item, version));
        return;
    }
    let kind = document["type"].as_str().unwrap_or_default();
    if kind == WORKSPACE {
        workspace_view(document, version, Way::Out);
    } else if kind.ends_with("/outboundRules") {
        rule_view(&mut document["properties"], version, Way::Out);
    } else if kind.ends_with("/computes") {
        let properties = document.pointer_mut("/properties/properties").and_then(Value::as_object_mut);
        prune(properties, Place::Compute, version, Way::Out);
    }
}

/// Answers as the call's version does, with the headers that AML's answers carry in recordings.
pub(super) fn answer(call: &mut Call<'_>, run: fn(&mut Call<'_>) -> Answer) -> Answer {
    let mut reply = run(call)?;
    if let Payload::Json(document) = &mut reply.payload {
        document_view(document, &call.api_version);
    }
    Ok(reply.header("x-ms-response-type", "standard").header("x-request-time", "0.020"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn stables_and_previews_count_apart() {
        let acls = |version| {
            let body = json!({ "properties": { "networkAcls": {}, "description": "x" } });
            workspace_taken(body, version)["properties"].get("networkAcls").is_some()
        };
        for (version, has) in [
            ("2023-08-01-preview", false),
            ("2024-10-01", false),
            ("2024-10-01-preview", true),
            ("2025-12-01", false),
            ("2026-03-15-preview", true),
            ("2026-05-01", false),
        ] {
            assert_eq!(acls(version), has, "{version}");
        }
    }

    #[test]
    fn an_old_version_shows_no_state_that_it_does_not_know() {
        let rule = json!({ "type": "Microsoft.MachineLearningServices/workspaces/outboundRules", "properties": {
            "status": "Failed", "errorInformation": "no", "fqdns": [], "destination": { "sparkStatus": "Active" } } });
        let view = |version| {
            let mut list = json!({ "value": [rule] });
            document_view(&mut list, version);
            list["value"][0]["properties"].clone()
        };
        assert_eq!(view("2024-10-01"), json!({ "status": "Inactive", "destination": { "sparkStatus": "Active" } }));
        assert_eq!(view("2025-12-01"), rule["properties"]);
    }
}
