//! Lists come in pages; a list is all of it or an error.

use std::collections::HashSet;

use serde_json::Value;
use url::Url;

use super::cloud::Origin;
use super::error::ArmError;
use super::path::{ensure_api_version, foreign_url};

/// Collects the pages of one list.
pub(super) struct Pages {
    origin: Origin,
    first: Url,
    api_version: String,
    most_pages: usize,
    most_bytes: usize,
    bytes: usize,
    seen: HashSet<String>,
    items: Vec<Value>,
}

impl Pages {
    /// A list that begins at `first`, of at most so many pages and bytes.
    pub(super) fn new(origin: &Origin, first: Url, api_version: &str, most_pages: usize, most_bytes: usize) -> Self {
        let seen = HashSet::from([first.as_str().to_owned()]);
        Self {
            origin: origin.clone(),
            first,
            api_version: api_version.to_owned(),
            most_pages,
            most_bytes,
            bytes: 0,
            seen,
            items: Vec::new(),
        }
    }

    /// Takes a page; gives the URL of the next one, or none when the list is complete.
    pub(super) fn add(&mut self, page: Value, size: usize) -> Result<Option<Url>, ArmError> {
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.most_bytes {
            return Err(ArmError::protocol(
                "ListTooLong",
                format!("the list is longer than {} bytes", self.most_bytes),
            ));
        }
        let Value::Object(mut page) = page else { return Err(not_a_page()) };
        let Some(Value::Array(items)) = page.remove("value") else { return Err(not_a_page()) };
        self.items.extend(items);
        // No items with a next link is legal, and so is a null link.
        let link = match page.remove("nextLink") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(link)) if link.is_empty() => return Ok(None),
            Some(Value::String(link)) => link,
            Some(_) => return Err(not_a_page()),
        };
        let next = self.check(&link)?;
        if !self.seen.insert(next.as_str().to_owned()) {
            return Err(ArmError::protocol("ListLoops", "a next page of the list is one that was already read"));
        }
        if self.seen.len() > self.most_pages {
            return Err(ArmError::protocol("ListTooLong", format!("the list has more than {} pages", self.most_pages)));
        }
        Ok(Some(next))
    }

    /// The items of all pages.
    pub(super) fn into_items(self) -> Vec<Value> {
        self.items
    }

    /// A next page lies on the same Resource Manager at the same path: anything else would send the token, or the
    /// operator's rights, where the page's author likes.
    fn check(&self, link: &str) -> Result<Url, ArmError> {
        let refuse = |why: &str| ArmError::protocol("NextLinkRefused", format!("the next page is not followed: {why}"));
        let mut next = foreign_url(&self.origin, link).map_err(|error| refuse(&error.to_string()))?;
        if !next.path().trim_end_matches('/').eq_ignore_ascii_case(self.first.path().trim_end_matches('/')) {
            return Err(refuse("it is another path"));
        }
        next.set_fragment(None);
        ensure_api_version(&mut next, &self.api_version);
        Ok(next)
    }
}

fn not_a_page() -> ArmError {
    ArmError::protocol("UnreadableAnswer", "the answer is not a page of a list")
}
