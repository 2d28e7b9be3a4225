//! Lists of resources whatever their type.

use serde_json::Value;

use crate::body;
use crate::call::{Answer, Call};
use crate::error::ArmError;
use crate::ids;
use crate::resource_type;
use crate::world;

/// `GET` of the top-level resources of a subscription or a group.
pub(super) fn resources(call: &mut Call<'_>) -> Answer {
    let world = &*call.world;
    let scope = ids::parent(&format!("{}/x", call.path));
    let expand = call.request.query("$expand").unwrap_or_default().to_ascii_lowercase();
    let listed = |document: &&Value| {
        let kind = document["type"].as_str().unwrap_or_default();
        kind.matches('/').count() == 1 && resource_type::find(kind).is_none_or(|kind| kind.tracked)
    };
    let brief = |document: &Value| {
        let mut item = body::members(
            document,
            &["id", "name", "type", "sku", "kind", "managedBy", "location", "identity", "tags", "plan"],
        );
        if expand.contains("provisioningstate") {
            let whole = resource_type::render(world, document);
            item["provisioningState"] = whole["properties"]["provisioningState"].clone();
        }
        item
    };
    let filter = Filter::of(call)?;
    let items = world::below(&world.resources, &scope).filter(listed).filter(|document| filter.lets(document));
    Ok(call.page_of(items, brief, "$skiptoken"))
}

/// `$filter`: conditions of the form `name eq 'value'`, joined by `and`; none lets everything through.
pub(super) struct Filter(Vec<(String, String)>);

impl Filter {
    /// The filter of a call.
    pub(super) fn of(call: &Call<'_>) -> Result<Self, ArmError> {
        let filter = call.request.query("$filter").filter(|filter| !filter.is_empty());
        let Some(filter) = filter else { return Ok(Self(Vec::new())) };
        let unsupported = || {
            // Chosen: the code under which Microsoft.Authorization refuses one.
            ArmError::new(400, "UnsupportedQuery", format!("The filter '{filter}' is not supported."))
        };
        filter.split(" and ").map(condition).collect::<Option<_>>().map(Self).ok_or_else(unsupported)
    }

    /// Whether a resource or group passes.
    pub(super) fn lets(&self, item: &Value) -> bool {
        passes(item, &self.0)
    }
}

/// `name eq 'value'` with a name that resources can be asked for by.
fn condition(text: &str) -> Option<(String, String)> {
    let (name, value) = text.trim().split_once(" eq ")?;
    let value = value.trim().strip_prefix('\'')?.strip_suffix('\'')?;
    let name = name.trim().to_ascii_lowercase();
    let known = ["resourcetype", "name", "location", "resourcegroup", "tagname", "tagvalue"].contains(&name.as_str());
    known.then(|| (name, value.replace("''", "'")))
}

fn passes(item: &Value, conditions: &[(String, String)]) -> bool {
    let text = |name: &str| item[name].as_str().unwrap_or_default();
    let tag = conditions.iter().find(|(name, _)| name == "tagname").map(|(_, value)| value.as_str());
    let tags = item["tags"].as_object();
    conditions.iter().all(|(name, value)| match name.as_str() {
        "resourcetype" => text("type").eq_ignore_ascii_case(value),
        "name" => text("name").eq_ignore_ascii_case(value),
        "location" => body::location(text("location")) == body::location(value),
        "resourcegroup" => ids::resource_group(text("id")).is_some_and(|group| group.eq_ignore_ascii_case(value)),
        "tagname" => tags.is_some_and(|tags| tags.keys().any(|tag| tag.eq_ignore_ascii_case(value))),
        // Of the tag that the same filter names, or of any.
        "tagvalue" => tags.is_some_and(|tags| {
            tags.iter().any(|(name, own)| tag.is_none_or(|tag| tag.eq_ignore_ascii_case(name)) && own == value.as_str())
        }),
        _ => false,
    })
}
