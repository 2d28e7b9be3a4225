//! Microsoft.Storage: accounts and their private endpoint connections.

use serde_json::{Value, json};

use super::network_rules::{self, SubnetFault};
use crate::body;
use crate::call::{Answer, Call, Shown, Style};
use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::http::{Payload, Reply};
use crate::ids;
use crate::resource_type::{Patch, Proposal, ResourceType, Write, at_once};
use crate::routes::{Provider, Route, connectable, connection_list, link_resources, patchable, row, tracked};
use crate::settings::ConcurrentAccountWrites;
use crate::world::World;

const KIND: &str = "Microsoft.Storage/storageAccounts";

/// 2019-06-01 is what azure-cli uses to approve connections.
const VERSIONS: &[&str] = &[
    "2019-06-01",
    "2021-04-01",
    "2022-09-01",
    "2023-01-01",
    "2023-05-01",
    "2024-01-01",
    "2025-01-01",
    "2026-04-01",
    "2026-09-01",
];

const ROUTES: &[Route] = &[
    row("GET", "/subscriptions/{}/providers/Microsoft.Storage/locations/{}/asyncoperations/{}", VERSIONS, creation),
    row("POST", "/subscriptions/{}/providers/Microsoft.Storage/checkNameAvailability", VERSIONS, check_name),
    row(
        "POST",
        "/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Storage/storageAccounts/{}/listKeys",
        VERSIONS,
        list_keys,
    ),
];

/// 202 without a body, `Location`, `Retry-After: 17`; in the end 200 with the account (recordings of accounts).
const CREATE: Style = Style {
    running: 202,
    done: 200,
    body: Shown::Nothing,
    status_url: None,
    location_url: Some((
        "/subscriptions/{subscription}/providers/Microsoft.Storage/locations/{location}/asyncoperations/{id}",
        "monitor=true",
    )),
    retry_after: Some(17),
    ..Style::at_once(200)
};

/// Answered at once, whatever goes on behind it.
const UPDATE: Write = Write {
    kind: "storageAccountUpdate",
    seconds: |times| times.storage_update,
    busy: "Succeeded",
    style: Style::at_once(200),
};

const ACCOUNT: ResourceType = ResourceType {
    kind: KIND,
    accept,
    render,
    names: &[
        "accessTier",
        "allowBlobPublicAccess",
        "allowCrossTenantReplication",
        "allowSharedKeyAccess",
        "allowedCopyScope",
        "bypass",
        "defaultAction",
        "defaultToOAuthAuthentication",
        "encryption",
        "ipRules",
        "isHnsEnabled",
        "minimumTlsVersion",
        "networkAcls",
        "publicNetworkAccess",
        "resourceAccessRules",
        "resourceId",
        "supportsHttpsTrafficOnly",
        "tenantId",
        "value",
        "action",
        "virtualNetworkRules",
    ],
    create: Write {
        kind: "storageAccountCreate",
        seconds: |times| times.storage_create,
        busy: "Creating",
        style: CREATE,
    },
    update: UPDATE,
    patch: Some((Patch::Merge, UPDATE)),
    delete: at_once("storageAccountDelete", 200),
    ..ResourceType::DEFAULT
};

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.Storage",
    source: "OpenAPI 2023-05-01, recordings of accounts (2021-04-01)",
    missing: &[
        "Secondary regions, routing preferences, failover, migrations; blob, file, queue and table services and their \
         policies",
        "New keys, SAS, local users, encryption scopes, deleted accounts, SKUs, usages, network security perimeters",
    ],
    types: &[ACCOUNT],
    routes: &[
        tracked!("Microsoft.Storage/storageAccounts", VERSIONS),
        patchable!("Microsoft.Storage/storageAccounts", VERSIONS),
        connectable!("Microsoft.Storage/storageAccounts", VERSIONS),
        connection_list!("Microsoft.Storage/storageAccounts", VERSIONS),
        link_resources!("Microsoft.Storage/storageAccounts", VERSIONS),
        ROUTES,
    ],
};

/// This provider's answers have content types of their own: JSON without a character set, and one even for an empty
/// body (recordings of accounts).
pub(crate) fn with_content_type(path: &str, reply: Reply) -> Reply {
    if !ids::provider_path(path).is_some_and(|path| path.to_ascii_lowercase().starts_with("microsoft.storage/")) {
        return reply;
    }
    let kind = match reply.payload {
        Payload::Json(_) => "application/json",
        Payload::Empty | Payload::Text(_) => "text/plain; charset=utf-8",
    };
    reply.header("Content-Type", kind)
}

fn creation(call: &mut Call<'_>) -> Answer {
    call.operation_result(Some(17))
}

/// Chosen: one code and sentence for every value that is not valid, as users quote them for single ones.
fn invalid(what: &str) -> ArmError {
    let message = format!("Values for request parameters are invalid: {what}.");
    ArmError::new(400, "InvalidValuesForRequestParameters", message)
}

fn one_of(value: &Value, name: &str, known: &[&str], required: bool) -> Result<(), ArmError> {
    match value.as_str() {
        Some(value) if known.contains(&value) => Ok(()),
        None if value.is_null() && !required => Ok(()),
        _ => Err(invalid(name)),
    }
}

fn name_fault(name: &str) -> Option<String> {
    let fits = (3..=24).contains(&name.len()) && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    (!fits).then(|| {
        format!(
            "{name} is not a valid storage account name. Storage account name must be between 3 and 24 characters in \
             length and use numbers and lower-case letters only."
        )
    })
}

/// Names are host names: one in the world.
fn taken(world: &World, id: &str, name: &str) -> Option<String> {
    world.name_taken(KIND, id, name).then(|| format!("The storage account named {name} is already taken."))
}

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let (id, body, name) = (proposal.id, proposal.body, ids::name(proposal.id));
    if let Some(fault) = name_fault(name) {
        // Chosen: a PUT refuses a name under the reason that `checkNameAvailability` gives (OpenAPI Storage 2023-05-01).
        return Err(ArmError::new(400, "AccountNameInvalid", fault));
    }
    if let Some(fault) = taken(world, id, name) {
        // Code and sentence are of Microsoft's page on common deployment errors.
        return Err(ArmError::new(409, "StorageAccountAlreadyTaken", fault));
    }
    let busy =
        world.operations.running().any(|op| op.kind.starts_with("storageAccount") && op.resource == ids::key(id));
    if busy && world.settings.concurrent_account_writes == ConcurrentAccountWrites::Refuse {
        return Err(ArmError::new(
            409,
            "StorageAccountOperationInProgress",
            "An operation is currently performing on this storage account that requires exclusive access.",
        ));
    }
    // A PUT on an account that is there updates it (OpenAPI, StorageAccounts_Create). Chosen: what a write leaves out
    // or states as null stays.
    let mut wanted = proposal.existing.cloned().unwrap_or_else(|| json!({}));
    body::merge(&mut wanted, &body::members(body, &["sku", "kind", "identity", "properties"]), &[]);
    validate(world, &wanted)?;
    let (mut properties, before) = (wanted["properties"].take(), proposal.existing.map(|old| &old["properties"]));
    let hierarchical = |properties: &Value| properties["isHnsEnabled"].as_bool().unwrap_or(false);
    if before.is_some_and(|before| hierarchical(before) != hierarchical(&properties)) {
        // Chosen: the code for changing what cannot be changed, and its status.
        let message = "The property 'isHnsEnabled' was specified in the input, but it cannot be updated.";
        return Err(ArmError::new(409, "AccountPropertyCannotBeUpdated", message));
    }
    if !properties.is_object() {
        properties = json!({});
    }
    if before.is_none() {
        let now = rfc3339(world.now);
        properties["creationTime"] = json!(now);
        properties["keyCreationTime"] = json!({ "key1": now, "key2": now });
    }
    wanted["properties"] = properties;
    Ok(body::members(&wanted, &["sku", "kind", "identity", "properties"]))
}

/// Properties that are true or false (OpenAPI 2023-05-01).
const FLAGS: &[&str] = &[
    "allowBlobPublicAccess",
    "allowCrossTenantReplication",
    "allowSharedKeyAccess",
    "defaultToOAuthAuthentication",
    "isHnsEnabled",
    "isLocalUserEnabled",
    "isNfsV3Enabled",
    "isSftpEnabled",
    "supportsHttpsTrafficOnly",
];

/// Whether an account can let in an address or range: public ones only, and what is smaller than four addresses one by one
/// (Microsoft's page on the network security of storage accounts).
fn is_allowed(text: &str) -> bool {
    let address = text.split('/').next().and_then(|address| address.parse::<std::net::Ipv4Addr>().ok());
    network_rules::is_range(text)
        && !text.ends_with("/31")
        && !text.ends_with("/32")
        && address.is_some_and(|address| !address.is_private())
}

fn validate(world: &World, wanted: &Value) -> Result<(), ArmError> {
    const SKUS: &[&str] = &[
        "Standard_LRS",
        "Standard_GRS",
        "Standard_RAGRS",
        "Standard_ZRS",
        "Premium_LRS",
        "Premium_ZRS",
        "Standard_GZRS",
        "Standard_RAGZRS",
    ];
    const KINDS: &[&str] = &["Storage", "StorageV2", "BlobStorage", "FileStorage", "BlockBlobStorage"];
    let properties = &wanted["properties"];
    // A seeded account need not say what it is.
    let fresh = wanted.get("id").is_none();
    one_of(&wanted["sku"]["name"], "sku", SKUS, fresh)?;
    one_of(&wanted["kind"], "kind", KINDS, fresh)?;
    one_of(
        &properties["publicNetworkAccess"],
        "publicNetworkAccess",
        &["Enabled", "Disabled", "SecuredByPerimeter"],
        false,
    )?;
    one_of(&properties["accessTier"], "accessTier", &["Hot", "Cool", "Cold", "Premium"], false)?;
    one_of(&properties["minimumTlsVersion"], "minimumTlsVersion", &["TLS1_0", "TLS1_1", "TLS1_2", "TLS1_3"], false)?;
    one_of(&properties["allowedCopyScope"], "allowedCopyScope", &["PrivateLink", "AAD"], false)?;
    one_of(&properties["dnsEndpointType"], "dnsEndpointType", &["Standard", "AzureDnsZone"], false)?;
    for flag in FLAGS {
        if !properties[*flag].is_null() && !properties[*flag].is_boolean() {
            return Err(invalid(flag));
        }
    }
    let rules = &properties["networkAcls"];
    if rules.is_null() {
        return Ok(());
    }
    one_of(&rules["defaultAction"], "networkAcls.defaultAction", &["Allow", "Deny"], true)?;
    let bypass = rules["bypass"].as_str().unwrap_or("AzureServices");
    let known = |part: &str| ["None", "Logging", "Metrics", "AzureServices"].contains(&part.trim());
    if !bypass.split(',').all(known) {
        return Err(invalid("networkAcls.bypass"));
    }
    let list = |name: &str| rules[name].as_array().into_iter().flatten();
    if !list("ipRules").all(|rule| rule["value"].as_str().is_some_and(is_allowed)) {
        return Err(invalid("networkAcls.ipRules[*].value"));
    }
    if !list("resourceAccessRules")
        .all(|rule| rule["resourceId"].as_str().is_some_and(|id| ids::resource_type(id).is_some()))
    {
        return Err(invalid("networkAcls.resourceAccessRules[*].resourceId"));
    }
    for rule in list("virtualNetworkRules") {
        let id = rule["id"].as_str().unwrap_or_default();
        network_rules::check_subnet(world, id, "Microsoft.Storage").map_err(|fault| match fault {
            SubnetFault::BadId => ArmError::new(
                400,
                "InvalidValuesForRequestParameters",
                "Values for request parameters are invalid: networkAcls.virtualNetworkRules[*].id. For more information, \
                 see - https://aka.ms/storagenetworkruleset",
            ),
            SubnetFault::Refused(why) => ArmError::new(
                400,
                "NetworkAclsValidationFailure",
                format!("Validation of network acls failure: {why}"),
            ),
        })?;
    }
    Ok(())
}

/// The services of a kind of account, by the names of their endpoints (recordings of accounts).
pub(crate) fn services(kind: &str) -> &'static [&'static str] {
    match kind {
        "BlobStorage" => &["dfs", "blob", "table"],
        "BlockBlobStorage" => &["dfs", "web", "blob"],
        "FileStorage" => &["file"],
        _ => &["dfs", "web", "blob", "queue", "table", "file"],
    }
}

/// An account with what the service fills in, as the recordings show it.
fn render(world: &World, document: Value) -> Value {
    let mut account = document;
    let (id, name) = (account["id"].as_str().unwrap_or_default().to_owned(), account["name"].clone());
    let name = name.as_str().unwrap_or_default();
    let kind = account["kind"].as_str().unwrap_or("StorageV2").to_owned();
    if let Some(tier) = account["sku"]["name"].as_str().and_then(|sku| sku.split('_').next()).map(str::to_owned) {
        account["sku"]["tier"] = json!(tier);
    }
    let host = |service: &&str| {
        // A static web site lies in a zone of its region; which one is chosen.
        let zone = if *service == "web" { "z1." } else { "" };
        let host = world.settings.cloud.spell(&format!("{name}.{zone}{service}.core.windows.net"));
        ((*service).to_owned(), json!(format!("https://{host}/")))
    };
    let endpoints: serde_json::Map<_, _> = services(&kind).iter().map(host).collect();
    let created = account["properties"]["creationTime"].clone();
    let mut service = json!({ "keyType": "Account", "enabled": true });
    // A seed may not say when; the specification has no null there.
    if created.is_string() {
        service["lastEnabledTime"] = created;
    }
    let mut shown = json!({
        "allowBlobPublicAccess": false,
        "allowCrossTenantReplication": false,
        "minimumTlsVersion": "TLS1_2",
        "supportsHttpsTrafficOnly": true,
        "networkAcls": { "bypass": "AzureServices", "virtualNetworkRules": [], "ipRules": [], "defaultAction": "Allow" },
        "encryption": { "services": { "file": service, "blob": service }, "keySource": "Microsoft.Storage" },
        "accessTier": "Hot",
        "primaryEndpoints": endpoints,
        "primaryLocation": account["location"],
        "statusOfPrimary": "available",
    });
    body::merge(&mut shown, &account["properties"], &[]);
    render_rules(world, &mut shown["networkAcls"]);
    shown["privateEndpointConnections"] = world.render_connections(&id).into();
    account["properties"] = shown;
    account
}

fn render_rules(world: &World, rules: &mut Value) {
    for rule in rules.get_mut("ipRules").and_then(Value::as_array_mut).into_iter().flatten() {
        rule["action"] = json!("Allow");
    }
    for rule in rules.get_mut("virtualNetworkRules").and_then(Value::as_array_mut).into_iter().flatten() {
        let subnet = rule["id"].as_str().unwrap_or_default();
        let missing = !world.resources.contains_key(&ids::key(subnet));
        let gone = missing && network_rules::check_subnet(world, subnet, "Microsoft.Storage").is_err();
        rule["action"] = json!("Allow");
        rule["state"] = json!(if gone { "NetworkSourceDeleted" } else { "Succeeded" });
    }
}

fn check_name(call: &mut Call<'_>) -> Answer {
    let body = call.json(&[])?;
    let name = body["name"].as_str().unwrap_or_default();
    let fault = name_fault(name).map(|fault| ("AccountNameInvalid", fault));
    let fault = fault.or_else(|| taken(call.world, "", name).map(|fault| ("AlreadyExists", fault)));
    Ok(Reply::ok(match fault {
        Some((reason, message)) => json!({ "nameAvailable": false, "reason": reason, "message": message }),
        None => json!({ "nameAvailable": true }),
    }))
}

/// Two keys that open nothing. They are listed whether or not the account lets anybody use them.
fn list_keys(call: &mut Call<'_>) -> Answer {
    let account = ids::parent(&format!("{}/x", call.path));
    let document = call.world.resource(&account)?;
    let key = |name: &str| {
        let value = ids::guid(&["storage key", &account, name]).simple().to_string();
        let mut key = json!({
            "keyName": name,
            "value": format!("{value}{value}{}==", &value[..22]),
            "permissions": "Full",
        });
        let created = &document["properties"]["keyCreationTime"][name];
        if created.is_string() {
            key["creationTime"] = created.clone();
        }
        key
    };
    Ok(Reply::ok(json!({ "keys": [key("key1"), key("key2")] })))
}
