//! The token endpoint and the instance metadata service.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::http::{Reply, Request};
use crate::world::World;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The tenant of a token request's path.
pub(crate) fn token_tenant(path: &str) -> Option<&str> {
    let (tenant, rest) = path.trim_start_matches('/').split_once('/')?;
    rest.eq_ignore_ascii_case("oauth2/v2.0/token").then_some(tenant)
}

pub(crate) fn is_imds(path: &str) -> bool {
    path.eq_ignore_ascii_case("/metadata/identity/oauth2/token")
}

/// Entra's error body, with the AADSTS number as clients look for it.
fn refuse(status: u16, error: &str, number: u32, text: &str) -> Reply {
    let body = json!({
        "error": error,
        "error_description": format!("AADSTS{number}: {text} Trace ID: 00000000-0000-0000-0000-000000000000"),
        "error_codes": [number],
        "timestamp": "",
        "trace_id": "00000000-0000-0000-0000-000000000000",
        "correlation_id": "00000000-0000-0000-0000-000000000000",
    });
    Reply::json(status, body)
}

/// Whether a resource is ARM: its two public names, or the simulator under the name the client used.
fn is_arm(resource: &str, base: &str) -> bool {
    let resource = resource.trim_end_matches('/');
    let known = ["https://management.azure.com", "https://management.core.windows.net", base];
    known.iter().any(|name| resource.eq_ignore_ascii_case(name.trim_end_matches('/')))
}

/// `POST /{tenant}/oauth2/v2.0/token`.
pub(crate) fn token(world: &mut World, request: &Request, tenant: &str) -> Reply {
    let form = |name: &str| request.form(name).unwrap_or_default();
    if request.method != "POST" {
        return refuse(400, "invalid_request", 900_561, "The endpoint only accepts POST requests.");
    }
    if !world.directory.has_tenant(tenant) {
        return refuse(400, "invalid_request", 90_002, &format!("Tenant '{tenant}' not found."));
    }
    if form("grant_type") != "client_credentials" {
        return refuse(400, "unsupported_grant_type", 70_003, "The app requested an unsupported grant type.");
    }
    let client_id = form("client_id");
    let Some(principal) = world.directory.by_client(tenant, &client_id) else {
        let text = format!("Application with identifier '{client_id}' was not found in the directory '{tenant}'.");
        return refuse(400, "unauthorized_client", 700_016, &text);
    };
    let scope = form("scope");
    let resource = scope.split(' ').find_map(|scope| scope.strip_suffix("/.default"));
    if !resource.is_some_and(|resource| is_arm(resource, &request.base)) {
        let text = format!("The resource principal named {scope} was not found in the tenant named {tenant}.");
        return refuse(400, "invalid_resource", 500_011, &text);
    }
    if let Some(assertion) = request.form("client_assertion") {
        if form("client_assertion_type") != JWT_BEARER || !principal.assertions.contains(&assertion) {
            let text = "No matching federated identity record found for presented assertion.";
            return refuse(401, "invalid_client", 700_213, text);
        }
    } else if principal.secret.is_none() || request.form("client_secret") != principal.secret {
        let text = format!("Invalid client secret provided for app '{client_id}'.");
        return refuse(401, "invalid_client", 7_000_215, &text);
    }
    let object_id = principal.object_id.clone();
    let lifetime = world.settings.token_lifetime_seconds;
    let token = world.directory.issue(&object_id, Duration::from_secs(lifetime));
    Reply::ok(json!({
        "token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token
    }))
}

/// `GET /metadata/identity/oauth2/token`.
pub(crate) fn imds(world: &mut World, request: &Request) -> Reply {
    let refuse = |text: &str| Reply::json(400, json!({ "error": "invalid_request", "error_description": text }));
    if !request.header("Metadata").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return refuse("Required metadata header not specified");
    }
    if request.query("api-version").as_deref() != Some("2018-02-01") {
        return refuse("Required query variable 'api-version' is missing or not supported");
    }
    let resource = request.query("resource").unwrap_or_default();
    if !is_arm(&resource, &request.base) {
        return refuse("Required query variable 'resource' is missing or not known");
    }
    let asked = request.query("client_id");
    let Some(principal) = world.directory.managed_identity(asked.as_deref()) else {
        return refuse("Identity not found");
    };
    let (object_id, client_id) = (principal.object_id.clone(), principal.client_id.clone());
    let lifetime = world.settings.token_lifetime_seconds;
    let token = world.directory.issue(&object_id, Duration::from_secs(lifetime));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    // The service writes its numbers as strings.
    let number = |seconds: u64| Value::String(seconds.to_string());
    Reply::ok(json!({
        "access_token": token, "client_id": client_id, "expires_in": number(lifetime),
        "expires_on": number(now + lifetime), "not_before": number(now), "resource": resource, "token_type": "Bearer",
    }))
}
