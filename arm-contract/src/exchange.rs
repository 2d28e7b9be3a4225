//! One request and its answer, as somebody recorded them.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use crate::resource::data_plane_at;

/// One request to ARM and what ARM answered.
///
/// Its JSON form has the fields' names in camelCase; what is absent is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Exchange {
    /// The HTTP method, in capitals.
    pub method: String,
    /// The path, percent-decoded, otherwise as sent.
    pub path: String,
    /// The query as sent, without the question mark.
    pub query: String,
    /// Whose data plane was asked, if it was not ARM: `Microsoft.Synapse`.
    pub data_plane: Option<String>,
    /// The request's headers.
    pub request_headers: Vec<(String, String)>,
    /// The request's JSON body.
    pub request_body: Option<Value>,
    /// The status code answered.
    pub status: u16,
    /// The answer's headers.
    pub response_headers: Vec<(String, String)>,
    /// The answer's JSON body.
    pub response_body: Option<Value>,
    /// The answer's body if it is not JSON (and not empty).
    pub response_text: Option<String>,
}

impl Exchange {
    /// An exchange for a method and an absolute URL, its path decoded; everything else is empty. The host tells whether it
    /// is one with ARM.
    pub fn of_url(method: &str, url: &Url) -> Self {
        Self {
            method: method.to_uppercase(),
            path: percent_decoded(url.path()),
            query: url.query().unwrap_or_default().to_owned(),
            data_plane: url.host_str().and_then(data_plane_at).map(str::to_owned),
            ..Self::default()
        }
    }

    /// Takes the request's body as text; what is not JSON is left out, for no operation of ARM takes anything else.
    pub fn with_request_text(mut self, text: &str) -> Self {
        self.request_body = serde_json::from_str(text).ok();
        self
    }

    /// Takes the answer's body as text, JSON or not.
    pub fn with_response_text(mut self, text: &str) -> Self {
        if !text.is_empty() {
            match serde_json::from_str(text) {
                Ok(body) => self.response_body = Some(body),
                Err(_) => self.response_text = Some(text.to_owned()),
            }
        }
        self
    }

    pub(crate) fn request_header(&self, name: &str) -> Option<&str> {
        header(&self.request_headers, name)
    }

    pub(crate) fn response_header(&self, name: &str) -> Option<&str> {
        header(&self.response_headers, name)
    }

    /// A query parameter, its name in any spelling as ARM takes it.
    pub(crate) fn query(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.into_owned())
    }

    pub(crate) fn succeeded(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn answered_empty(&self) -> bool {
        self.response_body.is_none() && self.response_text.is_none()
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// A path's percent-escapes resolved; a plus sign stays one, as paths have it.
fn percent_decoded(path: &str) -> String {
    let escaped = path.replace('+', "%2B");
    url::form_urlencoded::parse(escaped.as_bytes()).map(|(key, _)| key.into_owned()).next().unwrap_or_default()
}
