//! How far a managed network is closed, and what of it may be changed later.

use serde_json::Value;

use crate::error::ArmError;
use crate::settings::Leniency;
use crate::world::World;

use super::computes;
use super::network::ManagedNetwork;

/// How far a network is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Isolation {
    #[default]
    Disabled,
    AllowInternetOutbound,
    AllowOnlyApprovedOutbound,
}

impl Isolation {
    pub(super) fn parse(text: &str) -> Result<Self, ArmError> {
        match text {
            "Disabled" => Ok(Self::Disabled),
            "AllowInternetOutbound" => Ok(Self::AllowInternetOutbound),
            "AllowOnlyApprovedOutbound" => Ok(Self::AllowOnlyApprovedOutbound),
            other => Err(ArmError::validation(format!("'{other}' is not an isolation mode."))),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Disabled => "Disabled",
            Self::AllowInternetOutbound => "AllowInternetOutbound",
            Self::AllowOnlyApprovedOutbound => "AllowOnlyApprovedOutbound",
        }
    }

    /// Networks only ever become tighter (Microsoft's page on managed networks); the two transitions of which sources
    /// contradict each other are switchable.
    fn may_become(self, next: Self, world: &World) -> bool {
        match (self, next) {
            (now, next) if now == next => true,
            (Self::Disabled, _) => true,
            (Self::AllowInternetOutbound, Self::AllowOnlyApprovedOutbound) => {
                world.settings.isolation_tightening == Leniency::Allow
            }
            (Self::AllowInternetOutbound, _) => world.settings.isolation_disabling == Leniency::Allow,
            (Self::AllowOnlyApprovedOutbound, _) => false,
        }
    }

    /// `changeableIsolationModes`: what else it may become.
    pub(super) fn changeable(self, world: &World) -> Vec<&'static str> {
        [Self::Disabled, Self::AllowInternetOutbound, Self::AllowOnlyApprovedOutbound]
            .into_iter()
            .filter(|next| *next != self && self.may_become(*next, world))
            .map(Self::name)
            .collect()
    }
}

/// The network that a body asks for: mode, firewall and kind. Rules are judged elsewhere.
pub(super) fn check(world: &World, workspace: &str, body: &Value) -> Result<(), ArmError> {
    let wanted = &body["properties"]["managedNetwork"];
    let default = ManagedNetwork::default();
    let now = world.networks.get(workspace).unwrap_or(&default);
    // Premium is not supported (Microsoft's page on managed networks).
    if let Some(sku) = wanted["firewallSku"].as_str().filter(|sku| !["Standard", "Basic"].contains(sku)) {
        return Err(ArmError::validation(format!("'{sku}' is not a firewall SKU.")));
    }
    match (now.kind.as_deref(), wanted["managedNetworkKind"].as_str()) {
        (_, None | Some("V2")) | (None | Some("V1"), Some("V1")) => {}
        (Some(_), Some("V1")) => {
            return Err(ArmError::validation("The kind of a managed network cannot be changed from V2 to V1."));
        }
        (_, Some(other)) => return Err(ArmError::validation(format!("'{other}' is not a kind of managed network."))),
    }
    let Some(mode) = wanted["isolationMode"].as_str() else { return Ok(()) };
    let next = Isolation::parse(mode)?;
    if !now.isolation.may_become(next, world) {
        return Err(ArmError::validation(format!(
            "The isolation mode of the managed network cannot be changed from {} to {}.",
            now.isolation.name(),
            next.name()
        )));
    }
    // The documentation says that computes must be made anew; a field report says that the change is refused.
    let turned_on = now.isolation == Isolation::Disabled && next != Isolation::Disabled;
    if turned_on
        && world.settings.isolation_with_computes == Leniency::Refuse
        && let Some(compute) = computes::of(world, workspace).next()
    {
        let name = compute["name"].as_str().unwrap_or_default();
        return Err(ArmError::validation(format!(
            "The managed network cannot be enabled while the workspace has computes: '{name}' must be deleted first."
        )));
    }
    Ok(())
}
