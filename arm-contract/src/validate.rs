//! Holds a value against its shape.

use jiff::{Span, Timestamp};
use serde_json::{Map, Value};

use crate::outcome::{Finding, Rule};
use crate::shape::{Additional, Format, List, Number, Object, Shape, ShapeId, Shapes, Slot, Text};

/// Who wrote a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// A client: what only the service sets is ignored, and capitals do not matter (ARM RPC, proxy API reference).
    Request,
    /// The service.
    Response,
}

/// Checks one value.
pub(crate) struct Validator<'a> {
    pub(crate) shapes: &'a Shapes,
    pub(crate) side: Side,
    /// Whether the specification is that of the value's own api-version, so that it knows all properties.
    pub(crate) exact: bool,
    /// `request body`, `response body`, …
    pub(crate) place: &'a str,
    pub(crate) findings: Vec<Finding>,
}

impl<'a> Validator<'a> {
    pub(crate) fn new(shapes: &'a Shapes, side: Side, exact: bool, place: &'a str) -> Self {
        Self { shapes, side, exact, place, findings: Vec::new() }
    }

    /// What is wrong with `value`.
    pub(crate) fn check(mut self, slot: Slot, value: &Value) -> Vec<Finding> {
        self.slot(slot, value, &mut String::new());
        self.findings
    }

    fn violation(&mut self, rule: Rule, at: &str, what: impl Into<String>) {
        self.findings.push(Finding::violation(rule, format!("{} {at}", self.place).trim_end(), what));
    }

    fn warning(&mut self, rule: Rule, at: &str, what: impl Into<String>) {
        self.findings.push(Finding::warning(rule, format!("{} {at}", self.place).trim_end(), what));
    }

    fn slot(&mut self, slot: Slot, value: &Value, at: &mut String) {
        if value.is_null() {
            let any = matches!(self.shapes.get(slot.shape), Shape::Any);
            match self.side {
                _ if slot.nullable || any => {}
                // A null asks for removal in a merge patch (RFC 7386), and elsewhere ARM takes it as absent.
                Side::Request => self.warning(Rule::Null, at, "null, which the specification does not allow"),
                Side::Response => self.violation(Rule::Null, at, "null, which the specification does not allow"),
            }
            return;
        }
        match self.shapes.get(slot.shape) {
            Shape::Any => {}
            Shape::Boolean if value.is_boolean() => {}
            Shape::Boolean => self.wrong_type(at, "a boolean", value),
            Shape::Number(number) => self.number(number, value, at),
            Shape::Text(text) => match value.as_str() {
                Some(value) => self.text(text, value, at),
                None => self.wrong_type(at, "a string", value),
            },
            Shape::List(list) => match value.as_array() {
                Some(values) => self.list(list, values, at),
                None => self.wrong_type(at, "an array", value),
            },
            Shape::Object(object) => match value.as_object() {
                Some(values) => self.discriminated(object, values, at),
                None => self.wrong_type(at, "an object", value),
            },
        }
    }

    fn wrong_type(&mut self, at: &str, wanted: &str, value: &Value) {
        self.violation(Rule::Type, at, format!("{}, where {wanted} is described", short(value)));
    }

    fn number(&mut self, number: &Number, value: &Value, at: &str) {
        let Some(real) = value.as_f64().filter(|real| !number.integer || real.fract() == 0.0) else {
            return self.wrong_type(at, if number.integer { "an integer" } else { "a number" }, value);
        };
        let below = number.minimum.is_some_and(|limit| real < limit || (number.exclusive.0 && real == limit));
        let above = number.maximum.is_some_and(|limit| real > limit || (number.exclusive.1 && real == limit));
        if below || above {
            let limit = if below { number.minimum } else { number.maximum }.unwrap_or_default();
            self.violation(Rule::Form, at, format!("{value} is beyond the limit {limit}"));
        }
    }

    fn text(&mut self, text: &Text, value: &str, at: &str) {
        if !text.values.is_empty() && !text.values.iter().any(|known| known == value) {
            let known = text.values.join(", ");
            let respelled = text.values.iter().any(|known| known.eq_ignore_ascii_case(value));
            if respelled && self.side == Side::Request {
                self.warning(Rule::Spelling, at, format!("\"{value}\" differs in capitals from: {known}"));
            } else if text.open {
                self.warning(Rule::Enumeration, at, format!("\"{value}\" is none of the values known: {known}"));
            } else {
                self.violation(Rule::Enumeration, at, format!("\"{value}\" is none of: {known}"));
            }
        }
        let length = value.chars().count() as u64;
        if let Some(limit) = text.min_length.filter(|limit| length < *limit) {
            self.violation(Rule::Form, at, format!("{} is shorter than {limit}", quoted(value)));
        }
        if let Some(limit) = text.max_length.filter(|limit| length > *limit) {
            self.violation(Rule::Form, at, format!("{} is longer than {limit}", quoted(value)));
        }
        // A pattern that gives up (backtracking has its limit) says nothing about the value.
        if let Some(pattern) = text.pattern.as_ref().filter(|pattern| !pattern.is_match(value).unwrap_or(true)) {
            self.violation(Rule::Form, at, format!("{} does not match {}", quoted(value), pattern.as_str()));
        }
        if let Some(format) = text.format.filter(|format| !has_format(*format, value)) {
            self.violation(Rule::Form, at, format!("{} is no {format:?}", quoted(value)));
        }
    }

    fn list(&mut self, list: &List, values: &[Value], at: &mut String) {
        let count = values.len() as u64;
        if list.min.is_some_and(|limit| count < limit) || list.max.is_some_and(|limit| count > limit) {
            let limits = (list.min.unwrap_or(0), list.max.unwrap_or(u64::MAX));
            self.violation(Rule::Form, at, format!("{count} items, where {} to {} are described", limits.0, limits.1));
        }
        for (index, value) in values.iter().enumerate() {
            self.below(&index.to_string(), at, |this, at| this.slot(list.items, value, at));
        }
    }

    /// Goes to the shape that the discriminator tells.
    fn discriminated(&mut self, object: &Object, values: &Map<String, Value>, at: &mut String) {
        let told = object.discriminator.as_ref().and_then(|discriminator| {
            let value = values.get(&discriminator.property)?.as_str()?;
            Some((discriminator, value))
        });
        let Some((discriminator, value)) = told else { return self.object(object, values, at) };
        match variant(discriminator.variants.iter(), value).map(|variant| self.shapes.get(variant)) {
            Some(Shape::Object(variant)) => self.object(variant, values, at),
            _ => {
                let known: Vec<&str> = discriminator.variants.keys().map(String::as_str).collect();
                let what = format!("\"{value}\" has no schema; known: {}", known.join(", "));
                let at = format!("{at}/{}", discriminator.property);
                if self.exact {
                    self.violation(Rule::Discriminator, &at, what);
                } else {
                    self.warning(Rule::Discriminator, &at, what);
                }
            }
        }
    }

    fn object(&mut self, object: &Object, values: &Map<String, Value>, at: &mut String) {
        for (name, value) in values {
            if let Some(property) = object.properties.get(name) {
                self.property(property.writable, name, at);
                self.below(name, at, |this, at| this.slot(property.slot, value, at));
            } else if let Some((known, property)) = self.respelled(object, name) {
                self.warning(
                    Rule::Spelling,
                    &format!("{at}/{name}"),
                    format!("spelled \"{known}\" in the specification"),
                );
                self.property(property.writable, name, at);
                self.below(name, at, |this, at| this.slot(property.slot, value, at));
            } else {
                self.unlisted(object, name, value, at);
            }
        }
        for (name, property) in &object.properties {
            let expected = if self.side == Side::Request { property.writable } else { property.readable };
            let given = match self.side {
                Side::Request => values.keys().any(|key| key.eq_ignore_ascii_case(name)),
                Side::Response => values.contains_key(name),
            };
            if property.required && expected && !given {
                self.violation(Rule::MissingProperty, &format!("{at}/{name}"), "required, but missing");
            }
        }
    }

    fn property(&mut self, writable: bool, name: &str, at: &str) {
        if self.side == Side::Request && !writable {
            self.warning(Rule::ReadOnly, &format!("{at}/{name}"), "only the service sets it");
        }
    }

    fn respelled<'o>(&self, object: &'o Object, name: &str) -> Option<(&'o String, &'o crate::shape::Property)> {
        if self.side == Side::Response {
            return None;
        }
        object.properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))
    }

    fn unlisted(&mut self, object: &Object, name: &str, value: &Value, at: &mut String) {
        let here = format!("{at}/{name}");
        let what = "the specification does not know this property";
        match object.additional {
            Additional::Of(slot) => self.below(name, at, |this, at| this.slot(slot, value, at)),
            Additional::Open => {}
            // A JSON schema without any property describes nothing in particular.
            Additional::Unmentioned if object.properties.is_empty() => {}
            _ if !self.exact => {}
            Additional::Unmentioned if self.side == Side::Request => self.warning(Rule::UnknownProperty, &here, what),
            Additional::Unmentioned | Additional::Closed => self.violation(Rule::UnknownProperty, &here, what),
        }
    }

    fn below(&mut self, name: &str, at: &mut String, check: impl FnOnce(&mut Self, &mut String)) {
        let length = at.len();
        at.push('/');
        at.push_str(&name.replace('~', "~0").replace('/', "~1"));
        check(self, at);
        at.truncate(length);
    }
}

fn variant<'v>(mut variants: impl Iterator<Item = (&'v String, &'v ShapeId)>, value: &str) -> Option<ShapeId> {
    variants.find(|(known, _)| known.eq_ignore_ascii_case(value)).map(|(_, shape)| *shape)
}

fn has_format(format: Format, value: &str) -> bool {
    match format {
        Format::DateTime => value.parse::<Timestamp>().is_ok(),
        Format::Duration => value.parse::<Span>().is_ok(),
        Format::Uuid => {
            value.len() == 36
                && value.char_indices().all(|(index, char)| match index {
                    8 | 13 | 18 | 23 => char == '-',
                    _ => char.is_ascii_hexdigit(),
                })
        }
        // Scopes that are no resource, such as `/`, are ids too.
        Format::ArmId => value.starts_with('/'),
    }
}

fn short(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".into(),
        Value::Array(_) => "an array".into(),
        Value::String(text) => quoted(text),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    const SHOWN: usize = 80;
    if text.chars().count() <= SHOWN {
        return format!("\"{text}\"");
    }
    format!("\"{}…\"", text.chars().take(SHOWN).collect::<String>())
}
