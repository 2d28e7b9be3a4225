//! Bodies and seeds whose members are of the wrong type.

use std::collections::BTreeSet;

use arm_simulator::{Settings, served};
use serde_json::{Value, json};

use crate::lab::{GROUP, Lab, ML, SUB, id, storage, vault, workspace, workspace_body};

const NETWORK: &str = "2024-05-01";
const DNS: &str = "2024-06-01";
/// The workspace that children are written in; it is there and stays as it is.
const HOME: &str = "home";
const ROLES: &str = "2022-04-01";
/// The Synapse workspace, likewise.
const SYNAPSE_HOME: &str = "syn-home";

fn network(kind: &str, name: &str) -> String {
    id(&format!("Microsoft.Network/{kind}"), name)
}

fn synapse(name: &str) -> String {
    id("Microsoft.Synapse/workspaces", name)
}

fn synapse_body() -> Value {
    json!({ "location": "westeurope", "identity": { "type": "SystemAssigned" }, "tags": { "a": "b" }, "properties": {
        "defaultDataLakeStorage": { "accountUrl": "https://lake.dfs.core.windows.net", "filesystem": "fs" },
        "managedVirtualNetwork": "default", "sqlAdministratorLogin": "root", "sqlAdministratorLoginPassword": "x",
        "managedVirtualNetworkSettings": {
            "preventDataExfiltration": false, "allowedAadTenantIdsForLinking": [crate::lab::TENANT],
        },
        "cspWorkspaceAdminProperties": { "initialWorkspaceAdminObjectId": crate::lab::OWNER },
        "encryption": { "cmk": { "key": { "name": "default", "keyVaultUrl": "https://vault.azure.net/keys/k" } } },
    } })
}

/// Path, version and a body that is taken, for every path that takes one; each builds on those before it.
fn bodies() -> Vec<(String, &'static str, Value)> {
    let here = |properties: Value| json!({ "location": "westeurope", "tags": { "a": "b" }, "properties": properties });
    let only = |properties: Value| json!({ "properties": properties });
    let (vnet, subnet) = (network("virtualNetworks", "v"), network("virtualNetworks", "v/subnets/s"));
    let (nsg, table) = (network("networkSecurityGroups", "n"), network("routeTables", "t"));
    let (endpoint, zone) = (network("privateEndpoints", "pe"), network("privateDnsZones", "a.example"));
    let (ws, home, lake) = (workspace("typed"), workspace(HOME), storage("lake"));
    let identity = id("Microsoft.ManagedIdentity/userAssignedIdentities", "myself");
    let server = id("Microsoft.Sql/servers", "facts");
    let policy = network("serviceEndpointPolicies", "p");
    let definition = json!({ "description": "d", "service": "Microsoft.Storage", "serviceResources": [GROUP] });
    let subnet_properties = json!({
        "serviceEndpointPolicies": [{ "id": policy }], "addressPrefix": "10.0.0.0/24", "networkSecurityGroup": { "id": nsg }, "routeTable": { "id": table },
        "serviceEndpoints": [{ "service": "Microsoft.Storage", "locations": ["westeurope"] }],
        "delegations": [{ "name": "d", "properties": { "serviceName": "Microsoft.Web/serverFarms" } }],
    });
    let rule = json!({
        "protocol": "Tcp", "sourcePortRange": "*", "destinationPortRanges": ["80"], "sourceAddressPrefix": "*",
        "destinationAddressPrefix": "*", "access": "Allow", "priority": 100, "direction": "Inbound",
    });
    let route = json!({ "addressPrefix": "10.1.0.0/16", "nextHopType": "None" });
    let acls = json!({
        "defaultAction": "Deny", "bypass": "AzureServices", "ipRules": [{ "value": "1.2.3.4" }],
        "virtualNetworkRules": [{ "id": subnet, "action": "Allow" }],
        "resourceAccessRules": [{ "tenantId": crate::lab::TENANT, "resourceId": ws }],
    });
    let vault_acls = json!({
        "defaultAction": "Deny", "bypass": "AzureServices", "ipRules": [{ "value": "1.2.3.4" }],
        "virtualNetworkRules": [{ "id": subnet, "ignoreMissingVnetServiceEndpoint": true }],
    });
    let outbound = json!({ "type": "FQDN", "category": "UserDefined", "destination": "host.example" });
    let mut ws_body = workspace_body("AllowOnlyApprovedOutbound");
    ws_body["tags"] = json!({ "a": "b" });
    ws_body["properties"]["managedNetwork"]["outboundRules"] = json!({
        "lake": { "type": "PrivateEndpoint", "destination": { "serviceResourceId": lake, "subresourceTarget": "blob" } },
        "tag": { "type": "ServiceTag", "destination": { "serviceTag": "AzureMonitor", "protocol": "TCP", "portRanges": "443" } },
    });
    let mut bodies = vec![
        (GROUP.to_owned(), "2021-04-01", json!({ "location": "westeurope", "tags": { "a": "b" } })),
        (nsg.clone(), NETWORK, here(json!({ "securityRules": [{ "name": "r", "properties": rule }] }))),
        (format!("{nsg}/securityRules/r"), NETWORK, only(rule)),
        (table.clone(), NETWORK, here(json!({ "routes": [{ "name": "r", "properties": route }] }))),
        (format!("{table}/routes/r"), NETWORK, only(route)),
        (
            policy.clone(),
            NETWORK,
            here(json!({ "serviceEndpointPolicyDefinitions": [{ "name": "d", "properties": definition }] })),
        ),
        (format!("{policy}/serviceEndpointPolicyDefinitions/d"), NETWORK, only(definition)),
        (
            vnet.clone(),
            NETWORK,
            here(json!({
                "addressSpace": { "addressPrefixes": ["10.0.0.0/16"] }, "dhcpOptions": { "dnsServers": ["10.0.0.4"] },
                "subnets": [{ "name": "s", "properties": subnet_properties }],
            })),
        ),
        (subnet.clone(), NETWORK, only(subnet_properties)),
        (
            network("virtualNetworks", "v2"),
            NETWORK,
            here(json!({ "addressSpace": { "addressPrefixes": ["10.9.0.0/16"] } })),
        ),
        (
            network("virtualNetworks", "v/virtualNetworkPeerings/p"),
            NETWORK,
            only(
                json!({ "remoteVirtualNetwork": { "id": network("virtualNetworks", "v2") }, "allowForwardedTraffic": true }),
            ),
        ),
        (
            network("publicIPAddresses", "ip"),
            NETWORK,
            json!({ "location": "westeurope", "sku": { "name": "Standard" }, "properties": { "publicIPAllocationMethod": "Static" } }),
        ),
        (
            network("networkInterfaces", "nic"),
            NETWORK,
            here(json!({
                "dnsSettings": { "dnsServers": ["10.0.0.4"] }, "networkSecurityGroup": { "id": nsg },
                "ipConfigurations": [{ "name": "c", "properties": {
                    "subnet": { "id": subnet }, "privateIPAllocationMethod": "Dynamic",
                    "publicIPAddress": { "id": network("publicIPAddresses", "ip") },
                } }],
            })),
        ),
        (
            endpoint.clone(),
            NETWORK,
            here(json!({
                "subnet": { "id": subnet }, "customNetworkInterfaceName": "own",
                "privateLinkServiceConnections": [{ "name": "c", "properties": {
                    "privateLinkServiceId": lake, "groupIds": ["blob"], "requestMessage": "please",
                } }],
                "ipConfigurations": [{ "name": "i", "properties": {
                    "groupId": "blob", "memberName": "blob", "privateIPAddress": "10.0.0.77",
                } }],
            })),
        ),
        (zone.clone(), DNS, json!({ "location": "global", "tags": { "a": "b" } })),
        (
            format!("{zone}/virtualNetworkLinks/l"),
            DNS,
            json!({ "location": "global", "properties": {
                "virtualNetwork": { "id": vnet }, "registrationEnabled": false, "resolutionPolicy": "Default",
            } }),
        ),
        (
            format!("{endpoint}/privateDnsZoneGroups/default"),
            NETWORK,
            only(json!({ "privateDnsZoneConfigs": [{ "name": "c", "properties": { "privateDnsZoneId": zone } }] })),
        ),
        (
            lake.clone(),
            "2023-05-01",
            json!({
                "location": "westeurope", "sku": { "name": "Standard_LRS" }, "kind": "StorageV2", "tags": { "a": "b" },
                "identity": { "type": "SystemAssigned" },
                "properties": { "publicNetworkAccess": "Enabled", "networkAcls": acls, "accessTier": "Hot",
                    "encryption": { "keySource": "Microsoft.Storage", "services": { "blob": { "enabled": true } } } },
            }),
        ),
        (
            vault(),
            "2022-07-01",
            here(json!({
                "tenantId": crate::lab::TENANT, "sku": { "family": "A", "name": "standard" }, "networkAcls": vault_acls,
                "accessPolicies": [{ "tenantId": crate::lab::TENANT, "objectId": "x", "permissions": { "keys": ["get"] } }],
                "enableRbacAuthorization": true, "softDeleteRetentionInDays": 90,
            })),
        ),
        (
            id("Microsoft.ContainerRegistry/registries", "images"),
            "2023-07-01",
            json!({ "location": "westeurope", "sku": { "name": "Premium" }, "identity": { "type": "None" }, "properties": {
                "adminUserEnabled": false, "policies": { "exportPolicy": { "status": "enabled" } },
                "networkRuleSet": { "defaultAction": "Deny", "ipRules": [{ "value": "1.2.3.4", "action": "Allow" }] },
            } }),
        ),
        (server.clone(), "2021-11-01", here(json!({ "administratorLogin": "root", "minimalTlsVersion": "1.2" }))),
        (
            format!("{server}/firewallRules/f"),
            "2021-11-01",
            only(json!({ "startIpAddress": "1.1.1.1", "endIpAddress": "1.1.1.2" })),
        ),
        (
            format!("{server}/virtualNetworkRules/v"),
            "2021-11-01",
            only(json!({ "virtualNetworkSubnetId": subnet, "ignoreMissingVnetServiceEndpoint": true })),
        ),
        (identity.clone(), "2023-01-31", json!({ "location": "westeurope", "tags": { "a": "b" } })),
        (
            format!("{identity}/federatedIdentityCredentials/first"),
            "2023-01-31",
            only(json!({ "issuer": "https://issuer.example", "subject": "s", "audiences": ["a"] })),
        ),
        (
            id("Microsoft.OperationalInsights/workspaces", "logs"),
            "2023-09-01",
            here(
                json!({ "sku": { "name": "PerGB2018" }, "retentionInDays": 30, "publicNetworkAccessForQuery": "Disabled" }),
            ),
        ),
        (
            id("Microsoft.Insights/components", "seen"),
            "2020-02-02",
            here(json!({
                "Application_Type": "web", "publicNetworkAccessForIngestion": "Disabled",
                "WorkspaceResourceId": id("Microsoft.OperationalInsights/workspaces", "logs"),
            })),
        ),
        (
            id("Microsoft.Insights/privateLinkScopes", "scope"),
            "2021-07-01-preview",
            json!({ "location": "global", "tags": { "a": "b" }, "properties": { "accessModeSettings": {
                "queryAccessMode": "Open", "ingestionAccessMode": "PrivateOnly", "exclusions": [],
            } } }),
        ),
        (
            id("Microsoft.Insights/privateLinkScopes", "scope/scopedResources/seen"),
            "2021-07-01-preview",
            only(json!({ "linkedResourceId": id("Microsoft.Insights/components", "seen") })),
        ),
        (ws.clone(), ML, ws_body),
        (format!("{home}/outboundRules/one"), ML, only(outbound.clone())),
        (format!("{home}/managedNetworks/default/outboundRules/two"), "2025-10-01-preview", only(outbound)),
        (
            format!("{home}/managedNetworks/default"),
            "2025-10-01-preview",
            only(
                json!({ "managedNetwork": { "isolationMode": "AllowOnlyApprovedOutbound", "firewallSku": "Standard" } }),
            ),
        ),
        (
            format!("{home}/computes/cpu"),
            ML,
            here(json!({ "computeType": "AmlCompute", "properties": {
                "vmSize": "Standard_DS3_v2", "scaleSettings": { "minNodeCount": 0, "maxNodeCount": 2 },
            } })),
        ),
        (
            format!("{home}/connections/c"),
            ML,
            only(json!({ "category": "Git", "target": "https://git.example", "authType": "None", "metadata": {} })),
        ),
        (
            format!("{GROUP}/providers/Microsoft.Authorization/locks/l"),
            "2016-09-01",
            only(json!({ "level": "CanNotDelete", "notes": "n", "owners": [{ "applicationId": "a" }] })),
        ),
        (
            format!("/subscriptions/{SUB}/providers/Microsoft.Authorization/roleDefinitions/{}", crate::lab::TENANT),
            ROLES,
            only(json!({
                "roleName": "own", "description": "d", "permissions": [{ "actions": ["*/read"], "notActions": [] }],
                "assignableScopes": [format!("/subscriptions/{SUB}")],
            })),
        ),
        (
            format!("{GROUP}/providers/Microsoft.Authorization/roleAssignments/{}", crate::lab::TENANT),
            ROLES,
            only(json!({
                "roleDefinitionId": format!("/providers/Microsoft.Authorization/roleDefinitions/{}", crate::lab::TENANT),
                "principalId": "guest-object", "principalType": "ServicePrincipal", "description": "d",
            })),
        ),
    ];
    for (kind, properties) in [
        ("A", json!({ "ttl": 10, "aRecords": [{ "ipv4Address": "10.0.0.1" }], "metadata": { "a": "b" } })),
        ("AAAA", json!({ "ttl": 10, "aaaaRecords": [{ "ipv6Address": "::1" }] })),
        ("CNAME", json!({ "ttl": 10, "cnameRecord": { "cname": "x.example" } })),
        ("MX", json!({ "ttl": 10, "mxRecords": [{ "exchange": "x", "preference": 1 }] })),
        ("PTR", json!({ "ttl": 10, "ptrRecords": [{ "ptrdname": "x" }] })),
        ("SOA", json!({ "ttl": 10, "soaRecord": { "email": "x" } })),
        ("SRV", json!({ "ttl": 10, "srvRecords": [{ "target": "x", "port": 1 }] })),
        ("TXT", json!({ "ttl": 10, "txtRecords": [{ "value": ["x"] }] })),
    ] {
        let name = if kind == "SOA" { "@".to_owned() } else { format!("of-{}", kind.to_lowercase()) };
        bodies.push((format!("{zone}/{kind}/{name}"), DNS, only(properties)));
    }
    bodies.extend([
        (
            format!("{home}/datastores/typed"),
            ML,
            only(json!({
                "datastoreType": "AzureBlob", "accountName": "lake", "containerName": "c", "tags": { "a": "b" },
                "properties": { "a": "b" },
                "credentials": {
                    "credentialsType": "AccountKey", "secrets": { "secretsType": "AccountKey", "key": "x" },
                },
            })),
        ),
        (
            format!("{home}/onlineEndpoints/typed"),
            ML,
            here(json!({
                "authMode": "Key", "publicNetworkAccess": "Disabled", "traffic": {}, "mirrorTraffic": {},
                "keys": { "primaryKey": "x", "secondaryKey": "y" }, "properties": { "a": "b" },
            })),
        ),
        (
            format!("{home}/onlineEndpoints/typed/deployments/blue"),
            ML,
            here(json!({
                "endpointComputeType": "Managed", "instanceType": "Standard_DS3_v2", "model": "m",
                "egressPublicNetworkAccess": "Enabled", "scaleSettings": { "scaleType": "Default" },
            })),
        ),
        (synapse("typed"), "2021-06-01", synapse_body()),
        (
            format!("{}/bigDataPools/typed", synapse(SYNAPSE_HOME)),
            "2021-06-01",
            here(json!({
                "nodeSize": "Small", "nodeSizeFamily": "MemoryOptimized", "sparkVersion": "3.4", "nodeCount": 3,
                "autoScale": { "enabled": true, "minNodeCount": 3, "maxNodeCount": 3 },
                "autoPause": { "enabled": true, "delayInMinutes": 5 },
            })),
        ),
        (
            format!("/synapse/{SYNAPSE_HOME}/managedVirtualNetworks/default/managedPrivateEndpoints/typed"),
            "2020-12-01",
            only(json!({ "privateLinkResourceId": lake, "groupId": "dfs", "fqdns": ["x.example"] })),
        ),
        (
            format!("/synapse/{SYNAPSE_HOME}/linkedservices/typed"),
            "2020-12-01",
            only(json!({
                "type": "AzureMLService", "annotations": ["x"],
                "connectVia": { "type": "IntegrationRuntimeReference", "referenceName": "x" },
                "typeProperties": {
                    "subscriptionId": "s", "resourceGroupName": "g", "mlWorkspaceName": "w",
                    "servicePrincipalKey": { "type": "SecureString", "value": "x" },
                },
            })),
        ),
    ]);
    // Targets of which only the connections are more than what was sent.
    for (kind, version) in [
        ("Microsoft.ApiManagement/service", "2021-08-01"),
        ("Microsoft.Cache/Redis", "2021-06-01"),
        ("Microsoft.CognitiveServices/accounts", "2024-10-01"),
        ("Microsoft.DBforMySQL/flexibleServers", "2022-09-30-privatepreview"),
        ("Microsoft.DBforPostgreSQL/flexibleServers", "2024-08-01"),
        ("Microsoft.DataFactory/factories", "2018-06-01"),
        ("Microsoft.Databricks/workspaces", "2024-05-01"),
        ("Microsoft.DocumentDB/databaseAccounts", "2024-11-15"),
        ("Microsoft.EventHub/namespaces", "2024-01-01"),
        ("Microsoft.MachineLearningServices/registries", "2022-10-01-preview"),
        ("Microsoft.Network/applicationGateways", NETWORK),
        ("Microsoft.Network/privateLinkServices", NETWORK),
        ("Microsoft.Search/searchServices", "2020-08-01"),
        ("Microsoft.ServiceBus/namespaces", "2021-06-01-preview"),
        ("Microsoft.Web/sites", "2019-08-01"),
    ] {
        bodies.push((id(kind, "target"), version, here(json!({ "publicNetworkAccess": "Disabled" }))));
    }
    bodies
}

/// The places of everything in a value: its members, their members, …
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let mut below = |name: &str, value: &Value| {
        let at = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
        found.push(at.clone());
        places(value, &at, found);
    };
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| below(name, value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(index, value)| below(&index.to_string(), value)),
        _ => {}
    }
}

/// The body with one place after another taken by values of every type.
fn misshapen(body: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    places(body, "", &mut found);
    let wrong = [json!("x"), json!(-1.5), json!(["x"]), json!({ "x": {} }), Value::Null];
    let put = |at: &String| {
        let at = at.clone();
        wrong.clone().map(|value| {
            let mut body = body.clone();
            *body.pointer_mut(&at).unwrap() = value.clone();
            (format!("{at} = {value}"), body)
        })
    };
    found.iter().flat_map(put).collect()
}

/// The same resource for a seed; nothing if it cannot be one.
fn as_seed(id: &str, body: &Value) -> Value {
    let mut resource = body.clone();
    resource["id"] = json!(id);
    json!({ "resources": [resource] })
}

async fn alive(lab: &Lab, token: &str, what: &str, path: &str, version: &str) {
    let shown = lab.send("GET", &format!("{path}?api-version={version}"), token, None).await;
    let shown = shown.unwrap_or_else(|error| panic!("{what}: then no answer to GET: {error}"));
    assert!(shown.status < 500, "{what}: then {}", shown.text);
}

async fn torture(part: usize) {
    const PARTS: usize = 4;
    // No log, which would be compared with the specifications for a minute.
    let lab = Lab::start(Settings { log_megabytes: 0, ..Settings::fast() }).await;
    lab.built(HOME, "AllowOnlyApprovedOutbound").await;
    lab.put(&synapse(SYNAPSE_HOME), "2021-06-01", synapse_body()).await.expect(201);
    let for_data = lab.data_token().await;
    let mut refused = Vec::new();
    for (index, (path, version, body)) in bodies().into_iter().enumerate() {
        let token = if path.starts_with("/synapse/") { &for_data } else { &lab.token };
        let url = format!("{path}?api-version={version}");
        let made = lab.send("PUT", &url, token, Some(body.clone())).await.unwrap();
        if !(200..300).contains(&made.status) {
            refused.push(format!("{path}: {}", made.text));
        }
        let seedable = path.contains("/providers/") && !path.contains("/Microsoft.Authorization/");
        for (what, wrong) in misshapen(&body).into_iter().filter(|_| index % PARTS == part) {
            for method in ["PUT", "PATCH", "seed"] {
                let what = format!("{method} {path} {what}");
                let sent = match method {
                    "seed" if !seedable => continue,
                    "seed" => lab.send("POST", "/_simulator/seed", "", Some(as_seed(&path, &wrong))).await,
                    _ => lab.send(method, &url, token, Some(wrong.clone())).await,
                };
                let answer = sent.unwrap_or_else(|error| panic!("{what}: no answer: {error}"));
                assert!(answer.status < 500, "{what}: {}", answer.text);
                // What is refused changes nothing.
                if answer.status < 400 {
                    alive(&lab, token, &what, &path, version).await;
                }
            }
        }
        lab.send("GET", "/_simulator/state", "", None).await.unwrap().expect(200);
        lab.send("PUT", &url, token, Some(body)).await.unwrap();
        if path.contains("/locks/") {
            lab.delete(&path, version).await;
        }
    }
    assert!(refused.is_empty(), "what is right is to be taken: {refused:#?}");
}

#[tokio::test]
async fn no_wrong_type_brings_the_service_down() {
    torture(0).await;
}

#[tokio::test]
async fn no_wrong_type_brings_the_service_down_second_part() {
    torture(1).await;
}

#[tokio::test]
async fn no_wrong_type_brings_the_service_down_third_part() {
    torture(2).await;
}

#[tokio::test]
async fn no_wrong_type_brings_the_service_down_fourth_part() {
    torture(3).await;
}

/// Whether a path is of the form of a row.
fn is_of(path: &str, row: &str) -> bool {
    let segments = |text: &str| text.split('/').map(str::to_lowercase).collect::<Vec<_>>();
    let (row, path) = (segments(row.trim_start_matches("{scope}")), segments(path));
    let path = &path[path.len().saturating_sub(row.len())..];
    row.len() == path.len() && row.iter().zip(path).all(|(row, path)| row == "{}" || row == path || row.is_empty())
}

#[test]
fn every_path_that_takes_a_body_is_among_them() {
    let bodies = bodies();
    let mut untried = BTreeSet::new();
    for provider in served::providers() {
        for path in provider.paths {
            let takes = path.methods.iter().any(|method| ["PUT", "PATCH"].contains(method));
            if takes && !bodies.iter().any(|(tried, _, _)| is_of(tried, path.path)) {
                untried.insert(path.path);
            }
        }
    }
    // Decisions on connections need somebody who has asked.
    untried.retain(|path| !path.contains("/privateEndpointConnections/"));
    assert!(untried.is_empty(), "{untried:?}");
}

#[tokio::test]
async fn lists_and_objects_of_another_type_are_refused() {
    let lab = Lab::start(Settings::fast()).await;
    let rules = json!({ "properties": { "NETWORKACLS": { "defaultAction": "Deny", "ipRules": ["1.2.3.4"] } } });
    let refused = lab.call("PATCH", &storage("lake"), "2023-05-01", Some(rules)).await.expect(400);
    assert_eq!(refused.code(), "InvalidRequestContent");
    assert!(refused.message().contains("'ipRules'"), "{}", refused.message());
    let seed = as_seed(&network("virtualNetworks", "v"), &json!({ "properties": { "subnets": ["x"] } }));
    let refused = lab.send("POST", "/_simulator/seed", "", Some(seed)).await.unwrap().expect(400);
    assert!(refused.text.contains("'subnets'"), "{}", refused.text);
    lab.get(&network("virtualNetworks", "v"), NETWORK).await.expect(404);
}

#[tokio::test]
async fn names_count_in_any_case_everywhere() {
    let lab = Lab::start(Settings::fast()).await;
    let registry = as_seed(&id("Microsoft.ContainerRegistry/registries", "images"), &json!({}));
    lab.send("POST", "/_simulator/seed", "", Some(registry)).await.unwrap().expect(204);
    for (kind, version, taken) in [
        ("Microsoft.Storage/storageAccounts", "2023-05-01", "lake"),
        ("Microsoft.KeyVault/vaults", "2022-07-01", "kv1"),
        ("Microsoft.ContainerRegistry/registries", "2023-07-01", "images"),
    ] {
        let path = format!("/subscriptions/{SUB}/providers/{}/checkNameAvailability", kind.split('/').next().unwrap());
        let asked = json!({ "NAME": taken, "TYPE": kind });
        let answer = lab.call("POST", &path, version, Some(asked)).await.expect(200).body;
        assert_eq!(answer["nameAvailable"], false, "{kind}");
        assert!(answer["message"].as_str().unwrap_or_default().contains(taken), "{answer}");
    }
    let provider = format!("{GROUP}/providers/Microsoft.Authorization");
    let scope = format!("/subscriptions/{SUB}");
    let role = json!({ "PROPERTIES": {
        "rolename": "own", "PERMISSIONS": [{ "ACTIONS": ["*/read"] }], "assignablescopes": [scope],
    } });
    let guid = crate::lab::TENANT;
    let made = lab.put(&format!("{scope}/providers/Microsoft.Authorization/roleDefinitions/{guid}"), ROLES, role).await;
    assert_eq!(made.expect(201).body["properties"]["permissions"][0]["actions"], json!(["*/read"]));
    let assignment =
        json!({ "Properties": { "RoleDefinitionID": format!("/x/{guid}"), "principalid": "guest-object" } });
    lab.put(&format!("{provider}/roleAssignments/{guid}"), ROLES, assignment).await.expect(201);
    let seed = json!({ "connections": [{ "target": storage("lake"), "privateEndpointId": "/subscriptions/x/pe" }] });
    lab.send("POST", "/_simulator/seed", "", Some(seed)).await.unwrap().expect(204);
    let connection = lab.connections(&storage("lake")).await[0]["id"].as_str().unwrap().to_owned();
    let decision =
        json!({ "Properties": { "privatelinkserviceconnectionstate": { "STATUS": "Approved", "description": "" } } });
    let decided = lab.put(&connection, "2023-05-01", decision).await.expect(200).body;
    assert_eq!(crate::lab::status_of(&decided), "Approved");
}

#[tokio::test]
async fn the_second_region_of_an_account_can_be_connected_to() {
    let lab = Lab::start(Settings::fast()).await;
    let listed = lab.get(&format!("{}/privateLinkResources", storage("lake")), "2023-05-01").await.expect(200).body;
    let listed = listed["value"].as_array().unwrap();
    let second = listed.iter().find(|group| group["name"] == "blob_secondary").unwrap();
    assert_eq!(second["properties"]["requiredMembers"], json!(["blob_secondary"]));
    assert_eq!(second["properties"]["requiredZoneNames"], json!(["privatelink.blob.core.windows.net"]));
    assert_eq!(listed.len(), 12);
    let subnet = json!({ "name": "s", "properties": { "addressPrefix": "10.0.0.0/24" } });
    let net = json!({ "location": "westeurope", "properties": {
        "addressSpace": { "addressPrefixes": ["10.0.0.0/16"] }, "subnets": [subnet],
    } });
    lab.put(&network("virtualNetworks", "v"), NETWORK, net).await.expect(201);
    let endpoint = json!({ "location": "westeurope", "properties": {
        "subnet": { "id": network("virtualNetworks", "v/subnets/s") },
        "privateLinkServiceConnections": [{ "name": "c", "properties": {
            "privateLinkServiceId": storage("lake"), "groupIds": ["dfs_secondary"],
        } }],
    } });
    lab.put(&network("privateEndpoints", "pe"), NETWORK, endpoint).await.expect(201);
    let shown = lab.get(&network("privateEndpoints", "pe"), NETWORK).await.expect(200).body;
    assert_eq!(shown["properties"]["customDnsConfigs"][0]["fqdn"], "lake-secondary.dfs.core.windows.net");
}
