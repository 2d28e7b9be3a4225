//! The fault plan: which requests go wrong, and how.

use serde::{Deserialize, Serialize};

use crate::http::{Payload, Reply, Request};
use crate::ids;

/// Whether a fault strikes instead of the effect or after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FaultMoment {
    /// The request does nothing.
    #[default]
    Before,
    /// The request does what it asks, but the client hears otherwise.
    After,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind", deny_unknown_fields)]
pub enum FaultAction {
    /// The request, or with [`FaultMoment::After`] its answer, is delayed by real milliseconds.
    Latency {
        /// How long.
        ms: u64,
    },
    /// An ARM error.
    Status {
        /// The HTTP status.
        status: u16,
        /// `error.code`.
        code: String,
        /// `error.message`.
        #[serde(default)]
        message: String,
        /// Further headers, for example `Retry-After`.
        #[serde(default)]
        headers: Vec<(String, String)>,
    },
    /// The connection closes without an answer.
    Drop,
    /// The operation that the request starts ends as `Failed`. With [`FaultMoment::After`] its effect is there
    /// nevertheless.
    FailOperation {
        /// `error.code`.
        code: String,
        /// `error.message`.
        #[serde(default)]
        message: String,
    },
    /// 200 with something that is not JSON.
    Garbage,
}

/// One entry of the fault plan. What is not stated matches everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// The HTTP method.
    #[serde(default)]
    pub method: Option<String>,
    /// A part of the path, or, with a `*` in it, a pattern for the whole path; case-insensitive.
    #[serde(default)]
    pub path: Option<String>,
    /// How many requests it strikes; left out, all of them.
    #[serde(default)]
    pub times: Option<u32>,
    /// How many matching requests pass first.
    #[serde(default)]
    pub skip: u32,
    /// Before or after the effect.
    #[serde(default)]
    pub moment: FaultMoment,
    /// What goes wrong.
    pub action: FaultAction,
}

impl Fault {
    /// A fault that strikes the next request, whatever it is.
    pub fn once(action: FaultAction) -> Self {
        Self { method: None, path: None, times: Some(1), skip: 0, moment: FaultMoment::Before, action }
    }

    /// A fault that answers with an ARM error.
    pub fn status(status: u16, code: &str) -> Self {
        Self::once(FaultAction::Status { status, code: code.into(), message: String::new(), headers: Vec::new() })
    }

    /// Only requests with this method.
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only requests whose path has this in it, or matches it if it holds a `*`.
    pub fn path(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// Strikes this many requests.
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// Strikes until it is removed.
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// Lets this many matching requests pass first.
    pub fn skip(mut self, skip: u32) -> Self {
        self.skip = skip;
        self
    }

    /// Strikes after the effect.
    pub fn after(mut self) -> Self {
        self.moment = FaultMoment::After;
        self
    }

    fn matches(&self, request: &Request) -> bool {
        self.method.as_deref().is_none_or(|method| method.eq_ignore_ascii_case(&request.method))
            && self.path.as_deref().is_none_or(|path| {
                if path.contains('*') {
                    ids::wildcard(path, &request.path)
                } else {
                    ids::key(&request.path).contains(&path.to_ascii_lowercase())
                }
            })
    }

    /// The reply of a fault that replaces one; `None` if it has none.
    pub(crate) fn reply(&self) -> Option<Reply> {
        match &self.action {
            FaultAction::Status { status, code, message, headers } => {
                let mut reply: Reply = crate::error::ArmError::new(*status, code.clone(), message.clone()).into();
                reply.headers.extend(headers.iter().cloned());
                Some(reply)
            }
            FaultAction::Garbage => {
                Some(Reply { payload: Payload::Text("<html>not what was asked for".into()), ..Reply::empty(200) })
            }
            FaultAction::Latency { .. } | FaultAction::Drop | FaultAction::FailOperation { .. } => None,
        }
    }
}

/// The faults in force, in the order in which they were added.
#[derive(Debug, Default)]
pub(crate) struct FaultPlan(Vec<Fault>);

impl FaultPlan {
    pub(crate) fn add(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn all(&self) -> &[Fault] {
        &self.0
    }

    /// The first fault that strikes this request; it is counted.
    pub(crate) fn take(&mut self, request: &Request) -> Option<Fault> {
        let mut struck = None;
        for fault in self.0.iter_mut().filter(|fault| fault.matches(request)) {
            if fault.skip > 0 {
                fault.skip -= 1;
                continue;
            }
            match &mut fault.times {
                Some(0) => continue,
                Some(times) => *times -= 1,
                None => {}
            }
            struck = Some(fault.clone());
            break;
        }
        self.0.retain(|fault| fault.times != Some(0));
        struck
    }
}
