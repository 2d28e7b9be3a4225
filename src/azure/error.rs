//! What ARM answers when it says no, as data and as one readable line.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

pub use super::codes::ErrorClass;
use super::codes::{Evidence, classify};

/// Longest message kept, in bytes.
const MESSAGE_CAP: usize = 1024;
/// Longest code, target or request id kept, in bytes.
const WORD_CAP: usize = 128;
/// Most details kept: enough for every rule of a validation, little enough for a status.
const DETAILS_CAP: usize = 16;
/// Deepest nesting followed, through `details` and through JSON inside messages.
const DEPTH_CAP: usize = 6;

/// How far the request that failed had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was sent: no token, no connection, no turn.
    Unsent,
    /// Sent, and no usable answer came.
    Unanswered,
    /// ARM answered.
    Answered,
    /// The error of an operation that has ended.
    Operation,
}

/// An error of ARM, or of the way there.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmError {
    /// The HTTP status, if an answer came.
    pub status: Option<u16>,
    /// The service's code, or the client's own: `ConnectFailed`, `ConnectionLost`, `TimedOut`, `UnreadableAnswer`, ….
    pub code: String,
    /// The service's message: one line, no control characters, at most 1 kB.
    pub message: String,
    /// What the error is about, where the service says.
    pub target: Option<Box<str>>,
    /// Code and message of the details, depth first, JSON inside messages unpacked; at most 16.
    pub details: Box<[(String, String)]>,
    /// How long the service (or the governor) wants to be left alone.
    pub retry_after: Option<Duration>,
    /// `x-ms-request-id`, for a support request.
    pub request_id: Option<Box<str>>,
    /// What it means.
    pub class: ErrorClass,
    stage: Stage,
}

impl ArmError {
    /// Reads the error out of an answer. `path` is the path that was asked for.
    pub(super) fn from_answer(status: u16, body: &[u8], path: &str) -> Self {
        let parsed = serde_json::from_slice::<Value>(body).ok();
        let mut error = match parsed.as_ref().and_then(read_envelope) {
            Some(report) => Self::from_report(Some(status), report, Some(path)),
            None => Self::from_report(Some(status), Report::of_status(status, body), Some(path)),
        };
        error.stage = Stage::Answered;
        error
    }

    /// The error of an operation that has failed, from its status document: the document itself or its `error`.
    pub fn from_operation(status: &str, document: Option<&Value>) -> Self {
        let report = document.and_then(read_envelope).unwrap_or_else(|| Report {
            code: word(status),
            message: "the operation ended without an error description".to_owned(),
            ..Report::default()
        });
        Self::from_report(None, report, None)
    }

    /// The error of an operation that has failed, from its parts.
    pub fn from_failure(code: &str, message: &str) -> Self {
        let report = Report { code: word(code), message: clean(message, MESSAGE_CAP), ..Report::default() };
        Self::from_report(None, report, None)
    }

    /// An answer that cannot be used: a shape that is not ARM's, a link that must not be followed.
    pub fn protocol(code: &str, message: impl AsRef<str>) -> Self {
        Self::own(code, message.as_ref(), ErrorClass::Protocol, Stage::Answered)
    }

    /// Nothing was sent.
    pub(super) fn unsent(code: &str, message: impl AsRef<str>, class: ErrorClass) -> Self {
        Self::own(code, message.as_ref(), class, Stage::Unsent)
    }

    /// Sent, and no usable answer came.
    pub(super) fn unanswered(code: &str, message: impl AsRef<str>) -> Self {
        Self::own(code, message.as_ref(), ErrorClass::Transient, Stage::Unanswered)
    }

    fn own(code: &str, message: &str, class: ErrorClass, stage: Stage) -> Self {
        Self {
            status: None,
            code: code.to_owned(),
            message: clean(message, MESSAGE_CAP),
            target: None,
            details: Box::default(),
            retry_after: None,
            request_id: None,
            class,
            stage,
        }
    }

    fn from_report(status: Option<u16>, report: Report, path: Option<&str>) -> Self {
        let mut errors = vec![(report.code.as_str(), report.message.as_str())];
        errors.extend(report.details.iter().map(|(code, message)| (code.as_str(), message.as_str())));
        let class = classify(&Evidence { status, errors: &errors, path });
        Self {
            status,
            code: report.code,
            message: report.message,
            target: report.target.map(String::into_boxed_str),
            details: report.details.into_boxed_slice(),
            retry_after: None,
            request_id: None,
            class,
            stage: Stage::Operation,
        }
    }

    /// The same error, with what its answer's head says.
    pub(super) fn with_head(mut self, status: Option<u16>, retry_after: Option<Duration>, id: Option<&str>) -> Self {
        self.status = status;
        self.retry_after = retry_after;
        self.request_id = id.map(|id| word(id).into_boxed_str());
        self
    }

    /// The same error, to be repeated after `wait`.
    pub(super) fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Whether a write that got this answer may have happened all the same: it was sent and the connection broke or
    /// timed out, or a server said 5xx (ARM answers 504 when the provider is slow, "though the provider may have done the
    /// work", ARM RPC common-api-details), or a success could not be read. Then only a later read tells.
    pub fn outcome_unknown(&self) -> bool {
        match self.stage {
            Stage::Unsent | Stage::Operation => false,
            Stage::Unanswered => true,
            Stage::Answered => self.status.is_none_or(|status| matches!(status, 200..=399 | 408 | 500..=599)),
        }
    }

    /// Whether this is the answer that a resource does not exist.
    pub fn is_not_found(&self) -> bool {
        self.class == ErrorClass::NotFound
    }
}

impl fmt::Display for ArmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)?;
        // An envelope's own text ("one operation failed") helps nobody; the innermost detail is what went wrong.
        if let Some((code, message)) = self.details.last()
            && !self.message.contains(message.as_str())
        {
            write!(f, " [{code}: {message}]")?;
        }
        match (self.status, &self.request_id) {
            (Some(status), Some(id)) => write!(f, " (HTTP {status}, request {id})"),
            (Some(status), None) => write!(f, " (HTTP {status})"),
            (None, Some(id)) => write!(f, " (request {id})"),
            (None, None) => Ok(()),
        }
    }
}

impl std::error::Error for ArmError {}

/// An error as read from a body, before its meaning is known.
#[derive(Default)]
struct Report {
    code: String,
    message: String,
    target: Option<String>,
    details: Vec<(String, String)>,
}

impl Report {
    /// For a body that carries no error: a proxy's page, nothing at all.
    fn of_status(status: u16, body: &[u8]) -> Self {
        let head = body.get(..body.len().min(256)).unwrap_or_default();
        let text = clean(&String::from_utf8_lossy(head), 200);
        let message = if text.is_empty() {
            "an answer without an error description".to_owned()
        } else {
            format!("an answer that is not ARM's: {text}")
        };
        Self { code: format!("Http{status}"), message, ..Self::default() }
    }
}

/// Finds the error in a document: `{"error": {…}}` (ARM RPC), the bare `{code, message}` that some providers send, or
/// `{"error": "code", "error_description": …}`.
fn read_envelope(document: &Value) -> Option<Report> {
    let inner = match document.get("error") {
        Some(error @ Value::Object(_)) => error,
        Some(Value::String(code)) => {
            let message = text_of(document, "error_description");
            return Some(Report { code: word(code), message: clean(message, MESSAGE_CAP), ..Report::default() });
        }
        _ => document,
    };
    let code = text_of(inner, "code");
    let message = text_of(inner, "message");
    if code.is_empty() && message.is_empty() {
        return None;
    }
    let mut report = Report {
        code: if code.is_empty() { "NoCode".to_owned() } else { word(code) },
        message: clean(message, MESSAGE_CAP),
        target: Some(word(text_of(inner, "target"))).filter(|target| !target.is_empty()),
        details: Vec::new(),
    };
    collect_details(inner, DEPTH_CAP, &mut report.details);
    Some(report)
}

/// Appends the details below `error`, depth first, and those hidden as JSON in its message (deployments and AML do that).
fn collect_details(error: &Value, depth: usize, into: &mut Vec<(String, String)>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    let mut add = |nested: &Value| {
        if into.len() < DETAILS_CAP {
            let code = text_of(nested, "code");
            let message = text_of(nested, "message");
            if !(code.is_empty() && message.is_empty()) {
                into.push((word(code), clean(message, MESSAGE_CAP)));
            }
            collect_details(nested, depth, into);
        }
    };
    let message = text_of(error, "message").trim_start();
    if message.starts_with('{')
        && let Ok(hidden) = serde_json::from_str::<Value>(message)
    {
        add(hidden.get("error").filter(|inner| inner.is_object()).unwrap_or(&hidden));
    }
    for nested in error.get("details").and_then(Value::as_array).into_iter().flatten() {
        add(nested);
    }
    // A policy's refusal names the assignment only here.
    for info in error.get("additionalInfo").and_then(Value::as_array).into_iter().flatten() {
        if let (kind @ "PolicyViolation", Some(facts)) = (text_of(info, "type"), info.get("info"))
            && into.len() < DETAILS_CAP
        {
            let name = match text_of(facts, "policyAssignmentDisplayName") {
                "" => text_of(facts, "policyAssignmentId"),
                name => name,
            };
            into.push((kind.to_owned(), clean(name, MESSAGE_CAP)));
        }
    }
}

/// A member that should be a text; its name's case does not matter to ARM.
fn text_of<'a>(object: &'a Value, name: &str) -> &'a str {
    object
        .as_object()
        .and_then(|members| {
            members.get(name).or_else(|| members.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v))
        })
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn word(text: &str) -> String {
    clean(text, WORD_CAP)
}

/// Text from elsewhere made fit for a status, an event or a log: runs of blanks and control characters become one blank,
/// invisible and direction-changing characters go, and at most `cap` bytes remain.
pub fn clean(text: &str, cap: usize) -> String {
    let mut cleaned = String::with_capacity(text.len().min(cap));
    let mut gap = false;
    for c in text.chars() {
        if matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}') {
            continue;
        }
        if c.is_whitespace() || c.is_control() {
            gap = !cleaned.is_empty();
            continue;
        }
        let needed = c.len_utf8() + usize::from(gap);
        if cleaned.len() + needed > cap.saturating_sub('…'.len_utf8()) {
            if cap >= '…'.len_utf8() {
                cleaned.push('…');
            }
            break;
        }
        if std::mem::take(&mut gap) {
            cleaned.push(' ');
        }
        cleaned.push(c);
    }
    cleaned
}

#[cfg(test)]
mod tests;
