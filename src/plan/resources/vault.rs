//! Key vaults.

use serde_json::{Value, json};

use crate::api::workspace::CreateKeyVault;
use crate::azure::key_vault::Vault;
use crate::plan::difference::{Comparison, Mend};

use super::entries::List;
use super::firewall::{Firewall, Style};

/// A vault's firewall.
pub(super) const STYLE: Style =
    Style { member: "networkAcls", lists: &[List::Addresses, List::Subnets], acts: false, bypass: None };

pub(super) fn firewall(vault: &Vault) -> Firewall<'_> {
    let shown = &vault.properties;
    let bypass = shown.network_acls.as_ref().and_then(|rules| rules.bypass.as_deref());
    let rules = shown.network_acls.clone().unwrap_or_default();
    Firewall { style: STYLE, access: shown.public_network_access.as_deref(), rules, bypass }
}

fn property(name: &str) -> Mend {
    Mend::Patch(json!({ "properties": { name: true } }))
}

/// Where a vault of ours is not as safe as it was created.
pub(super) fn compare(vault: &Vault, create: &CreateKeyVault, found: &mut Comparison) {
    let shown = &vault.properties;
    let by_roles = property("enableRbacAuthorization");
    found.switch("properties.enableRbacAuthorization", shown.enable_rbac_authorization, Some(true), by_roles);
    let wanted = create.purge_protection.then_some(true);
    let protected = property("enablePurgeProtection");
    found.switch("properties.enablePurgeProtection", shown.enable_purge_protection, wanted, protected);
}

/// The body of the creating PUT, with the firewall's `properties` in it. `tenant` is whose identities the vault knows.
pub(super) fn creation(create: &CreateKeyVault, tenant: &str, mut properties: Value) -> Value {
    properties["tenantId"] = tenant.into();
    properties["sku"] = json!({ "family": "A", "name": "standard" });
    properties["accessPolicies"] = json!([]);
    properties["enableRbacAuthorization"] = true.into();
    properties["enableSoftDelete"] = true.into();
    if create.purge_protection {
        // Azure refuses `false`, which would be to turn it off (specification 2024-11-01).
        properties["enablePurgeProtection"] = true.into();
    }
    json!({ "properties": properties })
}
