//! Tokens for the machine that runs the client: the instance metadata service, and App Service's form of it.
//!
//! Chosen: the machine has every identity that is seeded for it, and whatever user-assigned identity is asked for by its
//! resource id.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::bearer::{self, Proof};
use crate::dice::Dice;
use crate::directory::{NoIdentity, Principal, Wanted};
use crate::http::{Reply, Request};
use crate::world::World;

/// The two services, by path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    /// `http://169.254.169.254/metadata/identity/oauth2/token`.
    Metadata,
    /// What `IDENTITY_ENDPOINT` names.
    AppService,
}

fn endpoint(path: &str) -> Option<Endpoint> {
    match path.to_ascii_lowercase().as_str() {
        "/metadata/identity/oauth2/token" => Some(Endpoint::Metadata),
        "/msi/token" => Some(Endpoint::AppService),
        _ => None,
    }
}

/// Whether a path is one of the two services'.
pub(crate) fn serves(path: &str) -> bool {
    endpoint(path).is_some()
}

/// What a service has to say against a request.
struct Refusal(u16, &'static str);

impl Endpoint {
    fn refuse(self, Refusal(status, text): Refusal, dice: &mut Dice) -> Reply {
        Reply::json(
            status,
            match self {
                Self::Metadata => json!({ "error": "invalid_request", "error_description": text }),
                Self::AppService => {
                    json!({ "statusCode": status, "message": text, "correlationId": dice.guid() })
                }
            },
        )
    }

    /// What shows that the request is not one that a server was tricked into.
    fn check_header(self, world: &World, request: &Request) -> Result<(), Refusal> {
        match self {
            Self::Metadata => {
                let stated = request.header("Metadata").is_some_and(|value| value.eq_ignore_ascii_case("true"));
                stated.then_some(()).ok_or(Refusal(400, "Required metadata header not specified"))
            }
            Self::AppService => {
                let right = request.header("X-IDENTITY-HEADER") == Some(world.settings.identity_header.as_str());
                right.then_some(()).ok_or(Refusal(401, "The X-IDENTITY-HEADER is missing or wrong"))
            }
        }
    }

    fn api_version(self) -> &'static str {
        match self {
            Self::Metadata => "2018-02-01",
            Self::AppService => "2019-08-01",
        }
    }
}

/// The service's answer; `None` if the path is neither's.
pub(crate) fn answer(world: &mut World, request: &Request) -> Option<Reply> {
    let endpoint = endpoint(&request.path)?;
    Some(token(world, request, endpoint).unwrap_or_else(|refusal| endpoint.refuse(refusal, &mut world.dice)))
}

/// The identity that the query names; both services take each name that one of them documents.
fn identity(world: &World, request: &Request) -> Result<Arc<Principal>, Refusal> {
    let query = |names: &[&str]| names.iter().find_map(|name| request.query(name));
    let (client, object) = (query(&["client_id"]), query(&["object_id", "principal_id"]));
    let resource = query(&["msi_res_id", "mi_res_id"]);
    let wanted = match (&client, &object, &resource) {
        (Some(id), _, _) => Wanted::Client(id),
        (_, Some(id), _) => Wanted::Object(id),
        (_, _, Some(id)) => Wanted::Resource(id),
        _ => Wanted::Any,
    };
    let found = world.directory.managed_identity(wanted).or_else(|error| match &resource {
        // An identity that a client has made is found by what its resource says.
        Some(id) => {
            let object = world.identity_of(id).ok_or(error)?;
            world.directory.principal(&object).map(|principal| Arc::new(principal.clone())).ok_or(error)
        }
        None => Err(error),
    });
    found.map_err(|error| match error {
        NoIdentity::Unknown => Refusal(400, "Identity not found"),
        NoIdentity::Several => Refusal(
            400,
            "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token request",
        ),
    })
}

fn token(world: &World, request: &Request, endpoint: Endpoint) -> Result<Reply, Refusal> {
    endpoint.check_header(world, request)?;
    if request.query("api-version").as_deref() != Some(endpoint.api_version()) {
        return Err(Refusal(400, "Required query variable 'api-version' is missing or not supported"));
    }
    let resource = request.query("resource").unwrap_or_default();
    if !bearer::is_known(&resource, &request.base) {
        return Err(Refusal(400, "Required query variable 'resource' is missing or not known"));
    }
    let principal = identity(world, request)?;
    let (lifetime, now) = (world.settings.token_lifetime_seconds, bearer::real_seconds());
    let issued = world.directory.issue(&principal, &resource, Proof::Assertion, lifetime, now);
    let token = issued.map_err(|_| Refusal(500, "No token could be signed"))?;
    // The services write their numbers as strings.
    let number = |seconds: i64| Value::String(seconds.to_string());
    let mut body = json!({
        "access_token": token, "client_id": principal.client_id, "resource": resource, "token_type": "Bearer",
        "expires_on": number(now.saturating_add_unsigned(lifetime)),
    });
    if endpoint == Endpoint::Metadata {
        body["expires_in"] = json!(lifetime.to_string());
        body["not_before"] = number(now);
    }
    Ok(Reply::ok(body))
}
