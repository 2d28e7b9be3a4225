//! Children that their parent shows too: subnets of a network, rules of a security group, routes of a table. Each is a
//! resource of its own; the parent's list is made from them when it is shown, and taken apart when it is stored.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{self, Proposal};
use crate::world::World;

use super::common::invalid;

/// A list in a parent's `properties` whose items are resources.
pub(super) struct Children {
    /// The member, which is also the segment of the path.
    pub(super) list: &'static str,
    pub(super) kind: &'static str,
    /// Judges one of them by itself.
    pub(super) shape: fn(&World, &Proposal<'_>) -> Result<Value, ArmError>,
}

impl Children {
    /// Judges the list in a proposal for the parent. The result goes into the parent's document under [`Self::list`].
    pub(super) fn accept(&self, world: &World, proposal: &Proposal<'_>) -> Result<Vec<Value>, ArmError> {
        let items = proposal.body["properties"][self.list].as_array().map(Vec::as_slice).unwrap_or_default();
        let mut names = BTreeSet::new();
        let mut accepted = Vec::new();
        for item in items {
            let name = item["name"].as_str().filter(|name| !name.is_empty());
            let name = name.ok_or_else(|| invalid(format!("An item of {} has no name.", self.list)))?;
            if !names.insert(ids::key(name)) {
                return Err(invalid(format!("{} has more than one '{name}'.", self.list)));
            }
            let id = format!("{}/{}/{name}", proposal.id, self.list);
            let existing = world.resources.get(&ids::key(&id));
            let proposal = Proposal { id: &id, existing, body: item, ..*proposal };
            let mut document = (self.shape)(world, &proposal)?;
            document["name"] = json!(name);
            accepted.push(document);
        }
        let Some(kind) = resource_type::find(self.kind) else { return Ok(accepted) };
        for gone in world.children(proposal.id, self.kind) {
            if !names.contains(&ids::key(gone["name"].as_str().unwrap_or_default())) {
                (kind.removable)(world, gone)?;
            }
        }
        Ok(accepted)
    }

    /// Takes the list out of a stored parent and makes its items the children; without a list they stay as they are.
    pub(super) fn stored(&self, world: &mut World, parent: &str) {
        let Some(document) = world.resources.get_mut(parent) else { return };
        let parent_id = document["id"].as_str().unwrap_or_default().to_owned();
        let list = document["properties"].as_object_mut().and_then(|properties| properties.remove(self.list));
        let Some(Value::Array(items)) = list else { return };
        let mut kept = BTreeSet::new();
        for mut item in items {
            let id = format!("{parent_id}/{}/{}", self.list, item["name"].as_str().unwrap_or_default());
            let key = ids::key(&id);
            kept.insert(key.clone());
            let known = world.resources.get(&key);
            item["id"] = known.map_or_else(|| json!(id), |known| known["id"].clone());
            item["type"] = json!(self.kind);
            if known.is_none_or(|known| known["properties"] != item["properties"]) {
                world.resources.insert(key.clone(), item);
                world.renew_etag(&key);
            }
        }
        let gone: Vec<String> = world
            .children(parent, self.kind)
            .filter_map(|child| child["id"].as_str().map(ids::key))
            .filter(|key| !kept.contains(key))
            .collect();
        for key in gone {
            world.remove(&key);
        }
    }

    /// The children for a parent that is shown; while it is written, they are too (recording of default rules).
    pub(super) fn render(&self, world: &World, parent: &Value) -> Value {
        let state = &parent["properties"]["provisioningState"];
        let id = parent["id"].as_str().unwrap_or_default();
        let shown = |child: &Value| {
            let mut child = resource_type::render(world, child);
            if *state != json!("Succeeded") {
                child["properties"]["provisioningState"] = state.clone();
            }
            child
        };
        world.children(id, self.kind).map(shown).collect()
    }

    /// A child was written or removed: its parent looks different too.
    pub(super) fn touch_parent(world: &mut World, child: &str) {
        world.renew_etag(&ids::key(&ids::parent(child)));
    }
}
