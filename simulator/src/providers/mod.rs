//! The resource providers: one module each, its api-versions beside its rows of the route table.
//!
//! To add one: a module with a [`Provider`], its types as [`ResourceType`](crate::resource_type::ResourceType)s, its
//! rows from the macros of [`crate::routes`], and a line in [`ALL`]. `docs/simulator.md` tells more.

use crate::routes::Provider;

pub(crate) mod authorization;
pub(crate) mod container_registry;
pub(crate) mod insights;
pub(crate) mod key_vault;
pub(crate) mod locks;
pub(crate) mod machine_learning;
pub(crate) mod managed_identity;
pub(crate) mod network;
pub(crate) mod network_rules;
pub(crate) mod operational_insights;
pub(crate) mod policies;
mod resource_identity;
pub(crate) mod resources;
pub(crate) mod sql;
pub(crate) mod storage;
pub(crate) mod synapse;
pub(crate) mod targets;

/// All providers.
pub(crate) const ALL: &[&Provider] = &[
    &resources::PROVIDER,
    &authorization::PROVIDER,
    &machine_learning::PROVIDER,
    &storage::PROVIDER,
    &key_vault::PROVIDER,
    &container_registry::PROVIDER,
    &sql::PROVIDER,
    &managed_identity::PROVIDER,
    &insights::PROVIDER,
    &operational_insights::PROVIDER,
    &network::PROVIDER,
    &targets::DOCUMENT_DB,
    &targets::COGNITIVE_SERVICES,
    &targets::SEARCH,
    &targets::EVENT_HUB,
    &targets::SERVICE_BUS,
    &synapse::PROVIDER,
    &targets::DATA_FACTORY,
    &targets::DATABRICKS,
    &targets::API_MANAGEMENT,
    &targets::POSTGRESQL,
    &targets::MYSQL,
    &targets::REDIS,
    &targets::WEB,
];
