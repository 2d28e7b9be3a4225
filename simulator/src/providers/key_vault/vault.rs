//! Vaults.

use serde_json::{Value, json};

use super::deleted;
use crate::body;
use crate::call::{Answer, Call, Style};
use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::http::{Payload, Reply};
use crate::ids;
use crate::providers::network_rules::{self, SubnetFault};
use crate::resource_type::{self, Patch, Proposal, ResourceType, Write, at_once};
use crate::world::World;

pub(super) const KIND: &str = "Microsoft.KeyVault/vaults";

/// Since this version roles decide on what is in a new vault, unless it says otherwise; before, access policies did. What
/// is there stays as it is (Microsoft's page on Key Vault's default access control).
const ROLES_BY_DEFAULT: &str = "2026-02-01";

const UPDATE: Write = at_once("vaultUpdate", 200);

pub(super) const VAULT: ResourceType = ResourceType {
    kind: KIND,
    accept,
    stored: deleted::recovered,
    removed: deleted::keep,
    render,
    names: &[
        "accessPolicies",
        "applicationId",
        "bypass",
        "createMode",
        "defaultAction",
        "enablePurgeProtection",
        "enableRbacAuthorization",
        "enableSoftDelete",
        "enabledForDeployment",
        "enabledForDiskEncryption",
        "enabledForTemplateDeployment",
        "family",
        "ignoreMissingVnetServiceEndpoint",
        "ipRules",
        "networkAcls",
        "objectId",
        "permissions",
        "publicNetworkAccess",
        "softDeleteRetentionInDays",
        "tenantId",
        "value",
        "virtualNetworkRules",
    ],
    // 200 with the vault and no word of an operation: it is `RegisteringDns` for a while (recording of vaults).
    create: Write {
        kind: "vaultCreate",
        seconds: |times| times.vault_create,
        busy: "RegisteringDns",
        style: Style::at_once(200),
    },
    update: UPDATE,
    patch: Some((Patch::Merge, UPDATE)),
    delete: at_once("vaultDelete", 200),
    page_token: "$skiptoken",
    ..ResourceType::DEFAULT
};

fn name_fault(name: &str) -> Option<String> {
    let fits = (3..=24).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && !name.ends_with('-')
        && !name.contains("--");
    (!fits).then(|| {
        format!(
            "The vault name '{name}' is invalid. A vault's name must be between 3-24 alphanumeric characters. The name \
             must begin with a letter, end with a letter or digit, and not contain consecutive hyphens."
        )
    })
}

/// Names are host names: one in the world.
fn taken(world: &World, id: &str, name: &str) -> Option<String> {
    (world.name_taken(KIND, id, name) || deleted::elsewhere(world, id, name)).then(|| {
        format!(
            "The vault name '{name}' is already in use. Vault names are globally unique so it is possible that the name \
             is already taken."
        )
    })
}

/// A missing or wrong property. Chosen: sentence and code, since the specification gives an error no values.
fn bad(property: &str) -> ArmError {
    ArmError::bad_request(format!("The property \"{property}\" is missing or not valid."))
}

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let (id, name, body) = (proposal.id, ids::name(proposal.id), proposal.body);
    if let Some(fault) = name_fault(name) {
        // The code is of Microsoft's page on Key Vault's common error codes.
        return Err(ArmError::new(400, "VaultNameNotValid", fault));
    }
    if let Some(fault) = taken(world, id, name) {
        // The code is of Microsoft's page on Key Vault's common error codes.
        return Err(ArmError::new(409, "VaultAlreadyExists", fault));
    }
    let mut properties = body["properties"].as_object().cloned().unwrap_or_default();
    let recover = properties.remove("createMode").is_some_and(|mode| mode == "recover");
    let asleep = deleted::find(world, id, name);
    let before = match (proposal.existing, asleep) {
        (Some(existing), _) => existing["properties"].as_object().cloned().unwrap_or_default(),
        (None, Some(vault)) if recover => {
            // It comes back as it was; what is stated beside the mode is taken as well.
            let old = vault["properties"].as_object().cloned().unwrap_or_default();
            for (name, value) in &old {
                properties.entry(name.clone()).or_insert_with(|| value.clone());
            }
            old
        }
        (None, Some(_)) => {
            // Chosen: the code `ConflictError` and the sentence for a name that a deleted vault still holds. Microsoft's page
            // on Key Vault's common error codes has the code, but for requests that meet.
            return Err(ArmError::new(
                409,
                "ConflictError",
                "A vault with the same name already exists in deleted state. You need to either recover or purge existing \
                 key vault. Follow this link https://go.microsoft.com/fwlink/?linkid=2149745 for more information on soft \
                 delete.",
            ));
        }
        (None, None) if recover => return Err(deleted::not_found(name)),
        (None, None) => serde_json::Map::new(),
    };
    let before = Value::Object(before);
    let mut properties = Value::Object(properties);
    if let Some(existing) = proposal.existing.map(|existing| &existing["properties"]) {
        // A seeded vault need not say what every vault says; it is shown as if it did.
        for (name, shown) in [
            ("tenantId", json!(world.tenant_of(id))),
            ("sku", json!({ "family": "A", "name": "standard" })),
            ("accessPolicies", json!([])),
        ] {
            if existing[name].is_null() && properties[name].is_null() {
                properties[name] = shown;
            }
        }
    }
    if proposal.existing.is_none()
        && properties["enableRbacAuthorization"].is_null()
        && proposal.api_version >= ROLES_BY_DEFAULT
    {
        properties["enableRbacAuthorization"] = json!(true);
    }
    validate(world, &properties)?;
    keep_irreversible(&before, &mut properties)?;
    // Whatever was asked for (recording of vaults): soft delete cannot be turned off.
    properties["enableSoftDelete"] = json!(true);
    if let Some(rules) = properties.get_mut("networkAcls") {
        normalize(rules);
    }
    if let Some(members) = properties.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    let now = rfc3339(world.now);
    let created = proposal.existing.map(|old| &old["systemData"]).filter(|data| data.is_object());
    let mut system = created.cloned().unwrap_or_else(
        || json!({ "createdBy": proposal.caller.client_id, "createdByType": "Application", "createdAt": now }),
    );
    system["lastModifiedBy"] = json!(proposal.caller.client_id);
    system["lastModifiedByType"] = json!("Application");
    system["lastModifiedAt"] = json!(now);
    Ok(json!({ "systemData": system, "properties": properties }))
}

fn validate(world: &World, properties: &Value) -> Result<(), ArmError> {
    if properties["tenantId"].as_str().is_none_or(str::is_empty) {
        return Err(bad("tenantId"));
    }
    if !matches!(properties["sku"]["name"].as_str(), Some("standard" | "premium")) || properties["sku"]["family"] != "A"
    {
        return Err(bad("sku"));
    }
    // Required unless roles decide (OpenAPI, VaultProperties: or the vault is recovered, which brings its own).
    let policies = properties["accessPolicies"].as_array();
    if properties["enableRbacAuthorization"] != true && policies.is_none() && properties["enableSoftDelete"].is_null() {
        return Err(bad("accessPolicies"));
    }
    if policies.is_some_and(|all| all.len() > 1024 || all.iter().any(|one| one["tenantId"] != properties["tenantId"])) {
        return Err(bad("accessPolicies"));
    }
    let rules = &properties["networkAcls"];
    let word = |name: &str, known: [&str; 2]| {
        let fits = rules[name].as_str().map_or(rules[name].is_null(), |word| known.contains(&word));
        if fits { Ok(()) } else { Err(bad(&format!("networkAcls.{name}"))) }
    };
    word("bypass", ["AzureServices", "None"])?;
    word("defaultAction", ["Allow", "Deny"])?;
    let list = |name: &str| rules[name].as_array().into_iter().flatten();
    if !list("ipRules").all(|rule| rule["value"].as_str().is_some_and(network_rules::is_range)) {
        return Err(bad("networkAcls.ipRules"));
    }
    for rule in list("virtualNetworkRules").filter(|rule| rule["ignoreMissingVnetServiceEndpoint"] != true) {
        let id = rule["id"].as_str().unwrap_or_default();
        network_rules::check_subnet(world, id, "Microsoft.KeyVault").map_err(|fault| match fault {
            SubnetFault::BadId => bad("networkAcls.virtualNetworkRules"),
            // Chosen: Storage's sentence under the vaults' code.
            SubnetFault::Refused(why) => ArmError::bad_request(format!("Validation of network acls failure: {why}")),
        })?;
    }
    Ok(())
}

/// Purge protection stays once it is on, and retention stays as it was first set (OpenAPI, VaultProperties).
fn keep_irreversible(before: &Value, properties: &mut Value) -> Result<(), ArmError> {
    if properties["enablePurgeProtection"] == false {
        return Err(ArmError::bad_request(
            "The property \"enablePurgeProtection\" cannot be set to false. Enabling the purge protection for a vault is an \
             irreversible action.",
        ));
    }
    if before["enablePurgeProtection"] == true {
        properties["enablePurgeProtection"] = json!(true);
    }
    let (then, now) = (before["softDeleteRetentionInDays"].as_i64(), properties["softDeleteRetentionInDays"].as_i64());
    if now.is_some_and(|days| !(7..=90).contains(&days)) {
        return Err(bad("softDeleteRetentionInDays"));
    }
    match (then, now) {
        (Some(then), Some(now)) if then != now => Err(ArmError::bad_request(
            "The property \"softDeleteRetentionInDays\" has been set already and it can't be modified.",
        )),
        (Some(then), None) => {
            properties["softDeleteRetentionInDays"] = json!(then);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Rules as the service gives them back (OpenAPI, example of a vault with network rules): addresses as ranges, ids of
/// subnets in lower case.
fn normalize(rules: &mut Value) {
    let list = |rules: &mut Value, name: &str, each: fn(&mut Value)| {
        rules.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten().for_each(each);
    };
    list(rules, "ipRules", |rule| {
        if let Some(address) = rule["value"].as_str().filter(|value| !value.contains('/')) {
            rule["value"] = json!(format!("{address}/32"));
        }
    });
    list(rules, "virtualNetworkRules", |rule| {
        if let Some(id) = rule["id"].as_str() {
            rule["id"] = json!(id.to_ascii_lowercase());
        }
    });
}

fn render(world: &World, document: Value) -> Value {
    let mut vault = document;
    let connections = world.render_connections(vault["id"].as_str().unwrap_or_default());
    let name = vault["name"].as_str().unwrap_or_default().to_ascii_lowercase();
    let mut shown = json!({
        "sku": { "family": "A", "name": "standard" },
        "tenantId": world.tenant_of(vault["id"].as_str().unwrap_or_default()),
        "accessPolicies": [],
        "enabledForDeployment": false,
        "enableSoftDelete": true,
        "vaultUri": format!("https://{}/", world.settings.cloud.spell(&format!("{name}.vault.azure.net"))),
    });
    body::merge(&mut shown, &vault["properties"], &[]);
    // A vault without connections shows no such member (recording of vaults).
    if !connections.is_empty() {
        shown["privateEndpointConnections"] = connections.into();
    }
    vault["properties"] = shown;
    vault
}

/// `PUT`. Recorded: only the answer to a creation spells the vault's URI without its last slash.
pub(super) fn put(call: &mut Call<'_>) -> Answer {
    let is_new = !call.world.resources.contains_key(&ids::key(&call.path));
    let mut reply = resource_type::put(call)?;
    if let Payload::Json(vault) = &mut reply.payload
        && let Some(uri) = vault["properties"]["vaultUri"].as_str().filter(|_| is_new)
    {
        vault["properties"]["vaultUri"] = json!(uri.trim_end_matches('/'));
    }
    Ok(reply)
}

/// `POST` of a name: whether a vault could have it.
pub(super) fn check_name(call: &mut Call<'_>) -> Answer {
    let body = call.json(&[])?;
    let name = body["name"].as_str().unwrap_or_default();
    let gone =
        || deleted::find(call.world, &call.path, name).map(|_| "A vault with the same name is in deleted state.");
    let fault = name_fault(name).map(|fault| ("AccountNameInvalid", fault));
    let fault = fault.or_else(|| taken(call.world, &call.path, name).map(|fault| ("AlreadyExists", fault)));
    let fault = fault.or_else(|| gone().map(|fault| ("AlreadyExists", fault.to_owned())));
    Ok(Reply::ok(match fault {
        Some((reason, message)) => json!({ "nameAvailable": false, "reason": reason, "message": message }),
        None => json!({ "nameAvailable": true }),
    }))
}
