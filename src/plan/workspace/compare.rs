//! Where a workspace in Azure is not as declared, and the fragments of a PATCH that mend it.

use serde_json::{Map, Value, json};

use crate::api::workspace::{AmlWorkspaceSpec, IsolationMode};
use crate::azure::machine_learning::Workspace;

/// A field in which Azure is not as declared.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Path in ARM's terms.
    pub field: &'static str,
    /// What was found.
    pub found: String,
    /// What is wanted.
    pub wanted: String,
    /// The fragment of a PATCH body that mends it; `None` if Azure cannot change it.
    pub(super) patch: Option<Value>,
}

/// Compares each declared field with what ARM shows, as ARM compares them: ids, locations and enums without regard to case.
pub fn compare(spec: &AmlWorkspaceSpec, observed: &Workspace) -> Vec<Difference> {
    let shown = &observed.properties;
    let mut differences = Vec::new();
    let mut text = |field, found: Option<&str>, wanted: &str, patch: Option<Value>| {
        if !found.is_some_and(|found| found.eq_ignore_ascii_case(wanted)) {
            let found = found.unwrap_or("not set").to_owned();
            differences.push(Difference { field, found, wanted: wanted.to_owned(), patch });
        }
    };
    let region: Option<String> =
        observed.location.as_ref().map(|location| location.chars().filter(|c| !c.is_whitespace()).collect());
    text("location", region.as_deref(), &spec.location, None);
    let resources = &spec.associated_resources;
    text("properties.storageAccount", shown.storage_account.as_deref(), &resources.storage_account.resource_id, None);
    text("properties.keyVault", shown.key_vault.as_deref(), &resources.key_vault.resource_id, None);
    if let Some(insights) = &resources.application_insights {
        let patch = json!({"properties": {"applicationInsights": insights.resource_id}});
        text(
            "properties.applicationInsights",
            shown.application_insights.as_deref(),
            &insights.resource_id,
            Some(patch),
        );
    }
    if let Some(registry) = &resources.container_registry {
        let patch = json!({"properties": {"containerRegistry": registry.resource_id}});
        text("properties.containerRegistry", shown.container_registry.as_deref(), &registry.resource_id, Some(patch));
    }
    let access = spec.public_network_access.as_str();
    let patch = json!({"properties": {"publicNetworkAccess": access}});
    // A workspace that says nothing is open: that is the service's default.
    text(
        "properties.publicNetworkAccess",
        Some(shown.public_network_access.as_deref().unwrap_or("Enabled")),
        access,
        Some(patch),
    );
    let mode = spec.managed_network.isolation_mode.as_str();
    let patch = json!({"properties": {"managedNetwork": {"isolationMode": mode}}});
    text("properties.managedNetwork.isolationMode", Some(observed.isolation_mode()), mode, Some(patch));
    // Only this mode has a firewall; with another one Azure need not even show a SKU.
    let firewall = spec.managed_network.isolation_mode == IsolationMode::AllowOnlyApprovedOutbound;
    if let Some(sku) = spec.managed_network.firewall_sku.filter(|_| firewall) {
        let found = shown.managed_network.as_ref().and_then(|network| network.firewall_sku.as_deref());
        // The mode goes along, since a managed network without one is refused.
        let patch = json!({"properties": {"managedNetwork": {"isolationMode": mode, "firewallSku": sku.as_str()}}});
        text("properties.managedNetwork.firewallSku", found, sku.as_str(), Some(patch));
    }
    if let Some(primary) = &spec.identity.primary_user_assigned_identity {
        let patch = json!({"properties": {"primaryUserAssignedIdentity": primary}});
        let found = shown.primary_user_assigned_identity.as_deref();
        text("properties.primaryUserAssignedIdentity", found, primary, Some(patch));
    }
    let found = identity_words(
        observed.identity.as_ref().and_then(|identity| identity.type_.as_deref()).unwrap_or("None"),
        observed
            .identity
            .iter()
            .filter_map(|identity| identity.user_assigned_identities.as_ref())
            .flat_map(|ids| ids.keys()),
    );
    let wanted = identity_words(spec.identity.type_.as_str(), spec.identity.user_assigned_identities.iter());
    text("identity", Some(&found), &wanted, Some(json!({ "identity": changed_identity(spec, observed) })));
    differences
}

fn identity_words<'a>(type_: &str, ids: impl Iterator<Item = &'a String>) -> String {
    let mut ids: Vec<String> = ids.map(|id| id.to_ascii_lowercase()).collect();
    ids.sort_unstable();
    let type_: String = type_.chars().filter(|c| !c.is_whitespace()).collect();
    if ids.is_empty() { type_ } else { format!("{type_} {}", ids.join(",")) }
}

/// The identity for a creating PUT.
pub(super) fn identity(spec: &AmlWorkspaceSpec) -> Value {
    let mut identity = json!({ "type": spec.identity.type_.as_str() });
    if !spec.identity.user_assigned_identities.is_empty() {
        let ids: Map<String, Value> =
            spec.identity.user_assigned_identities.iter().map(|id| (id.clone(), json!({}))).collect();
        identity["userAssignedIdentities"] = Value::Object(ids);
    }
    identity
}

/// The identity for a PATCH: there, an assigned identity goes only if it is sent as null.
fn changed_identity(spec: &AmlWorkspaceSpec, observed: &Workspace) -> Value {
    let mut identity = identity(spec);
    let shown = observed.identity.iter().filter_map(|identity| identity.user_assigned_identities.as_ref());
    if let Some(Value::Object(ids)) = identity.get_mut("userAssignedIdentities") {
        for gone in shown.flat_map(|ids| ids.keys()) {
            if !spec.identity.user_assigned_identities.iter().any(|id| id.eq_ignore_ascii_case(gone)) {
                ids.insert(gone.clone(), Value::Null);
            }
        }
    }
    identity
}
