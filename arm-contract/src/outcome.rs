//! What a check says.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An operation of the specifications.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OperationKey {
    /// The provider in whose folder it stands, such as `Microsoft.Network`.
    pub namespace: String,
    /// The api-version of its specification.
    pub api_version: String,
    /// Its `operationId`.
    pub operation_id: String,
}

impl fmt::Display for OperationKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.namespace, self.api_version, self.operation_id)
    }
}

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Level {
    /// The specification is contradicted.
    Violation,
    /// Sloppy or surprising, but nothing that ARM and its clients do not live with.
    Warning,
}

/// The rule that a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Rule {
    /// The path has no such method.
    Method,
    /// A path, query or header parameter is missing or not as described.
    Parameter,
    /// The status code is not documented.
    Status,
    /// A body is missing, or is there where none is described.
    Presence,
    /// A value of another JSON type.
    Type,
    /// A null where none is described.
    Null,
    /// None of the values of a closed enumeration (violation), or of an open one (warning).
    Enumeration,
    /// Too long, too short, too great, too small, or not of the pattern or format.
    Form,
    /// A property that the specification does not know.
    UnknownProperty,
    /// A required property is missing.
    MissingProperty,
    /// A request sets what only the service sets; ARM ignores that.
    ReadOnly,
    /// A name or value is spelled with other capitals; ARM does not mind.
    Spelling,
    /// A discriminator's value has no schema.
    Discriminator,
    /// How a long-running operation is followed (ARM RPC, async-api-reference).
    Polling,
    /// The error envelope (ARM RPC, error response).
    ErrorEnvelope,
    /// The continuation of a list.
    NextLink,
}

/// Something that is not as the specification has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// How grave it is.
    pub level: Level,
    /// The rule.
    pub rule: Rule,
    /// Where: `request body /properties/x` (a JSON pointer), `request query $skip`, `response status`, …
    #[serde(rename = "where")]
    pub place: String,
    /// What is wrong, for people.
    pub what: String,
}

impl Finding {
    pub(crate) fn violation(rule: Rule, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { level: Level::Violation, rule, place: place.into(), what: what.into() }
    }

    pub(crate) fn warning(rule: Rule, place: impl Into<String>, what: impl Into<String>) -> Self {
        Self { level: Level::Warning, rule, place: place.into(), what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = if self.level == Level::Warning { "(warning) " } else { "" };
        write!(formatter, "{level}{}: {}", self.place, self.what)
    }
}

/// What a check of one exchange says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// The operation; `None` if no specification describes the path, in which case only ARM's common rules were checked.
    pub operation: Option<OperationKey>,
    /// Whether the operation's specification has the exchange's own api-version.
    pub exact_version: bool,
    /// What is wrong, graver or not.
    pub findings: Vec<Finding>,
}

impl Outcome {
    /// The findings that contradict the specification.
    pub fn violations(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.level == Level::Violation)
    }
}
