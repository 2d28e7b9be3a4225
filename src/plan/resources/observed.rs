//! What ARM shows of a resource, of whichever type it is.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::azure::container_registry::Registry;
use crate::azure::insights::{Component, LogWorkspace};
use crate::azure::key_vault::Vault;
use crate::azure::resource::{Resource, has_failed, in_motion, tag};
use crate::azure::storage::Account;

use super::declared::Field;
use super::firewall::Firewall;
use super::{registry, storage, vault};

/// A resource as ARM shows it.
#[derive(Clone, Debug, PartialEq)]
pub enum Observed {
    /// A storage account.
    Storage(Account),
    /// A key vault.
    Vault(Vault),
    /// A registry.
    Registry(Registry),
    /// A log workspace.
    Logs(LogWorkspace),
    /// A component.
    Insights(Component),
}

impl Observed {
    /// Reads the answer about the resource that `field` declares.
    ///
    /// # Errors
    /// If it is no resource of that type.
    pub fn read(field: Field, answer: Value) -> Result<Self, serde_json::Error> {
        Ok(match field {
            Field::StorageAccount => Self::Storage(Resource::read(answer)?),
            Field::KeyVault => Self::Vault(Resource::read(answer)?),
            Field::ContainerRegistry => Self::Registry(Resource::read(answer)?),
            Field::LogWorkspace => Self::Logs(Resource::read(answer)?),
            Field::ApplicationInsights => Self::Insights(Component::read(answer)?),
        })
    }

    pub(super) fn tags(&self) -> Option<&BTreeMap<String, String>> {
        match self {
            Self::Storage(account) => account.tags.as_ref(),
            Self::Vault(vault) => vault.tags.as_ref(),
            Self::Registry(registry) => registry.tags.as_ref(),
            Self::Logs(logs) => logs.tags.as_ref(),
            Self::Insights(component) => component.shown.tags.as_ref(),
        }
    }

    pub(super) fn tag(&self, name: &str) -> Option<&str> {
        tag(self.tags(), name)
    }

    pub(super) fn state(&self) -> Option<&str> {
        let state = match self {
            Self::Storage(account) => &account.properties.provisioning_state,
            Self::Vault(vault) => &vault.properties.provisioning_state,
            Self::Registry(registry) => &registry.properties.provisioning_state,
            Self::Logs(logs) => &logs.properties.provisioning_state,
            Self::Insights(component) => &component.shown.properties.provisioning_state,
        };
        state.as_deref()
    }

    /// True while ARM makes or changes it.
    pub fn is_moving(&self) -> bool {
        in_motion(self.state())
    }

    pub(super) fn has_failed(&self) -> bool {
        has_failed(self.state())
    }

    /// Its firewall; components and log workspaces have none.
    pub(super) fn firewall(&self) -> Option<Firewall<'_>> {
        match self {
            Self::Storage(account) => Some(storage::firewall(account)),
            Self::Vault(vault) => Some(vault::firewall(vault)),
            Self::Registry(registry) => Some(registry::firewall(registry)),
            Self::Logs(_) | Self::Insights(_) => None,
        }
    }
}
