//! The languages in which Microsoft describes bodies, each brought into the one model of [`crate::shape`].

pub(crate) mod bicep;
pub(crate) mod json_schema;
pub(crate) mod swagger;

use fancy_regex::Regex;
use serde_json::Value;

use crate::documents::Documents;
use crate::shape::Text;

/// A string's pattern; one that cannot be compiled is a gap.
pub(crate) fn pattern(value: &Value, documents: &mut Documents) -> Option<Regex> {
    let pattern = value.as_str()?;
    let compiled = Regex::new(pattern);
    if let Err(error) = &compiled {
        documents.gaps.insert(format!("pattern {pattern}: {error}"));
    }
    compiled.ok()
}

/// A string's limits, named alike in all the languages.
pub(crate) fn text(schema: &Value, documents: &mut Documents) -> Text {
    Text {
        min_length: schema["minLength"].as_u64(),
        max_length: schema["maxLength"].as_u64(),
        pattern: pattern(&schema["pattern"], documents),
        ..Text::default()
    }
}

/// The strings of an array.
pub(crate) fn strings(values: &Value) -> Vec<String> {
    values.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
