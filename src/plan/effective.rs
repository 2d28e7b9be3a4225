//! What the manifest of a workspace comes to: what is given, else what its profile sets. Nobody else reads the fields that may be
//! left out.

use crate::api::workspace::{
    AmlWorkspaceSpec, EffectiveNetwork, FirewallSku, IsolationMode, Profile, Provision, PublicNetworkAccess,
    WorkspaceKind,
};

/// A workspace's declaration with nothing left open that decides security.
#[derive(Clone, Debug, PartialEq)]
pub struct Effective {
    /// Whether the workspace can be reached from the internet.
    pub public_network_access: PublicNetworkAccess,
    /// Its managed network; `None` for a project, which lives in its hub's.
    pub network: Option<Network>,
}

/// The network that Azure manages for the workspace.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    /// How outgoing traffic is treated.
    pub isolation_mode: IsolationMode,
    /// SKU of the firewall, if it is given.
    pub firewall_sku: Option<FirewallSku>,
    /// When it is built, if that is given.
    pub provision: Option<Provision>,
}

impl Effective {
    /// What `spec` comes to.
    pub fn of(spec: &AmlWorkspaceSpec) -> Self {
        let stated = spec.stated();
        // The schema takes no manifest that says neither; one that came in all the same is closed.
        let profile = spec.profile.unwrap_or(Profile::Private);
        let network = || Network {
            isolation_mode: stated
                .managed_network
                .and_then(|network| network.isolation_mode())
                .unwrap_or(profile.isolation_mode()),
            firewall_sku: stated.managed_network.and_then(|network| network.firewall_sku),
            provision: stated.managed_network.and_then(|network| network.provision.clone()),
        };
        Self {
            public_network_access: stated.public_network_access.unwrap_or(profile.public_network_access()),
            network: (spec.kind() != WorkspaceKind::Project).then(network),
        }
    }

    /// The isolation mode. A project has no network of its own, which is what ARM calls `Disabled`.
    pub fn isolation_mode(&self) -> IsolationMode {
        self.network.as_ref().map_or(IsolationMode::Disabled, |network| network.isolation_mode)
    }

    /// The SKU of the firewall, as declared.
    pub fn firewall_sku(&self) -> Option<FirewallSku> {
        self.network.as_ref()?.firewall_sku
    }

    /// When the managed network is built, if that is given.
    pub fn provision(&self) -> Option<&Provision> {
        self.network.as_ref()?.provision.as_ref()
    }

    /// The same for the status.
    pub fn shown(&self) -> EffectiveNetwork {
        EffectiveNetwork {
            public_network_access: self.public_network_access,
            isolation_mode: self.network.as_ref().map(|network| network.isolation_mode),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn spec(fields: Value) -> AmlWorkspaceSpec {
        let mut spec = json!({
            "connectionRef": {"name": "c"}, "subscriptionId": "00000000-0000-0000-0000-000000000001", "resourceGroup": "rg",
            "location": "westeurope", "identity": {"type": "SystemAssigned"},
        });
        spec.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn a_profile_sets_what_is_left_out_and_nothing_else() {
        use IsolationMode::{AllowInternetOutbound, AllowOnlyApprovedOutbound, Disabled as NoNetwork};
        use PublicNetworkAccess::{Disabled, Enabled};
        for (fields, access, mode) in [
            (json!({"profile": "Public"}), Enabled, NoNetwork),
            (json!({"profile": "SecuredResources"}), Enabled, AllowInternetOutbound),
            (json!({"profile": "Private"}), Disabled, AllowOnlyApprovedOutbound),
            (json!({"profile": "Private", "publicNetworkAccess": "Enabled"}), Enabled, AllowOnlyApprovedOutbound),
            (
                json!({"profile": "Public", "managedNetwork": {"isolationMode": "AllowInternetOutbound"}}),
                Enabled,
                AllowInternetOutbound,
            ),
            (
                json!({"profile": "Private", "managedNetwork": {"firewallSku": "Basic"}}),
                Disabled,
                AllowOnlyApprovedOutbound,
            ),
            (
                json!({"publicNetworkAccess": "Enabled", "managedNetwork": {"isolationMode": "Disabled"}}),
                Enabled,
                NoNetwork,
            ),
            // Nothing but closed, should the schema ever let it in.
            (json!({}), Disabled, AllowOnlyApprovedOutbound),
        ] {
            let effective = Effective::of(&spec(fields.clone()));
            assert_eq!((effective.public_network_access, effective.isolation_mode()), (access, mode), "{fields}");
        }
        let basic = Effective::of(&spec(json!({"profile": "Private", "managedNetwork": {"firewallSku": "Basic"}})));
        assert_eq!(basic.firewall_sku(), Some(FirewallSku::Basic));
    }

    #[test]
    fn a_project_has_no_network_of_its_own_whatever_its_profile() {
        let project = Effective::of(&spec(json!({"kind": "Project", "profile": "Private"})));
        assert_eq!((project.network.is_none(), project.isolation_mode()), (true, IsolationMode::Disabled));
        assert_eq!(project.shown().isolation_mode, None);
    }
}
