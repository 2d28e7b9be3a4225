//! What a workspace is made of, by its manifest: ids, also of what is still to be created, and how each resource shall be reached.

use std::collections::BTreeSet;

use crate::api::ids::ArmId;
use crate::api::workspace::{
    Access, AmlWorkspaceSpec, CreateContainerRegistry, CreateKeyVault, CreateStorageAccount, EntryOwnership, Profile,
    ResourceNetwork, ResourceOrigin,
};
use crate::azure::{container_registry, insights, key_vault, storage};
use crate::plan::names::resource_name;
use crate::plan::posture::DependencyKind;

use super::entries::block;

/// Where a resource is declared, in the order in which resources are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    /// The default storage account.
    StorageAccount,
    /// The key vault.
    KeyVault,
    /// The container registry.
    ContainerRegistry,
    /// The log workspace behind the component.
    LogWorkspace,
    /// The Application Insights component.
    ApplicationInsights,
}

impl Field {
    /// The field below `spec.associatedResources`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StorageAccount => "storageAccount",
            Self::KeyVault => "keyVault",
            Self::ContainerRegistry => "containerRegistry",
            Self::LogWorkspace => "applicationInsights.create.logWorkspace",
            Self::ApplicationInsights => "applicationInsights",
        }
    }

    /// The member of an ARM workspace's properties that names it; `None` for what a workspace does not name.
    pub const fn member(self) -> Option<&'static str> {
        match self {
            Self::LogWorkspace => None,
            _ => Some(self.as_str()),
        }
    }

    /// What it is called in messages.
    pub const fn noun(self) -> &'static str {
        match self {
            Self::StorageAccount => "storage account",
            Self::KeyVault => "key vault",
            Self::ContainerRegistry => "container registry",
            Self::LogWorkspace => "log workspace",
            Self::ApplicationInsights => "Application Insights component",
        }
    }

    /// What it is to the posture; a log workspace is not judged.
    pub const fn dependency(self) -> Option<DependencyKind> {
        match self {
            Self::StorageAccount => Some(DependencyKind::Storage),
            Self::KeyVault => Some(DependencyKind::Vault),
            Self::ContainerRegistry => Some(DependencyKind::Registry),
            Self::ApplicationInsights => Some(DependencyKind::Insights),
            Self::LogWorkspace => None,
        }
    }

    const fn type_(self) -> &'static str {
        match self {
            Self::StorageAccount => storage::ACCOUNTS,
            Self::KeyVault => key_vault::VAULTS,
            Self::ContainerRegistry => container_registry::REGISTRIES,
            Self::LogWorkspace => insights::LOG_WORKSPACES,
            Self::ApplicationInsights => insights::COMPONENTS,
        }
    }

    /// The version that every request for it names.
    pub const fn version(self) -> &'static str {
        match self {
            Self::StorageAccount => storage::API_VERSION,
            Self::KeyVault => key_vault::API_VERSION,
            Self::ContainerRegistry => container_registry::API_VERSION,
            Self::LogWorkspace => insights::LOGS_API_VERSION,
            Self::ApplicationInsights => insights::API_VERSION,
        }
    }
}

/// What a resource is created as.
#[derive(Clone, Debug, PartialEq)]
pub enum Created<'a> {
    /// A storage account.
    Storage(&'a CreateStorageAccount),
    /// A key vault.
    Vault(&'a CreateKeyVault),
    /// A registry.
    Registry(&'a CreateContainerRegistry),
    /// A log workspace.
    Logs,
    /// A component that sends to the log workspace of this id.
    Insights(String),
}

/// One resource that a workspace is made of.
#[derive(Clone, Debug, PartialEq)]
pub struct Associated<'a> {
    /// Where it is declared.
    pub field: Field,
    /// Its ARM id, as it is written or as it follows from the workspace's.
    pub id: String,
    /// What it is created as; `None` if it exists.
    pub created: Option<Created<'a>>,
    /// How it shall be reached; `None` if nothing says so: then it is not looked at.
    pub posture: Option<Posture>,
}

impl Associated<'_> {
    /// Whether it is named or created by the manifest.
    pub fn origin(&self) -> ResourceOrigin {
        if self.created.is_some() { ResourceOrigin::Created } else { ResourceOrigin::Existing }
    }

    /// True if it has to be read: something is said of it beside its id.
    pub fn is_looked_at(&self) -> bool {
        self.created.is_some() || self.posture.is_some()
    }

    /// What it is called in messages: `storage account frauddata`.
    pub fn name(&self) -> String {
        format!("{} {}", self.field.noun(), self.id.rsplit('/').next().unwrap_or_default())
    }
}

/// How far a resource is open to the internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Openness {
    /// Not at all.
    Closed,
    /// To selected addresses.
    Selected,
    /// To everybody.
    Everybody,
}

/// How a resource shall be reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Posture {
    /// Whether what differs is put right, and not only said.
    pub manage: bool,
    /// Who comes in.
    pub access: Access,
    /// Whether services that Azure trusts come in; `None` leaves that alone.
    pub trusted_services: Option<bool>,
    /// Whether the workspace comes in by a resource instance rule.
    pub trust_workspace: bool,
    /// Addresses and blocks that come in.
    pub addresses: BTreeSet<String>,
    /// Ids, in lower case, of subnets that come in.
    pub subnets: BTreeSet<String>,
    /// Whether entries of strangers go.
    pub exclusive: bool,
}

impl Posture {
    /// What `network` comes to with what `profile` sets; `None` if neither says who comes in.
    fn of(network: Option<&ResourceNetwork>, profile: Option<Profile>, created: bool) -> Option<Self> {
        let none = ResourceNetwork::default();
        let stated = network.unwrap_or(&none);
        let access = stated.access.or(profile.map(Profile::access)).or(created.then_some(Access::PrivateEndpoint))?;
        let trust_workspace = stated.trust_workspace.unwrap_or(false);
        let trusts = (access == Access::PrivateEndpoint || created) && !trust_workspace;
        Some(Self {
            manage: stated.manage.unwrap_or(true),
            access,
            trusted_services: stated.trusted_services.or(trusts.then_some(true)),
            trust_workspace,
            addresses: stated.ip_rules.iter().map(|rule| block(rule)).collect(),
            subnets: stated.subnets.iter().map(|subnet| subnet.resource_id.to_ascii_lowercase()).collect(),
            exclusive: stated.ownership == Some(EntryOwnership::Exclusive),
        })
    }

    /// How far it opens the resource to the internet.
    pub fn openness(&self) -> Openness {
        match self.access {
            _ if !self.addresses.is_empty() => Openness::Selected,
            Access::Public => Openness::Everybody,
            Access::PrivateEndpoint | Access::ServiceEndpoint => Openness::Closed,
        }
    }

    /// True if only those come in whom an entry names.
    pub fn denies(&self) -> bool {
        self.openness() != Openness::Everybody
    }

    /// What makes no sense in it. The schema says so of what is stated; this is about what a profile adds.
    pub fn fault(&self) -> Option<&'static str> {
        let lists = !self.addresses.is_empty() || !self.subnets.is_empty();
        match self.access {
            Access::PrivateEndpoint if lists => Some(
                "nobody comes in by the public address with access: PrivateEndpoint, which the profile sets, so ipRules and subnets would \
                 say nothing; leave them out, or set network.access to ServiceEndpoint or Public",
            ),
            Access::Public if !self.subnets.is_empty() => Some(
                "with access: Public, which the profile sets, subnets would say nothing; leave them out, or set network.access to \
                 ServiceEndpoint",
            ),
            _ => None,
        }
    }
}

/// What workspace `id` is made of, by its manifest. The ids of resources that are created follow from the workspace's, so that losing
/// every status loses nothing.
pub fn declared<'a>(spec: &'a AmlWorkspaceSpec, id: &ArmId) -> Vec<Associated<'a>> {
    let Some(resources) = spec.stated().associated_resources else { return Vec::new() };
    let made = |field: Field, name: Option<&str>| {
        let name = name.map_or_else(|| resource_name(id, field.as_str()), ToOwned::to_owned);
        let (subscription, group, type_) = (id.subscription(), id.resource_group(), field.type_());
        format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/{type_}/{name}")
    };
    let entry = |field: Field,
                 existing: &Option<String>,
                 create: Option<(&Option<String>, Created<'a>)>,
                 network: &Option<ResourceNetwork>| {
        let posture = Posture::of(network.as_ref(), spec.profile, create.is_some());
        let (id, created) = match (existing, create) {
            (_, Some((name, created))) => (made(field, name.as_deref()), Some(created)),
            (Some(id), None) => (id.clone(), None),
            // The schema takes no resource that is neither.
            (None, None) => return None,
        };
        Some(Associated { field, id, created, posture })
    };
    let (storage, vault) = (&resources.storage_account, &resources.key_vault);
    let account = storage.create.as_ref().map(|create| (&create.name, Created::Storage(create)));
    let keys = vault.create.as_ref().map(|create| (&create.name, Created::Vault(create)));
    let registry = resources.container_registry.as_ref().and_then(|registry| {
        let create = registry.create.as_ref().map(|create| (&create.name, Created::Registry(create)));
        entry(Field::ContainerRegistry, &registry.resource_id, create, &registry.network)
    });
    let insights = resources.application_insights.as_ref();
    let logs = insights.and_then(|insights| {
        let create = insights.create.as_ref()?;
        match &create.log_workspace {
            // One that keeps others' records too is left as it is.
            Some(logs) => {
                let id = logs.resource_id.clone();
                Some(Associated { field: Field::LogWorkspace, id, created: None, posture: None })
            }
            None => entry(Field::LogWorkspace, &None, Some((&None, Created::Logs)), &insights.network),
        }
    });
    let component = insights.and_then(|insights| {
        let behind = logs.as_ref().map(|logs| Created::Insights(logs.id.clone()));
        let create = insights.create.as_ref().zip(behind).map(|(create, behind)| (&create.name, behind));
        entry(Field::ApplicationInsights, &insights.resource_id, create, &insights.network)
    });
    let account = entry(Field::StorageAccount, &storage.resource_id, account, &storage.network);
    let keys = entry(Field::KeyVault, &vault.resource_id, keys, &vault.network);
    [account, keys, registry, logs, component].into_iter().flatten().collect()
}

/// The ids of all of it, with the field that each belongs to.
pub fn ids(spec: &AmlWorkspaceSpec, id: &ArmId) -> impl Iterator<Item = (&'static str, String)> {
    declared(spec, id).into_iter().map(|resource| (resource.field.as_str(), resource.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    const SUB: &str = "00000000-0000-0000-0000-000000000001";

    fn workspace() -> ArmId {
        ArmId::of(SUB, "rg", "Microsoft.MachineLearningServices/workspaces", "Fraud-1").unwrap()
    }

    fn spec(profile: Option<&str>, resources: Value) -> AmlWorkspaceSpec {
        serde_json::from_value(json!({
            "connectionRef": {"name": "c"}, "subscriptionId": SUB, "resourceGroup": "rg", "location": "westeurope",
            "identity": {"type": "SystemAssigned"}, "profile": profile, "associatedResources": resources,
        }))
        .unwrap()
    }

    fn existing(type_: &str, name: &str) -> Value {
        json!({"resourceId": format!("/subscriptions/{SUB}/resourceGroups/shared/providers/{type_}/{name}")})
    }

    fn named() -> Value {
        json!({"storageAccount": existing(storage::ACCOUNTS, "data"), "keyVault": existing(key_vault::VAULTS, "keys")})
    }

    #[test]
    fn what_is_created_has_a_name_that_azure_takes_and_that_never_changes() {
        let all = json!({"storageAccount": {"create": {}}, "keyVault": {"create": {}}, "containerRegistry": {"create": {}},
            "applicationInsights": {"create": {}}});
        let spec = spec(None, all);
        let made = declared(&spec, &workspace());
        let fields: Vec<Field> = made.iter().map(|resource| resource.field).collect();
        use Field::{ApplicationInsights, ContainerRegistry, KeyVault, LogWorkspace, StorageAccount};
        assert_eq!(fields, [StorageAccount, KeyVault, ContainerRegistry, LogWorkspace, ApplicationInsights]);
        assert_eq!(made, declared(&spec, &workspace()));
        for resource in &made {
            let name = resource.id.rsplit('/').next().unwrap();
            assert!(name.starts_with("fraud1") && name.len() <= 24, "{name}");
            assert!(ArmId::parse(&resource.id).unwrap().resource_group() == "rg");
            let posture = resource.posture.as_ref().unwrap();
            assert_eq!((posture.access, posture.trusted_services), (Access::PrivateEndpoint, Some(true)));
        }
        assert_eq!(made[4].created, Some(Created::Insights(made[3].id.clone())));
        let other = ArmId::of(SUB, "rg2", "Microsoft.MachineLearningServices/workspaces", "Fraud-1").unwrap();
        assert!(declared(&spec, &other).iter().zip(&made).all(|(one, other)| one.id != other.id));
    }

    #[test]
    fn a_given_name_is_taken_and_a_log_workspace_that_exists_is_left_alone() {
        let logs = existing(insights::LOG_WORKSPACES, "central");
        let all = json!({"storageAccount": {"create": {"name": "mydata"}}, "keyVault": existing(key_vault::VAULTS, "keys"),
            "applicationInsights": {"create": {"logWorkspace": logs}}});
        let spec = spec(Some("Private"), all);
        let made = declared(&spec, &workspace());
        assert!(made[0].id.ends_with("/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/mydata"));
        let logs = made.iter().find(|resource| resource.field == Field::LogWorkspace).unwrap();
        assert!(!logs.is_looked_at() && logs.id.ends_with("/central"), "{logs:?}");
    }

    #[test]
    fn who_comes_in_is_what_is_stated_else_what_the_profile_or_creation_says_else_nobodys_business() {
        use Access::{PrivateEndpoint, Public, ServiceEndpoint};
        let subnet =
            format!("/subscriptions/{SUB}/resourceGroups/n/providers/Microsoft.Network/virtualNetworks/v/subnets/S");
        let served = json!({"access": "ServiceEndpoint", "subnets": [{"resourceId": subnet}], "ipRules": ["20.1.2.3"]});
        for (profile, network, want) in [
            (None, json!(null), None),
            (Some("Private"), json!(null), Some((PrivateEndpoint, Some(true), Openness::Closed))),
            (Some("SecuredResources"), json!(null), Some((PrivateEndpoint, Some(true), Openness::Closed))),
            (Some("Public"), json!(null), Some((Public, None, Openness::Everybody))),
            (Some("Private"), json!({"access": "Public"}), Some((Public, None, Openness::Everybody))),
            (
                Some("Private"),
                json!({"trustedServices": false}),
                Some((PrivateEndpoint, Some(false), Openness::Closed)),
            ),
            (
                None,
                json!({"access": "PrivateEndpoint", "trustWorkspace": true}),
                Some((PrivateEndpoint, None, Openness::Closed)),
            ),
            (None, json!({"access": "Public", "ipRules": ["20.0.0.0/16"]}), Some((Public, None, Openness::Selected))),
            (None, served, Some((ServiceEndpoint, None, Openness::Selected))),
        ] {
            let mut all = named();
            if !network.is_null() {
                all["storageAccount"]["network"] = network.clone();
            }
            let spec = spec(profile, all);
            let posture = declared(&spec, &workspace()).remove(0).posture;
            let shown = posture.as_ref().map(|posture| (posture.access, posture.trusted_services, posture.openness()));
            assert_eq!(shown, want, "{profile:?} {network}");
            assert_eq!(posture.map(|posture| posture.denies()), want.map(|(_, _, open)| open != Openness::Everybody));
        }
    }

    #[test]
    fn lists_that_a_profile_makes_senseless_are_said() {
        let fault = |profile, network: Value| {
            let mut all = named();
            all["storageAccount"]["network"] = network;
            declared(&spec(Some(profile), all), &workspace()).remove(0).posture.unwrap().fault()
        };
        assert!(fault("Private", json!({"ipRules": ["20.1.2.3"]})).is_some());
        assert!(fault("Public", json!({"ipRules": ["20.1.2.3"]})).is_none());
        let subnet =
            format!("/subscriptions/{SUB}/resourceGroups/n/providers/Microsoft.Network/virtualNetworks/v/subnets/s");
        assert!(fault("Public", json!({"subnets": [{"resourceId": subnet}]})).is_some());
        assert!(fault("Private", json!({})).is_none());
    }
}
