//! How bytes travel: TLS, timeouts, caps. One HTTP client a connection, for ARM and for tokens.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::{Certificate, ClientBuilder, Response, redirect, retry};
use thiserror::Error;

use super::cloud::Cloud;

/// What every request says it comes from.
const USER_AGENT: &str = concat!("aml-operator/", env!("CARGO_PKG_VERSION"));

/// Durations and sizes of HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpPace {
    /// To connect and to shake hands.
    pub connect_timeout: Duration,
    /// For a whole request. ARM gives its providers 60 s and then answers 504; this must be longer, to hear that.
    pub request_timeout: Duration,
    /// For a token, retries of the metadata service included.
    pub token_timeout: Duration,
    /// After a failed token request, how long the failure is repeated instead of the request.
    pub token_failure_memory: Duration,
    /// Largest body of one answer, in bytes.
    pub body_cap: usize,
    /// Most pages of one list.
    pub page_cap: usize,
    /// Largest list over all its pages, in bytes.
    pub list_cap: usize,
}

impl Default for HttpPace {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(90),
            token_timeout: Duration::from_secs(30),
            token_failure_memory: Duration::from_secs(10),
            body_cap: 8 * 1024 * 1024,
            page_cap: 500,
            list_cap: 64 * 1024 * 1024,
        }
    }
}

/// Where hosts are and whom to trust, if not as the system says. The default is the real world; tests put well-known hosts
/// on loopback. It never weakens anything: `https` stays `https`.
#[derive(Clone, Debug, Default)]
pub struct Transport {
    /// Host names and the addresses to reach them at. If any are given, no proxy is used.
    pub hosts: Vec<(String, SocketAddr)>,
    /// PEM certificates of the authorities to trust instead of the system's.
    pub ca_bundle: Option<String>,
    /// Where the instance metadata service listens, if not at its link-local address.
    pub metadata: Option<SocketAddr>,
}

/// Why no HTTP client could be made.
#[derive(Debug, Error)]
pub enum TransportError {
    /// The bundle holds no certificate, or something else.
    #[error("the CA bundle cannot be read: {0}")]
    CaBundle(String),
    /// TLS could not be set up.
    #[error("the HTTP client cannot be made: {0}")]
    Client(String),
}

impl Transport {
    /// The client for a cloud's ARM and authority: `https` only, HTTP/1.1 (many connections spread over ARM's front ends,
    /// each of which throttles for itself), no redirects, no retries.
    pub(super) fn client(&self, cloud: &Cloud, pace: &HttpPace) -> Result<reqwest::Client, TransportError> {
        let mut builder = base(pace).https_only(true);
        if !self.hosts.is_empty() {
            builder = builder.no_proxy();
        }
        for (host, address) in &self.hosts {
            builder = builder.resolve(host, *address);
        }
        let bundles: Vec<&str> = cloud.ca_bundle().into_iter().chain(self.ca_bundle.as_deref()).collect();
        if !bundles.is_empty() {
            let mut certificates = Vec::new();
            for bundle in bundles {
                let read = Certificate::from_pem_bundle(bundle.as_bytes())
                    .map_err(|error| TransportError::CaBundle(error.to_string()))?;
                if read.is_empty() {
                    return Err(TransportError::CaBundle("it holds no certificate".to_owned()));
                }
                certificates.extend(read);
            }
            builder = builder.tls_certs_only(certificates);
        }
        builder.build().map_err(|error| TransportError::Client(chain(&error)))
    }

    /// The client for the instance metadata service, the one place that speaks plain HTTP: link-local, and never through a
    /// proxy, which would answer with the proxy's own identity.
    pub(super) fn metadata_client(&self, pace: &HttpPace) -> Result<reqwest::Client, TransportError> {
        base(pace).no_proxy().build().map_err(|error| TransportError::Client(chain(&error)))
    }
}

fn base(pace: &HttpPace) -> ClientBuilder {
    ClientBuilder::new()
        .user_agent(USER_AGENT)
        .http1_only()
        .redirect(redirect::Policy::none())
        .retry(retry::never())
        .referer(false)
        .connect_timeout(pace.connect_timeout)
        .timeout(pace.request_timeout)
}

/// Why a body was not read.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It is longer than the cap.
    TooLong,
    /// The connection broke or timed out.
    Lost(reqwest::Error),
}

/// Reads a body of at most `cap` bytes.
pub(super) async fn read_body(mut response: Response, cap: usize) -> Result<Vec<u8>, BodyError> {
    if response.content_length().is_some_and(|length| length > cap as u64) {
        return Err(BodyError::TooLong);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(BodyError::Lost)? {
        if body.len() + chunk.len() > cap {
            return Err(BodyError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An error with its causes in one line, without its URL: queries carry signatures.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut line = if error.is_connect() { "connection failed".to_owned() } else { "request failed".to_owned() };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}
