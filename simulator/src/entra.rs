//! Entra's endpoints: tokens for client secrets and assertions, and the documents by which clients find them.

use serde_json::{Value, json};

use crate::bearer::{self, Proof};
use crate::dice::Dice;
use crate::directory::Principal;
use crate::federation::{BadAssertion, FederatedCredential};
use crate::http::{Reply, Request};
use crate::ids;
use crate::jwt::{self, NoKey};
use crate::world::World;

const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const CREDENTIAL_TYPE: &str = "Microsoft.ManagedIdentity/userAssignedIdentities/federatedIdentityCredentials";

/// The name under which the public cloud's clients know the authority.
const PUBLIC_HOST: &str = "login.microsoftonline.com";

/// What a path asks of the authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Token(Version),
    Configuration(Version),
    Keys,
    Instance,
}

/// The two generations of endpoints: the first names a `resource`, the second a `scope`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    V1,
    V2,
}

/// The tenant and the endpoint of a path.
fn endpoint(path: &str) -> Option<(&str, Endpoint)> {
    let (tenant, rest) = path.trim_start_matches('/').split_once('/')?;
    let endpoint = match rest.to_ascii_lowercase().as_str() {
        "oauth2/v2.0/token" => Endpoint::Token(Version::V2),
        "oauth2/token" => Endpoint::Token(Version::V1),
        "v2.0/.well-known/openid-configuration" => Endpoint::Configuration(Version::V2),
        ".well-known/openid-configuration" => Endpoint::Configuration(Version::V1),
        "discovery/v2.0/keys" | "discovery/keys" => Endpoint::Keys,
        "discovery/instance" => Endpoint::Instance,
        _ => return None,
    };
    Some((tenant, endpoint))
}

/// Whether a path is one of the authority's.
pub(crate) fn serves(path: &str) -> bool {
    endpoint(path).is_some()
}

/// The authority's answer; `None` if the path is not one of its own.
pub(crate) fn answer(world: &mut World, request: &Request) -> Option<Reply> {
    let (tenant, endpoint) = endpoint(&request.path)?;
    let reply = match endpoint {
        Endpoint::Token(version) => token(world, request, tenant, version),
        Endpoint::Configuration(version) => configuration(world, request, tenant, version),
        Endpoint::Keys => keys(world),
        Endpoint::Instance => instance(request),
    };
    Some(reply.unwrap_or_else(|refusal| refusal.reply(request, &mut world.dice)))
}

/// Entra's error: an OAuth code and the AADSTS number by which clients and people find out more.
struct Refusal {
    status: u16,
    error: &'static str,
    number: u32,
    text: String,
}

impl Refusal {
    fn new(status: u16, error: &'static str, number: u32, text: impl Into<String>) -> Self {
        Self { status, error, number, text: text.into() }
    }

    fn reply(self, request: &Request, dice: &mut Dice) -> Reply {
        let Self { status, error, number, text } = self;
        let (trace, own) = (dice.guid(), dice.guid().to_string());
        let correlation = request.header("client-request-id").unwrap_or(&own);
        let timestamp = moment(bearer::real_seconds());
        Reply::json(
            status,
            json!({
                "error": error,
                "error_description": format!(
                    "AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}"
                ),
                "error_codes": [number],
                "timestamp": timestamp,
                "trace_id": trace,
                "correlation_id": correlation,
                "error_uri": format!("{}/error?code={number}", request.base),
            }),
        )
    }
}

impl From<NoKey> for Refusal {
    fn from(error: NoKey) -> Self {
        Self::new(500, "server_error", 90_033, error.to_string())
    }
}

type Result<T> = std::result::Result<T, Refusal>;

/// Real seconds as Entra writes times.
fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map(|at| at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()).unwrap_or_default()
}

fn unknown_tenant(error: &'static str, tenant: &str) -> Refusal {
    Refusal::new(
        400,
        error,
        90_002,
        format!(
            "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."
        ),
    )
}

/// The resource that a token is asked for, as the client spelled it.
fn resource(request: &Request, tenant: &str, version: Version) -> Result<String> {
    let (asked, resource) = match version {
        Version::V1 => {
            let resource = request.form("resource").unwrap_or_default();
            (resource.clone(), Some(resource))
        }
        Version::V2 => {
            let scope = request.form("scope").unwrap_or_default();
            let resource = scope.split(' ').find_map(|scope| scope.strip_suffix("/.default")).map(str::to_owned);
            (scope, resource)
        }
    };
    resource.filter(|resource| bearer::is_known(resource, &request.base)).ok_or_else(|| {
        let text = format!("The resource principal named {asked} was not found in the tenant named {tenant}.");
        Refusal::new(400, "invalid_resource", 500_011, text)
    })
}

/// `POST /{tenant}/oauth2/v2.0/token` and `/{tenant}/oauth2/token`.
fn token(world: &World, request: &Request, tenant: &str, version: Version) -> Result<Reply> {
    if request.method != "POST" {
        return Err(Refusal::new(400, "invalid_request", 900_561, "The endpoint only accepts POST requests."));
    }
    if !world.directory.has_tenant(tenant) {
        return Err(unknown_tenant("invalid_request", tenant));
    }
    if request.form("grant_type").as_deref() != Some("client_credentials") {
        let text = "The app requested an unsupported grant type.";
        return Err(Refusal::new(400, "unsupported_grant_type", 70_003, text));
    }
    let client_id = request.form("client_id").filter(|id| !id.is_empty()).ok_or_else(|| {
        let text = "The request body must contain the following parameter: 'client_id'.";
        Refusal::new(400, "invalid_request", 900_144, text)
    })?;
    let principal = world.directory.by_client(tenant, &client_id).ok_or_else(|| {
        let text = format!("Application with identifier '{client_id}' was not found in the directory '{tenant}'.");
        Refusal::new(400, "unauthorized_client", 700_016, text)
    })?;
    let resource = resource(request, tenant, version)?;
    let now = bearer::real_seconds();
    let proof = authenticate(world, request, &principal, now)?;
    let lifetime = world.settings.token_lifetime_seconds;
    let token = world.directory.issue(&principal, &resource, proof, lifetime, now)?;
    Ok(Reply::ok(match version {
        Version::V2 => json!({
            "token_type": "Bearer", "expires_in": lifetime, "ext_expires_in": lifetime, "access_token": token
        }),
        // The first generation writes its numbers as strings.
        Version::V1 => json!({
            "token_type": "Bearer", "expires_in": lifetime.to_string(), "ext_expires_in": lifetime.to_string(),
            "expires_on": now.saturating_add_unsigned(lifetime).to_string(), "not_before": now.to_string(),
            "resource": resource, "access_token": token,
        }),
    }))
}

/// Whether the client is who it says, by its secret or by an assertion.
fn authenticate(world: &World, request: &Request, principal: &Principal, now: i64) -> Result<Proof> {
    let refuse = |number: u32, text: String| Refusal::new(401, "invalid_client", number, text);
    if let Some(assertion) = request.form("client_assertion") {
        if request.form("client_assertion_type").as_deref() != Some(JWT_BEARER) {
            return Err(refuse(50_027, "JWT token is invalid or malformed.".into()));
        }
        if !principal.assertions.contains(&assertion) {
            world.check_assertion(principal, &assertion, now).map_err(|error| refused_assertion(error, now))?;
        }
        return Ok(Proof::Assertion);
    }
    let secret = request.form("client_secret").filter(|secret| !secret.is_empty()).ok_or_else(|| {
        let text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
        refuse(7_000_218, text.into())
    })?;
    if principal.secret.as_ref() != Some(&secret) {
        return Err(refuse(7_000_215, format!("Invalid client secret provided for app '{}'.", principal.client_id)));
    }
    Ok(Proof::Secret)
}

/// Entra's words for a refused assertion: 700211, 700212 and 700213 tell which of the three did not match.
fn refused_assertion(error: BadAssertion, now: i64) -> Refusal {
    let unmatched = |what: &str, value: &str| {
        format!(
            "No matching federated identity record found for presented assertion {what} '{value}'. Please check your \
             federated identity credential Subject, Audience and Issuer against the presented assertion."
        )
    };
    let (number, text) = match error {
        // Chosen: an assertion that is not a token at all is refused like one whose subject does not match.
        BadAssertion::Unreadable => (700_213, unmatched("subject", "")),
        BadAssertion::Issuer(issuer) => (700_211, unmatched("issuer", &issuer)),
        BadAssertion::Audience(audience) => (700_212, unmatched("audience", &audience)),
        BadAssertion::Subject(subject) => (700_213, unmatched("subject", &subject)),
        BadAssertion::Signature => (700_027, "The assertion's signature could not be validated.".into()),
        BadAssertion::Time { not_before, expires } => {
            let from = not_before.map(moment).unwrap_or_default();
            let text = format!(
                "Client assertion is not within its valid time range. Current time: {}, assertion valid from {from}, \
                 expiry time of assertion {}.",
                moment(now),
                moment(expires)
            );
            (700_024, text)
        }
    };
    Refusal::new(401, "invalid_client", number, text)
}

impl World {
    /// Checks an assertion against the credentials that a principal was seeded with and those that its resource has.
    fn check_assertion(
        &self,
        principal: &Principal,
        assertion: &str,
        now: i64,
    ) -> std::result::Result<(), BadAssertion> {
        let mut credentials = principal.federated.clone();
        for document in self
            .resources
            .values()
            .filter(|document| document["type"].as_str().is_some_and(|kind| kind.eq_ignore_ascii_case(CREDENTIAL_TYPE)))
        {
            let id = document["id"].as_str().unwrap_or_default();
            let owner = self.identity_of(&ids::ancestor(id, 8));
            if owner.is_some_and(|owner| owner.eq_ignore_ascii_case(&principal.object_id)) {
                credentials.push(FederatedCredential::from_properties(&document["properties"]));
            }
        }
        self.directory.issuers.check(&credentials, assertion, now)
    }

    /// The object id of the identity that a user-assigned identity resource is.
    pub(crate) fn identity_of(&self, resource: &str) -> Option<String> {
        Some(self.render(resource)?["properties"]["principalId"].as_str()?.to_owned())
    }
}

/// The OpenID configuration of a tenant.
fn configuration(world: &World, request: &Request, tenant: &str, version: Version) -> Result<Reply> {
    let common = ["common", "organizations"].iter().any(|name| name.eq_ignore_ascii_case(tenant));
    if !common && !world.directory.has_tenant(tenant) {
        return Err(unknown_tenant("invalid_tenant", tenant));
    }
    let base = format!("{}/{tenant}", request.base);
    let named = if common { "{tenantid}" } else { tenant };
    let (issuer, oauth, keys) = match version {
        Version::V1 => (bearer::issuer(named), format!("{base}/oauth2"), format!("{base}/discovery/keys")),
        Version::V2 => (
            format!("{}/{named}/v2.0", request.base),
            format!("{base}/oauth2/v2.0"),
            format!("{base}/discovery/v2.0/keys"),
        ),
    };
    let host = request.base.split_once("://").map_or(request.base.as_str(), |(_, host)| host);
    Ok(Reply::ok(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{oauth}/authorize"),
        "token_endpoint": format!("{oauth}/token"),
        "device_authorization_endpoint": format!("{oauth}/devicecode"),
        "end_session_endpoint": format!("{oauth}/logout"),
        "jwks_uri": keys,
        "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
        "response_modes_supported": ["query", "fragment", "form_post"],
        "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "tenant_region_scope": null,
        "cloud_instance_name": host,
    })))
}

/// The keys that ARM's tokens are signed with.
fn keys(world: &World) -> Result<Reply> {
    Ok(Reply::ok(json!({ "keys": [jwt::public_jwk(&world.directory.kid())?] })))
}

/// `GET /common/discovery/instance`: whether a host is an authority, which MSAL asks about hosts it does not know.
fn instance(request: &Request) -> Result<Reply> {
    let asked = request.query("authorization_endpoint").unwrap_or_default();
    let asked = url::Url::parse(&asked).ok();
    let own = url::Url::parse(&request.base).ok();
    let known = asked.as_ref().filter(|asked| {
        let same = own.as_ref().is_some_and(|own| own.origin() == asked.origin());
        same || asked.host_str() == Some(PUBLIC_HOST)
    });
    let known = known.ok_or_else(|| {
        let text = "The authority host in the authorization endpoint is not known.";
        Refusal::new(400, "invalid_instance", 50_049, text)
    })?;
    let origin = known.origin().ascii_serialization();
    let tenant = known.path_segments().and_then(|mut segments| segments.next()).unwrap_or("common");
    let host = origin.split_once("://").map_or(origin.as_str(), |(_, host)| host);
    let mut reply: Value = json!({
        "tenant_discovery_endpoint": format!("{origin}/{tenant}/v2.0/.well-known/openid-configuration"),
        "metadata": [{ "preferred_network": host, "preferred_cache": host, "aliases": [host] }],
    });
    reply["api-version"] = json!("1.1");
    Ok(Reply::ok(reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_their_endpoints() {
        for (path, expected) in [
            ("/t/oauth2/v2.0/token", Some(("t", Endpoint::Token(Version::V2)))),
            ("/t/OAuth2/Token", Some(("t", Endpoint::Token(Version::V1)))),
            ("/common/discovery/instance", Some(("common", Endpoint::Instance))),
            ("/subscriptions/t/oauth2/token", None),
            ("/t", None),
        ] {
            assert_eq!(endpoint(path), expected, "{path}");
        }
    }
}
