//! Microsoft.ContainerRegistry: registries.

use crate::resource_type::ResourceType;
use crate::routes::{Provider, tracked};

const VERSIONS: &[&str] = &["2019-12-01-preview", "2023-07-01", "2025-04-01", "2025-11-01"];

const REGISTRY: ResourceType = ResourceType { kind: "Microsoft.ContainerRegistry/registries", ..ResourceType::DEFAULT };

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.ContainerRegistry",
    source: "OpenAPI 2023-07-01",
    missing: &[],
    types: &[REGISTRY],
    routes: &[tracked!("Microsoft.ContainerRegistry/registries", VERSIONS)],
};
