//! The roles that Azure brings along, as far as they matter for AML's networks.

use std::collections::BTreeMap;

use crate::rbac::{Permission, RoleDefinition};

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
pub(crate) fn built_in() -> BTreeMap<String, RoleDefinition> {
    let strings = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect::<Vec<_>>();
    let role = |id: &str, name: &str, actions: Vec<String>, not_actions: Vec<String>| RoleDefinition {
        id: id.to_owned(),
        role_name: name.to_owned(),
        description: String::new(),
        built_in: true,
        permissions: vec![Permission::new(actions, not_actions, Vec::new(), Vec::new())],
        assignable_scopes: vec!["/".to_owned()],
        made: None,
    };
    let authorization_writes = strings(&[
        "Microsoft.Authorization/*/Delete",
        "Microsoft.Authorization/*/Write",
        "Microsoft.Authorization/elevateAccess/Action",
    ]);
    let workspaces = |actions: &[&str]| {
        actions.iter().map(|action| format!("Microsoft.MachineLearningServices/workspaces/{action}")).collect()
    };
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
            "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9",
            "User Access Administrator",
            strings(&["*/read", "Microsoft.Authorization/*", "Microsoft.Support/*"]),
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
            workspaces(&["*/read", "*/action", "*/delete", "*/write"]),
            workspaces(&[
                "delete",
                "write",
                "computes/*/write",
                "computes/*/delete",
                "computes/listKeys/action",
                "listKeys/action",
                "hubs/write",
                "hubs/delete",
                "featurestores/write",
                "featurestores/delete",
            ]),
        ),
        role(
            "e503ece1-11d0-4e8e-8e2c-7a6c3bf38815",
            "AzureML Compute Operator",
            workspaces(&["computes/*", "notebooks/vm/*"]),
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
