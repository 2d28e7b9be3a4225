//! What ARM shows of a resource that a workspace depends on, as far as the posture goes.
//!
//! Defaults that ARM's specifications state count as stated (Storage 2023-05-01, KeyVault 2024-11-01, ContainerRegistry 2023-07-01,
//! Insights 2020-02-02): what says nothing of its public access can be reached publicly, and what says nothing of shared keys takes them.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use serde_json::Value;

/// What a resource is for the workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DependencyKind {
    /// Its default storage account.
    Storage,
    /// Its key vault.
    Vault,
    /// Its container registry.
    Registry,
    /// Its Application Insights component.
    Insights,
}

/// A resource that the workspace depends on.
#[derive(Clone, Debug, PartialEq)]
pub struct Dependency {
    /// What it is for the workspace.
    pub kind: DependencyKind,
    /// Its ARM id.
    pub id: String,
    /// What ARM shows. The error says why that is not known.
    pub shown: Result<Shown, String>,
}

/// Who reaches a resource by its public address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Nobody.
    Closed,
    /// These addresses and subnets.
    Selected(Vec<String>),
    /// Everybody.
    Open(String),
}

/// A private endpoint's connection on a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrivateConnection {
    /// ARM id of the connection; some providers state only that, others only its name.
    pub id: String,
    /// ARM id of the endpoint, as ARM states it.
    pub endpoint: String,
    /// `Pending`, `Approved`, `Rejected`, `Disconnected`.
    pub state: String,
    /// Since when it is there, where ARM says so.
    pub created: Option<Timestamp>,
}

/// What ARM shows of a resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Who reaches it publicly.
    pub exposure: Exposure,
    /// Subnets that come in by a service endpoint.
    pub subnets: Vec<String>,
    /// Its connections.
    pub connections: Vec<PrivateConnection>,
    /// Storage: whether it takes shared keys.
    pub shared_keys: Option<bool>,
    /// Storage: whether containers can be opened to everybody.
    pub anonymous: Option<bool>,
    /// Registry: whether the admin user is on.
    pub admin_user: Option<bool>,
}

/// More addresses than a company has: a /16, 65,536 of them.
const VERY_MANY: u128 = 1 << 16;

impl Shown {
    /// Reads what ARM answered about a resource of this kind.
    pub fn read(kind: DependencyKind, answer: &Value) -> Self {
        let properties = &answer["properties"];
        let connections = properties["privateEndpointConnections"].as_array().into_iter().flatten();
        let acls = if kind == DependencyKind::Registry { "networkRuleSet" } else { "networkAcls" };
        let subnets = properties[acls]["virtualNetworkRules"].as_array().into_iter().flatten();
        Self {
            exposure: exposure(kind, properties, &properties[acls]),
            subnets: subnets.filter_map(|rule| rule["id"].as_str().map(ToOwned::to_owned)).collect(),
            connections: connections.map(PrivateConnection::read).collect(),
            shared_keys: match &properties["allowSharedKeyAccess"] {
                Value::Bool(allowed) => Some(*allowed),
                // "The default value is null, which is equivalent to true."
                Value::Null => Some(true),
                _ => None,
            },
            anonymous: properties["allowBlobPublicAccess"].as_bool(),
            admin_user: properties["adminUserEnabled"].as_bool(),
        }
    }
}

impl PrivateConnection {
    /// Reads one of a resource's connections.
    pub fn read(value: &Value) -> Self {
        let properties = &value["properties"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let name = text(&value["name"]);
        Self {
            id: if value["id"].is_string() { text(&value["id"]) } else { name },
            endpoint: text(&properties["privateEndpoint"]["id"]),
            state: text(&properties["privateLinkServiceConnectionState"]["status"]),
            created: value["systemData"]["createdAt"].as_str().and_then(|at| at.parse().ok()),
        }
    }

    pub(super) fn is(&self, state: &str) -> bool {
        self.state.eq_ignore_ascii_case(state)
    }
}

fn is(value: &Value, word: &str) -> bool {
    value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(word))
}

fn exposure(kind: DependencyKind, properties: &Value, acls: &Value) -> Exposure {
    if kind == DependencyKind::Insights {
        let open: Vec<&str> = ["publicNetworkAccessForIngestion", "publicNetworkAccessForQuery"]
            .into_iter()
            .filter(|field| !is(&properties[*field], "Disabled") && !is(&properties[*field], "SecuredByPerimeter"))
            .collect();
        return if open.is_empty() { Exposure::Closed } else { Exposure::Open(said(properties, &open)) };
    }
    let public = &properties["publicNetworkAccess"];
    // A perimeter's own rules decide then, which are no part of the resource.
    if is(public, "Disabled") || is(public, "SecuredByPerimeter") {
        return Exposure::Closed;
    }
    if !is(&acls["defaultAction"], "Deny") {
        return Exposure::Open(format!(
            "{}, and defaultAction is {}",
            said(properties, &["publicNetworkAccess"]),
            acls["defaultAction"].as_str().unwrap_or("not stated, which means Allow")
        ));
    }
    let addresses = acls["ipRules"].as_array().into_iter().flatten();
    Exposure::Selected(addresses.filter_map(|rule| rule["value"].as_str().map(ToOwned::to_owned)).collect())
}

fn said(properties: &Value, fields: &[&str]) -> String {
    let words = |field: &&str| {
        let value = properties[*field].as_str().unwrap_or("not stated, which means Enabled");
        format!("{field} is {value}")
    };
    fields.iter().map(words).collect::<Vec<_>>().join(", ")
}

/// The widest of `addresses`, if together they are very many. What cannot be read could be anything.
pub(super) fn wide(addresses: &[String]) -> Option<String> {
    let read = |text: &String| text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    if let Some(odd) = addresses.iter().find(|text| read(text).is_err()) {
        return Some(format!("{odd}, which is no address"));
    }
    let nets: Vec<IpNet> = addresses.iter().filter_map(|text| read(text).ok()).collect();
    let size =
        |net: &IpNet| 1_u128.checked_shl(u32::from(net.max_prefix_len() - net.prefix_len())).unwrap_or(u128::MAX);
    let all = IpNet::aggregate(&nets).iter().map(size).fold(0_u128, u128::saturating_add);
    // Of IPv6, a single customer has a /56 at least.
    let v4_only = nets.iter().all(|net| matches!(net, IpNet::V4(_)));
    let limit = if v4_only { VERY_MANY } else { 1 << 72 };
    let widest = nets.iter().max_by_key(|net| size(net))?;
    (all > limit).then(|| format!("{widest}; {all} addresses in all"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn who_reaches_a_resource_is_read_with_the_defaults_that_azure_documents() {
        use DependencyKind::{Insights, Registry, Storage, Vault};
        let selected = |addresses: &[&str]| Exposure::Selected(addresses.iter().map(ToString::to_string).collect());
        for (kind, properties, want) in [
            (Storage, json!({"publicNetworkAccess": "Disabled"}), Exposure::Closed),
            (
                Vault,
                json!({"publicNetworkAccess": "disabled", "networkAcls": {"defaultAction": "Allow"}}),
                Exposure::Closed,
            ),
            (Storage, json!({"publicNetworkAccess": "SecuredByPerimeter"}), Exposure::Closed),
            (
                Storage,
                json!({"networkAcls": {"defaultAction": "Deny", "ipRules": [{"value": "20.1.2.3"}]}}),
                selected(&["20.1.2.3"]),
            ),
            (
                Vault,
                json!({"publicNetworkAccess": "Enabled", "networkAcls": {"defaultAction": "Deny", "ipRules": null}}),
                selected(&[]),
            ),
            (
                Registry,
                json!({"networkRuleSet": {"defaultAction": "Deny", "ipRules": [{"value": "1.2.3.0/24"}]}}),
                selected(&["1.2.3.0/24"]),
            ),
            (
                Insights,
                json!({"publicNetworkAccessForIngestion": "Disabled", "publicNetworkAccessForQuery": "Disabled"}),
                Exposure::Closed,
            ),
        ] {
            assert_eq!(Shown::read(kind, &json!({ "properties": properties })).exposure, want, "{kind:?} {properties}");
        }
        for (kind, properties) in [
            (Storage, json!({})),
            (Vault, json!({"networkAcls": null})),
            (Registry, json!({"publicNetworkAccess": "Enabled", "networkAcls": {"defaultAction": "Deny"}})),
            (Insights, json!({"publicNetworkAccessForIngestion": "Disabled"})),
        ] {
            let read = Shown::read(kind, &json!({ "properties": properties })).exposure;
            assert!(matches!(read, Exposure::Open(_)), "{kind:?} {properties}: {read:?}");
        }
    }

    #[test]
    fn very_many_addresses_are_told_from_some() {
        let wide = |addresses: &[&str]| wide(&addresses.iter().map(ToString::to_string).collect::<Vec<_>>()).is_some();
        assert!(!wide(&[]) && !wide(&["20.1.2.3"]) && !wide(&["20.1.0.0/16"]) && !wide(&["2001:db8::/56"]));
        assert!(wide(&["20.0.0.0/8"]) && wide(&["20.1.0.0/16", "20.2.0.0/16"]) && wide(&["0.0.0.0/0"]));
        assert!(wide(&["0.0.0.0/1", "128.0.0.0/1"]) && wide(&["::/0"]) && wide(&["everybody"]));
        assert!(!wide(&["20.1.0.0/16", "20.1.2.3"]), "what is in it already is not counted twice");
    }

    #[test]
    fn a_connection_is_read_whatever_its_provider_leaves_out() {
        let vault = PrivateConnection::read(&json!({"id": "/v/c", "properties": {"privateEndpoint": {"id": "/pe"},
            "privateLinkServiceConnectionState": {"status": "Pending"}}}));
        assert_eq!((vault.id.as_str(), vault.endpoint.as_str(), vault.is("pending")), ("/v/c", "/pe", true));
        let dated = PrivateConnection::read(
            &json!({"name": "c", "properties": {}, "systemData": {"createdAt": "2026-01-01T00:00:00Z"}}),
        );
        assert_eq!(dated.id, "c");
        assert!(dated.created.is_some() && dated.endpoint.is_empty());
    }
}
