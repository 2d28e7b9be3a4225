//! Tokens: where they come from, and a cache that outlives the failures of that place.
//!
//! The credentials are azure_identity's. Its own cache asks anew only 5 minutes before expiry, and then gives an error
//! although the old token is still good; so here each refresh uses a fresh credential, and the caching is ours.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use azure_core::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core::credentials::{AccessToken, TokenCredential};
use azure_core::http::{ClientOptions, RetryOptions};
use azure_identity::{
    ClientAssertionCredentialOptions, ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use futures::future::BoxFuture;
use thiserror::Error;
use tokio::time::Instant;
use tracing::warn;

use super::cloud::{Cloud, Endpoints};
use super::error::clean;
use super::sts::Sts;
use super::transport::{HttpPace, Transport, TransportError};

pub use azure_core::credentials::Secret;

/// The share of its life after which a token is renewed: early enough to try again many times before it ends.
const REFRESH_AT: f64 = 0.6;
/// A token is not used in its last moments (at most a tenth of its life): it has to be good when it arrives.
const EXPIRY_MARGIN: Duration = Duration::from_secs(15);

/// How the operator proves who it is.
#[derive(Clone, PartialEq)]
pub enum CredentialSource {
    /// A Kubernetes service account token, federated with an Entra identity.
    WorkloadIdentity {
        /// The identity's client id; `AZURE_CLIENT_ID` if none is given.
        client_id: Option<String>,
        /// The projected token; `AZURE_FEDERATED_TOKEN_FILE` if none is given.
        token_file: Option<PathBuf>,
    },
    /// The identity of the machine, from its metadata service.
    ManagedIdentity {
        /// The client id of a user-assigned identity; the system-assigned one if none is given.
        client_id: Option<String>,
    },
    /// An application's password.
    ClientSecret {
        /// The application's client id.
        client_id: String,
        /// The password. Its `Debug` shows nothing.
        secret: Secret,
    },
}

impl CredentialSource {
    /// What tells this principal from others in the throttle's key and in logs. No secret.
    pub fn principal(&self) -> &str {
        match self {
            Self::WorkloadIdentity { client_id, .. } => client_id.as_deref().unwrap_or("workload-identity"),
            Self::ManagedIdentity { client_id } => client_id.as_deref().unwrap_or("managed-identity"),
            Self::ClientSecret { client_id, .. } => client_id,
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::WorkloadIdentity { .. } => "workload identity",
            Self::ManagedIdentity { .. } => "managed identity",
            Self::ClientSecret { .. } => "client secret",
        }
    }
}

impl fmt::Debug for CredentialSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.kind(), self.principal())
    }
}

/// Why a credential cannot be used at all.
#[derive(Debug, Error)]
pub enum SourceError {
    /// A federated token or a managed identity's sent to a foreign authority could be replayed at the real one.
    #[error("a custom cloud takes only a client secret of its own, not a {0}")]
    ForeignAuthority(&'static str),
    /// The HTTP client could not be made.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// Why there is no token: one line, without secrets.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct CredentialError {
    /// Entra's code (`AADSTS700016`), if it answered.
    pub code: Option<String>,
    /// What happened; begins with the code if there is one.
    pub message: String,
}

/// A bearer token. Its `Debug` shows nothing of it.
#[derive(Clone, Debug)]
pub struct Token {
    secret: Secret,
    refresh_at: Instant,
    usable_until: Instant,
}

impl Token {
    fn new(secret: Secret, life: Duration, now: Instant) -> Self {
        let margin = EXPIRY_MARGIN.min(life / 10);
        Self { secret, refresh_at: now + life.mul_f64(REFRESH_AT), usable_until: now + life.saturating_sub(margin) }
    }

    /// The token itself, for the `Authorization` header and nothing else.
    pub(super) fn secret(&self) -> &str {
        self.secret.secret()
    }
}

/// Gets one new token, with the time it will live.
pub(super) trait Issuer: Send + Sync {
    /// Asks for a token; no cache, no retries.
    fn issue(&self) -> BoxFuture<'_, Result<(Secret, Duration), CredentialError>>;
}

/// The tokens of one connection. Clones share them.
#[derive(Clone)]
pub struct Tokens(Arc<Shared>);

struct Shared {
    issuer: Box<dyn Issuer>,
    timeout: Duration,
    failure_memory: Duration,
    state: Mutex<State>,
    /// Held while a token is asked for, so that one request serves all who wait.
    flight: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    failure: Option<(CredentialError, Instant)>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    /// Tokens of `source` in `tenant_id` of `cloud`, for `scope`. Asks for nothing yet.
    pub fn new(
        cloud: &Cloud,
        endpoints: &Endpoints,
        scope: &str,
        tenant_id: &str,
        source: CredentialSource,
        transport: &Transport,
        pace: &HttpPace,
    ) -> Result<Self, SourceError> {
        if matches!(cloud, Cloud::Custom(_)) && !matches!(source, CredentialSource::ClientSecret { .. }) {
            return Err(SourceError::ForeignAuthority(source.kind()));
        }
        let issuer = Entra {
            cloud: configuration(cloud, endpoints),
            scope: scope.to_owned(),
            tenant_id: tenant_id.to_owned(),
            source,
            https: transport.client(cloud, pace)?,
            metadata: transport.metadata_client(pace)?,
            metadata_address: transport.metadata,
        };
        Ok(Self::of(Box::new(issuer), pace))
    }

    /// Tokens of any issuer.
    pub(super) fn of(issuer: Box<dyn Issuer>, pace: &HttpPace) -> Self {
        Self(Arc::new(Shared {
            issuer,
            timeout: pace.token_timeout,
            failure_memory: pace.token_failure_memory,
            state: Mutex::default(),
            flight: tokio::sync::Mutex::default(),
        }))
    }

    /// A token that is good now. One past most of its life is renewed in the background and given out meanwhile; only when
    /// there is none does the caller wait, or hear why there is none.
    pub async fn token(&self) -> Result<Token, CredentialError> {
        let now = Instant::now();
        if let Some(token) = self.0.usable(now) {
            if now >= token.refresh_at && self.0.recent_failure(now).is_none() {
                self.refresh_in_background();
            }
            return Ok(token);
        }
        let _flight = self.0.flight.lock().await;
        let now = Instant::now();
        // Somebody else may have got one, or failed, while this call waited.
        if let Some(token) = self.0.usable(now) {
            return Ok(token);
        }
        if let Some(failure) = self.0.recent_failure(now) {
            return Err(failure);
        }
        self.0.fetch().await
    }

    /// Forgets `token`, which ARM refused, unless it has been replaced already.
    pub(super) fn discard(&self, token: &Token) {
        let mut state = self.0.lock();
        if state.token.as_ref().is_some_and(|held| held.secret == token.secret) {
            state.token = None;
        }
    }

    fn refresh_in_background(&self) {
        let shared = Arc::clone(&self.0);
        tokio::spawn(async move {
            // Already being asked for: nothing to do.
            let Ok(_flight) = shared.flight.try_lock() else { return };
            let now = Instant::now();
            let fresh = shared.lock().token.as_ref().is_some_and(|token| now < token.refresh_at);
            if fresh || shared.recent_failure(now).is_some() {
                return;
            }
            if let Err(error) = shared.fetch().await {
                warn!(%error, "the token could not be renewed; the present one is used until it expires");
            }
        });
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is replaced whole, so a panic elsewhere cannot have left it half-written.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self, now: Instant) -> Option<Token> {
        self.lock().token.clone().filter(|token| now < token.usable_until)
    }

    fn recent_failure(&self, now: Instant) -> Option<CredentialError> {
        let state = self.lock();
        let (failure, at) = state.failure.as_ref()?;
        (now < *at + self.failure_memory).then(|| failure.clone())
    }

    /// Asks for a token and remembers the outcome. The caller holds the flight.
    async fn fetch(&self) -> Result<Token, CredentialError> {
        let issued = match tokio::time::timeout(self.timeout, self.issuer.issue()).await {
            Ok(issued) => issued,
            Err(_) => Err(CredentialError {
                code: None,
                message: format!("no token within {} s", self.timeout.as_secs_f64()),
            }),
        };
        let now = Instant::now();
        let mut state = self.lock();
        match issued {
            Ok((secret, life)) => {
                let token = Token::new(secret, life, now);
                *state = State { token: Some(token.clone()), failure: None };
                Ok(token)
            }
            Err(error) => {
                state.failure = Some((error.clone(), now));
                Err(error)
            }
        }
    }
}

/// Entra (or the metadata service) as an issuer.
struct Entra {
    cloud: Arc<CloudConfiguration>,
    scope: String,
    tenant_id: String,
    source: CredentialSource,
    https: reqwest::Client,
    metadata: reqwest::Client,
    metadata_address: Option<std::net::SocketAddr>,
}

impl Issuer for Entra {
    fn issue(&self) -> BoxFuture<'_, Result<(Secret, Duration), CredentialError>> {
        Box::pin(async move {
            let sts = Arc::new(Sts::new(self.https.clone(), self.metadata.clone(), self.metadata_address));
            let asked = match self.credential(&sts) {
                Ok(credential) => credential.get_token(&[&self.scope], None).await,
                Err(error) => Err(error),
            };
            match asked {
                Ok(AccessToken { token, expires_on, .. }) => {
                    let life = expires_on - azure_core::time::OffsetDateTime::now_utc();
                    Ok((token, Duration::try_from(life).unwrap_or_default()))
                }
                Err(error) => Err(self.explain(sts.refusal(), &error)),
            }
        })
    }
}

impl Entra {
    /// A credential without memory. Workload identity reads its token file here: a small file in memory, always current.
    fn credential(&self, sts: &Arc<Sts>) -> azure_core::Result<Arc<dyn TokenCredential>> {
        let client_options = ClientOptions {
            cloud: Some(Arc::clone(&self.cloud)),
            retry: RetryOptions::none(),
            transport: Some(azure_core::http::Transport::new(Arc::clone(sts) as Arc<dyn azure_core::http::HttpClient>)),
            ..ClientOptions::default()
        };
        Ok(match &self.source {
            CredentialSource::WorkloadIdentity { client_id, token_file } => {
                WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions { client_options },
                    client_id: client_id.clone(),
                    tenant_id: Some(self.tenant_id.clone()),
                    token_file_path: token_file.clone(),
                }))?
            }
            CredentialSource::ManagedIdentity { client_id } => {
                ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                    user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                    client_options,
                }))?
            }
            CredentialSource::ClientSecret { client_id, secret } => ClientSecretCredential::new(
                &self.tenant_id,
                client_id.clone(),
                secret.clone(),
                Some(ClientSecretCredentialOptions { client_options }),
            )?,
        })
    }

    /// One line from what Entra said, else from what azure_identity made of it, without secrets.
    fn explain(&self, refusal: Option<(Option<String>, String)>, error: &azure_core::Error) -> CredentialError {
        let (code, text) = refusal.unwrap_or_else(|| {
            let text = error.to_string();
            // azure_identity appends a link to a guide on its own lines.
            (None, text.split("\nTo troubleshoot").next().unwrap_or_default().to_owned())
        });
        let mut message = clean(&text, 600);
        if let CredentialSource::ClientSecret { secret, .. } = &self.source {
            message = message.replace(secret.secret(), "***");
        }
        // Whatever looks like a token is one.
        if message.contains("eyJ") {
            let hide = |word: &str| if word.contains("eyJ") { "***".to_owned() } else { word.to_owned() };
            message = message.split(' ').map(hide).collect::<Vec<_>>().join(" ");
        }
        let message = match &code {
            Some(code) if !message.starts_with(code.as_str()) => format!("{code}: {message}"),
            _ => message,
        };
        CredentialError { code, message }
    }
}

/// The cloud as azure_identity knows it. Always stated: left out, `AZURE_AUTHORITY_HOST` would decide.
fn configuration(cloud: &Cloud, endpoints: &Endpoints) -> Arc<CloudConfiguration> {
    Arc::new(match cloud {
        Cloud::Public => CloudConfiguration::AzurePublic,
        Cloud::UsGovernment => CloudConfiguration::AzureGovernment,
        Cloud::China => CloudConfiguration::AzureChina,
        Cloud::Custom(_) => {
            let mut custom = CustomConfiguration::default();
            custom.authority_host = endpoints.authority.to_string();
            CloudConfiguration::Custom(custom)
        }
    })
}

#[cfg(test)]
mod tests;
