//! The tenants' fence: what an AzureConnection's grants let a namespace do.

use std::collections::BTreeMap;

use crate::api::connection::{AzureConnectionSpec, Grant, Verb};
use crate::api::ids::{ArmId, covers, meets};
use crate::api::workspace::{IsolationMode, PublicNetworkAccess};

use super::cover;
use super::outcome::{Reason, Verdict};
use super::rule_body::RuleBody;

/// A connection's grants, as one namespace sees them.
#[derive(Clone, Debug)]
pub struct Fence<'a> {
    connection: &'a str,
    tenant: &'a str,
    namespace: &'a str,
    grants: Vec<&'a Grant>,
}

impl<'a> Fence<'a> {
    /// The grants of connection `name` for `namespace`, which carries `labels`.
    pub fn new(
        name: &'a str,
        spec: &'a AzureConnectionSpec,
        namespace: &'a str,
        labels: &BTreeMap<String, String>,
    ) -> Self {
        let grants = spec.grants.iter().filter(|grant| grant.namespaces.matches(namespace, labels)).collect();
        Self { connection: name, tenant: &spec.tenant_id, namespace, grants }
    }

    /// The tenant that the connection signs in to.
    pub fn tenant(&self) -> &'a str {
        self.tenant
    }

    fn covering<'s>(&'s self, id: &'s ArmId) -> impl Iterator<Item = &'a Grant> + 's {
        self.grants.iter().copied().filter(move |grant| covers(&grant.scope, id))
    }

    /// Whether the namespace may `verb` on `id`.
    ///
    /// # Errors
    /// With the verdict to report if no grant says so.
    pub fn allows(&self, verb: Verb, id: &ArmId) -> Result<(), Verdict> {
        if self.covering(id).any(|grant| grant.verbs.contains(&verb)) {
            return Ok(());
        }
        Err(Verdict::new(
            Reason::ScopeNotAllowed,
            format!(
                "AzureConnection {:?} does not let namespace {:?} {} {id}. A platform administrator can add a grant with \
                 scope {id} (or a path above it) and verbs: [{}]",
                self.connection,
                self.namespace,
                verb.as_str(),
                verb.as_str()
            ),
        ))
    }

    /// Whether the namespace may `verb` on anything at or below `path`: on what exactly is asked of each id found there.
    ///
    /// # Errors
    /// With the verdict to report if no grant says so.
    pub fn allows_some(&self, verb: Verb, path: &str) -> Result<(), Verdict> {
        if self.grants.iter().any(|grant| grant.verbs.contains(&verb) && meets(&grant.scope, path)) {
            return Ok(());
        }
        Err(Verdict::new(
            Reason::ScopeNotAllowed,
            format!(
                "AzureConnection {:?} does not let namespace {:?} {verb} anything below {path}. A platform administrator can \
                 add a grant with that scope (or a path above it) and verbs: [{verb}]",
                self.connection,
                self.namespace,
                verb = verb.as_str(),
            ),
        ))
    }

    /// Whether the namespace may read `id`: every grant includes reading what it covers.
    ///
    /// # Errors
    /// With the verdict to report if no grant covers it.
    pub fn allows_reading(&self, id: &ArmId) -> Result<(), Verdict> {
        if self.covering(id).next().is_some() {
            return Ok(());
        }
        Err(Verdict::new(
            Reason::ScopeNotAllowed,
            format!(
                "AzureConnection {:?} has no grant for namespace {:?} that covers {id}. A platform administrator can add one",
                self.connection, self.namespace
            ),
        ))
    }

    fn egress(
        &self,
        workspace: &ArmId,
        what: &str,
        field: &str,
        allowed: impl Fn(&crate::api::connection::Egress) -> bool,
    ) -> Result<(), Verdict> {
        if self.covering(workspace).filter_map(|grant| grant.egress.as_ref()).any(allowed) {
            return Ok(());
        }
        Err(Verdict::new(
            Reason::EgressNotAllowed,
            format!(
                "no grant of AzureConnection {:?} for namespace {:?} on {workspace} allows {what}. A platform administrator \
                 can add it to the grant's egress.{field}",
                self.connection, self.namespace
            ),
        ))
    }

    /// Whether workspace `id` may be isolated no more than `mode`.
    ///
    /// # Errors
    /// With the verdict to report if no grant says so.
    pub fn allows_isolation(&self, workspace: &ArmId, mode: IsolationMode) -> Result<(), Verdict> {
        if mode == IsolationMode::AllowOnlyApprovedOutbound {
            return Ok(());
        }
        let what = format!("the isolation mode {}", mode.as_str());
        self.egress(workspace, &what, "isolationModes", |egress| egress.isolation_modes.contains(&mode))
    }

    /// Whether workspace `id` may be as reachable from the internet as `access` says.
    ///
    /// # Errors
    /// With the verdict to report if no grant says so.
    pub fn allows_public_access(&self, workspace: &ArmId, access: PublicNetworkAccess) -> Result<(), Verdict> {
        if access == PublicNetworkAccess::Disabled {
            return Ok(());
        }
        self.egress(workspace, "public network access", "publicNetworkAccess", |egress| {
            egress.public_network_access == Some(PublicNetworkAccess::Enabled)
        })
    }

    /// Whether a rule of `workspace` may lead to where `body` leads, as far as egress is concerned: judged by all that the rule
    /// covers, however it is spelled.
    ///
    /// # Errors
    /// With the verdict to report if no grant says so.
    pub fn allows_destination(&self, workspace: &ArmId, body: &RuleBody) -> Result<(), Verdict> {
        match body {
            RuleBody::PrivateEndpoint { .. } => Ok(()),
            RuleBody::Fqdn { host } => {
                let what = if cover::touches_storage(host) {
                    format!(
                        "the host name {host}, which leads to storage accounts, also to strangers', and so has to be named word \
                         for word"
                    )
                } else {
                    format!("the host name {host}")
                };
                self.egress(workspace, &what, "fqdns", |egress| {
                    egress.fqdns.iter().any(|granted| cover::host(granted, host))
                })
            }
            // Azure ignores the tag of a rule that has address prefixes (specification of ServiceTagDestination), so a harmless
            // tag must not smuggle in any address.
            RuleBody::ServiceTag { address_prefixes, .. } if !address_prefixes.is_empty() => {
                let egress = || self.covering(workspace).filter_map(|grant| grant.egress.as_ref());
                let granted = egress().flat_map(|egress| &egress.address_prefixes);
                let covered = cover::addresses(granted, address_prefixes);
                let what = format!("the addresses {}", address_prefixes.join(", "));
                self.egress(workspace, &what, "addressPrefixes", |_| covered)
            }
            RuleBody::ServiceTag { tag, .. } => {
                let what = if cover::is_broad(tag) {
                    format!("the service tag {tag}, whose addresses belong to Azure's other customers too")
                } else {
                    format!("the service tag {tag}")
                };
                self.egress(workspace, &what, "serviceTags", |egress| {
                    egress.service_tags.iter().any(|granted| cover::tag(granted, tag))
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SUB: &str = "00000000-0000-0000-0000-000000000001";

    fn spec(grants: serde_json::Value) -> AzureConnectionSpec {
        serde_json::from_value(json!({
            "tenantId": SUB, "cloud": "Public", "credential": {"managedIdentity": {}}, "grants": grants
        }))
        .unwrap()
    }

    fn id(group: &str, name: &str) -> ArmId {
        ArmId::of(SUB, group, "Microsoft.Storage/storageAccounts", name).unwrap()
    }

    #[test]
    fn nothing_is_allowed_that_no_grant_names() {
        let spec = spec(json!([
            {"namespaces": {"names": ["team"]}, "scope": format!("/subscriptions/{SUB}/resourceGroups/rg"), "verbs": ["reach"]},
            {"namespaces": {"matchLabels": {"tier": "gold"}}, "scope": format!("/subscriptions/{SUB}"), "verbs": ["approve"]},
        ]));
        let gold = BTreeMap::from([("tier".to_owned(), "gold".to_owned())]);
        let none = BTreeMap::new();
        for (namespace, labels, verb, group, want) in [
            ("team", &none, Verb::Reach, "rg", true),
            ("team", &none, Verb::Reach, "RG", true),
            ("team", &none, Verb::Reach, "rg2", false),
            ("team", &none, Verb::Configure, "rg", false),
            ("team", &none, Verb::Approve, "rg", false),
            ("other", &none, Verb::Reach, "rg", false),
            ("other", &gold, Verb::Approve, "any", true),
        ] {
            let fence = Fence::new("contoso", &spec, namespace, labels);
            assert_eq!(fence.allows(verb, &id(group, "lake")).is_ok(), want, "{namespace} {verb:?} {group}");
        }
    }

    #[test]
    fn egress_is_judged_by_what_it_covers_and_addresses_never_by_their_tag() {
        let grant = |egress: serde_json::Value| {
            json!({
                "namespaces": {"names": ["team"]}, "scope": format!("/subscriptions/{SUB}"), "verbs": ["configure"],
                "egress": egress
            })
        };
        let spec = spec(json!([
            grant(
                json!({"fqdns": ["*.pytorch.org", "*.windows.net"], "serviceTags": ["AzureMonitor"], "addressPrefixes": ["10.0.0.0/9"]})
            ),
            grant(json!({"serviceTags": ["Storage.WestEurope"], "addressPrefixes": ["10.128.0.0/9"]})),
        ]));
        let none = BTreeMap::new();
        let fence = Fence::new("contoso", &spec, "team", &none);
        let tag = |tag: &str, prefixes: &[&str]| RuleBody::ServiceTag {
            tag: tag.into(),
            protocol: "TCP".into(),
            port_ranges: "443".into(),
            action: "Allow".into(),
            address_prefixes: prefixes.iter().map(ToString::to_string).collect(),
        };
        for (body, want) in [
            (RuleBody::Fqdn { host: "*.PyTorch.org".into() }, true),
            (RuleBody::Fqdn { host: "download.pytorch.org".into() }, true),
            (RuleBody::Fqdn { host: "pytorch.org".into() }, false),
            (RuleBody::Fqdn { host: "*.core.windows.net".into() }, false),
            (RuleBody::Fqdn { host: "*.org".into() }, false),
            (tag("AzureMonitor", &[]), true),
            (tag("AzureCloud", &[]), false),
            (tag("Storage", &[]), false),
            (tag("Storage.WestEurope", &[]), true),
            (tag("AzureMonitor", &["10.1.0.0/16"]), true),
            (tag("AzureMonitor", &["10.0.0.0/8"]), true),
            (tag("AzureMonitor", &["11.0.0.0/8"]), false),
            (tag("AzureMonitor", &["0.0.0.0/0"]), false),
        ] {
            assert_eq!(fence.allows_destination(&id("rg", "ws"), &body).is_ok(), want, "{body:?}");
        }
        let refused = fence.allows_destination(&id("rg", "ws"), &tag("AzureCloud", &[])).unwrap_err();
        assert!(refused.message.contains("other customers"), "{}", refused.message);
        assert!(fence.allows_isolation(&id("rg", "ws"), IsolationMode::AllowOnlyApprovedOutbound).is_ok());
        assert!(fence.allows_isolation(&id("rg", "ws"), IsolationMode::Disabled).is_err());
        assert!(fence.allows_public_access(&id("rg", "ws"), PublicNetworkAccess::Enabled).is_err());
    }
}
