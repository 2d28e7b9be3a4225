//! What a fault does to the request that it strikes.

use serde_json::json;

use super::{Fault, FaultAction, FaultMoment};
use crate::error::ArmError;
use crate::http::{Payload, Reply, Request};

/// What a fault does to the operation that a request begins.
#[derive(Clone, Debug)]
pub(crate) enum OperationFault {
    /// It ends as failed.
    Fails {
        error: ArmError,
        /// Whether its effect happens nevertheless.
        applies: bool,
    },
    /// It runs for ever.
    Endless,
}

/// The headers that name URLs which a client follows with its token (ARM RPC, async-api-reference).
const URL_HEADERS: &[&str] = &["Azure-AsyncOperation", "Location"];

impl Fault {
    /// What becomes of the operation that the request begins, if it begins one.
    pub(crate) fn operation(&self) -> Option<OperationFault> {
        match &self.action {
            FaultAction::FailOperation { code, message } => Some(OperationFault::Fails {
                error: ArmError::new(400, code.clone(), message.clone()),
                applies: self.moment == FaultMoment::After,
            }),
            FaultAction::EndlessOperation => Some(OperationFault::Endless),
            _ => None,
        }
    }

    /// What the client gets instead of the effect; `None` if the request is to take effect. The inner `None` drops the
    /// connection.
    pub(crate) fn instead(&self, request: &Request) -> Option<Option<Reply>> {
        if self.moment == FaultMoment::Before { self.replacement(request) } else { None }
    }

    /// What the client gets of the true reply; `None` drops the connection.
    pub(crate) fn afterwards(&self, reply: Reply, request: &Request) -> Option<Reply> {
        match self.replacement(request) {
            Some(replacement) => replacement,
            None => Some(self.spoiled(reply, request)),
        }
    }

    fn replacement(&self, request: &Request) -> Option<Option<Reply>> {
        let text = |kind: &str, text: String| {
            Some(Reply { payload: Payload::Text(text), ..Reply::empty(200) }.header("Content-Type", kind))
        };
        match &self.action {
            FaultAction::Drop => Some(None),
            FaultAction::Status { status, code, message, headers } => {
                let mut reply: Reply = ArmError::new(*status, code.clone(), message.clone()).into();
                reply.headers.extend(headers.iter().cloned());
                Some(Some(reply))
            }
            FaultAction::ExpiredToken => Some(Some(ArmError::expired_token(&request.base).into())),
            FaultAction::Garbage => Some(text("text/plain; charset=utf-8", "<html>not what was asked for".into())),
            FaultAction::DeepJson { depth } => {
                let depth = usize::try_from(*depth).unwrap_or(usize::MAX).min(10_000_000);
                let nested = format!("{{\"value\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
                Some(text("application/json; charset=utf-8", nested))
            }
            FaultAction::HugeBody { megabytes } => {
                let size = usize::try_from(*megabytes).unwrap_or(usize::MAX).min(256) * 1_000_000;
                let padded = json!({ "value": [], "padding": "x".repeat(size) });
                Some(text("application/json; charset=utf-8", padded.to_string()))
            }
            FaultAction::Latency { .. }
            | FaultAction::FailOperation { .. }
            | FaultAction::EndlessOperation
            | FaultAction::Truncate { .. }
            | FaultAction::ForeignUrls { .. }
            | FaultAction::ContentType { .. } => None,
        }
    }

    fn spoiled(&self, mut reply: Reply, request: &Request) -> Reply {
        match &self.action {
            FaultAction::Truncate { bytes } => reply.cut = Some(*bytes),
            FaultAction::ForeignUrls { base } => {
                let moved = |url: &str| url.strip_prefix(&request.base).map(|rest| format!("{base}{rest}"));
                for (name, value) in &mut reply.headers {
                    if URL_HEADERS.iter().any(|url| url.eq_ignore_ascii_case(name)) {
                        *value = moved(value).unwrap_or_else(|| value.clone());
                    }
                }
                if let Payload::Json(body) = &mut reply.payload
                    && let Some(next) = body.get_mut("nextLink")
                    && let Some(url) = next.as_str().and_then(moved)
                {
                    *next = json!(url);
                }
            }
            FaultAction::ContentType { value } => reply = reply.header("Content-Type", value),
            _ => {}
        }
        reply
    }
}
