//! Who there is: tenants, service principals, managed identities, users.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bearer::{BadToken, Expected, Proof, Tokens};
use crate::federation::{FederatedCredential, Issuers};
use crate::ids;
use crate::jwt::NoKey;

/// What kind of principal holds a role. Groups are not known: a role given to one reaches nobody.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PrincipalType {
    /// An application or a managed identity.
    #[default]
    ServicePrincipal,
    /// A person: can be given roles, but has no way to sign in here.
    User,
}

impl PrincipalType {
    /// As ARM writes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ServicePrincipal => "ServicePrincipal",
            Self::User => "User",
        }
    }
}

/// Somebody who can hold a role.
#[derive(Clone, Debug, Default)]
pub(crate) struct Principal {
    pub(crate) tenant: String,
    pub(crate) client_id: String,
    pub(crate) object_id: String,
    pub(crate) kind: PrincipalType,
    pub(crate) secret: Option<String>,
    /// Texts that are accepted as client assertions as they are.
    pub(crate) assertions: Vec<String>,
    /// Tokens of other issuers that are accepted as client assertions.
    pub(crate) federated: Vec<FederatedCredential>,
    /// Whether the metadata service hands out its tokens without being given its resource id.
    pub(crate) managed_identity: bool,
    /// The resource that a managed identity is, or belongs to.
    pub(crate) resource_id: Option<String>,
    /// Simulated time from which role assignments find it without being told its type.
    pub(crate) known_at: i64,
}

/// How a managed identity is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wanted<'a> {
    /// The only one there is.
    Any,
    Client(&'a str),
    Object(&'a str),
    Resource(&'a str),
}

/// Why there is no managed identity to hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoIdentity {
    Unknown,
    /// There are several and none was named.
    Several,
}

#[derive(Debug, Default)]
pub(crate) struct Directory {
    tenants: Vec<String>,
    principals: BTreeMap<String, Arc<Principal>>,
    pub(crate) issuers: Issuers,
    tokens: Tokens,
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
        self.principals.insert(ids::key(&principal.object_id), Arc::new(principal));
    }

    pub(crate) fn remove_principal(&mut self, object_id: &str) {
        self.principals.remove(&ids::key(object_id));
    }

    pub(crate) fn principal(&self, object_id: &str) -> Option<&Principal> {
        self.principals.get(&ids::key(object_id)).map(Arc::as_ref)
    }

    /// The application or managed identity with this client id.
    pub(crate) fn by_client(&self, tenant: &str, client_id: &str) -> Option<Arc<Principal>> {
        let found = self.principals.values().find(|principal| {
            principal.kind == PrincipalType::ServicePrincipal
                && principal.client_id.eq_ignore_ascii_case(client_id)
                && principal.tenant.eq_ignore_ascii_case(tenant)
        });
        found.cloned()
    }

    /// The identity that the metadata service serves.
    pub(crate) fn managed_identity(&self, wanted: Wanted<'_>) -> Result<Arc<Principal>, NoIdentity> {
        let mut identities = self.principals.values().filter(|principal| principal.managed_identity);
        let same = |own: &str, asked: &str| ids::key(own) == ids::key(asked);
        let found = match wanted {
            Wanted::Any => {
                let only = identities.next();
                if identities.next().is_some() {
                    return Err(NoIdentity::Several);
                }
                only
            }
            Wanted::Client(id) => identities.find(|principal| same(&principal.client_id, id)),
            Wanted::Object(id) => identities.find(|principal| same(&principal.object_id, id)),
            Wanted::Resource(id) => {
                identities.find(|principal| principal.resource_id.as_deref().is_some_and(|own| same(own, id)))
            }
        };
        found.cloned().ok_or(NoIdentity::Unknown)
    }

    /// The name of the key that signs tokens now.
    pub(crate) fn kid(&self) -> String {
        self.tokens.kid()
    }

    /// A new bearer token; `lifetime` and `now` in real seconds.
    pub(crate) fn issue(
        &self,
        holder: &Principal,
        audience: &str,
        proof: Proof,
        lifetime: u64,
        now: i64,
    ) -> Result<String, NoKey> {
        self.tokens.issue(holder, audience, proof, lifetime, now)
    }

    /// Makes every token handed out so far invalid.
    pub(crate) fn revoke_all(&mut self) {
        self.tokens.revoke_all();
    }

    /// Who holds a token.
    pub(crate) fn holder(&mut self, token: &str, expected: Expected<'_>) -> Result<Arc<Principal>, BadToken> {
        let (object, tenant) = self.tokens.check(token, expected)?;
        let holder = self.principals.get(object).filter(|principal| principal.tenant.eq_ignore_ascii_case(tenant));
        holder.cloned().ok_or(BadToken::Invalid)
    }
}
