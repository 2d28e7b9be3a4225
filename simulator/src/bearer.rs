//! Bearer tokens: issued by the token endpoints, checked on each call by the service that they are for.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use uuid::Uuid;

use crate::directory::Principal;
use crate::error::ArmError;
use crate::ids;
use crate::jwt::{self, NoKey, Unverified};

/// The names under which clients ask for ARM's tokens, besides its own address.
const ARM: [&str; 2] = ["https://management.azure.com", "https://management.core.windows.net"];

/// The name of the audience of Synapse's data plane, whatever workspace it is (OpenAPI files of Synapse's data plane).
const SYNAPSE: &str = "https://dev.azuresynapse.net";

/// Who takes tokens. One that is for the one is of no use at the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Arm,
    /// The data plane of Synapse workspaces.
    Synapse,
}

impl Service {
    /// Whether a resource, or the audience of a token, is this service.
    fn is(self, resource: &str, base: &str) -> bool {
        match self {
            Self::Arm => is_arm(resource, base),
            // With a slash at its end it is another audience (Azure/azure-rest-api-specs#10500).
            Self::Synapse => resource.eq_ignore_ascii_case(SYNAPSE),
        }
    }
}

/// Whether a token can be asked for under this name.
pub(crate) fn is_known(resource: &str, base: &str) -> bool {
    is_arm(resource, base) || resource.trim_end_matches('/').eq_ignore_ascii_case(SYNAPSE)
}

/// How many verified tokens are remembered; a client has one at a time, so this is far more than there are.
const REMEMBERED: usize = 4096;

/// Whether a resource or audience is ARM: its two public names, or the simulator under the name the client used.
fn is_arm(resource: &str, base: &str) -> bool {
    let resource = resource.trim_end_matches('/');
    ARM.into_iter().chain([base]).any(|name| resource.eq_ignore_ascii_case(name.trim_end_matches('/')))
}

/// Real time in seconds since the Unix epoch: clients compare a token's times with their own clock.
pub(crate) fn real_seconds() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_secs()).unwrap_or(i64::MAX)
}

/// The issuer of ARM's tokens, which are of version 1 whichever endpoint hands them out.
pub(crate) fn issuer(tenant: &str) -> String {
    format!("https://sts.windows.net/{tenant}/")
}

/// How a client proved who it is, as the claim `appidacr` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    Secret,
    /// An assertion, or the machine it runs on.
    Assertion,
}

/// Why a bearer token is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadToken {
    /// There is none.
    Missing,
    /// Not a token, not signed by this simulator, revoked, or of somebody who is not there (any more).
    Invalid,
    /// For somebody else.
    Audience(String),
    NotYetValid,
    Expired,
}

impl BadToken {
    /// ARM's answer.
    pub(crate) fn refusal(&self, base: &str) -> ArmError {
        // Chosen: the codes, and the sentences that go with them, as users of ARM quote them; also for no token at all.
        let (code, message) = match self {
            Self::Missing => {
                ("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.".to_owned())
            }
            Self::Invalid => ("InvalidAuthenticationToken", "The access token is invalid.".to_owned()),
            Self::Audience(audience) => {
                let allowed = ARM.map(|name| format!("'{name}/','{name}'")).join(",");
                let message = format!(
                    "The access token has been obtained for wrong audience or resource '{audience}'. It should \
                     exactly match with one of the allowed audiences {allowed},'{base}'."
                );
                ("InvalidAuthenticationTokenAudience", message)
            }
            // Chosen: code and sentence for a token from the future.
            Self::NotYetValid => ("InvalidAuthenticationToken", "The access token is not yet valid.".to_owned()),
            Self::Expired => return ArmError::expired_token(base),
        };
        ArmError::bad_token(base, code, &message)
    }
}

/// What was found out about a token when it was first seen.
#[derive(Clone, Debug)]
struct Verified {
    /// The key of who holds it.
    object: String,
    tenant: String,
    audiences: Vec<String>,
    not_before: i64,
    expires: i64,
    /// Taken at its word.
    unsigned: bool,
}

/// What a token is checked against besides itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expected<'a> {
    /// Who is asked.
    pub(crate) service: Service,
    /// The simulator under the name that the client used.
    pub(crate) base: &'a str,
    /// Real seconds.
    pub(crate) now: i64,
    /// Whether tokens without a signature are taken at their word.
    pub(crate) unsigned: bool,
}

/// Issues and checks one simulator's tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    instance: Uuid,
    /// Counts the revocations. It is part of the key's name, so that older tokens name a key that is not there.
    generation: u64,
    /// So that a signature is verified once and not with each of thousands of calls a second.
    verified: HashMap<String, Verified>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self { instance: Uuid::new_v4(), generation: 0, verified: HashMap::new() }
    }
}

impl Tokens {
    /// The name of the key that signs now.
    pub(crate) fn kid(&self) -> String {
        format!("{}-{}", self.instance.simple(), self.generation)
    }

    /// Makes every token issued so far invalid, as a change of the signing key does.
    pub(crate) fn revoke_all(&mut self) {
        self.generation += 1;
        self.verified.clear();
    }

    /// A new token; `lifetime` and `now` in real seconds.
    pub(crate) fn issue(
        &self,
        holder: &Principal,
        audience: &str,
        proof: Proof,
        lifetime: u64,
        now: i64,
    ) -> Result<String, NoKey> {
        let issuer = issuer(&holder.tenant);
        let proof = match proof {
            Proof::Secret => "1",
            Proof::Assertion => "2",
        };
        let mut claims = json!({
            "aud": audience,
            "iss": issuer,
            "idp": issuer,
            "iat": now,
            "nbf": now,
            "exp": now.saturating_add_unsigned(lifetime),
            "appid": holder.client_id,
            "appidacr": proof,
            "idtyp": "app",
            "oid": holder.object_id,
            "sub": holder.object_id,
            "tid": holder.tenant,
            "uti": Uuid::new_v4().simple().to_string(),
            "ver": "1.0",
        });
        if let Some(resource) = &holder.resource_id {
            claims["xms_mirid"] = json!(resource);
        }
        jwt::sign(&self.kid(), &claims)
    }

    /// The key and the tenant of who holds a token. What is known about it since its first use is not proved again,
    /// but its times and audience are looked at each time.
    pub(crate) fn check(&mut self, token: &str, expected: Expected<'_>) -> Result<(&str, &str), BadToken> {
        if !self.verified.contains_key(token) {
            let verified = self.verify(token, expected)?;
            if self.verified.len() >= REMEMBERED {
                self.verified.clear();
            }
            self.verified.insert(token.to_owned(), verified);
        }
        let token = self.verified.get(token).ok_or(BadToken::Invalid)?;
        if token.unsigned && !expected.unsigned {
            return Err(BadToken::Invalid);
        }
        if expected.now >= token.expires {
            return Err(BadToken::Expired);
        }
        if expected.now < token.not_before {
            return Err(BadToken::NotYetValid);
        }
        if !token.audiences.iter().any(|audience| expected.service.is(audience, expected.base)) {
            return Err(BadToken::Audience(token.audiences.join(",")));
        }
        Ok((&token.object, &token.tenant))
    }

    fn verify(&self, token: &str, expected: Expected<'_>) -> Result<Verified, BadToken> {
        let token = Unverified::parse(token).ok_or(BadToken::Invalid)?;
        let unsigned = expected.unsigned && token.header.alg.eq_ignore_ascii_case("none");
        if !unsigned && !token.signed_by_process(&self.kid()).map_err(|NoKey| BadToken::Invalid)? {
            return Err(BadToken::Invalid);
        }
        let claims = token.claims;
        let (Some(object), Some(tenant)) = (&claims.oid, &claims.tid) else { return Err(BadToken::Invalid) };
        if claims.iss != issuer(tenant) {
            return Err(BadToken::Invalid);
        }
        Ok(Verified {
            object: ids::key(object),
            tenant: tenant.clone(),
            audiences: claims.audiences().to_vec(),
            not_before: claims.nbf.unwrap_or(i64::MIN),
            expires: claims.exp,
            unsigned,
        })
    }
}
