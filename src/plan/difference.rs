//! Where a resource in Azure is not as declared. Each field is compared as its type is compared by ARM.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// A field in which Azure is not as declared.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Path in ARM's terms.
    pub field: Cow<'static, str>,
    /// What was found, if anything is there.
    pub found: Option<String>,
    /// What is wanted, if it shall be there.
    pub wanted: Option<String>,
    /// What mends it.
    pub(super) mend: Mend,
}

/// What mends a difference.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mend {
    /// This fragment of a PATCH.
    Patch(Value),
    /// The map of tags, which goes as a whole.
    Tags,
    /// A PUT of the whole resource.
    Whole,
    /// Nothing but making it anew, for this reason.
    Recreate(&'static str),
    /// Nothing, for this reason.
    Never(&'static str),
}

/// The longest text about a value in a status, in characters.
const TEXT_LIMIT: usize = 256;

/// `text`, cut to what a status holds.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(TEXT_LIMIT).collect()
}

impl Difference {
    /// A difference that a PUT of the whole resource mends.
    pub fn of(field: impl Into<Cow<'static, str>>, found: Option<&str>, wanted: &str) -> Self {
        let (found, wanted) = (found.map(ToOwned::to_owned), Some(wanted.to_owned()));
        Self { field: field.into(), found, wanted, mend: Mend::Whole }
    }

    /// What was found, in words.
    pub fn found(&self) -> String {
        self.found.as_deref().map_or_else(|| "not set".to_owned(), shorten)
    }

    /// What is wanted, in words.
    pub fn wanted(&self) -> String {
        self.wanted.as_deref().map_or_else(|| "not set".to_owned(), shorten)
    }

    /// The change, in words.
    pub fn change(&self) -> String {
        format!("{} from {} to {}", self.field, self.found(), self.wanted())
    }
}

/// Collects differences, each compared as its type is.
#[derive(Default)]
pub(super) struct Comparison(pub(super) Vec<Difference>);

impl Comparison {
    pub(super) fn note(
        &mut self,
        field: impl Into<Cow<'static, str>>,
        found: Option<&str>,
        wanted: impl Into<String>,
        mend: Mend,
    ) {
        let (found, wanted) = (found.map(ToOwned::to_owned), Some(wanted.into()));
        self.0.push(Difference { field: field.into(), found, wanted, mend });
    }

    /// Ids, locations and enums: without regard to case.
    pub(super) fn word(&mut self, field: &'static str, found: Option<&str>, wanted: &str, mend: Mend) {
        if !found.is_some_and(|found| found.eq_ignore_ascii_case(wanted)) {
            self.note(field, found, wanted, mend);
        }
    }

    /// Words for people: every letter counts; nothing is the same as an empty text.
    pub(super) fn text(&mut self, field: &'static str, found: Option<&str>, wanted: Option<&str>, mend: Mend) {
        if let Some(wanted) = wanted.filter(|wanted| found.unwrap_or_default() != *wanted) {
            self.note(field, found, wanted, mend);
        }
    }

    /// Switches that are off unless ARM says otherwise.
    pub(super) fn switch(&mut self, field: &'static str, found: Option<bool>, wanted: Option<bool>, mend: Mend) {
        if let Some(wanted) = wanted.filter(|wanted| found.unwrap_or(false) != *wanted) {
            let words = |on: bool| if on { "true" } else { "false" };
            self.note(field, found.map(words), words(wanted), mend);
        }
    }

    /// Numbers.
    pub(super) fn number(&mut self, field: &'static str, found: Option<i64>, wanted: Option<i64>, mend: Mend) {
        if let Some(wanted) = wanted.filter(|wanted| found != Some(*wanted)) {
            let found = found.map(|found| found.to_string());
            self.note(field, found.as_deref(), wanted.to_string(), mend);
        }
    }
}

/// Lays `patch` over `body`, object by object.
pub(super) fn merge(body: &mut Value, patch: &Value) {
    match (body, patch) {
        (Value::Object(body), Value::Object(patch)) => {
            for (key, value) in patch {
                merge(body.entry(key.clone()).or_insert(Value::Object(Map::new())), value);
            }
        }
        (body, patch) => *body = patch.clone(),
    }
}
