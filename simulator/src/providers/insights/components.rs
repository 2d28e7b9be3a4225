//! Application Insights components.

use serde_json::{Value, json};

use super::scopes;
use crate::body;
use crate::clock::rfc3339;
use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{Etag, Patch, Proposal, ResourceType, at_once};
use crate::world::World;

const KIND: &str = "Microsoft.Insights/components";

/// What a body may set (OpenAPI 2020-02-02); the rest is the service's.
const WRITABLE: &[&str] = &[
    "Application_Type",
    "Flow_Type",
    "Request_Source",
    "HockeyAppId",
    "SamplingPercentage",
    "RetentionInDays",
    "DisableIpMasking",
    "ImmediatePurgeDataOn30Days",
    "WorkspaceResourceId",
    "publicNetworkAccessForIngestion",
    "publicNetworkAccessForQuery",
    "IngestionMode",
    "DisableLocalAuth",
    "ForceCustomerStorageForProfiler",
];

pub(super) const COMPONENT: ResourceType = ResourceType {
    kind: KIND,
    accept,
    removable: scopes::not_scoped,
    render,
    names: WRITABLE,
    // A component is made by 200, and PATCH is for its tags.
    create: at_once("componentCreate", 200),
    update: at_once("componentUpdate", 200),
    patch: Some((Patch::Tags, at_once("componentPatch", 200))),
    delete: at_once("componentDelete", 200),
    etag: Etag::Member,
    ..ResourceType::DEFAULT
};

fn bad(what: &str) -> ArmError {
    ArmError::bad_request(format!("'{what}' is missing or not valid."))
}

/// Chosen: codes and sentences; that a component without `kind` is one of the kind `web`; that `WorkspaceResourceId` may be
/// left out, which the specification forbids and the service allows; that a PUT sets back what it leaves out.
fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let mut document = body::members(proposal.body, &["kind"]);
    let mut properties = body::members(&proposal.body["properties"], WRITABLE);
    if !matches!(properties["Application_Type"].as_str(), Some("web" | "other")) {
        return Err(bad("Application_Type"));
    }
    for (name, allowed) in [
        ("publicNetworkAccessForIngestion", &["Enabled", "Disabled"][..]),
        ("publicNetworkAccessForQuery", &["Enabled", "Disabled"]),
        ("IngestionMode", &["ApplicationInsights", "ApplicationInsightsWithDiagnosticSettings", "LogAnalytics"]),
    ] {
        if properties.get(name).is_some_and(|value| !value.as_str().is_some_and(|value| allowed.contains(&value))) {
            return Err(bad(name));
        }
    }
    if let Some(workspace) = properties.get("WorkspaceResourceId") {
        let id = workspace.as_str().unwrap_or_default();
        let is_workspace = ids::resource_type(id)
            .is_some_and(|kind| kind.eq_ignore_ascii_case("Microsoft.OperationalInsights/workspaces"));
        if !is_workspace || world.resource(id).is_err() {
            return Err(bad("WorkspaceResourceId"));
        }
    }
    let before = proposal.existing.map(|existing| &existing["properties"]);
    let kept =
        |name: &str, new: Value| before.map(|before| before[name].clone()).filter(Value::is_string).unwrap_or(new);
    let lives = world.lives(proposal.id).to_string();
    properties["InstrumentationKey"] =
        kept("InstrumentationKey", json!(ids::guid(&["instrumentation key", proposal.id, &lives])));
    properties["AppId"] = kept("AppId", json!(ids::guid(&["application", proposal.id, &lives])));
    properties["CreationDate"] = kept("CreationDate", json!(rfc3339(world.now)));
    document["properties"] = properties;
    Ok(document)
}

/// A component with what the service fills in (example of OpenAPI 2020-02-02).
fn render(world: &World, document: Value) -> Value {
    let mut component = document;
    let id = component["id"].as_str().unwrap_or_default().to_owned();
    let region = body::location(component["location"].as_str().unwrap_or_default());
    let fallback = |word: &str| ids::guid(&[word, &id]).to_string();
    let given =
        |name: &str, word: &str| component["properties"][name].as_str().map_or_else(|| fallback(word), str::to_owned);
    let (key, application) = (given("InstrumentationKey", "instrumentation key"), given("AppId", "application"));
    let spell = |name: String| world.settings.cloud.spell(&name);
    let live = spell(format!("{region}.livediagnostics.monitor.azure.com"));
    let mut shown = json!({
        "ApplicationId": ids::name(&id), "Name": ids::name(&id), "AppId": application, "Application_Type": "web",
        "Flow_Type": "Bluefield", "Request_Source": "rest", "InstrumentationKey": key,
        "TenantId": world.tenant_of(&id), "HockeyAppId": "", "HockeyAppToken": "", "RetentionInDays": 90,
        "SamplingPercentage": 100.0, "DisableIpMasking": false, "IngestionMode": "LogAnalytics",
        "publicNetworkAccessForIngestion": "Enabled", "publicNetworkAccessForQuery": "Enabled",
        "ConnectionString": format!(
            "InstrumentationKey={key};IngestionEndpoint=https://{}/;LiveEndpoint=https://{live}/;\
             ApplicationId={application}",
            spell(format!("{region}-0.in.ai.monitor.azure.com")),
        ),
    });
    let scopes = scopes::scopes_of(world, &id);
    if !scopes.is_empty() {
        let held = |scoped: &&Value| json!({ "ResourceId": scoped["id"], "ScopeId": scopes::guid(scoped) });
        shown["PrivateLinkScopedResources"] = scopes.iter().map(held).collect();
    }
    body::merge(&mut shown, &component["properties"], &[]);
    component["properties"] = shown;
    if component["kind"].is_null() {
        component["kind"] = json!("web");
    }
    component
}
