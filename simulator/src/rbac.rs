//! Role definitions, role assignments, and whether somebody may do something.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::ids;

/// A role: what it allows, as action patterns.
#[derive(Clone, Debug)]
pub(crate) struct RoleDefinition {
    pub(crate) id: String,
    pub(crate) role_name: String,
    pub(crate) built_in: bool,
    pub(crate) actions: Vec<String>,
    pub(crate) not_actions: Vec<String>,
}

impl RoleDefinition {
    fn allows(&self, action: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|pattern| ids::wildcard(pattern, action));
        any(&self.actions) && !any(&self.not_actions)
    }

    pub(crate) fn render(&self, subscription: Option<&str>) -> Value {
        let prefix = subscription.map(|id| format!("/subscriptions/{id}")).unwrap_or_default();
        json!({
            "id": format!("{prefix}/providers/Microsoft.Authorization/roleDefinitions/{}", self.id),
            "name": self.id,
            "type": "Microsoft.Authorization/roleDefinitions",
            "properties": {
                "roleName": self.role_name,
                "type": if self.built_in { "BuiltInRole" } else { "CustomRole" },
                "description": "",
                "assignableScopes": ["/"],
                "permissions": [{
                    "actions": self.actions, "notActions": self.not_actions, "dataActions": [], "notDataActions": []
                }],
            }
        })
    }
}

/// A role given to a principal on a scope.
#[derive(Clone, Debug)]
pub(crate) struct RoleAssignment {
    /// The whole id, in the spelling of who made it.
    pub(crate) id: String,
    pub(crate) scope: String,
    /// The guid of the role definition.
    pub(crate) role: String,
    pub(crate) principal_id: String,
    pub(crate) principal_type: String,
    pub(crate) condition: Option<String>,
    pub(crate) condition_version: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) created_on: i64,
    pub(crate) updated_on: i64,
    pub(crate) created_by: Option<String>,
    /// Simulated time from which it has an effect.
    pub(crate) effective_at: i64,
}

impl RoleAssignment {
    pub(crate) fn render(&self) -> Value {
        let subscription = ids::subscription(&self.scope).map(|id| format!("/subscriptions/{id}")).unwrap_or_default();
        json!({
            "properties": {
                "roleDefinitionId":
                    format!("{subscription}/providers/Microsoft.Authorization/roleDefinitions/{}", self.role),
                "principalId": self.principal_id,
                "principalType": self.principal_type,
                "scope": self.scope,
                "condition": self.condition,
                "conditionVersion": self.condition_version,
                "createdOn": rfc3339(self.created_on),
                "updatedOn": rfc3339(self.updated_on),
                "createdBy": self.created_by,
                "updatedBy": self.created_by,
                "delegatedManagedIdentityResourceId": null,
                "description": self.description,
            },
            "id": self.id,
            "type": "Microsoft.Authorization/roleAssignments",
            "name": ids::name(&self.id),
        })
    }
}

#[derive(Debug)]
pub(crate) struct Roles {
    /// By guid, lower-cased.
    pub(crate) definitions: BTreeMap<String, RoleDefinition>,
    /// By whole id, lower-cased.
    pub(crate) assignments: BTreeMap<String, RoleAssignment>,
}

impl Default for Roles {
    fn default() -> Self {
        Self { definitions: built_in(), assignments: BTreeMap::new() }
    }
}

impl Roles {
    /// Whether a principal may do `action` on `resource` at simulated time `now`.
    pub(crate) fn allowed(&self, principal: &str, action: &str, resource: &str, now: i64) -> bool {
        self.assignments
            .values()
            .filter(|assignment| assignment.principal_id.eq_ignore_ascii_case(principal))
            .filter(|assignment| assignment.effective_at <= now && ids::contains(&assignment.scope, resource))
            .filter_map(|assignment| self.definitions.get(&ids::key(&assignment.role)))
            .any(|role| role.allows(action))
    }

    /// A definition by its guid, whole id or name.
    pub(crate) fn definition(&self, reference: &str) -> Option<&RoleDefinition> {
        let by_guid = self.definitions.get(&ids::key(ids::name(reference)));
        by_guid.or_else(|| self.definitions.values().find(|role| role.role_name.eq_ignore_ascii_case(reference)))
    }
}

/// The resource types that the network connection approver role covers: those the documentation names, for as far as
/// this simulator knows them.
const APPROVER_TYPES: &[&str] = &[
    "Microsoft.ApiManagement/service",
    "Microsoft.Cache/redis",
    "Microsoft.CognitiveServices/accounts",
    "Microsoft.DBforMySQL/flexibleServers",
    "Microsoft.DBforPostgreSQL/flexibleServers",
    "Microsoft.DocumentDB/databaseAccounts",
    "Microsoft.EventHub/namespaces",
    "Microsoft.Insights/privateLinkScopes",
    "Microsoft.KeyVault/vaults",
    "Microsoft.MachineLearningServices/registries",
    "Microsoft.MachineLearningServices/workspaces",
    "Microsoft.Network/applicationGateways",
    "Microsoft.Search/searchServices",
    "Microsoft.Sql/servers",
    "Microsoft.Storage/storageAccounts",
];

fn approver_actions() -> Vec<String> {
    let mut actions = Vec::new();
    for kind in APPROVER_TYPES {
        for suffix in [
            "read",
            "privateEndpointConnections/read",
            "privateEndpointConnections/write",
            "privateEndpointConnectionsApproval/action",
            "privateLinkResources/read",
        ] {
            actions.push(format!("{kind}/{suffix}"));
        }
    }
    // The role lacks `registries/read` (seen in the field), so an approver of registries also needs Reader.
    for suffix in [
        "privateEndpointConnections/read",
        "privateEndpointConnections/write",
        "privateEndpointConnectionsApproval/action",
        "privateLinkResources/read",
    ] {
        actions.push(format!("Microsoft.ContainerRegistry/registries/{suffix}"));
    }
    actions
}

/// The built-in roles. Guids as published; of roles that only matter on the data plane the actions are left out.
fn built_in() -> BTreeMap<String, RoleDefinition> {
    let strings = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>();
    let role = |id: &str, name: &str, actions: Vec<String>, not_actions: Vec<String>| RoleDefinition {
        id: id.to_owned(),
        role_name: name.to_owned(),
        built_in: true,
        actions,
        not_actions,
    };
    let authorization_writes = strings(&[
        "Microsoft.Authorization/*/Delete",
        "Microsoft.Authorization/*/Write",
        "Microsoft.Authorization/elevateAccess/Action",
    ]);
    let blob = |verbs: &[&str]| {
        verbs.iter().map(|v| format!("Microsoft.Storage/storageAccounts/blobServices/containers/{v}")).collect()
    };
    [
        role("8e3af657-a8ff-443c-a75c-2fe8c4bcb635", "Owner", strings(&["*"]), Vec::new()),
        role("b24988ac-6180-42a0-ab88-20f7382dd24c", "Contributor", strings(&["*"]), authorization_writes),
        role("acdd72a7-3385-48ef-bd42-f606fba81ae7", "Reader", strings(&["*/read"]), Vec::new()),
        role(
            "b556d68e-0be0-4f35-a333-ad7ee1ce17ea",
            "Azure AI Enterprise Network Connection Approver",
            approver_actions(),
            Vec::new(),
        ),
        role(
            "f58310d9-a9f6-439a-9e8d-f62e7b41a168",
            "Role Based Access Control Administrator",
            strings(&[
                "Microsoft.Authorization/roleAssignments/write",
                "Microsoft.Authorization/roleAssignments/delete",
                "*/read",
            ]),
            Vec::new(),
        ),
        role(
            "25cabde7-1a6c-4350-8877-cb6fe59f1399",
            "Azure AI Enterprise Networking Outbound Rules Operator",
            strings(&[
                "Microsoft.MachineLearningServices/workspaces/managedNetworks/read",
                "Microsoft.MachineLearningServices/workspaces/managedNetworks/write",
                "Microsoft.MachineLearningServices/workspaces/managedNetworks/outboundRules/*",
                "Microsoft.MachineLearningServices/workspaces/managedNetworks/batchOutboundRules/action",
            ]),
            Vec::new(),
        ),
        role(
            "ba92f5b4-2d11-453d-a403-e96b0029c9fe",
            "Storage Blob Data Contributor",
            blob(&["delete", "read", "write"]),
            Vec::new(),
        ),
        role("2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", "Storage Blob Data Reader", blob(&["read"]), Vec::new()),
        role(
            "69566ab7-960f-475b-8e7c-b3118f30c6bd",
            "Storage File Data Privileged Contributor",
            Vec::new(),
            Vec::new(),
        ),
        role(
            "00482a5a-887f-4fb3-b363-3b7fe8e74483",
            "Key Vault Administrator",
            strings(&["Microsoft.KeyVault/vaults/read"]),
            Vec::new(),
        ),
        role(
            "7f951dda-4ed3-4680-a7ca-43fe172d538d",
            "AcrPull",
            strings(&["Microsoft.ContainerRegistry/registries/pull/read"]),
            Vec::new(),
        ),
        role(
            "8311e382-0749-4cb8-b61a-304f252e45ec",
            "AcrPush",
            strings(&[
                "Microsoft.ContainerRegistry/registries/pull/read",
                "Microsoft.ContainerRegistry/registries/push/write",
            ]),
            Vec::new(),
        ),
        role(
            "f6c7c914-8db3-469d-8ca1-694a8f32e121",
            "AzureML Data Scientist",
            strings(&["Microsoft.MachineLearningServices/workspaces/*/read"]),
            Vec::new(),
        ),
        role(
            "b12aa53e-6015-4669-85d0-8515ebb3ae7f",
            "Private DNS Zone Contributor",
            strings(&["Microsoft.Network/privateDnsZones/*"]),
            Vec::new(),
        ),
    ]
    .into_iter()
    .map(|role| (role.id.clone(), role))
    .collect()
}
