//! The wire under azure_identity: our HTTP clients, a cap on answers, and a note of what Entra said.
//!
//! azure_identity 1.0 loses Entra's error text when it holds an escaped character, and Entra's always does (`\r\n` before
//! the trace id); so refusals are read here.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use azure_core::http::headers::{HeaderName, HeaderValue, Headers};
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Method, Request};
use serde_json::Value;

use super::transport::{chain, read_body};

/// A token answer is a few kB.
const BODY_CAP: usize = 256 * 1024;
/// The instance metadata service.
const METADATA_HOST: &str = "169.254.169.254";

/// Serves one attempt to get a token.
#[derive(Debug)]
pub(super) struct Sts {
    https: reqwest::Client,
    metadata: reqwest::Client,
    metadata_address: Option<SocketAddr>,
    refusal: Mutex<Option<(Option<String>, String)>>,
}

impl Sts {
    pub(super) fn new(https: reqwest::Client, metadata: reqwest::Client, metadata_address: Option<SocketAddr>) -> Self {
        Self { https, metadata, metadata_address, refusal: Mutex::default() }
    }

    /// The code and text of the last refusal.
    pub(super) fn refusal(&self) -> Option<(Option<String>, String)> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, status: u16, body: &[u8]) {
        let document = serde_json::from_slice::<Value>(body).unwrap_or_default();
        let text = |name: &str| document.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let description = match (text("error_description"), text("error")) {
            (Some(description), _) => description.to_owned(),
            (None, Some(error)) => format!("{error} (HTTP {status})"),
            (None, None) => format!("the token endpoint answered HTTP {status}"),
        };
        let code = document
            .pointer("/error_codes/0")
            .and_then(Value::as_u64)
            .map(|number| format!("AADSTS{number}"))
            .or_else(|| leading_code(&description));
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some((code, description));
    }
}

/// `AADSTS` and its digits at the beginning of a description.
fn leading_code(description: &str) -> Option<String> {
    let digits: String = description.strip_prefix("AADSTS")?.chars().take_while(char::is_ascii_digit).collect();
    (!digits.is_empty()).then(|| format!("AADSTS{digits}"))
}

fn io_error(text: String) -> azure_core::Error {
    azure_core::Error::with_message(azure_core::error::ErrorKind::Io, text)
}

#[async_trait::async_trait]
impl HttpClient for Sts {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut url = request.url().clone();
        let at_metadata = url.scheme() == "http" && url.host_str() == Some(METADATA_HOST);
        let client = if at_metadata {
            if let Some(address) = self.metadata_address {
                let moved = url.set_ip_host(address.ip()).and_then(|()| url.set_port(Some(address.port())));
                moved.map_err(|()| io_error("the metadata address does not fit".to_owned()))?;
            }
            &self.metadata
        } else {
            &self.https
        };
        let method = match request.method() {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            other => return Err(io_error(format!("no token is asked for with {other}"))),
        };
        let mut builder = client.request(method, url);
        for (name, value) in request.headers().iter() {
            builder = builder.header(name.as_str(), value.as_str());
        }
        if let Body::Bytes(bytes) = request.body() {
            builder = builder.body(bytes.clone());
        }
        let answer = builder.send().await.map_err(|error| {
            io_error(format!("{} ({})", chain(&error), request.url().host_str().unwrap_or_default()))
        })?;
        let status = answer.status().as_u16();
        let mut headers = Headers::new();
        for (name, value) in answer.headers() {
            if let Ok(value) = value.to_str() {
                headers.insert(HeaderName::from(name.as_str().to_owned()), HeaderValue::from(value.to_owned()));
            }
        }
        let body = read_body(answer, BODY_CAP)
            .await
            .map_err(|_| io_error("the token endpoint's answer could not be read".to_owned()))?;
        if !(200..300).contains(&status) {
            self.note(status, &body);
        }
        Ok(AsyncRawResponse::from_bytes(status.into(), headers, body))
    }
}
