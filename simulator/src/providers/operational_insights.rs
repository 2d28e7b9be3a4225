//! Microsoft.OperationalInsights: log workspaces, to which components send what they record.

use serde_json::{Value, json};

use super::insights;
use crate::body;
use crate::call::{Answer, Call, Style};
use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{self, Etag, Patch, Proposal, ResourceType, Write, at_once};
use crate::routes::{Provider, Route, patchable, row};
use crate::world::World;

const KIND: &str = "Microsoft.OperationalInsights/workspaces";

const VERSIONS: &[&str] = &["2020-08-01", "2020-10-01", "2022-10-01", "2023-09-01", "2025-02-01"];

/// How long a deleted workspace can be recovered (OpenAPI 2023-09-01, Workspaces_Delete).
const RETENTION_DAYS: i64 = 14;
const DAY_MS: i64 = 86_400_000;

/// What a body may set (OpenAPI 2023-09-01).
const WRITABLE: &[&str] = &[
    "sku",
    "retentionInDays",
    "workspaceCapping",
    "publicNetworkAccessForIngestion",
    "publicNetworkAccessForQuery",
    "forceCmkForQuery",
    "features",
    "defaultDataCollectionRuleResourceId",
];

/// In their canonical spelling; the service takes the names of these in any case.
const SKUS: &[&str] =
    &["Free", "Standard", "Premium", "PerNode", "PerGB2018", "Standalone", "CapacityReservation", "LACluster"];

const WORKSPACE: ResourceType = ResourceType {
    kind: KIND,
    accept,
    stored: |world, key| {
        world.soft_deleted.remove(key);
    },
    removable,
    render,
    names: WRITABLE,
    // 201 with the workspace, whose state says when it is done (example).
    create: Write {
        kind: "logWorkspaceCreate",
        seconds: |times| times.log_workspace,
        busy: "Creating",
        style: Style::at_once(201),
    },
    update: at_once("logWorkspaceUpdate", 200),
    patch: Some((Patch::Merge, at_once("logWorkspaceUpdate", 200))),
    delete: at_once("logWorkspaceDelete", 200),
    etag: Etag::Member,
    ..ResourceType::DEFAULT
};

macro_rules! workspace {
    ($tail:literal) => {
        concat!("/subscriptions/{}/resourceGroups/{}/providers/Microsoft.OperationalInsights/workspaces", $tail)
    };
}

const ROUTES: &[Route] = &[
    row("GET", "/subscriptions/{}/providers/Microsoft.OperationalInsights/workspaces", VERSIONS, resource_type::list),
    row("GET", workspace!(""), VERSIONS, resource_type::list),
    row("GET", workspace!("/{}"), VERSIONS, resource_type::get),
    row("PUT", workspace!("/{}"), VERSIONS, resource_type::put),
    row("DELETE", workspace!("/{}"), VERSIONS, delete),
];

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.OperationalInsights",
    source: "OpenAPI 2023-09-01 and its examples",
    missing: &[
        "Lists of deleted workspaces; keys, tables, saved searches, linked services, clusters and everything that is \
         recorded",
    ],
    types: &[WORKSPACE],
    routes: &[ROUTES, patchable!("Microsoft.OperationalInsights/workspaces", VERSIONS)],
};

/// Chosen: codes and sentences of what is refused.
fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let name = ids::name(proposal.id);
    let fits = (4..=63).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !fits {
        // The rule is the specification's (WorkspaceNameParameter).
        return Err(ArmError::new(
            400,
            "InvalidWorkspaceName",
            format!("'{name}' is not a valid name of a workspace."),
        ));
    }
    let bad = |what: &str| ArmError::new(400, "InvalidParameter", format!("'{what}' is not valid."));
    let mut properties = body::members(&proposal.body["properties"], WRITABLE);
    if let Some(sku) = properties.get("sku") {
        let stated = sku["name"].as_str().unwrap_or_default();
        let known = SKUS.iter().find(|known| known.eq_ignore_ascii_case(stated)).ok_or_else(|| bad("sku"))?;
        properties["sku"]["name"] = json!(known);
    }
    for access in ["publicNetworkAccessForIngestion", "publicNetworkAccessForQuery"] {
        let stated = properties.get(access);
        if stated.is_some_and(|value| !matches!(value.as_str(), Some("Enabled" | "Disabled"))) {
            return Err(bad(access));
        }
    }
    // A workspace that is made again within its time is the one that was deleted.
    let asleep = world.soft_deleted.get(&ids::key(proposal.id)).filter(|kept| kept["until"].as_i64() > Some(world.now));
    let before = proposal.existing.or(asleep.map(|kept| &kept["document"])).map(|before| &before["properties"]);
    let kept =
        |name: &str, new: Value| before.map(|before| before[name].clone()).filter(Value::is_string).unwrap_or(new);
    let lives = world.lives(proposal.id).to_string();
    let now = rfc3339(world.now);
    properties["customerId"] = kept("customerId", json!(ids::guid(&["log workspace", proposal.id, &lives])));
    properties["createdDate"] = kept("createdDate", json!(now));
    properties["modifiedDate"] = json!(now);
    let mut document = body::members(proposal.body, &["identity"]);
    document["properties"] = properties;
    Ok(document)
}

fn removable(world: &World, document: &Value) -> Result<(), ArmError> {
    insights::not_scoped(world, document)
}

/// A workspace with what the service fills in. Chosen: the values that the specification's examples do not have.
fn render(world: &World, document: Value) -> Value {
    let mut workspace = document;
    let id = workspace["id"].as_str().unwrap_or_default().to_owned();
    let mut shown = json!({
        "customerId": ids::guid(&["log workspace", &id]), "sku": { "name": "PerGB2018" }, "retentionInDays": 30,
        "features": { "enableLogAccessUsingOnlyResourcePermissions": true },
        "workspaceCapping": { "dailyQuotaGb": -1.0, "dataIngestionStatus": "RespectQuota" },
        "publicNetworkAccessForIngestion": "Enabled", "publicNetworkAccessForQuery": "Enabled",
    });
    let scopes = insights::scopes_of(world, &id);
    if !scopes.is_empty() {
        let held = |scoped: &&Value| json!({ "resourceId": scoped["id"], "scopeId": insights::scope_guid(scoped) });
        shown["privateLinkScopedResources"] = scopes.iter().map(held).collect();
    }
    body::merge(&mut shown, &workspace["properties"], &[]);
    workspace["properties"] = shown;
    workspace
}

/// `DELETE`: unless it is forced, the workspace can be recovered for a while by making it again.
fn delete(call: &mut Call<'_>) -> Answer {
    let forced = call.request.query("force").is_some_and(|force| force.eq_ignore_ascii_case("true"));
    let key = ids::key(&call.path);
    let document = call.world.resources.get(&key).cloned();
    let reply = resource_type::delete(call)?;
    match document {
        Some(document) if !forced => {
            let until = call.world.now.saturating_add(RETENTION_DAYS.saturating_mul(DAY_MS));
            call.world.soft_deleted.insert(key, json!({ "document": document, "until": until }));
        }
        _ if forced => {
            call.world.soft_deleted.remove(&key);
        }
        _ => {}
    }
    Ok(reply)
}
