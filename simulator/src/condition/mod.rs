//! Conditions on role assignments (Microsoft's page on the condition format, version 2.0).
//!
//! The language is read whole, so that what data-plane roles carry can be stored; evaluated is what limits who may
//! assign which roles to whom. Whatever cannot be decided counts as "no".

mod evaluate;
mod parse;

pub(crate) use evaluate::{Facts, NoFacts};
use uuid::Uuid;

use crate::ids;

/// The only version there is.
pub(crate) const VERSION: &str = "2.0";

/// A text is not a condition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}, at character {at}")]
pub(crate) struct BadCondition {
    message: String,
    at: usize,
}

/// Where an attribute is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// What the caller asks for.
    Request,
    /// What is there.
    Resource,
    /// Who calls, and from where: not known here.
    Elsewhere,
}

/// An attribute's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    /// `Microsoft.Authorization/roleAssignments:RoleDefinitionId`, a guid.
    RoleDefinitionId,
    /// `…:PrincipalId`.
    PrincipalId,
    /// `…:PrincipalType`.
    PrincipalType,
    /// One of another service, or of no service at all.
    Other(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Attribute {
    source: Source,
    name: Name,
}

/// How the value on the left is held against those on the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Quantifier {
    /// It has to fit every value on the right, rather than one.
    all_right: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Guid,
    Equals {
        ignore_case: bool,
    },
    StartsWith {
        ignore_case: bool,
    },
    Like {
        ignore_case: bool,
    },
    /// Of numbers, times and truth values: understood, but nothing of that kind is known here.
    Undecided,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Operator {
    comparison: Comparison,
    negated: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Attribute(Attribute),
    Texts(Vec<String>),
    Guids(Vec<Uuid>),
}

#[derive(Clone, Debug, PartialEq)]
enum Expression {
    Any(Vec<Expression>),
    All(Vec<Expression>),
    Not(Box<Expression>),
    /// The action is one of these patterns.
    ActionMatches(Vec<String>),
    /// The action is a part of a data action, which no call to ARM is.
    SubOperationMatches,
    Exists(Attribute),
    Compare {
        left: Attribute,
        quantifier: Quantifier,
        operator: Operator,
        right: Operand,
    },
}

/// A condition that has been understood.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition {
    expression: Expression,
    /// It only speaks of data actions and data, and so has no say in calls to ARM.
    data_plane: bool,
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// [`BadCondition`] for anything that is not understood to the end.
    pub(crate) fn parse(text: &str) -> Result<Self, BadCondition> {
        let expression = parse::parse(text)?;
        let data_plane = expression.data_plane();
        Ok(Self { expression, data_plane })
    }
}

/// The actions that hand roles on, lower-cased.
const ASSIGNING: [&str; 2] =
    ["microsoft.authorization/roleassignments/write", "microsoft.authorization/roleassignments/delete"];

impl Expression {
    /// Calls `see` with every part.
    fn visit(&self, see: &mut impl FnMut(&Expression)) {
        see(self);
        match self {
            Self::Any(parts) | Self::All(parts) => parts.iter().for_each(|part| part.visit(see)),
            Self::Not(part) => part.visit(see),
            _ => {}
        }
    }

    /// Whether something of another service is spoken of, and nothing of role assignments.
    fn data_plane(&self) -> bool {
        let (mut data, mut other) = (false, false);
        let mut attribute = |attribute: &Attribute| match (&attribute.name, attribute.source) {
            (Name::Other(_), Source::Request | Source::Resource) => data = true,
            (Name::Other(_), Source::Elsewhere) => {}
            _ => other = true,
        };
        let (mut data_actions, mut other_actions) = (false, false);
        self.visit(&mut |part| match part {
            Self::Exists(named) => attribute(named),
            Self::Compare { left, right, .. } => {
                attribute(left);
                if let Operand::Attribute(right) = right {
                    attribute(right);
                }
            }
            Self::ActionMatches(patterns) => {
                let assigning = |pattern: &String| {
                    pattern.starts_with("microsoft.authorization/")
                        || ASSIGNING.iter().any(|action| ids::wildcard_lower(pattern, action))
                };
                if patterns.iter().any(assigning) {
                    other_actions = true;
                } else {
                    data_actions = true;
                }
            }
            Self::SubOperationMatches => data_actions = true,
            _ => {}
        });
        (data || data_actions) && !other && !other_actions
    }
}
