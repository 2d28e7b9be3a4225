//! Datastores: where a workspace reads from, and with what credentials (OpenAPI 2024-10-01).

use serde_json::{Value, json};

use crate::call::{Answer, Call};
use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::http::Reply;
use crate::ids;
use crate::resource_type::{self, Proposal, ResourceType, at_once};
use crate::world::World;

use super::document;

pub(super) const TYPE: ResourceType = ResourceType {
    kind: "Microsoft.MachineLearningServices/workspaces/datastores",
    accept,
    render,
    names: NAMES,
    tracked: false,
    shows_state: false,
    create: at_once("datastoreCreate", 201),
    update: at_once("datastoreUpdate", 200),
    page_token: "$skip",
    ..ResourceType::DEFAULT
};

const NAMES: &[&str] = &[
    "accountName",
    "authorityUrl",
    "clientId",
    "containerName",
    "credentials",
    "credentialsType",
    "datastoreType",
    "description",
    "endpoint",
    "fileShareName",
    "filesystem",
    "protocol",
    "resourceGroup",
    "resourceUrl",
    "secrets",
    "secretsType",
    "serviceDataAccessAuthIdentity",
    "subscriptionId",
    "tenantId",
    "thumbprint",
];

/// The member of a stored datastore that holds its secrets; nothing but `listSecrets` shows it.
const SECRETS: &str = "secrets";

/// A type of datastore: its name, and the members of its own that it needs. Chosen: a blob datastore needs an account and a
/// container, though the specification lets both be null.
const TYPES: &[(&str, &[&str])] = &[
    ("AzureBlob", &["accountName", "containerName"]),
    ("AzureDataLakeGen1", &["storeName"]),
    ("AzureDataLakeGen2", &["accountName", "filesystem"]),
    ("AzureFile", &["accountName", "fileShareName"]),
    ("OneLake", &["artifact", "oneLakeWorkspaceName"]),
];

/// A type of credentials: its name, what it needs besides secrets, and what its secret is called.
const CREDENTIALS: &[(&str, &[&str], Option<&str>)] = &[
    ("None", &[], None),
    ("AccountKey", &[], Some("key")),
    ("Sas", &[], Some("sasToken")),
    ("ServicePrincipal", &["tenantId", "clientId"], Some("clientSecret")),
    ("Certificate", &["tenantId", "clientId", "thumbprint"], Some("certificate")),
];

/// What stays as it was at creation (`x-ms-mutability` of the specification), and what is shown of a datastore besides its
/// credentials.
const FIXED: &[&str] = &[
    "datastoreType",
    "accountName",
    "artifact",
    "containerName",
    "endpoint",
    "fileShareName",
    "filesystem",
    "oneLakeWorkspaceName",
    "protocol",
    "serviceDataAccessAuthIdentity",
    "storeName",
];
const FREE: &[&str] = &["description", "properties", "resourceGroup", "subscriptionId", "tags"];

fn refuse<T>(message: impl Into<String>) -> Result<T, ArmError> {
    Err(ArmError::validation(message))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_default()
}

/// Judges a body by itself.
fn check(name: &str, given: &Value) -> Result<(), ArmError> {
    let inner = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let first = name.starts_with(|letter: char| letter.is_ascii_alphanumeric());
    if !first || name.len() > 255 || !name.chars().all(inner) {
        return refuse(format!("'{name}' is no name of a datastore."));
    }
    let kind = text(given, "datastoreType");
    let Some((_, needed)) = TYPES.iter().find(|(known, _)| *known == kind) else {
        return refuse(format!("'{kind}' is not a datastoreType."));
    };
    if let Some(missing) = needed.iter().find(|name| given[**name].is_null() || given[**name] == json!("")) {
        return refuse(format!("A datastore of type {kind} needs '{missing}'."));
    }
    let known = ["None", "WorkspaceSystemAssignedIdentity", "WorkspaceUserAssignedIdentity"];
    match &given["serviceDataAccessAuthIdentity"] {
        Value::Null => {}
        Value::String(identity) if known.contains(&identity.as_str()) => {}
        other => return refuse(format!("{other} is not a serviceDataAccessAuthIdentity.")),
    }
    check_credentials(&given["credentials"])
}

fn check_credentials(credentials: &Value) -> Result<(), ArmError> {
    let kind = text(credentials, "credentialsType");
    let Some((_, needed, secret)) = CREDENTIALS.iter().find(|(known, ..)| *known == kind) else {
        return refuse(format!("'{kind}' is not a credentialsType."));
    };
    if let Some(missing) = needed.iter().find(|name| text(credentials, name).is_empty()) {
        return refuse(format!("Credentials of type {kind} need '{missing}'."));
    }
    let Some(secret) = secret else { return Ok(()) };
    let secrets = &credentials["secrets"];
    if text(secrets, "secretsType") != kind || text(secrets, secret).is_empty() {
        return refuse(format!("Credentials of type {kind} need secrets of that type with '{secret}'."));
    }
    Ok(())
}

/// What the service tries unless it is told not to. Chosen: that the account is there and, for its keys, lets anybody use
/// them; containers, shares and what else credentials open are not known here.
fn try_out(world: &World, given: &Value) -> Result<(), ArmError> {
    let account = text(given, "accountName");
    if account.is_empty() {
        return Ok(());
    }
    let called = |found: &&Value| found["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(account));
    let Some(found) = world.all_of("Microsoft.Storage/storageAccounts").find(called) else {
        return refuse(format!("The storage account '{account}' was not found."));
    };
    let by_key = text(&given["credentials"], "credentialsType") == "AccountKey";
    if by_key && found["properties"]["allowSharedKeyAccess"] == json!(false) {
        return refuse(format!("The storage account '{account}' does not permit the use of its keys."));
    }
    Ok(())
}

/// The datastores that every workspace has from the start (Microsoft's page on datastores). Chosen: the names of their
/// containers, as workspaces in the field have them.
fn defaults(world: &World, workspace: &str) -> Vec<Value> {
    let Some(found) = world.resources.get(&ids::key(workspace)) else { return Vec::new() };
    let (id, properties) = (text(found, "id"), &found["properties"]);
    let Some(account) = properties["storageAccount"].as_str().map(ids::name) else { return Vec::new() };
    let guid = text(properties, "workspaceId");
    let credentials = if properties["systemDatastoresAuthMode"] == json!("identity") { "None" } else { "AccountKey" };
    let default = |name: &str, kind: &str, member: &str, value: String| {
        let mut store = json!({
            "id": format!("{id}/datastores/{name}"), "name": name, "type": TYPE.kind, "systemData": {},
            "properties": {
                "datastoreType": kind, "accountName": account, "isDefault": name == DEFAULT, "protocol": "https",
                "endpoint": world.settings.cloud.spell("core.windows.net"), "serviceDataAccessAuthIdentity": "None",
                "credentials": { "credentialsType": credentials },
            },
        });
        store["properties"][member] = json!(value);
        store
    };
    vec![
        default(DEFAULT, "AzureBlob", "containerName", format!("azureml-blobstore-{guid}")),
        default("workspacefilestore", "AzureFile", "fileShareName", format!("azureml-filestore-{guid}")),
        default("workspaceartifactstore", "AzureBlob", "containerName", "azureml".into()),
        default("workspaceworkingdirectory", "AzureFile", "fileShareName", format!("code-{guid}")),
    ]
}

/// The one that is used where none is named.
const DEFAULT: &str = "workspaceblobstore";

fn default_one(world: &World, id: &str) -> Option<Value> {
    let asked = ids::key(id);
    defaults(world, &ids::parent(id)).into_iter().find(|store| ids::key(text(store, "id")) == asked)
}

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let given = &proposal.body["properties"];
    check(ids::name(proposal.id), given)?;
    let existing = proposal.existing.cloned().or_else(|| default_one(world, proposal.id));
    let mut properties = json!({
        "endpoint": world.settings.cloud.spell("core.windows.net"), "protocol": "https",
        "serviceDataAccessAuthIdentity": "None", "isDefault": ids::name(proposal.id).eq_ignore_ascii_case(DEFAULT),
    });
    for name in FIXED.iter().chain(FREE).filter(|name| !given[**name].is_null()) {
        properties[*name] = given[*name].clone();
    }
    if let Some(existing) = &existing {
        for name in FIXED {
            let (now, asked) = (&existing["properties"][*name], &given[*name]);
            if asked.is_null() && !now.is_null() {
                properties[*name] = now.clone();
            } else if !asked.is_null() && now != asked {
                return refuse(format!("'{name}' of a datastore cannot be changed."));
            }
        }
    }
    let mut credentials = given["credentials"].clone();
    let secrets = credentials.as_object_mut().and_then(|members| members.remove("secrets"));
    properties["credentials"] = credentials;
    let data = existing.map_or(json!({}), |existing| existing["systemData"].clone());
    let mut document = json!({ "properties": properties, "systemData": data, SECRETS: secrets });
    document::sign(&mut document, Some(proposal.caller), &rfc3339(world.now));
    Ok(document)
}

fn render(_: &World, mut document: Value) -> Value {
    if let Some(members) = document.as_object_mut() {
        members.remove(SECRETS);
    }
    document
}

/// `GET`, of those from the start too; the query chooses.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let workspace = ids::ancestor(&call.path, 8);
    call.world.resource(&workspace)?;
    let call = &*call;
    let stored: Vec<Value> =
        call.world.list(&workspace, TYPE.kind).map(|store| render(call.world, store.clone())).collect();
    let mut all = defaults(call.world, &workspace);
    all.retain(|store| !stored.iter().any(|own| ids::key(text(own, "id")) == ids::key(text(store, "id"))));
    all.extend(stored);
    let (only_default, names) = (call.request.query("isDefault"), call.request.query("names"));
    let sought = call.request.query("searchText").unwrap_or_default().to_lowercase();
    all.retain(|store| {
        let (name, is_default) = (text(store, "name"), store["properties"]["isDefault"] == json!(true));
        let asked = names.as_deref().is_none_or(|names| names.split(',').any(|asked| asked.eq_ignore_ascii_case(name)));
        let default = only_default.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(&is_default.to_string()));
        asked && default && name.to_lowercase().contains(&sought)
    });
    Ok(call.page(all, "$skip"))
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let found = call.world.render(&call.path).or_else(|| default_one(call.world, &call.path));
    found.map(Reply::ok).ok_or_else(|| ArmError::not_found(&call.path))
}

pub(super) fn put(call: &mut Call<'_>) -> Answer {
    let sent = call.json(NAMES)?;
    check(ids::name(&call.path), &sent["properties"])?;
    let skip = call.request.query("skipValidation").is_some_and(|skip| skip.eq_ignore_ascii_case("true"));
    if !skip {
        try_out(call.world, &sent["properties"])?;
    }
    resource_type::put(call)
}

/// Chosen: those from the start stay.
pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    match default_one(call.world, &call.path) {
        Some(_) => refuse(format!("The datastore '{}' is the workspace's own.", ids::name(&call.path))),
        None => resource_type::delete(call),
    }
}

/// `POST listSecrets`. Chosen: a datastore without secrets has none to list, nor has one from the start.
pub(super) fn list_secrets(call: &mut Call<'_>) -> Answer {
    let id = ids::ancestor(&call.path, 10);
    let secrets = call.world.resources.get(&ids::key(&id)).map(|store| store[SECRETS].clone());
    match secrets {
        Some(secrets) if secrets.is_object() => Ok(Reply::ok(secrets)),
        None if default_one(call.world, &id).is_none() => Err(ArmError::not_found(&id)),
        _ => refuse(format!("The datastore '{}' has no secrets.", ids::name(&id))),
    }
}
