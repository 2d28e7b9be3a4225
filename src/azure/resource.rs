//! What every resource of ARM shows, whichever provider it is of.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A resource as ARM shows it. Answers are read leniently: unknown members are ignored and every field may be missing or null.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, bound(deserialize = "P: DeserializeOwned + Default"))]
pub struct Resource<P> {
    /// Region.
    pub location: Option<String>,
    /// Tags; `None` if the answer has none.
    pub tags: Option<BTreeMap<String, String>>,
    /// What it costs.
    pub sku: Option<Sku>,
    /// Everything else.
    pub properties: P,
}

/// A SKU as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Sku {
    /// Its name.
    pub name: Option<String>,
}

impl<P: DeserializeOwned + Default> Resource<P> {
    /// Reads an answer.
    ///
    /// # Errors
    /// If it is no resource of that type.
    pub fn read(value: Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(value)
    }
}

/// The value of the tag `name`: tag names compare without regard to case (Azure's tagging rules).
pub fn tag<'a>(tags: Option<&'a BTreeMap<String, String>>, name: &str) -> Option<&'a str> {
    tags?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// True if `state`, a `provisioningState`, says that ARM is at work; missing means that it is not (ARM RPC async-api-reference).
pub fn in_motion(state: Option<&str>) -> bool {
    state.is_some_and(|state| {
        !["succeeded", "failed", "canceled", "unknown"].contains(&state.to_ascii_lowercase().as_str())
    })
}

/// True if `state` says that the last creation or change failed.
pub fn has_failed(state: Option<&str>) -> bool {
    state.is_some_and(|state| ["failed", "canceled"].contains(&state.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_resource_is_read_whatever_is_missing() {
        let read = |value: Value| Resource::<Value>::read(value).unwrap();
        assert_eq!(read(json!({})), Resource::default());
        let shown = read(json!({"tags": {"Cost": "42"}, "sku": null, "properties": {"x": 1}, "etag": "y"}));
        assert_eq!((tag(shown.tags.as_ref(), "cost"), tag(None, "cost")), (Some("42"), None));
        assert!(Resource::<Value>::read(json!("nothing")).is_err());
    }

    #[test]
    fn a_state_that_nobody_knows_is_one_of_being_at_work() {
        for (state, moves, failed) in [
            (None, false, false),
            (Some("Succeeded"), false, false),
            (Some("FAILED"), false, true),
            (Some("RegisteringDns"), true, false),
            (Some("ResolvingDNS"), true, false),
        ] {
            assert_eq!((in_motion(state), has_failed(state)), (moves, failed), "{state:?}");
        }
    }
}
