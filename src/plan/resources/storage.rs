//! Storage accounts.

use serde_json::{Value, json};

use crate::api::workspace::CreateStorageAccount;
use crate::azure::storage::Account;
use crate::plan::difference::{Comparison, Mend};

use super::entries::List;
use super::firewall::{Firewall, Style};

/// An account's firewall.
pub(super) const STYLE: Style = Style {
    member: "networkAcls",
    lists: &[List::Addresses, List::Subnets, List::Instances],
    acts: true,
    bypass: None,
};
/// The oldest version of TLS that an account of ours speaks.
const TLS: &str = "TLS1_2";

pub(super) fn firewall(account: &Account) -> Firewall<'_> {
    let shown = &account.properties;
    let bypass = shown.network_acls.as_ref().and_then(|rules| rules.bypass.as_deref());
    let rules = shown.network_acls.clone().unwrap_or_default();
    Firewall { style: STYLE, access: shown.public_network_access.as_deref(), rules, bypass }
}

fn property(name: &str, value: impl Into<Value>) -> Mend {
    Mend::Patch(json!({ "properties": { name: value.into() } }))
}

/// Where an account of ours is not as safe as it was created. `keyless` says that the workspace does without shared keys: otherwise
/// it needs them (Microsoft: "Disable shared key access for your workspace's storage account": a workspace uses one unless its
/// datastores go by identity), so they are left alone.
pub(super) fn compare(account: &Account, create: &CreateStorageAccount, keyless: bool, found: &mut Comparison) {
    let shown = &account.properties;
    let tls = shown.minimum_tls_version.as_deref().unwrap_or("TLS1_0");
    if !["TLS1_2", "TLS1_3"].iter().any(|safe| safe.eq_ignore_ascii_case(tls)) {
        found.note("properties.minimumTlsVersion", Some(tls), TLS, property("minimumTlsVersion", TLS));
    }
    let anonymous = property("allowBlobPublicAccess", false);
    found.switch("properties.allowBlobPublicAccess", shown.allow_blob_public_access, Some(false), anonymous);
    // Both are on unless ARM says otherwise (specification 2023-05-01).
    let https = shown.supports_https_traffic_only.or(Some(true));
    let patch = property("supportsHttpsTrafficOnly", true);
    found.switch("properties.supportsHttpsTrafficOnly", https, Some(true), patch);
    let keys = shown.allow_shared_key_access.or(Some(true));
    let patch = property("allowSharedKeyAccess", false);
    found.switch("properties.allowSharedKeyAccess", keys, keyless.then_some(false), patch);
    let hierarchical = Mend::Never("Azure takes it at creation only");
    let wanted = Some(create.hierarchical_namespace);
    found.switch("properties.isHnsEnabled", shown.is_hns_enabled, wanted, hierarchical);
}

/// The body of the creating PUT, with the firewall's `properties` in it.
pub(super) fn creation(create: &CreateStorageAccount, keyless: bool, mut properties: Value) -> Value {
    properties["minimumTlsVersion"] = TLS.into();
    properties["allowBlobPublicAccess"] = false.into();
    properties["allowCrossTenantReplication"] = false.into();
    properties["supportsHttpsTrafficOnly"] = true.into();
    if keyless {
        properties["allowSharedKeyAccess"] = false.into();
    }
    if create.hierarchical_namespace {
        properties["isHnsEnabled"] = true.into();
    }
    json!({ "kind": "StorageV2", "sku": { "name": create.sku.unwrap_or_default().as_str() }, "properties": properties })
}
