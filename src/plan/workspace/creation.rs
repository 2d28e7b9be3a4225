//! The body of the PUT that creates a workspace.

use serde_json::{Map, Value, json};

use crate::api::ids::ArmId;
use crate::api::workspace::{AmlWorkspaceSpec, DefaultAction, NetworkAcls, PublicNetworkAccess};
use crate::plan::effective::Effective;
use crate::plan::resources::Associated;

/// The member by which a creation asks for the deleted workspace that Azure keeps. Microsoft's own client sends it, with versions
/// that do not declare it (azure-ai-ml 1.35).
const RECOVER: &str = "allowRecoverSoftDeletedWorkspace";

/// The body of the creating PUT, with all of `tags`. `recover` asks for the deleted workspace of that name.
pub(super) fn creation(
    spec: &AmlWorkspaceSpec,
    effective: &Effective,
    resources: &[Associated<'_>],
    hub: Option<&ArmId>,
    tags: Map<String, Value>,
    recover: bool,
) -> Value {
    let mut properties = json!({ "publicNetworkAccess": first_access(spec, effective).as_str() });
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            properties[name] = value;
        }
    };
    if let Some(network) = &effective.network {
        let mut member = json!({ "isolationMode": network.isolation_mode.as_str() });
        if let Some(sku) = network.firewall_sku {
            member["firewallSku"] = sku.as_str().into();
        }
        set("managedNetwork", Some(member));
    }
    for resource in resources {
        if let Some(member) = resource.field.member() {
            set(member, Some(resource.id.as_str().into()));
        }
    }
    set("hubResourceId", hub.map(|hub| hub.as_str().into()));
    set("primaryUserAssignedIdentity", spec.identity.primary_user_assigned_identity.as_deref().map(Into::into));
    set("friendlyName", spec.friendly_name.as_deref().map(Into::into));
    set("description", spec.description.as_deref().map(Into::into));
    let compute = spec.image_build_compute.as_deref().filter(|compute| !compute.is_empty());
    set("imageBuildCompute", compute.map(Into::into));
    set("systemDatastoresAuthMode", spec.system_datastores_auth_mode.map(|mode| mode.as_str().into()));
    set("v1LegacyMode", spec.v1_legacy_mode.map(Into::into));
    set("hbiWorkspace", spec.hbi_workspace.map(Into::into));
    set("enableDataIsolation", spec.enable_data_isolation.map(Into::into));
    set("encryption", encryption(spec));
    set(RECOVER, recover.then(|| "True".into()));
    let mut body =
        json!({ "location": spec.location, "identity": identity(spec), "tags": tags, "properties": properties });
    if let Some(kind) = spec.kind {
        body["kind"] = kind.as_str().into();
    }
    body
}

/// A list of addresses can only be given once the workspace exists (Microsoft: "Configure a private endpoint for a workspace"), so
/// that one which shall be open to some is created closed, and never open to all.
fn first_access(spec: &AmlWorkspaceSpec, effective: &Effective) -> PublicNetworkAccess {
    let some = spec.network_acls.as_ref().is_some_and(|acls| acls.default_action == DefaultAction::Deny);
    if some { PublicNetworkAccess::Disabled } else { effective.public_network_access }
}

fn encryption(spec: &AmlWorkspaceSpec) -> Option<Value> {
    let wanted = spec.encryption.as_ref()?;
    let mut encryption = json!({
        "status": "Enabled",
        "keyVaultProperties": {
            "keyVaultArmId": wanted.key_vault.resource_id, "keyIdentifier": wanted.key_identifier,
        },
    });
    if let Some(identity) = &wanted.user_assigned_identity {
        encryption["identity"] = json!({ "userAssignedIdentity": identity });
    }
    Some(encryption)
}

/// The identity as a creating PUT has it.
pub(super) fn identity(spec: &AmlWorkspaceSpec) -> Value {
    let mut identity = json!({ "type": spec.identity.type_.as_str() });
    if !spec.identity.user_assigned_identities.is_empty() {
        let ids: Map<String, Value> =
            spec.identity.user_assigned_identities.iter().map(|id| (id.clone(), json!({}))).collect();
        identity["userAssignedIdentities"] = Value::Object(ids);
    }
    identity
}

/// The addresses as a PATCH has them.
pub(super) fn addresses(acls: &NetworkAcls) -> Value {
    let rules: Vec<Value> = acls.ip_rules.iter().map(|rule| json!({ "value": rule })).collect();
    json!({ "defaultAction": acls.default_action.as_str(), "ipRules": rules })
}
