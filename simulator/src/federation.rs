//! Workload identity: tokens of other issuers that stand for a principal.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::jwt::{PublicKey, Unverified};

/// Which tokens of another issuer stand for a principal (federatedIdentityCredentials, OpenAPI ManagedIdentity).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FederatedCredential {
    pub(crate) issuer: String,
    pub(crate) subject: String,
    pub(crate) audiences: Vec<String>,
}

impl FederatedCredential {
    /// Reads the properties of the resource.
    pub(crate) fn from_properties(properties: &Value) -> Self {
        let text = |name: &str| properties[name].as_str().unwrap_or_default().to_owned();
        let audiences = properties["audiences"].as_array().into_iter().flatten();
        let audiences = audiences.filter_map(|audience| audience.as_str().map(str::to_owned)).collect();
        Self { issuer: text("issuer"), subject: text("subject"), audiences }
    }
}

/// Why an assertion is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadAssertion {
    /// Not a token at all.
    Unreadable,
    /// No credential has this issuer.
    Issuer(String),
    /// A credential has the issuer and the subject, but none of these audiences.
    Audience(String),
    /// A credential has the issuer, but not this subject.
    Subject(String),
    /// None of the issuer's keys made the signature.
    Signature,
    /// Too early or too late; seconds since the Unix epoch.
    Time { not_before: Option<i64>, expires: i64 },
}

/// The issuers whose keys are known.
#[derive(Debug, Default)]
pub(crate) struct Issuers(BTreeMap<String, Vec<PublicKey>>);

impl Issuers {
    /// Registers an issuer with the keys of a JWKS, in place of those it had; `false` if there is no usable key in it.
    pub(crate) fn register(&mut self, issuer: &str, jwks: &Value) -> bool {
        let keys: Vec<PublicKey> =
            jwks["keys"].as_array().into_iter().flatten().filter_map(PublicKey::from_jwk).collect();
        let usable = !keys.is_empty();
        self.0.insert(issuer.to_owned(), keys);
        usable
    }

    /// Checks an assertion against a principal's credentials, at `now` in real seconds. Issuer, subject and audience
    /// are compared as they are spelled, which is how Entra does it.
    pub(crate) fn check(
        &self,
        credentials: &[FederatedCredential],
        assertion: &str,
        now: i64,
    ) -> Result<(), BadAssertion> {
        let token = Unverified::parse(assertion).ok_or(BadAssertion::Unreadable)?;
        let claims = &token.claims;
        let of_issuer = || credentials.iter().filter(|credential| credential.issuer == claims.iss);
        let of_subject = || of_issuer().filter(|credential| credential.subject == claims.sub);
        if of_issuer().next().is_none() {
            return Err(BadAssertion::Issuer(claims.iss.clone()));
        }
        if of_subject().next().is_none() {
            return Err(BadAssertion::Subject(claims.sub.clone()));
        }
        let meant = |credential: &FederatedCredential| {
            credential.audiences.iter().any(|audience| claims.audiences().contains(audience))
        };
        if !of_subject().any(meant) {
            return Err(BadAssertion::Audience(claims.audiences().join(",")));
        }
        let keys = self.0.get(&claims.iss).map(Vec::as_slice).unwrap_or_default();
        if !keys.iter().any(|key| key.verifies(&token)) {
            return Err(BadAssertion::Signature);
        }
        if now >= claims.exp || claims.nbf.is_some_and(|from| now < from) {
            return Err(BadAssertion::Time { not_before: claims.nbf, expires: claims.exp });
        }
        Ok(())
    }
}
