//! What a text has to look like.

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

/// A regular expression that matches anywhere in a text and regardless of case, as ARM compares paths.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Pattern(Regex);

/// The text is no regular expression (syntax of the crate `regex`).
#[derive(Clone, Debug, thiserror::Error)]
#[error("'{text}' is not a regular expression: {reason}")]
pub struct BadPattern {
    /// The text.
    text: String,
    /// Why it is none.
    reason: String,
}

impl Pattern {
    /// Reads a regular expression.
    ///
    /// # Errors
    /// See [`BadPattern`].
    pub fn new(text: &str) -> Result<Self, BadPattern> {
        let compiled = RegexBuilder::new(text).case_insensitive(true).build();
        compiled.map(Self).map_err(|error| BadPattern { text: text.to_owned(), reason: error.to_string() })
    }

    /// Whether it occurs in a text.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0.as_str().to_owned()
    }
}

impl TryFrom<String> for Pattern {
    type Error = BadPattern;

    fn try_from(text: String) -> Result<Self, BadPattern> {
        Self::new(&text)
    }
}
