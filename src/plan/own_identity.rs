//! The identity of a compute or an online endpoint: one system-assigned or several user-assigned.

use serde_json::{Value, json};

use crate::api::common::OwnIdentity;
use crate::azure::machine_learning::Identity;

use super::difference::{Comparison, Mend};

/// What is sent for it.
pub(super) fn body(identity: &OwnIdentity) -> Value {
    written(identity.type_.as_str(), identity.user_assigned_identities.iter())
}

/// What is sent for an identity that stays as it was found; `None` if there is none.
pub(super) fn as_found(identity: &Identity) -> Option<Value> {
    let type_ = identity.type_.as_deref()?;
    Some(written(type_, identity.user_assigned_identities.iter().flatten().map(|(id, _)| id)))
}

fn written<'a>(type_: &str, ids: impl Iterator<Item = &'a String>) -> Value {
    let mut body = json!({ "type": type_ });
    let ids: serde_json::Map<String, Value> = ids.map(|id| (id.clone(), json!({}))).collect();
    if !ids.is_empty() {
        body["userAssignedIdentities"] = Value::Object(ids);
    }
    body
}

/// Compares type and ids: ids in any order and case.
pub(super) fn compare(wanted: &OwnIdentity, shown: Option<&Identity>, mend: Mend, found: &mut Comparison) {
    let words = |type_: &str, mut ids: Vec<String>| {
        ids.sort_unstable();
        if ids.is_empty() { type_.to_owned() } else { format!("{type_} {}", ids.join(",")) }
    };
    let ids = shown.and_then(|identity| identity.user_assigned_identities.as_ref()).into_iter().flatten();
    let now = words(
        shown.and_then(|identity| identity.type_.as_deref()).unwrap_or("None"),
        ids.map(|(id, _)| id.to_ascii_lowercase()).collect(),
    );
    let wanted = words(
        wanted.type_.as_str(),
        wanted.user_assigned_identities.iter().map(|id| id.to_ascii_lowercase()).collect(),
    );
    found.word("identity", Some(&now), &wanted, mend);
}
