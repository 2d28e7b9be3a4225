//! Who there is: tenants, service principals, managed identities, and the tokens handed out to them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::ids;

/// Somebody who can hold a role.
#[derive(Clone, Debug)]
pub(crate) struct Principal {
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    pub(crate) object_id: String,
    pub(crate) secret: Option<String>,
    pub(crate) assertions: Vec<String>,
    pub(crate) managed_identity: bool,
    /// Simulated time from which role assignments find it without being told its type.
    pub(crate) known_at: i64,
}

#[derive(Clone, Debug)]
struct Token {
    object_id: String,
    expires: Instant,
}

/// Why a bearer token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadToken {
    Unknown,
    Expired,
}

#[derive(Debug, Default)]
pub(crate) struct Directory {
    tenants: Vec<String>,
    principals: BTreeMap<String, Principal>,
    tokens: BTreeMap<String, Token>,
}

impl Directory {
    pub(crate) fn add_tenant(&mut self, tenant: &str) {
        if !self.has_tenant(tenant) {
            self.tenants.push(tenant.to_owned());
        }
    }

    pub(crate) fn has_tenant(&self, tenant: &str) -> bool {
        self.tenants.iter().any(|known| known.eq_ignore_ascii_case(tenant))
    }

    pub(crate) fn add_principal(&mut self, principal: Principal) {
        self.add_tenant(&principal.tenant);
        self.principals.insert(ids::key(&principal.object_id), principal);
    }

    pub(crate) fn remove_principal(&mut self, object_id: &str) {
        self.principals.remove(&ids::key(object_id));
    }

    pub(crate) fn principal(&self, object_id: &str) -> Option<&Principal> {
        self.principals.get(&ids::key(object_id))
    }

    pub(crate) fn by_client(&self, tenant: &str, client_id: &str) -> Option<&Principal> {
        self.principals.values().find(|principal| {
            principal.client_id.eq_ignore_ascii_case(client_id) && principal.tenant.eq_ignore_ascii_case(tenant)
        })
    }

    /// The identity that the metadata service serves: the one asked for, or the only one there is.
    pub(crate) fn managed_identity(&self, client_id: Option<&str>) -> Option<&Principal> {
        let mut identities = self.principals.values().filter(|principal| principal.managed_identity);
        match client_id {
            Some(wanted) => identities.find(|principal| principal.client_id.eq_ignore_ascii_case(wanted)),
            None => identities.next().filter(|_| identities.next().is_none()),
        }
    }

    /// A new opaque bearer token.
    pub(crate) fn issue(&mut self, object_id: &str, lifetime: Duration) -> String {
        let token = format!("simulated.{}", uuid::Uuid::new_v4().simple());
        let expires = Instant::now() + lifetime;
        self.tokens.insert(token.clone(), Token { object_id: object_id.to_owned(), expires });
        token
    }

    pub(crate) fn revoke_all(&mut self) {
        self.tokens.clear();
    }

    pub(crate) fn holder(&self, token: &str) -> Result<&Principal, BadToken> {
        let token = self.tokens.get(token).ok_or(BadToken::Unknown)?;
        if Instant::now() >= token.expires {
            return Err(BadToken::Expired);
        }
        self.principal(&token.object_id).ok_or(BadToken::Unknown)
    }
}
