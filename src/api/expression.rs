//! Expressions that narrow an entry: a small part of the Common Expression Language (CEL), read here and evaluated in `plan`.
//!
//! Who writes a policy writes these, and the operator must outlive whatever is in them. So there is nothing in the language that
//! could fail or take long once it was read: every part has a type that is checked while reading, there is no loop, no arithmetic
//! and no pattern, and nesting is bounded before it costs stack. A general CEL library gives the opposite: evaluators that stop with an
//! error where a fact is not known, and generated parsers whose recursion takes hundreds of kilobytes of stack for a flat expression.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

mod parse;

/// How many characters an expression may have.
pub const LENGTH: usize = 512;

/// What is allowed, for messages.
pub const ALLOWED: &str = "allowed are endpoint.id, endpoint.subscriptionId, endpoint.resourceGroup, endpoint.name, \
     endpoint.ownSubscription and connection.subResources, texts in quotes and in lower case, lists of texts, true, false, ==, !=, \
     in, !, &&, ||, parentheses, and .startsWith(), .endsWith() and .contains() on a text";

/// A CEL expression as it was written, and what it means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Expression {
    text: String,
    meaning: Result<Test, Fault>,
}

impl Expression {
    /// What it says.
    ///
    /// # Errors
    /// If it is no expression of this language.
    pub fn meaning(&self) -> Result<&Test, &Fault> {
        self.meaning.as_ref()
    }
}

// Never fails: an object with a bad expression has to be readable, so that its condition can say what is wrong.
impl From<String> for Expression {
    fn from(text: String) -> Self {
        let meaning = parse::parse(&text);
        Self { text, meaning }
    }
}

impl From<Expression> for String {
    fn from(expression: Expression) -> Self {
        expression.text
    }
}

impl JsonSchema for Expression {
    fn schema_name() -> Cow<'static, str> {
        "Expression".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "maxLength": LENGTH })
    }
}

/// Why a text is no expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("character {at}: {what}")]
pub struct Fault {
    /// Where, counted from 1.
    pub at: usize,
    /// What is wrong there.
    pub what: String,
}

/// Something that holds, or does not, or is not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// `true` or `false`.
    Constant(bool),
    /// `endpoint.ownSubscription`
    OwnSubscription,
    /// `!…`
    Not(Box<Test>),
    /// `… && …`
    All(Vec<Test>),
    /// `… || …`
    Any(Vec<Test>),
    /// `… == …`
    Equal(Text, Text),
    /// `… in …`
    In(Text, List),
    /// `….startsWith(…)`
    StartsWith(Text, Text),
    /// `….endsWith(…)`
    EndsWith(Text, Text),
    /// `….contains(…)`
    Contains(Text, Text),
}

/// A text, in lower case: ARM tells nothing apart by case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// In quotes.
    Literal(String),
    /// `endpoint.id`
    Id,
    /// `endpoint.subscriptionId`
    Subscription,
    /// `endpoint.resourceGroup`
    ResourceGroup,
    /// `endpoint.name`
    Name,
}

/// Several texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum List {
    /// `['…', '…']`
    Literal(Vec<Text>),
    /// `connection.subResources`
    SubResources,
}

#[cfg(test)]
#[path = "expression/tests.rs"]
mod tests;
