//! An outbound rule's content in one comparable form, whether a user declared it or ARM shows it.

use serde_json::{Map, Value, json};

use crate::api::outbound_rule::{OutboundRuleSpec, TrafficAction};
use crate::azure::machine_learning::OutboundRule;

use super::cover;

/// What a rule opens. Two equal values are the same rule to Azure: spelling, order and defaults are levelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleBody {
    /// A host name.
    Fqdn {
        /// Lower case.
        host: String,
    },
    /// A resource behind a private endpoint.
    PrivateEndpoint {
        /// ARM id as written.
        resource_id: String,
        /// The sub-resource as written.
        subresource: String,
        /// Whether Spark reaches it too.
        spark_enabled: bool,
        /// Host names, sorted, lower case.
        fqdns: Vec<String>,
    },
    /// A service tag.
    ServiceTag {
        /// The tag as written.
        tag: String,
        /// `TCP`, `UDP`, `ICMP` or `*`.
        protocol: String,
        /// Ports without white space.
        port_ranges: String,
        /// `Allow` or `Deny`.
        action: String,
        /// Address prefixes, sorted.
        address_prefixes: Vec<String>,
    },
}

/// A field in which Azure shows something else than is declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Path in ARM's terms.
    pub field: &'static str,
    /// What Azure shows.
    pub found: String,
    /// What is declared.
    pub wanted: String,
}

/// Address prefixes in one spelling, sorted: bits beyond the prefix's length are dropped, as every firewall drops them.
fn prefixes(list: impl IntoIterator<Item = String>) -> Vec<String> {
    sorted(list.into_iter().map(|text| cover::prefix(&text).map_or(text, |net| net.to_string())).collect())
}

fn sorted(mut list: Vec<String>) -> Vec<String> {
    list.sort_unstable();
    list.dedup();
    list
}

fn lowered(list: impl IntoIterator<Item = String>) -> Vec<String> {
    sorted(list.into_iter().map(|entry| entry.to_ascii_lowercase()).collect())
}

fn ports(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

impl RuleBody {
    /// What `spec` declares; `None` if it declares no destination, which the schema refuses.
    pub fn declared(spec: &OutboundRuleSpec) -> Option<Self> {
        if let Some(host) = &spec.fqdn {
            return Some(Self::Fqdn { host: host.to_ascii_lowercase() });
        }
        if let Some(target) = &spec.private_endpoint {
            return Some(Self::PrivateEndpoint {
                resource_id: target.resource_id.clone(),
                subresource: target.subresource.clone(),
                spark_enabled: target.spark_enabled,
                fqdns: lowered(target.fqdns.iter().cloned()),
            });
        }
        let tag = spec.service_tag.as_ref()?;
        Some(Self::ServiceTag {
            tag: tag.tag.clone(),
            protocol: tag.protocol.as_str().to_owned(),
            port_ranges: ports(&tag.port_ranges),
            action: tag.action.unwrap_or(TrafficAction::Allow).as_str().to_owned(),
            address_prefixes: prefixes(tag.address_prefixes.iter().cloned()),
        })
    }

    /// What ARM shows; `None` for a type that is not known.
    pub fn observed(rule: &OutboundRule) -> Option<Self> {
        let destination = rule.properties.get("destination")?;
        let text = |key: &str| destination.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let list = |value: Option<&Value>| -> Vec<String> {
            let entries = value.and_then(Value::as_array).into_iter().flatten();
            entries.filter_map(|entry| entry.as_str().map(ToOwned::to_owned)).collect()
        };
        match rule.properties.get("type")?.as_str()?.to_ascii_lowercase().as_str() {
            "fqdn" => Some(Self::Fqdn { host: destination.as_str()?.trim().to_ascii_lowercase() }),
            "privateendpoint" => Some(Self::PrivateEndpoint {
                resource_id: text("serviceResourceId"),
                subresource: text("subresourceTarget"),
                spark_enabled: destination.get("sparkEnabled").and_then(Value::as_bool).unwrap_or(false),
                fqdns: lowered(list(rule.properties.get("fqdns"))),
            }),
            "servicetag" => Some(Self::ServiceTag {
                tag: text("serviceTag"),
                protocol: text("protocol").to_ascii_uppercase(),
                port_ranges: ports(&text("portRanges")),
                action: Some(text("action")).filter(|action| !action.is_empty()).unwrap_or_else(|| "Allow".into()),
                address_prefixes: prefixes(list(destination.get("addressPrefixes"))),
            }),
            _ => None,
        }
    }

    /// True if Azure would treat both alike.
    pub fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::PrivateEndpoint { resource_id: a, subresource: b, spark_enabled: c, fqdns: d },
                Self::PrivateEndpoint { resource_id: e, subresource: f, spark_enabled: g, fqdns: h },
            ) => a.eq_ignore_ascii_case(e) && b.eq_ignore_ascii_case(f) && c == g && d == h,
            (
                Self::ServiceTag { tag: a, protocol: b, port_ranges: c, action: d, address_prefixes: e },
                Self::ServiceTag { tag: f, protocol: g, port_ranges: h, action: i, address_prefixes: j },
            ) => {
                // Azure ignores the tag beside address prefixes, and may not give it back.
                let tags = a.eq_ignore_ascii_case(f) || !e.is_empty();
                tags && b.eq_ignore_ascii_case(g) && c == h && d.eq_ignore_ascii_case(i) && e == j
            }
            _ => self == other,
        }
    }

    /// What tells one destination from another: two rules that have it in common open the same.
    pub fn destination(&self) -> String {
        match self {
            Self::Fqdn { host } => format!("fqdn {host}"),
            Self::PrivateEndpoint { resource_id, subresource, .. } => {
                format!("endpoint {resource_id} {subresource}").to_ascii_lowercase()
            }
            Self::ServiceTag { tag, protocol, port_ranges, action, address_prefixes } => {
                // Beside address prefixes Azure ignores the tag.
                let tag = if address_prefixes.is_empty() { tag.as_str() } else { "" };
                let prefixes = address_prefixes.join(",");
                format!("tag {tag} {protocol} {port_ranges} {action} {prefixes}").to_ascii_lowercase()
            }
        }
    }

    /// The fields, in ARM's terms, in which Azure shows something else; all of it if it shows no such rule.
    pub fn differences(&self, shown: Option<&Self>) -> Vec<Difference> {
        let Some(shown) = shown else {
            return vec![Difference { field: "properties", found: "missing".into(), wanted: self.short() }];
        };
        if self.same(shown) {
            return Vec::new();
        }
        let (found, wanted) = (shown.fields(), self.fields());
        if shown.type_() != self.type_() {
            let (found, wanted) = (shown.type_().to_owned(), self.type_().to_owned());
            return vec![Difference { field: "properties.type", found, wanted }];
        }
        let pairs = found.into_iter().zip(wanted);
        let differ = pairs.filter(|((_, found), (_, wanted))| !found.eq_ignore_ascii_case(wanted));
        differ.map(|((field, found), (_, wanted))| Difference { field, found, wanted }).collect()
    }

    /// Every field with its value in words, in a fixed order for each type.
    fn fields(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Fqdn { host } => vec![("properties.destination", host.clone())],
            Self::PrivateEndpoint { resource_id, subresource, spark_enabled, fqdns } => vec![
                ("properties.destination.serviceResourceId", resource_id.clone()),
                ("properties.destination.subresourceTarget", subresource.clone()),
                ("properties.destination.sparkEnabled", spark_enabled.to_string()),
                ("properties.fqdns", fqdns.join(", ")),
            ],
            Self::ServiceTag { tag, protocol, port_ranges, action, address_prefixes } => vec![
                ("properties.destination.serviceTag", tag.clone()),
                ("properties.destination.protocol", protocol.clone()),
                ("properties.destination.portRanges", port_ranges.clone()),
                ("properties.destination.action", action.clone()),
                ("properties.destination.addressPrefixes", address_prefixes.join(", ")),
            ],
        }
    }

    /// The rule as ARM takes it.
    pub fn to_body(&self) -> Value {
        let mut body =
            Map::from_iter([("category".to_owned(), json!("UserDefined")), ("type".to_owned(), json!(self.type_()))]);
        let destination = match self {
            Self::Fqdn { host } => json!(host),
            Self::PrivateEndpoint { resource_id, subresource, spark_enabled, fqdns } => {
                if !fqdns.is_empty() {
                    body.insert("fqdns".into(), json!(fqdns));
                }
                json!({"serviceResourceId": resource_id, "subresourceTarget": subresource, "sparkEnabled": spark_enabled})
            }
            Self::ServiceTag { tag, protocol, port_ranges, action, address_prefixes } => {
                let mut destination = json!({
                    "serviceTag": tag, "protocol": protocol, "portRanges": port_ranges, "action": action,
                });
                if !address_prefixes.is_empty() {
                    destination["addressPrefixes"] = json!(address_prefixes);
                }
                destination
            }
        };
        body.insert("destination".into(), destination);
        Value::Object(body)
    }

    /// ARM's word for the type; compared with case by the service.
    pub const fn type_(&self) -> &'static str {
        match self {
            Self::Fqdn { .. } => "FQDN",
            Self::PrivateEndpoint { .. } => "PrivateEndpoint",
            Self::ServiceTag { .. } => "ServiceTag",
        }
    }

    /// The destination in a word, for a column; never longer than `status.destination` may be, since a status that the schema
    /// refuses is not written at all.
    pub fn short(&self) -> String {
        let whole = match self {
            Self::Fqdn { host } => host.clone(),
            Self::PrivateEndpoint { resource_id, subresource, .. } => {
                format!("{}/{subresource}", resource_id.rsplit('/').next().unwrap_or_default())
            }
            Self::ServiceTag { address_prefixes, .. } if !address_prefixes.is_empty() => address_prefixes.join(", "),
            Self::ServiceTag { tag, protocol, port_ranges, .. } => format!("{tag} {protocol} {port_ranges}"),
        };
        whole.chars().take(253).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(properties: Value) -> Option<RuleBody> {
        RuleBody::observed(&OutboundRule::read(&json!({"name": "r", "properties": properties})).unwrap())
    }

    #[test]
    fn what_azure_gives_back_for_what_was_sent_is_the_same() {
        for body in [
            RuleBody::Fqdn { host: "*.pytorch.org".into() },
            RuleBody::PrivateEndpoint {
                resource_id: "/subscriptions/s/X".into(),
                subresource: "dfs".into(),
                spark_enabled: true,
                fqdns: vec!["a.b".into()],
            },
            RuleBody::ServiceTag {
                tag: "AzureMonitor".into(),
                protocol: "TCP".into(),
                port_ranges: "80,443".into(),
                action: "Allow".into(),
                address_prefixes: vec![],
            },
        ] {
            assert!(body.same(&observed(body.to_body()).unwrap()), "{body:?}");
        }
    }

    #[test]
    fn address_prefixes_have_one_spelling() {
        let shown = |prefixes: &[&str]| {
            observed(json!({"type": "ServiceTag", "destination":
                {"serviceTag": "x", "protocol": "TCP", "portRanges": "443", "addressPrefixes": prefixes}}))
            .unwrap()
        };
        assert!(shown(&["10.1.2.3/8", "2001:DB8:0::/32"]).same(&shown(&["2001:db8::/32", "10.0.0.0/8"])));
        assert!(!shown(&["10.0.0.0/8"]).same(&shown(&["10.0.0.0/9"])));
    }

    #[test]
    fn spelling_order_and_defaults_make_no_difference() {
        let endpoint = RuleBody::PrivateEndpoint {
            resource_id: "/subscriptions/s/lake".into(),
            subresource: "dfs".into(),
            spark_enabled: false,
            fqdns: vec![],
        };
        let shown = json!({"type": "PrivateEndpoint", "status": "Active", "category": "UserDefined", "fqdns": null,
            "destination": {"serviceResourceId": "/SUBSCRIPTIONS/s/Lake", "subresourceTarget": "DFS", "sparkStatus": "Active"}});
        assert!(endpoint.same(&observed(shown).unwrap()));
        let tag = RuleBody::ServiceTag {
            tag: "AzureMonitor".into(),
            protocol: "TCP".into(),
            port_ranges: "80,443".into(),
            action: "Allow".into(),
            address_prefixes: vec![],
        };
        let shown = json!({"type": "ServiceTag", "destination":
            {"serviceTag": "azuremonitor", "protocol": "tcp", "portRanges": "80, 443", "addressPrefixes": []}});
        assert!(tag.same(&observed(shown).unwrap()));
        let other = json!({"type": "ServiceTag", "destination":
            {"serviceTag": "AzureMonitor", "protocol": "UDP", "portRanges": "80, 443"}});
        let other = observed(other).unwrap();
        assert!(!tag.same(&other));
        let difference =
            Difference { field: "properties.destination.protocol", found: "UDP".into(), wanted: "TCP".into() };
        assert_eq!(tag.differences(Some(&other)), [difference]);
        assert_eq!(observed(json!({"type": "Novelty", "destination": {}})), None);
    }
}
