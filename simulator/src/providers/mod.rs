//! The resource providers: one module each, its api-versions beside its rows of the route table.

use serde_json::Value;

use crate::world::World;

pub(crate) mod authorization;
pub(crate) mod container_registry;
pub(crate) mod insights;
pub(crate) mod key_vault;
pub(crate) mod machine_learning;
pub(crate) mod network;
pub(crate) mod resources;
pub(crate) mod storage;

/// A stored resource as GET shows it.
pub(crate) fn render(world: &World, document: &Value) -> Value {
    let kind = document["type"].as_str().unwrap_or_default();
    let is = |other: &str| kind.eq_ignore_ascii_case(other);
    if is(machine_learning::WORKSPACE) {
        machine_learning::render(world, document)
    } else if is(storage::ACCOUNT) {
        storage::render(world, document)
    } else if is(key_vault::VAULT) {
        key_vault::render(world, document)
    } else if is(network::ENDPOINT) {
        network::render(world, document)
    } else {
        document.clone()
    }
}
