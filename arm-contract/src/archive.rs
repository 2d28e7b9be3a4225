//! Reading exchanges from files: HTTP Archive 1.2, or a JSON list of [`Exchange`]s.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;
use url::Url;

use crate::exchange::Exchange;

/// Why a file of exchanges cannot be read.
#[derive(Debug, Error)]
pub enum ArchiveError {
    /// It is neither an HTTP Archive nor a list of exchanges.
    #[error("neither an HTTP Archive nor a JSON list of exchanges: {0}")]
    Format(#[from] serde_json::Error),
    /// An entry's URL is none.
    #[error("entry {entry}: {source}")]
    Url {
        /// Which entry, counted from 0.
        entry: usize,
        /// What is wrong with it.
        source: url::ParseError,
    },
}

#[derive(Deserialize)]
struct Har {
    log: HarLog,
}

#[derive(Deserialize)]
struct HarLog {
    entries: Vec<HarEntry>,
}

#[derive(Deserialize)]
struct HarEntry {
    request: HarRequest,
    response: HarResponse,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HarRequest {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<HarHeader>,
    post_data: Option<HarContent>,
}

#[derive(Deserialize)]
struct HarResponse {
    status: u16,
    #[serde(default)]
    headers: Vec<HarHeader>,
    content: Option<HarContent>,
}

#[derive(Deserialize)]
struct HarHeader {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct HarContent {
    #[serde(default)]
    text: String,
    encoding: Option<String>,
}

impl HarContent {
    /// The content; text that claims to be Base64 and is not stays as it stands.
    fn decoded(self) -> String {
        if self.encoding.as_deref() != Some("base64") {
            return self.text;
        }
        let bytes = STANDARD.decode(self.text.trim()).ok();
        bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or(self.text)
    }
}

/// Reads an HTTP Archive or a JSON list of exchanges. Entries without an answer (status 0) are left out.
///
/// # Errors
/// [`ArchiveError`] says what is wrong with the text.
pub fn read_exchanges(text: &str) -> Result<Vec<Exchange>, ArchiveError> {
    let value: Value = serde_json::from_str(text)?;
    if value.is_array() {
        return Ok(serde_json::from_value(value)?);
    }
    let har: Har = serde_json::from_value(value)?;
    let entries = har.log.entries.into_iter().enumerate().filter(|(_, entry)| entry.response.status != 0);
    entries.map(|(number, entry)| exchange(number, entry)).collect()
}

fn exchange(entry: usize, HarEntry { request, response }: HarEntry) -> Result<Exchange, ArchiveError> {
    let url = Url::parse(&request.url).map_err(|source| ArchiveError::Url { entry, source })?;
    let mut exchange = Exchange::of_url(&request.method, &url);
    if let Some(content) = request.post_data {
        exchange = exchange.with_request_text(&content.decoded());
    }
    if let Some(content) = response.content {
        exchange = exchange.with_response_text(&content.decoded());
    }
    exchange.status = response.status;
    exchange.request_headers = request.headers.into_iter().map(|header| (header.name, header.value)).collect();
    exchange.response_headers = response.headers.into_iter().map(|header| (header.name, header.value)).collect();
    Ok(exchange)
}
