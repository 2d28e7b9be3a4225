//! Where a workspace in Azure is not as declared, and the fragments of a PATCH that mend it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::api::ids::ArmId;
use crate::api::workspace::{AmlWorkspaceSpec, Encryption, IsolationMode, NetworkAcls};
use crate::azure::machine_learning::Workspace;
use crate::plan::difference::{Comparison, Difference, Mend};
use crate::plan::effective::Effective;
use crate::plan::resources::{Associated, Field};

use super::creation::{addresses, identity};
use super::tags::Tags;

fn property(name: &str, value: impl Into<Value>) -> Value {
    json!({"properties": {name: value.into()}})
}

/// Words for people, which a PATCH changes.
fn text(found: &mut Comparison, name: &'static str, field: &'static str, shown: Option<&str>, wanted: Option<&String>) {
    if let Some(wanted) = wanted {
        found.text(field, shown, Some(wanted), Mend::Patch(property(name, wanted.as_str())));
    }
}

const AT_CREATION: Mend = Mend::Never("Azure takes it at creation only");

/// Compares each declared field with what ARM shows, as ARM compares them. What is not declared is not looked at. `ours` says whether
/// the workspace carries this object's owner tag.
pub fn compare(
    spec: &AmlWorkspaceSpec,
    effective: &Effective,
    resources: &[Associated<'_>],
    hub: Option<&ArmId>,
    observed: &Workspace,
    ours: bool,
) -> Vec<Difference> {
    let shown = &observed.properties;
    let mut found = Comparison::default();
    let region: Option<String> =
        observed.location.as_ref().map(|location| location.chars().filter(|c| !c.is_whitespace()).collect());
    found.word("location", region.as_deref(), &spec.location, Mend::Never("Azure does not move workspaces"));
    if let Some(kind) = spec.kind {
        let shown = observed.kind.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("Default");
        found.word("kind", Some(shown), kind.as_str(), Mend::Never("a workspace stays what it was created as"));
    }
    if let Some(hub) = hub {
        let mend = Mend::Never("a project stays in its hub");
        found.word("properties.hubResourceId", shown.hub_resource_id.as_deref(), hub.as_str(), mend);
    }
    made_of(resources, observed, &mut found);
    access(spec, effective, observed, &mut found);
    who(spec, observed, &mut found);
    text(
        &mut found,
        "friendlyName",
        "properties.friendlyName",
        shown.friendly_name.as_deref(),
        spec.friendly_name.as_ref(),
    );
    text(&mut found, "description", "properties.description", shown.description.as_deref(), spec.description.as_ref());
    if let Some(mode) = spec.system_datastores_auth_mode {
        let patch = Mend::Patch(property("systemDatastoresAuthMode", mode.as_str()));
        let field = "properties.systemDatastoresAuthMode";
        found.word(field, shown.system_datastores_auth_mode.as_deref(), mode.as_str(), patch);
    }
    // An empty text gives the builds back to the registry (Microsoft: "Workspace managed virtual network isolation").
    let compute = shown.image_build_compute.as_deref();
    let wanted = spec.image_build_compute.as_ref();
    if !wanted.is_some_and(|wanted| compute.unwrap_or_default().eq_ignore_ascii_case(wanted)) {
        text(&mut found, "imageBuildCompute", "properties.imageBuildCompute", compute, wanted);
    }
    let legacy = Mend::Patch(property("v1LegacyMode", spec.v1_legacy_mode.unwrap_or_default()));
    found.switch("properties.v1LegacyMode", shown.v1_legacy_mode, spec.v1_legacy_mode, legacy);
    found.switch("properties.hbiWorkspace", shown.hbi_workspace, spec.hbi_workspace, AT_CREATION);
    let isolation = (shown.enable_data_isolation, spec.enable_data_isolation);
    found.switch("properties.enableDataIsolation", isolation.0, isolation.1, AT_CREATION);
    if let Some(encryption) = &spec.encryption {
        key(encryption, observed, &mut found);
    }
    found.0.extend(Tags::new(spec, observed.tags.as_ref(), ours).differences());
    found.0
}

/// What it is made of.
fn made_of(resources: &[Associated<'_>], observed: &Workspace, found: &mut Comparison) {
    let shown = &observed.properties;
    let fixed = || Mend::Never("a workspace keeps its storage account and key vault");
    for resource in resources {
        let id = resource.id.as_str();
        let change = |member| Mend::Patch(property(member, id));
        let (field, shown, mend) = match resource.field {
            Field::StorageAccount => ("properties.storageAccount", &shown.storage_account, fixed()),
            Field::KeyVault => ("properties.keyVault", &shown.key_vault, fixed()),
            Field::ApplicationInsights => {
                ("properties.applicationInsights", &shown.application_insights, change("applicationInsights"))
            }
            Field::ContainerRegistry => {
                ("properties.containerRegistry", &shown.container_registry, change("containerRegistry"))
            }
            // A workspace does not name it.
            Field::LogWorkspace => continue,
        };
        found.word(field, shown.as_deref(), id, mend);
    }
}

/// How it is reached, and what it may reach.
fn access(spec: &AmlWorkspaceSpec, effective: &Effective, observed: &Workspace, found: &mut Comparison) {
    let shown = &observed.properties;
    let access = effective.public_network_access.as_str();
    // A workspace that says nothing is open: that is the service's default.
    let open = shown.public_network_access.as_deref().unwrap_or("Enabled");
    let patch = Mend::Patch(property("publicNetworkAccess", access));
    found.word("properties.publicNetworkAccess", Some(open), access, patch);
    if let Some(acls) = &spec.network_acls {
        let words = declared_addresses(acls);
        let now = observed_addresses(observed);
        if now != words {
            let patch = Mend::Patch(property("networkAcls", addresses(acls)));
            found.note("properties.networkAcls", Some(&now), &words, patch);
        }
    }
    let Some(network) = &effective.network else { return };
    let mode = network.isolation_mode.as_str();
    let patch = Mend::Patch(property("managedNetwork", json!({ "isolationMode": mode })));
    found.word("properties.managedNetwork.isolationMode", Some(observed.isolation_mode()), mode, patch);
    // Only this mode has a firewall; with another one Azure need not even show a SKU.
    let firewall = network.isolation_mode == IsolationMode::AllowOnlyApprovedOutbound;
    if let Some(sku) = network.firewall_sku.filter(|_| firewall) {
        let now = shown.managed_network.as_ref().and_then(|network| network.firewall_sku.as_deref());
        // The mode goes along, since a managed network without one is refused.
        let member = json!({ "isolationMode": mode, "firewallSku": sku.as_str() });
        let patch = Mend::Patch(property("managedNetwork", member));
        found.word("properties.managedNetwork.firewallSku", now, sku.as_str(), patch);
    }
}

/// One address is a block of one.
fn block(address: &str) -> String {
    address.strip_suffix("/32").unwrap_or(address).to_owned()
}

fn words_of(action: &str, blocks: impl Iterator<Item = String>) -> String {
    let blocks: BTreeSet<String> = blocks.collect();
    let action = if action.eq_ignore_ascii_case("Deny") { "Deny" } else { "Allow" };
    if blocks.is_empty() {
        action.to_owned()
    } else {
        format!("{action} except {}", blocks.into_iter().collect::<Vec<_>>().join(","))
    }
}

fn declared_addresses(acls: &NetworkAcls) -> String {
    words_of(acls.default_action.as_str(), acls.ip_rules.iter().map(|rule| block(rule)))
}

/// What a workspace that says nothing lets in is everybody.
fn observed_addresses(observed: &Workspace) -> String {
    let acls = observed.properties.network_acls.as_ref();
    let action = acls.and_then(|acls| acls.default_action.as_deref()).unwrap_or("Allow");
    let rules = acls.and_then(|acls| acls.ip_rules.as_ref()).into_iter().flatten();
    words_of(action, rules.filter_map(|rule| rule.value.as_deref().map(block)))
}

/// Who it is.
fn who(spec: &AmlWorkspaceSpec, observed: &Workspace, found: &mut Comparison) {
    if let Some(primary) = &spec.identity.primary_user_assigned_identity {
        let patch = Mend::Patch(property("primaryUserAssignedIdentity", primary.as_str()));
        let now = observed.properties.primary_user_assigned_identity.as_deref();
        found.word("properties.primaryUserAssignedIdentity", now, primary, patch);
    }
    let shown = observed.identity.as_ref();
    let type_ = shown.and_then(|identity| identity.type_.as_deref()).unwrap_or("None");
    let ids = shown.and_then(|identity| identity.user_assigned_identities.as_ref()).into_iter().flatten();
    let now = identity_words(type_, ids.map(|(id, _)| id));
    let wanted = identity_words(spec.identity.type_.as_str(), spec.identity.user_assigned_identities.iter());
    let given_up = now.contains("UserAssigned") && spec.identity.user_assigned_identities.is_empty();
    let mend = if given_up {
        // Microsoft: "Set up service authentication"; from system-assigned to both is possible, back is not.
        Mend::Never("a workspace that has user-assigned identities cannot do without any again")
    } else {
        Mend::Patch(json!({ "identity": changed_identity(spec, observed) }))
    };
    found.word("identity", Some(&now), &wanted, mend);
}

fn identity_words<'a>(type_: &str, ids: impl Iterator<Item = &'a String>) -> String {
    let mut ids: Vec<String> = ids.map(|id| id.to_ascii_lowercase()).collect();
    ids.sort_unstable();
    let type_: String = type_.chars().filter(|c| !c.is_whitespace()).collect();
    if ids.is_empty() { type_ } else { format!("{type_} {}", ids.join(",")) }
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

/// The key of one's own. Only the key itself can change (specification of EncryptionUpdateProperties).
fn key(wanted: &Encryption, observed: &Workspace, found: &mut Comparison) {
    let shown = observed.properties.encryption.as_ref();
    let key = shown.and_then(|encryption| encryption.key_vault_properties.as_ref());
    let vault = key.and_then(|key| key.key_vault_arm_id.as_deref());
    let field = "properties.encryption.keyVaultProperties.keyVaultArmId";
    found.word(field, vault, &wanted.key_vault.resource_id, AT_CREATION);
    if let Some(identity) = &wanted.user_assigned_identity {
        let reader = shown.and_then(|encryption| encryption.identity.as_ref());
        let reader = reader.and_then(|identity| identity.user_assigned_identity.as_deref());
        found.word("properties.encryption.identity.userAssignedIdentity", reader, identity, AT_CREATION);
    }
    let patch = json!({ "keyVaultProperties": { "keyIdentifier": wanted.key_identifier } });
    let field = "properties.encryption.keyVaultProperties.keyIdentifier";
    let now = key.and_then(|key| key.key_identifier.as_deref());
    found.word(field, now, &wanted.key_identifier, Mend::Patch(property("encryption", patch)));
}
