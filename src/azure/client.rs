//! The one client of ARM, and of the data planes that ARM leads to. It sends, reads, pages and polls; it never waits for an operation and never repeats a write.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, IF_MATCH, IF_NONE_MATCH};
use serde_json::Value;
use thiserror::Error;
use tokio::time::Instant;
use tracing::{debug, warn};
use url::Url;
use uuid::Uuid;

use super::cloud::{Cloud, CloudError, Endpoints, scope};
use super::credential::{CredentialError, CredentialSource, Secret, SourceError, Token, Tokens};
use super::error::{ArmError, ErrorClass};
use super::operation::{OperationUrl, Poll, header, retry_after};
use super::page::Pages;
use super::path::{UntrustedUrl, request_url, subscription};
use super::place::Place;
pub use super::throttle::Priority;
use super::throttle::{Key, Kind, Throttle, size};
use super::transport::{BodyError, HttpPace, Transport, TransportError, chain, read_body};
use crate::effects::{Effect, Moment, Seam, System};

/// How long a line of a secret is, in bytes, that gives something away by itself.
const LINE_OF_SECRET: usize = 16;

/// What a metrics recorder hears of every request that was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRecord {
    /// The HTTP method.
    pub method: Method,
    /// The resource type, `Provider/type/type`; no names.
    pub resource_type: String,
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// The error's class, if it was one.
    pub class: Option<ErrorClass>,
    /// From sending to the end of the answer; the wait for a turn is not in it.
    pub duration: Duration,
}

/// Hears of every request that was sent.
pub type CallHook = Arc<dyn Fn(&CallRecord) + Send + Sync>;

/// All a client needs.
pub struct ClientConfig {
    /// Which ARM.
    pub cloud: Cloud,
    /// The Entra tenant.
    pub tenant_id: String,
    /// Who asks.
    pub credential: CredentialSource,
    /// What every write passes.
    pub seam: Seam,
    /// The operator's governor.
    pub throttle: Arc<Throttle>,
    /// Durations and sizes.
    pub pace: HttpPace,
    /// Where hosts are, if not as the system says.
    pub transport: Transport,
    /// Hears of every request.
    pub hook: Option<CallHook>,
}

/// Why no client could be made: the connection's declaration is wrong.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The cloud's endpoints cannot be used.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// The credential does not fit the cloud.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The HTTP client could not be made.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// A condition on a write, for the few providers that honour one (private DNS).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When<'a> {
    /// Whatever is there.
    #[default]
    Always,
    /// Only while the resource has this etag (`If-Match`).
    Matches(&'a str),
    /// Only if there is none (`If-None-Match: *`).
    Absent,
}

/// A write: what is sent, and how.
#[derive(Clone)]
pub struct Write<'a> {
    /// `PUT`, `PATCH`, `POST` or `DELETE`.
    pub method: Method,
    /// As of [`Client::get`].
    pub path: &'a str,
    /// The version it names.
    pub api_version: &'a str,
    /// The body.
    pub body: Option<&'a Value>,
    /// Texts in the body that must not come back in an error's words, which go into conditions, events and logs.
    pub secrets: &'a [Secret],
    /// Under which condition.
    pub when: When<'a>,
    /// How soon it goes.
    pub priority: Priority,
}

/// A write that ARM took.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// 200, 201, 202 or 204.
    pub status: u16,
    /// The body, if it was JSON.
    pub body: Option<Value>,
    /// Where to watch the operation it started. None: it is done, or ARM gave no URL that may be followed, and the
    /// resource's own state tells.
    pub operation: Option<OperationUrl>,
    /// When to look first, if ARM says.
    pub retry_after: Option<Duration>,
    /// `x-ms-request-id`, for the audit line.
    pub request_id: Option<String>,
}

/// A connection's ARM, or a data plane reached through it. Clones share everything.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    endpoints: Endpoints,
    /// Where requests go, and `tokens` with them.
    place: Place,
    by_the_hour: bool,
    identity: Arc<str>,
    http: reqwest::Client,
    tokens: Tokens,
    /// Those of Synapse's data planes, which ARM never sees.
    synapse_tokens: Option<Tokens>,
    seam: Seam,
    throttle: Arc<Throttle>,
    pace: HttpPace,
    hook: Option<CallHook>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Client({})", self.0.identity)
    }
}

/// A successful answer.
struct Answer {
    status: u16,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json(&self) -> Result<Value, ArmError> {
        serde_json::from_slice(&self.body).map_err(|error| {
            ArmError::protocol("UnreadableAnswer", format!("the answer is not JSON: {error}")).with_head(
                Some(self.status),
                None,
                header(&self.headers, "x-ms-request-id"),
            )
        })
    }
}

/// A request before it has a token.
struct Draft<'a> {
    method: Method,
    url: Url,
    body: Option<&'a Value>,
    secrets: &'a [Secret],
    when: When<'a>,
    priority: Priority,
}

impl Draft<'_> {
    fn get(url: Url, priority: Priority) -> Self {
        Self { method: Method::GET, url, body: None, secrets: &[], when: When::Always, priority }
    }

    /// `answer`, without the secrets that were sent should ARM repeat them. Long ones also line by line, as a service may quote
    /// a part of a certificate.
    fn without_secrets(&self, mut answer: Answer) -> Answer {
        if self.secrets.is_empty() || answer.status < 300 {
            return answer;
        }
        let mut text = String::from_utf8_lossy(&answer.body).into_owned();
        for secret in self.secrets {
            let whole = secret.secret();
            let escaped = Value::from(whole).to_string();
            let lines = whole.lines().filter(|line| line.len() >= LINE_OF_SECRET);
            for shown in [whole, escaped.trim_matches('"')].into_iter().chain(lines).filter(|shown| !shown.is_empty()) {
                text = text.replace(shown, "REDACTED");
            }
        }
        answer.body = text.into_bytes();
        answer
    }
}

impl Client {
    /// A client. Sends nothing yet.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let endpoints = config.cloud.endpoints()?;
        let principal = config.credential.principal();
        let identity = format!("{}/{}/{principal}", config.cloud, config.tenant_id).to_lowercase();
        let tokens = |scope: &str| {
            let (source, transport) = (config.credential.clone(), &config.transport);
            Tokens::new(&config.cloud, &endpoints, scope, &config.tenant_id, source, transport, &config.pace)
        };
        let arm = tokens(&endpoints.scope)?;
        let synapse = endpoints.synapse.as_ref().map(|synapse| tokens(&scope(&synapse.audience))).transpose()?;
        Ok(Self(Arc::new(Inner {
            place: Place::resource_manager(endpoints.resource_manager.clone()),
            by_the_hour: config.cloud.throttles_by_the_hour(),
            identity: identity.into(),
            http: config.transport.client(&config.cloud, &config.pace)?,
            endpoints,
            tokens: arm,
            synapse_tokens: synapse,
            seam: config.seam,
            throttle: config.throttle,
            pace: config.pace,
            hook: config.hook,
        })))
    }

    /// The client of the data plane of the Synapse workspace `name`: with tokens of another audience, which go to that workspace's own
    /// place only. It takes paths of the form `synapse://{name}/…` ([`super::place::SynapsePath`]) and no others.
    ///
    /// # Errors
    /// If it is not known where the cloud's data planes are, or `name` is none.
    pub fn synapse(&self, name: &str) -> Result<Self, CloudError> {
        let (inner, name) = (&self.0, name.to_ascii_lowercase());
        let origin = inner.endpoints.synapse_workspace(&name)?;
        Ok(Self(Arc::new(Inner {
            place: Place::synapse(origin, &name),
            // Another service, with allowances of its own.
            identity: format!("{}/synapse", inner.identity).into(),
            tokens: inner.synapse_tokens.clone().ok_or(CloudError::NoSynapse)?,
            ..Inner::clone(inner)
        })))
    }

    /// Whether a token can be had.
    pub async fn token_check(&self) -> Result<(), CredentialError> {
        self.0.tokens.token().await.map(|_| ())
    }

    /// Reads a resource. `path` begins with `/subscriptions/…` (or `/providers/…`), holds names as they are, and may
    /// carry a query.
    pub async fn get(&self, path: &str, api_version: &str, priority: Priority) -> Result<Value, ArmError> {
        let url = self.url(path, api_version)?;
        self.exchange(Draft::get(url, priority)).await?.json()
    }

    /// Reads a resource that may be absent. Only a 404 about this very resource is absence; a missing subscription, group
    /// or parent, or a 404 that says nothing, is an error.
    pub async fn find(&self, path: &str, api_version: &str, priority: Priority) -> Result<Option<Value>, ArmError> {
        match self.get(path, api_version, priority).await {
            Ok(resource) => Ok(Some(resource)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads a list, all pages of it: a list is complete or an error.
    pub async fn list(&self, path: &str, api_version: &str, priority: Priority) -> Result<Vec<Value>, ArmError> {
        let first = self.url(path, api_version)?;
        let pace = &self.0.pace;
        let mut pages = Pages::new(self.0.place.origin(), first.clone(), api_version, pace.page_cap, pace.list_cap);
        let mut next = Some(first);
        while let Some(url) = next {
            let answer = self.exchange(Draft::get(url, priority)).await?;
            next = pages.add(answer.json()?, answer.body.len())?;
        }
        Ok(pages.into_items())
    }

    /// Writes: `PUT`, `PATCH`, `POST` or `DELETE`. Sent once; what to do about a failure is the caller's decision, and
    /// [`ArmError::outcome_unknown`] says whether it may have happened.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        api_version: &str,
        body: Option<&Value>,
        priority: Priority,
    ) -> Result<Accepted, ArmError> {
        self.write(Write { method, path, api_version, body, secrets: &[], when: When::Always, priority }).await
    }

    /// The same, with all that can be said of a write. A condition that does not hold is [`ErrorClass::Precondition`].
    ///
    /// # Errors
    /// As [`Client::send`].
    pub async fn write(&self, write: Write<'_>) -> Result<Accepted, ArmError> {
        let Write { method, path, api_version, body, secrets, when, priority } = write;
        let url = self.url(path, api_version)?;
        let answer = self.exchange(Draft { method, url, body, secrets, when, priority }).await?;
        let operation = OperationUrl::started(&self.0.place, path, api_version, answer.status, &answer.headers)
            .unwrap_or_else(|refused| {
                warn!(path, %refused, "the operation's URL is not followed; the resource's own state will tell");
                None
            });
        Ok(Accepted {
            status: answer.status,
            // A deletion may answer 200 with empty text; what a write answers is never worth an error, since it happened.
            body: serde_json::from_slice(&answer.body).ok(),
            operation,
            retry_after: retry_after(&answer.headers),
            request_id: header(&answer.headers, "x-ms-request-id").map(str::to_owned),
        })
    }

    /// Looks at an operation once. An error is a failure to look (429, 5xx, a timeout, a 404, a missing right): the
    /// operation goes on, and whether a repeated 404 ends it is the caller's decision.
    pub async fn poll(&self, operation: &OperationUrl, priority: Priority) -> Result<Poll, ArmError> {
        let reply = self.send_draft(Draft::get(operation.url().clone(), priority)).await?;
        let head = |error: ArmError| self.complete(error, reply.status, &reply.headers);
        match operation.read(&self.0.place, reply.status, &reply.headers, &reply.body) {
            Ok(Poll::Failed(error)) => Ok(Poll::Failed(head(error))),
            Ok(poll) => Ok(poll),
            Err(error) => Err(head(error)),
        }
    }

    /// Checks an operation's URL that was read back from a place others can write to, for the operation on the resource at
    /// `path`. A URL without `api-version` gets this one.
    pub fn operation_url(&self, path: &str, api_version: &str, raw: &str) -> Result<OperationUrl, UntrustedUrl> {
        OperationUrl::read_back(&self.0.place, path, api_version, raw)
    }

    fn url(&self, path: &str, api_version: &str) -> Result<Url, ArmError> {
        request_url(&self.0.place, path, api_version)
            .map_err(|error| ArmError::unsent("PathRefused", error.to_string(), ErrorClass::Validation))
    }

    /// Sends, and turns everything but a success into an error.
    async fn exchange(&self, draft: Draft<'_>) -> Result<Answer, ArmError> {
        let path = draft.url.path().to_owned();
        let answer = self.send_draft(draft).await?;
        match self.error_of(&answer, &path) {
            None => Ok(answer),
            Some(error) => Err(error),
        }
    }

    /// What an answer says is wrong, if anything.
    fn error_of(&self, answer: &Answer, path: &str) -> Option<ArmError> {
        let error = match answer.status {
            200..=299 => return None,
            300..=399 => ArmError::protocol("RedirectRefused", "a redirect is never followed"),
            status => ArmError::from_answer(status, &answer.body, path),
        };
        Some(self.complete(error, answer.status, &answer.headers))
    }

    fn complete(&self, error: ArmError, status: u16, headers: &HeaderMap) -> ArmError {
        error.with_head(Some(status), retry_after(headers), header(headers, "x-ms-request-id"))
    }

    /// Sends, with a fresh token once more if a read was refused for its token. A write is not repeated: whoever decided
    /// it decides again.
    async fn send_draft(&self, draft: Draft<'_>) -> Result<Answer, ArmError> {
        let (answer, token) = self.send_once(&draft).await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        self.0.tokens.discard(&token);
        if draft.method != Method::GET {
            return Ok(answer);
        }
        Ok(self.send_once(&draft).await?.0)
    }

    async fn send_once(&self, draft: &Draft<'_>) -> Result<(Answer, Token), ArmError> {
        let inner = &self.0;
        let path = draft.url.path();
        // The one place a token meets a URL.
        if !inner.place.origin().owns(&draft.url) {
            return Err(ArmError::unsent("ForeignUrl", "not where this client's requests go", ErrorClass::Protocol));
        }
        let kind = match draft.method {
            Method::GET => Kind::Reads,
            Method::DELETE => Kind::Deletes,
            _ => Kind::Writes,
        };
        let key = Key { identity: Arc::clone(&inner.identity), subscription: subscription(path), kind };
        let permit = inner.throttle.acquire(key, size(kind, inner.by_the_hour), path, draft.priority).await?;
        let token = inner.tokens.token().await?;
        let request = self.request(draft, &token)?;

        let effect = (draft.method != Method::GET).then(|| Effect {
            system: System::Arm,
            method: draft.method.to_string(),
            path: path.to_owned(),
        });
        if let Some(effect) = &effect {
            inner.seam.reach(Moment::Before, effect).await;
        }
        let started = Instant::now();
        let outcome = self.round_trip(request).await.map(|answer| draft.without_secrets(answer));
        let duration = started.elapsed();
        if let Some(effect) = &effect {
            inner.seam.reach(Moment::After, effect).await;
        }

        let error = match &outcome {
            Ok(answer) => self.error_of(answer, path),
            Err(error) => Some(error.clone()),
        };
        if let Ok(answer) = &outcome {
            permit.learn(path, &answer.headers, error.as_ref());
        }
        let status = outcome.as_ref().map_or_else(|error| error.status, |answer| Some(answer.status));
        match &error {
            None => debug!(method = %draft.method, path, status, ?duration, "asked Azure"),
            Some(error) => debug!(method = %draft.method, path, ?duration, %error, "asked Azure"),
        }
        if let Some(hook) = &inner.hook {
            hook(&CallRecord {
                method: draft.method.clone(),
                resource_type: inner.place.resource_type(path),
                status,
                class: error.map(|error| error.class),
                duration,
            });
        }
        outcome.map(|answer| (answer, token))
    }

    fn request(&self, draft: &Draft<'_>, token: &Token) -> Result<reqwest::Request, ArmError> {
        let invalid = |what: &str| ArmError::unsent("RequestInvalid", what, ErrorClass::Validation);
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", token.secret())).map_err(|_| {
            ArmError::unsent("TokenInvalid", "the token does not fit a header", ErrorClass::Unauthenticated)
        })?;
        bearer.set_sensitive(true);
        let mut request = self
            .0
            .http
            .request(draft.method.clone(), draft.url.clone())
            .header(AUTHORIZATION, bearer)
            .header(ACCEPT, "application/json")
            .header("x-ms-client-request-id", Uuid::new_v4().to_string());
        request = match draft.when {
            When::Always => request,
            When::Matches(etag) => request.header(IF_MATCH, etag),
            When::Absent => request.header(IF_NONE_MATCH, "*"),
        };
        if let Some(body) = draft.body {
            let bytes = serde_json::to_vec(body).map_err(|_| invalid("the body cannot be written as JSON"))?;
            request = request.header(CONTENT_TYPE, "application/json").body(bytes);
        }
        request.build().map_err(|_| invalid("the request cannot be built"))
    }

    async fn round_trip(&self, request: reqwest::Request) -> Result<Answer, ArmError> {
        let answer = self.0.http.execute(request).await.map_err(|error| {
            let text = chain(&error);
            if error.is_connect() {
                ArmError::unsent("ConnectFailed", text, ErrorClass::Transient)
            } else if error.is_timeout() {
                ArmError::unanswered("TimedOut", text)
            } else {
                ArmError::unanswered("ConnectionLost", text)
            }
        })?;
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let body = read_body(answer, self.0.pace.body_cap).await.map_err(|error| {
            let error = match error {
                BodyError::TooLong => ArmError::protocol("AnswerTooLong", "the answer is longer than the client reads"),
                BodyError::Lost(error) => ArmError::unanswered("ConnectionLost", chain(&error)),
            };
            self.complete(error, status, &headers)
        })?;
        Ok(Answer { status, headers, body })
    }
}

impl From<CredentialError> for ArmError {
    fn from(error: CredentialError) -> Self {
        Self::unsent("NoToken", error.message, ErrorClass::Unauthenticated)
    }
}

#[cfg(test)]
mod tests;
