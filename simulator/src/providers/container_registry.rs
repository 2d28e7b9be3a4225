//! Microsoft.ContainerRegistry: registries.

use serde_json::{Value, json};

use crate::resource_type::ResourceType;
use crate::routes::{Provider, tracked};
use crate::world::World;

const VERSIONS: &[&str] = &["2019-12-01-preview", "2023-07-01", "2025-04-01", "2025-11-01"];

const REGISTRY: ResourceType =
    ResourceType { kind: "Microsoft.ContainerRegistry/registries", render, ..ResourceType::DEFAULT };

/// Every registry has a tier (OpenAPI 2023-07-01), also that of a seed that does not say which: Premium, the only one with
/// private endpoints.
fn render(_: &World, mut registry: Value) -> Value {
    if registry["sku"].is_null() {
        registry["sku"] = json!({ "name": "Premium", "tier": "Premium" });
    }
    registry
}

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.ContainerRegistry",
    source: "OpenAPI 2023-07-01",
    missing: &[],
    types: &[REGISTRY],
    routes: &[tracked!("Microsoft.ContainerRegistry/registries", VERSIONS)],
};
