//! The writes to one workspace, and the requests that carry them out.

use serde_json::{Map, Value, json};

use crate::api::common::WouldWrite;
use crate::api::ids::ArmId;
use crate::azure::machine_learning::{ADDRESSES_API_VERSION, API_VERSION, ManagedNetwork, OutboundRule};
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::rule_body::RuleBody;
use crate::plan::rules::RuleWrite;

use crate::plan::difference::{Difference, shorten};
pub use crate::plan::step::Request;

/// A write to one workspace.
#[derive(Clone, Debug, PartialEq)]
pub enum Write {
    /// PUT of the whole workspace.
    Create(Value),
    /// PATCH of what differs.
    Update(Value),
    /// POST `provisionManagedNetwork`.
    Provision(Value),
    /// One write of its rules.
    Rules(RuleWrite),
    /// DELETE of a private endpoint connection, by name, on the way to deleting the workspace.
    Disconnect(String),
    /// DELETE of the workspace.
    Delete,
    /// DELETE of what Azure keeps of a deleted workspace of that name.
    Purge,
}

/// What is said while the rules are written.
const RULES_CHANGE: &str = "Azure is changing the outbound rules";
/// The verb of the intent that purges: a deletion by the method, and something else to whoever follows it.
pub const PURGE: &str = "DELETE forceToPurge";

impl Write {
    /// The request that carries it out on workspace `id`. `network` is the managed network as ARM shows it, which a PATCH of the
    /// rules repeats, so that nothing beside the rules changes even if ARM replaces the whole member.
    pub fn request(&self, id: &ArmId, network: Option<&ManagedNetwork>) -> Request {
        let workspace = |method, verb, suffix: &str, body| Request {
            method,
            verb,
            path: format!("{id}{suffix}"),
            version: API_VERSION,
            id: format!("{id}{suffix}"),
            body,
        };
        match self {
            Self::Create(body) => workspace("PUT", "PUT", "", Some(body.clone())),
            Self::Update(body) => {
                let addresses = !body["properties"]["networkAcls"].is_null();
                let version = if addresses { ADDRESSES_API_VERSION } else { API_VERSION };
                Request { version, ..workspace("PATCH", "PATCH", "", Some(body.clone())) }
            }
            Self::Provision(body) => {
                workspace("POST", "POST provisionManagedNetwork", "/provisionManagedNetwork", Some(body.clone()))
            }
            Self::Disconnect(name) => {
                workspace("DELETE", "DELETE", &format!("/privateEndpointConnections/{name}"), None)
            }
            Self::Delete => workspace("DELETE", "DELETE", "", None),
            Self::Purge => Request { id: id.to_string(), ..workspace("DELETE", PURGE, "?forceToPurge=true", None) },
            Self::Rules(RuleWrite::Put { name, properties }) => {
                workspace("PUT", "PUT", &format!("/outboundRules/{name}"), Some(json!({ "properties": properties })))
            }
            Self::Rules(RuleWrite::Delete { name }) => {
                workspace("DELETE", "DELETE", &format!("/outboundRules/{name}"), None)
            }
            Self::Rules(RuleWrite::Patch { rules, .. }) => {
                let mut member = Map::new();
                if let Some(mode) = network.and_then(|network| network.isolation_mode.clone()) {
                    member.insert("isolationMode".into(), mode.into());
                }
                if let Some(sku) = network.and_then(|network| network.firewall_sku.clone()) {
                    member.insert("firewallSku".into(), sku.into());
                }
                member.insert("outboundRules".into(), Value::Object(rules.clone()));
                let body = json!({"properties": {"managedNetwork": member}});
                Request {
                    id: format!("{id}/outboundRules"),
                    ..workspace("PATCH", "PATCH outboundRules", "", Some(body))
                }
            }
        }
    }

    /// What is said while it is carried out; `sent` is what a PATCH changes.
    pub fn verdict(&self, sent: &[Difference]) -> Verdict {
        match self {
            Self::Update(_) if !sent.is_empty() => {
                let changes: Vec<String> = sent.iter().take(10).map(Difference::change).collect();
                let more = if sent.len() > 10 { " and more" } else { "" };
                Verdict::new(Reason::Updating, format!("Azure is changing the workspace: {}{more}", changes.join("; ")))
            }
            Self::Create(_) => under_way("PUT", ""),
            Self::Update(_) => under_way("PATCH", ""),
            Self::Provision(_) => under_way("POST provisionManagedNetwork", ""),
            Self::Rules(_) => Verdict::new(Reason::Updating, RULES_CHANGE),
            Self::Disconnect(name) => under_way("DELETE", &format!("/privateEndpointConnections/{name}")),
            Self::Delete => under_way("DELETE", ""),
            Self::Purge => under_way(PURGE, ""),
        }
    }

    /// What it would do, for `Observe`. `sent` is what a PATCH changes, `observed` the rules as they are.
    pub fn would(&self, id: &ArmId, sent: &[Difference], observed: &[OutboundRule]) -> Vec<WouldWrite> {
        let request = self.request(id, None);
        let whole = |verb: &str, id: String, from: Option<String>, to: Option<String>| WouldWrite {
            verb: verb.to_owned(),
            id,
            field: None,
            from: from.as_deref().map(shorten),
            to: to.as_deref().map(shorten),
        };
        match self {
            Self::Update(_) if !sent.is_empty() => sent
                .iter()
                .map(|difference| WouldWrite {
                    field: Some(difference.field.chars().take(256).collect()),
                    ..whole(request.verb, request.id.clone(), difference.found.clone(), difference.wanted.clone())
                })
                .collect(),
            Self::Rules(write) => {
                let short = |name: &String, properties: &Value| {
                    let properties = properties.as_object()?.clone();
                    RuleBody::observed(&OutboundRule { name: name.clone(), properties }).map(|body| body.short())
                };
                let has = |name: &String| {
                    let rule = observed.iter().find(|rule| rule.name.eq_ignore_ascii_case(name))?;
                    RuleBody::observed(rule).map(|body| body.short())
                };
                let names = write.names();
                let rule = |name: &String| {
                    let to = match write {
                        RuleWrite::Patch { rules, .. } => rules.get(name).and_then(|rule| short(name, rule)),
                        RuleWrite::Put { properties, .. } => short(name, properties),
                        RuleWrite::Delete { .. } => None,
                    };
                    whole(request.verb, format!("{id}/outboundRules/{name}"), has(name), to)
                };
                names.iter().map(rule).collect()
            }
            _ => {
                let body = request.body.as_ref().map(ToString::to_string);
                vec![whole(request.verb, request.id.clone(), None, body)]
            }
        }
    }
}

/// True if the operation filed under `id` is about the rules only, so that the workspace itself stays as it is said to be.
pub fn is_about_rules(id: &str) -> bool {
    id.to_ascii_lowercase().contains("/outboundrules")
}

/// What is said while the operation with this verb on `id` goes on.
pub fn under_way(verb: &str, id: &str) -> Verdict {
    match verb {
        _ if is_about_rules(id) => Verdict::new(Reason::Updating, RULES_CHANGE),
        "PUT" => Verdict::new(Reason::Creating, "Azure is creating the workspace"),
        "POST provisionManagedNetwork" => {
            Verdict::new(Reason::Provisioning, "Azure is building the managed network; that takes about half an hour")
        }
        "DELETE" if id.to_ascii_lowercase().contains("/privateendpointconnections/") => Verdict::new(
            Reason::Deleting,
            "Azure is removing the workspace's private endpoint connections, and then the workspace",
        ),
        "DELETE" => Verdict::new(Reason::Deleting, "Azure is deleting the workspace"),
        PURGE => {
            Verdict::new(Reason::Creating, "Azure is purging what it kept of a deleted workspace of the same name")
        }
        _ => Verdict::new(Reason::Updating, "Azure is changing the workspace"),
    }
}
