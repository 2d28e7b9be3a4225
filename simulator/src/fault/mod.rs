//! The fault plan: which requests go wrong, and how.

mod pattern;
mod plan;
mod strike;

use serde::{Deserialize, Serialize};

pub use pattern::{BadPattern, Pattern};
pub(crate) use plan::{FaultPlan, Struck};
pub(crate) use strike::OperationFault;

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
    /// The request, or with [`FaultMoment::After`] its answer, is delayed by real milliseconds. It adds to what other
    /// faults do.
    Latency {
        /// How long.
        ms: u64,
        /// If stated, a random time from `ms` to this.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        up_to_ms: Option<u64>,
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
    /// 401 `ExpiredAuthenticationToken`, as if the bearer token had expired just now.
    ExpiredToken,
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
    /// The operation that the request starts runs for ever and has no effect.
    EndlessOperation,
    /// 200 with something that is not JSON.
    Garbage,
    /// 200 with JSON nested so deeply that a careless parser overflows its stack.
    DeepJson {
        /// How many arrays lie in one another.
        depth: u32,
    },
    /// 200 with a JSON object of this size.
    HugeBody {
        /// Its size; at most 256.
        megabytes: u32,
    },
    /// The true answer, but its `Content-Length` promises more than comes before the connection closes.
    Truncate {
        /// How many bytes of the body come; left out, half of it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bytes: Option<usize>,
    },
    /// The true answer, but its status URLs and `nextLink` point at another host: a client that follows them gives its
    /// token away.
    ForeignUrls {
        /// What stands instead of `https://{host}`.
        base: String,
    },
    /// The true answer under another content type.
    ContentType {
        /// The content type.
        value: String,
    },
}

fn one() -> u32 {
    1
}

fn always() -> f64 {
    1.0
}

/// One entry of the fault plan. What is not stated matches everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Fault {
    /// The HTTP method.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What has to occur in the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Pattern>,
    /// What has to occur in the query as the client spelled it: `api-version=2025-12-01`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query: Option<Pattern>,
    /// The object id or the client id of who asks. Of a request for a token: the client id in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// How many requests it strikes; left out, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// How many matching requests pass first.
    #[serde(default)]
    pub skip: u32,
    /// Of the matching requests after these, it strikes the first and then each so-many-th.
    #[serde(default = "one")]
    pub every: u32,
    /// The share of those that it really strikes, from 0 to 1.
    #[serde(default = "always")]
    pub probability: f64,
    /// Before or after the effect. What spoils the true answer always does so after the effect.
    #[serde(default)]
    pub moment: FaultMoment,
    /// What goes wrong.
    pub action: FaultAction,
}

/// Why a fault makes no sense.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FaultError {
    /// A share outside of 0 to 1.
    #[error("probability {0} is not from 0 to 1")]
    Probability(f64),
    /// Each zeroth request.
    #[error("every is 0; the least is 1")]
    Every,
    /// No HTTP status.
    #[error("{0} is not an HTTP status that ends a request")]
    Status(u16),
    /// More than the simulator wants to hold in memory.
    #[error("{0} megabytes are more than 256")]
    Huge(u32),
}

impl Fault {
    /// A fault that strikes the next request, whatever it is.
    pub fn once(action: FaultAction) -> Self {
        Self {
            method: None,
            path: None,
            query: None,
            caller: None,
            times: Some(1),
            skip: 0,
            every: one(),
            probability: always(),
            moment: FaultMoment::Before,
            action,
        }
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

    /// Only requests in whose path this text occurs, whatever its case.
    pub fn path(mut self, part: &str) -> Self {
        // Escaped text is always an expression.
        self.path = Pattern::new(&regex::escape(part)).ok();
        self
    }

    /// Only requests whose path matches.
    pub fn path_like(mut self, pattern: Pattern) -> Self {
        self.path = Some(pattern);
        self
    }

    /// Only requests whose query matches.
    pub fn query(mut self, pattern: Pattern) -> Self {
        self.query = Some(pattern);
        self
    }

    /// Only requests of the principal with this object id or client id.
    pub fn caller(mut self, caller: &str) -> Self {
        self.caller = Some(caller.to_owned());
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

    /// Strikes the first matching request and then each so-many-th.
    pub fn every(mut self, every: u32) -> Self {
        self.every = every;
        self
    }

    /// Strikes only this share of the requests that it would strike, decided by [`crate::Settings::random_seed`].
    pub fn probability(mut self, probability: f64) -> Self {
        self.probability = probability;
        self
    }

    /// Strikes after the effect.
    pub fn after(mut self) -> Self {
        self.moment = FaultMoment::After;
        self
    }

    /// Whether it can be meant.
    ///
    /// # Errors
    /// See [`FaultError`].
    pub fn check(&self) -> Result<(), FaultError> {
        if !(0.0..=1.0).contains(&self.probability) {
            return Err(FaultError::Probability(self.probability));
        }
        if self.every == 0 {
            return Err(FaultError::Every);
        }
        match self.action {
            // What is below 200 announces another answer.
            FaultAction::Status { status, .. } if !(200..=599).contains(&status) => Err(FaultError::Status(status)),
            FaultAction::HugeBody { megabytes } if megabytes > 256 => Err(FaultError::Huge(megabytes)),
            _ => Ok(()),
        }
    }
}
