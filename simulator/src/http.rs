//! Requests and replies as the simulator's own code sees them: no stream, no framework.

use axum::body::Bytes;
use axum::http::HeaderMap;
use serde_json::Value;

use crate::error::ArmError;
use crate::log::Headers;

/// One request, read whole.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Percent-decoded.
    pub(crate) path: String,
    pub(crate) raw_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// `https://{Host}`: URLs that the simulator hands out name the host that the client used.
    pub(crate) base: String,
    pub(crate) from_loopback: bool,
}

impl Request {
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.raw_query.as_bytes())
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.into_owned())
    }

    pub(crate) fn form(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(&self.body).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// What a reply carries.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    Empty,
    Json(Value),
    Text(String),
}

/// One reply.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Payload,
    /// After how many bytes of the body the connection closes although more were announced; the inner `None` is half.
    pub(crate) cut: Option<Option<usize>>,
}

impl Reply {
    pub(crate) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), payload: Payload::Empty, cut: None }
    }

    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self { payload: Payload::Json(body), ..Self::empty(status) }
    }

    pub(crate) fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }
}

/// A reply as it goes over the wire.
#[derive(Clone, Debug)]
pub(crate) struct Rendered {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) body: Bytes,
    /// The `Content-Length` of a body that is cut off.
    pub(crate) announced: Option<usize>,
}

impl Reply {
    /// Writes the body out. It takes longer than most requests do, so nobody should hold the world's lock meanwhile.
    pub(crate) fn render(self) -> Rendered {
        let (content_type, mut body) = match self.payload {
            Payload::Empty => (None, Bytes::new()),
            // Without the room that the text had for growing: the log keeps thousands of bodies.
            Payload::Json(body) => {
                (Some("application/json; charset=utf-8"), Bytes::from(body.to_string().into_bytes().into_boxed_slice()))
            }
            Payload::Text(text) => (Some("text/plain; charset=utf-8"), Bytes::from(text)),
        };
        // A stated type overrules the usual one.
        let stated = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let content_type = content_type.filter(|_| !stated);
        let announced = self.cut.map(|at| {
            let whole = body.len();
            body.truncate(at.unwrap_or(whole / 2));
            whole.max(body.len() + 1)
        });
        Rendered { status: self.status, headers: self.headers, content_type, body, announced }
    }
}

impl Rendered {
    /// All headers that the simulator itself sets.
    pub(crate) fn logged_headers(&self) -> Headers {
        let own = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        own.chain(self.content_type.map(|kind| ("content-type", kind))).collect()
    }
}

impl From<ArmError> for Reply {
    fn from(error: ArmError) -> Self {
        let mut reply = Self::json(error.status, error.envelope());
        reply.headers = error.headers.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        reply
    }
}
