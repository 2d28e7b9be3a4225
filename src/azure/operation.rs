//! Long-running operations: where to watch one, what its answers mean, how long to wait between them.
//!
//! ARM has two ways (ARM RPC async-api-reference): the `Azure-AsyncOperation` URL always answers 200 with a `status`, and
//! an error status there is a failure to *read*; the `Location` URL answers 202 until done, and then what the call itself
//! would have answered, errors included.

use std::fmt;
use std::time::Duration;

use reqwest::header::HeaderMap;
use serde_json::Value;
use url::Url;

use super::error::{ArmError, ErrorClass};
use super::path::{UntrustedUrl, ensure_api_version, foreign_url};
use super::place::Place;

/// The longest wait that a `Retry-After` may ask for (the longest ARM allows its providers).
pub const RETRY_AFTER_CAP: Duration = Duration::from_secs(600);

/// The fragment that marks a `Location` URL when it is written down. Fragments are never sent, so it costs nothing, and
/// after a restart it tells that an error answer is the operation's own.
const LOCATION_MARK: &str = "location";

/// How an operation's URL answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Style {
    /// 200 and `status`.
    Async,
    /// 202 until done.
    Location,
}

/// A URL at which an operation of a known resource may be watched. Its text form ([`fmt::Display`]) goes into a status
/// and comes back through [`super::client::Client::operation_url`], which trusts it no more than a stranger's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperationUrl {
    url: Url,
    style: Style,
    /// The resource it belongs to, so that a moved URL can be held to the same rule.
    resource: String,
    api_version: String,
}

impl OperationUrl {
    /// Checks a URL that was read back, from wherever, for the operation on `resource`.
    pub(super) fn read_back(place: &Place, resource: &str, version: &str, raw: &str) -> Result<Self, UntrustedUrl> {
        let mut url = foreign_url(place.origin(), raw)?;
        let style = match url.fragment() {
            None => Style::Async,
            Some(LOCATION_MARK) => Style::Location,
            Some(_) => return Err(UntrustedUrl::Malformed),
        };
        url.set_fragment(None);
        if !place.may_watch(resource, url.path()) {
            return Err(UntrustedUrl::ForeignPath);
        }
        ensure_api_version(&mut url, version);
        Ok(Self { url, style, resource: resource.to_owned(), api_version: version.to_owned() })
    }

    /// Finds the operation that an answer to a write started, or why its URL is refused. `Azure-AsyncOperation` counts
    /// first; a `Location` counts only where it means an operation (201, 202).
    pub(super) fn started(
        place: &Place,
        resource: &str,
        version: &str,
        status: u16,
        headers: &HeaderMap,
    ) -> Result<Option<Self>, UntrustedUrl> {
        if let Some(raw) = header(headers, "azure-asyncoperation") {
            return Self::with_style(place, resource, version, raw, Style::Async).map(Some);
        }
        match header(headers, "location") {
            Some(raw) if matches!(status, 201 | 202) => {
                Self::with_style(place, resource, version, raw, Style::Location).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn with_style(place: &Place, resource: &str, version: &str, raw: &str, style: Style) -> Result<Self, UntrustedUrl> {
        // A fragment from the service means nothing and must not be taken for our mark.
        let raw = raw.split('#').next().unwrap_or(raw);
        Ok(Self { style, ..Self::read_back(place, resource, version, raw)? })
    }

    /// The URL to ask.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// The resource whose operation this is.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// What an answer to a poll says.
    pub(super) fn read(&self, place: &Place, status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Poll, ArmError> {
        let document = serde_json::from_slice::<Value>(body).ok();
        match (status, document.as_ref().and_then(operation_status)) {
            // A status document decides by itself, at either kind of URL and under 200 or 202.
            (200..=299, Some(state)) => Ok(self.by_state(place, headers, state, document.as_ref())),
            (202, None) => Ok(self.running(place, headers)),
            (200..=299, None)
                if self.style == Style::Async && status == 200 && document.is_none() && !body.is_empty() =>
            {
                Err(ArmError::protocol("UnreadableAnswer", "the operation's status is not JSON"))
            }
            (200..=299, None) => Ok(Poll::Succeeded),
            _ => {
                let error = ArmError::from_answer(status, body, self.url.path());
                if self.style == Style::Location && is_outcome(&error) { Ok(Poll::Failed(error)) } else { Err(error) }
            }
        }
    }

    fn by_state(&self, place: &Place, headers: &HeaderMap, state: &str, document: Option<&Value>) -> Poll {
        // Compared without case, as Microsoft's clients do; everything that is not terminal is running.
        match state.to_ascii_lowercase().as_str() {
            "succeeded" => Poll::Succeeded,
            "failed" | "canceled" | "cancelled" => {
                let error = document.and_then(|document| document.get("error")).filter(|error| error.is_object());
                Poll::Failed(ArmError::from_operation(state, error))
            }
            _ => self.running(place, headers),
        }
    }

    fn running(&self, place: &Place, headers: &HeaderMap) -> Poll {
        let name = match self.style {
            Style::Async => "azure-asyncoperation",
            Style::Location => "location",
        };
        // A moved URL that may not be followed is as good as none: the old one goes on.
        let moved = header(headers, name)
            .and_then(|raw| Self::with_style(place, &self.resource, &self.api_version, raw, self.style).ok())
            .filter(|moved| moved != self);
        Poll::Running { retry_after: retry_after(headers), moved }
    }
}

impl fmt::Display for OperationUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.style {
            Style::Async => write!(f, "{}", self.url),
            Style::Location => write!(f, "{}#{LOCATION_MARK}", self.url),
        }
    }
}

/// What an operation's URL said. Failures to read it are errors, not outcomes.
#[derive(Clone, Debug, PartialEq)]
pub enum Poll {
    /// It has not ended.
    Running {
        /// When to ask again; none if the service did not say.
        retry_after: Option<Duration>,
        /// Where to ask from now on, if the service moved it.
        moved: Option<OperationUrl>,
    },
    /// It has ended well.
    Succeeded,
    /// It has ended, and this is why.
    Failed(ArmError),
}

/// The `status` of an operation's status document; a resource, which has a `type`, is none even if it has a `status`.
fn operation_status(document: &Value) -> Option<&str> {
    if document.get("type").is_some_and(Value::is_string) {
        return None;
    }
    document.get("status").and_then(Value::as_str)
}

/// Whether an error at a `Location` URL is the operation's own. What could as well be a failure to read is not: the token,
/// a missing right, throttling, a URL that has vanished, a server's fault.
fn is_outcome(error: &ArmError) -> bool {
    let reading = matches!(
        error.class,
        ErrorClass::Throttled
            | ErrorClass::Transient
            | ErrorClass::Unauthenticated
            | ErrorClass::Forbidden
            | ErrorClass::NotFound
            | ErrorClass::Protocol
    );
    !reading
        && error
            .status
            .is_some_and(|status| (400..=499).contains(&status) && !matches!(status, 401 | 403 | 404 | 408 | 429))
}

/// How long an answer asks to be left alone: `x-ms-retry-after-ms` (or `retry-after-ms`) wins over `Retry-After` in
/// seconds; ARM sends no dates. Zero is as good as none, and nothing is longer than [`RETRY_AFTER_CAP`].
pub fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name| header(headers, name).and_then(|text| text.trim().parse::<u64>().ok());
    number("x-ms-retry-after-ms")
        .or_else(|| number("retry-after-ms"))
        .map(Duration::from_millis)
        .or_else(|| number("retry-after").map(Duration::from_secs))
        .filter(|wait| !wait.is_zero())
        .map(|wait| wait.min(RETRY_AFTER_CAP))
}

/// A header as text.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests;
