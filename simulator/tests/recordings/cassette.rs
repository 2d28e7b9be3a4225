//! Recorded exchanges with ARM, in the form that go-vcr writes (version 2).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// One file: what a client asked and what Azure answered, in order.
#[derive(Debug, Deserialize)]
pub(crate) struct Cassette {
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) interactions: Vec<Interaction>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Interaction {
    pub(crate) request: Request,
    pub(crate) response: Response,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) url: String,
    #[serde(default)]
    pub(crate) body: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Response {
    pub(crate) code: u16,
    #[serde(default)]
    pub(crate) body: String,
    #[serde(default)]
    pub(crate) headers: BTreeMap<String, Vec<String>>,
}

impl Cassette {
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut cassette: Self = serde_saphyr::from_str(text).map_err(|error| format!("{name}: {error}"))?;
        name.clone_into(&mut cassette.name);
        Ok(cassette)
    }

    /// Every cassette in a folder, by name.
    pub(crate) fn all_in(folder: &Path) -> Result<Vec<Self>, String> {
        let entries = std::fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        files.retain(|path| path.extension().is_some_and(|kind| kind == "yaml" || kind == "yml"));
        files.sort();
        let read = |path: &PathBuf| {
            let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            Self::parse(&name, &text)
        };
        files.iter().map(read).collect()
    }

    /// Every subscription that the requests name.
    pub(crate) fn subscriptions(&self) -> Vec<String> {
        let id = |interaction: &Interaction| {
            let mut segments = path(&interaction.request.url).split('/').skip(1);
            let is_subscription = segments.next().is_some_and(|first| first.eq_ignore_ascii_case("subscriptions"));
            is_subscription.then(|| segments.next().map(str::to_lowercase)).flatten()
        };
        let mut ids: Vec<String> = self.interactions.iter().filter_map(id).collect();
        ids.sort();
        ids.dedup();
        ids
    }
}

impl Response {
    /// A header's value; names are compared as HTTP does.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .and_then(|(_, values)| Some(values.first()?.as_str()))
    }

    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.body).ok()
    }
}

/// A URL without its scheme, host and query.
pub(crate) fn path(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = rest.find('/').map_or("", |start| &rest[start..]);
    path.split('?').next().unwrap_or_default()
}

/// The names in a URL's query, sorted.
pub(crate) fn query_names(url: &str) -> Vec<&str> {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let mut names: Vec<&str> = query.split('&').filter_map(|pair| pair.split('=').next()).collect();
    names.retain(|name| !name.is_empty());
    names.sort_unstable();
    names
}
