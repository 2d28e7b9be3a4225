//! The tenants' fence, field by field: what no grant names is refused before Azure is asked anything about it, whichever field of
//! whichever kind names it.

use aml_operator::api::definitions;
use arm_simulator::Seed;
use serde_json::{Value, json};

use crate::support::{FOREIGN, World, condition, settings};
use crate::synapse::SYNAPSE;

/// A field of a tenant's object that leads to something in Azure.
struct Field {
    /// Kind and path; `[]` is a list's element.
    path: &'static str,
    /// Type of the resource that it names.
    type_: &'static str,
    /// The verb that naming it takes, as the refusal says it.
    verb: &'static str,
}

const STORAGE: &str = "Microsoft.Storage/storageAccounts";
const IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";
const SUBNET: &str = "Microsoft.Network/virtualNetworks/subnets";
const GROUP: &str = "Microsoft.Resources/resourceGroups";
const WORKSPACE: &str = "Microsoft.MachineLearningServices/workspaces";

const fn field(path: &'static str, type_: &'static str, verb: &'static str) -> Field {
    Field { path, type_, verb }
}

/// Every field that takes an id, or a part of one, and is asked for.
const FENCED: [Field; 30] = [
    field("AmlWorkspace.spec.subscriptionId", WORKSPACE, "covers"),
    field("AmlWorkspace.spec.resourceGroup", WORKSPACE, "covers"),
    field("AmlWorkspace.spec.azureName", WORKSPACE, "covers"),
    field("AmlWorkspace.spec.associatedResources.storageAccount.resourceId", STORAGE, "reach"),
    field("AmlWorkspace.spec.associatedResources.keyVault.resourceId", "Microsoft.KeyVault/vaults", "reach"),
    field(
        "AmlWorkspace.spec.associatedResources.applicationInsights.resourceId",
        "Microsoft.Insights/components",
        "reach",
    ),
    field(
        "AmlWorkspace.spec.associatedResources.containerRegistry.resourceId",
        "Microsoft.ContainerRegistry/registries",
        "reach",
    ),
    field("AmlWorkspace.spec.associatedResources.storageAccount.network.subnets[].resourceId", SUBNET, "reach"),
    field("AmlWorkspace.spec.associatedResources.keyVault.network.subnets[].resourceId", SUBNET, "reach"),
    field(
        "AmlWorkspace.spec.associatedResources.applicationInsights.create.logWorkspace.resourceId",
        "Microsoft.OperationalInsights/workspaces",
        "reach",
    ),
    field("AmlWorkspace.spec.identity.userAssignedIdentities[]", IDENTITY, "reach"),
    field("AmlWorkspace.spec.identity.primaryUserAssignedIdentity", IDENTITY, "reach"),
    field("AmlWorkspace.spec.encryption.keyVault.resourceId", "Microsoft.KeyVault/vaults", "reach"),
    field("AmlWorkspace.spec.encryption.userAssignedIdentity", IDENTITY, "reach"),
    field("AmlWorkspace.spec.hub.resourceId", WORKSPACE, "reach"),
    field("OutboundRule.spec.privateEndpoint.resourceId", STORAGE, "reach"),
    field("AmlCompute.spec.network.subnet.resourceId", SUBNET, "reach"),
    field("AmlCompute.spec.identity.userAssignedIdentities[]", IDENTITY, "reach"),
    field("AmlDatastore.spec.blob.storageAccount.resourceId", STORAGE, "reach"),
    field("AmlDatastore.spec.adlsGen2.storageAccount.resourceId", STORAGE, "reach"),
    field("AmlDatastore.spec.file.storageAccount.resourceId", STORAGE, "reach"),
    field("AmlOnlineEndpoint.spec.identity.userAssignedIdentities[]", IDENTITY, "reach"),
    field("VnetAttachment.spec.subnet.resourceId", SUBNET, "reach"),
    field("VnetAttachment.spec.endpointsResourceGroupId", GROUP, "covers"),
    field("VnetAttachment.spec.dns.zonesResourceGroupId", GROUP, "dns"),
    field("VnetAttachment.spec.monitorPrivateLinkScope.resourceId", "Microsoft.Insights/privateLinkScopes", "reach"),
    field("VnetAttachment.spec.extraTargets[].resourceId", STORAGE, "reach"),
    field("SynapseLink.spec.synapseWorkspace.resourceId", SYNAPSE, "reach"),
    field("PrivateEndpointApproval.spec.target.resourceId", STORAGE, "approve"),
    field("PrivateEndpointApproval.spec.target.resourceGroupId", GROUP, "approve"),
];

/// Why the names of what is created are in no table of ids.
const BESIDE: &str = "a name in the workspace's own group, of which grants are asked as of every id";

/// Fields that look like ids and lead to no request, with the reason. A path also stands for all that begins with it.
const COMPARED: [(&str, &str); 22] = [
    ("AzureConnection.", "written by the platform, and what the fence is made of"),
    ("AmlWorkspace.spec.associatedResources.storageAccount.create.name", BESIDE),
    ("AmlWorkspace.spec.associatedResources.keyVault.create.name", BESIDE),
    ("AmlWorkspace.spec.associatedResources.containerRegistry.create.name", BESIDE),
    ("AmlWorkspace.spec.associatedResources.applicationInsights.create.name", BESIDE),
    ("AmlWorkspace.spec.associatedResources.containerRegistry.network.subnets", "refused by the schema"),
    ("AmlWorkspace.spec.associatedResources.applicationInsights.network.subnets", "refused by the schema"),
    ("ApprovalDecision.spec.", "only compared with what a policy's target shows"),
    ("PrivateEndpointApproval.spec.allow[].privateEndpoint.", "only compared with the endpoint that asks"),
    ("PrivateEndpointApproval.spec.reject[].privateEndpoint.", "only compared with the endpoint that asks"),
    ("PrivateEndpointApproval.spec.hold[].privateEndpoint.", "only compared with the endpoint that asks"),
    ("AmlCompute.spec.azureName", "a name below the workspace, of which grants are asked as of every id"),
    ("AmlCompute.spec.instance.assignedUser.", "a person, not a resource"),
    ("AmlCompute.spec.kubernetes.clusterResourceId", "only compared with what Azure shows"),
    ("AmlDatastore.spec.azureName", "a name below the workspace, of which grants are asked as of every id"),
    ("AmlDatastore.spec.credential.", "an application whose secret the namespace has, not a resource"),
    ("AmlDatastore.spec.serviceDataAccessAuthIdentity", "a word for one of the workspace's own identities"),
    ("AmlOnlineEndpoint.spec.azureName", "a name below the workspace, of which grants are asked as of every id"),
    ("SynapseLink.spec.linkedService.azureName", "a name below the Synapse workspace, which the namespace may reach"),
    (
        "SynapseLink.spec.sparkPool.azureName",
        "a name below the Synapse workspace, of which grants are asked as of every id",
    ),
    ("SynapseLink.spec.role.roleDefinitionId", "only assigned where the connection lists it"),
    ("OutboundRule.spec.azureName", "a name below the workspace, whose own namespace is asked for `configure`"),
];

/// Calls `look` with path, description and schema of every text below `schema`.
fn texts(path: &str, description: &str, schema: &Value, look: &mut impl FnMut(&str, &str)) {
    let description = schema["description"].as_str().unwrap_or(description);
    if schema["type"] == "string" {
        look(path, description);
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        texts(&format!("{path}.{name}"), "", property, look);
    }
    if schema["items"].is_object() {
        texts(&format!("{path}[]"), description, &schema["items"], look);
    }
    if schema["additionalProperties"].is_object() {
        texts(&format!("{path}{{}}"), description, &schema["additionalProperties"], look);
    }
}

/// Whether a field of this name and description may lead to a resource.
fn names_a_resource(path: &str, description: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or_default().trim_end_matches("[]").trim_end_matches("{}");
    let parts = ["id", "ids", "scope", "scopes", "resourceGroup", "azureName"];
    let ends = ["Id", "Ids", "Identity", "Identities", "Scope"];
    parts.contains(&name) || ends.iter().any(|end| name.ends_with(end)) || description.contains("ARM")
}

/// A new field cannot be forgotten here: one that takes an id is in one of the two tables.
#[test]
fn every_field_that_takes_an_id_is_fenced_or_only_compared() {
    let (mut forgotten, mut found) = (Vec::new(), Vec::new());
    for definition in definitions() {
        let kind = definition.spec.names.kind.clone();
        let definition = serde_json::to_value(definition).expect("JSON");
        let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        texts(&format!("{kind}.spec"), "", spec, &mut |path, description| {
            if !names_a_resource(path, description) {
                return;
            }
            found.push(path.to_owned());
            let fenced = FENCED.iter().any(|field| field.path == path);
            let compared = COMPARED.iter().any(|(prefix, _)| path.starts_with(prefix));
            if !fenced && !compared {
                forgotten.push(path.to_owned());
            }
        });
    }
    assert!(forgotten.is_empty(), "neither in FENCED nor in COMPARED: {forgotten:#?}");
    for field in &FENCED {
        assert!(found.iter().any(|path| path == field.path), "{} is no field any more", field.path);
    }
    for (prefix, why) in COMPARED {
        assert!(found.iter().any(|path| path.starts_with(prefix)), "{prefix} is no field any more ({why})");
    }
}

impl World {
    /// A world with another team's resources in it, in a group of their own.
    async fn with_others() -> Self {
        Self::seeded(settings(), |seed, subscription| {
            let theirs = |type_: &str| {
                let id = format!("/subscriptions/{subscription}/resourceGroups/theirs/providers/{type_}/gold");
                json!({"id": id, "location": "westeurope"})
            };
            let more: Seed = serde_json::from_value(json!({
                "resourceGroups": [{"subscriptionId": subscription, "name": "theirs", "location": "westeurope"}],
                "resources": [theirs(STORAGE), theirs("Microsoft.KeyVault/vaults"), theirs("Microsoft.Insights/components")],
            }))
            .expect("a seed");
            seed.resource_groups.extend(more.resource_groups);
            seed.resources.extend(more.resources);
        })
        .await
    }

    /// ARM id of another team's resource.
    fn theirs(&self, type_: &str) -> String {
        let (provider, types) = type_.split_once('/').expect("a type");
        let below: String = types.split('/').map(|type_| format!("/{type_}/gold")).collect();
        format!("/subscriptions/{}/resourceGroups/theirs/providers/{provider}{below}", self.subscription)
    }

    /// The connection, which lets the team have one workspace in the group `narrow` besides.
    fn narrow_connection(&self) -> Value {
        let mut connection = self.connection_manifest();
        let scope = format!("/subscriptions/{}/resourceGroups/narrow/providers/{WORKSPACE}/ours", self.subscription);
        let grant =
            json!({"namespaces": {"names": [self.team]}, "scope": scope, "verbs": ["create", "configure", "delete"]});
        connection["spec"]["grants"].as_array_mut().expect("grants").push(grant);
        connection
    }

    /// An object `name` of the team that names something of another team's in `field` only, and the id it thereby names.
    fn naming(&self, field: &Field, name: &str) -> (Value, String) {
        let (kind, path) = field.path.split_once('.').expect("a kind");
        let mut object = match kind {
            "AmlWorkspace" => self.workspace_manifest(),
            "AmlCompute" => {
                let mut spec = json!({"cluster": {"vmSize": "s", "maxNodes": 1}});
                if path.contains("identity") {
                    spec["identity"] = json!({"type": "UserAssigned"});
                }
                self.compute_manifest(name, &spec)
            }
            "AmlDatastore" => {
                let place = path.split('.').nth(1).unwrap_or_default();
                let container = json!({"blob": {"containerName": "raw"}, "adlsGen2": {"filesystem": "raw"}, "file": {"fileShareName": "raw"}});
                self.datastore_manifest(name, &json!({ place: container[place] }))
            }
            "AmlOnlineEndpoint" => {
                let spec = json!({"publicNetworkAccess": "Disabled", "identity": {"type": "UserAssigned"}});
                self.endpoint_manifest(name, &spec)
            }
            "VnetAttachment" => {
                let mut object = self.attachment_manifest(name, "hub", "Clients");
                let subnet = format!("{}/subnets/endpoints", self.id("Microsoft.Network/virtualNetworks", "hub"));
                object["spec"]["subnet"]["resourceId"] = json!(subnet);
                if path.contains("dns") {
                    object["spec"]["dns"] = json!({"mode": "Managed"});
                }
                if path.contains("extraTargets") {
                    object["spec"]["extraTargets"] = json!([{"subresources": ["blob"]}]);
                }
                object
            }
            "SynapseLink" => self.link_manifest(name),
            "OutboundRule" => self.rule_manifest(name, &json!({"privateEndpoint": {"subresource": "dfs"}})),
            _ => self.approval_manifest(),
        };
        object["metadata"] = json!({"name": name, "namespace": self.team});
        let mut id = self.theirs(field.type_);
        if field.type_ == GROUP {
            id = format!("/subscriptions/{}/resourceGroups/theirs", self.subscription);
        }
        if field.type_ == GROUP && kind == "PrivateEndpointApproval" {
            object["spec"]["target"] = json!({"resourceType": STORAGE});
        }
        if path.starts_with("spec.identity.") && kind == "AmlWorkspace" {
            object["spec"]["identity"] = json!({"type": "UserAssigned", "userAssignedIdentities": [id]});
        }
        if let Some((resource, _)) = path.split_once(".network.subnets") {
            let resource = resource.rsplit('.').next().expect("a resource");
            object["spec"]["associatedResources"][resource]["network"] = json!({"access": "ServiceEndpoint"});
        }
        if path.contains(".create.logWorkspace") {
            object["spec"]["associatedResources"]["applicationInsights"] = json!({});
        }
        if path.starts_with("spec.encryption.") {
            let own = self.id("Microsoft.KeyVault/vaults", "fraudkeys");
            let key = "https://fraudkeys.vault.azure.net/keys/k/1";
            object["spec"]["encryption"] = json!({"keyVault": {"resourceId": own}, "keyIdentifier": key});
        }
        if path.starts_with("spec.hub.") {
            object["spec"]["kind"] = json!("Project");
            for own in ["managedNetwork", "associatedResources"] {
                object["spec"].as_object_mut().expect("a spec").remove(own);
            }
        }
        if field.type_ == WORKSPACE && field.verb == "covers" {
            let (subscription, group, workspace) = match path {
                "spec.subscriptionId" => (FOREIGN, "rg", name),
                "spec.resourceGroup" => (self.subscription.as_str(), "theirs", name),
                _ => (self.subscription.as_str(), "narrow", "theirs"),
            };
            if workspace != name {
                object["spec"]["azureName"] = json!(workspace);
                object["spec"]["adoption"] = json!("Always");
            }
            object["spec"]["subscriptionId"] = json!(subscription);
            object["spec"]["resourceGroup"] = json!(group);
            id = format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/{WORKSPACE}/{workspace}");
        } else {
            let mut place = &mut object;
            for part in path.split('.') {
                place = match part.strip_suffix("[]") {
                    Some(list) => {
                        if place[list].is_null() {
                            place[list] = json!([null]);
                        }
                        &mut place[list][0]
                    }
                    None => &mut place[part],
                };
            }
            *place = json!(id);
        }
        (object, id)
    }

    /// The requests that say `words` anywhere, in any case.
    fn requests_with(&self, words: &str) -> Vec<String> {
        let words = words.to_lowercase();
        let all = self.azure.requests().into_iter().map(|entry| format!("{entry:?}"));
        all.filter(|entry| entry.to_lowercase().contains(&words)).collect()
    }
}

/// A namespace names another team's resource, in every field of every kind that takes one, to be managed, only to be looked at, and
/// to be deleted: refused by verb and id, and Azure never hears of it.
#[tokio::test(flavor = "multi_thread")]
async fn another_teams_resource_is_refused_in_every_field_before_azure_hears_of_it() {
    let world = World::with_others().await;
    let operator = world.operator().await;
    world.apply(world.narrow_connection()).await;
    world.apply(world.workspace_manifest()).await;
    world.until_reason(&world.workspace_manifest(), "Secured").await;
    let mut tried = Vec::new();
    for (number, field) in FENCED.iter().enumerate() {
        for looks in [false, true] {
            let (mut object, id) = world.naming(field, &format!("row-{number}-{looks}"));
            let kind = object["kind"].as_str().unwrap_or_default().to_owned();
            match (kind.as_str(), looks) {
                ("PrivateEndpointApproval", true) => object["spec"]["mode"] = json!("DryRun"),
                (_, true) => object["spec"]["managementPolicy"] = json!("Observe"),
                ("AmlWorkspace", false) => object["spec"]["deletionPolicy"] = json!("Delete"),
                _ => {}
            }
            world.apply(object.clone()).await;
            tried.push((field, object, id));
        }
    }
    for (field, object, id) in &tried {
        let refused = world.until_reason(object, "ScopeNotAllowed").await;
        let message = condition(&refused, "Ready")["message"].as_str().unwrap_or_default().to_lowercase();
        assert!(message.contains(field.verb) && message.contains(&id.to_lowercase()), "{}: {message}", field.path);
    }
    world.rest().await;
    for (_, object, _) in &tried {
        world.delete(object).await;
    }
    for (_, object, _) in &tried {
        world.until_gone(object).await;
    }
    for (field, _, id) in &tried {
        assert_eq!(world.requests_with(id), Vec::<String>::new(), "{}", field.path);
    }
    assert_eq!(world.requests_with("/resourceGroups/theirs"), Vec::<String>::new());
    operator.stop().await;
}

/// What Azure shows of a workspace that is looked at or taken over is no word of the namespace: what it is made of and where its rules
/// lead is not asked for, though other hands put them there.
#[tokio::test(flavor = "multi_thread")]
async fn ids_read_back_from_azure_are_not_followed() {
    let world = World::with_others().await;
    let theirs = world.theirs(STORAGE);
    let made = |name: &str| world.id(name, if name.ends_with("vaults") { "fraudkeys" } else { "fraudinsights" });
    let body = json!({
        "location": "westeurope", "identity": {"type": "SystemAssigned"},
        "properties": {
            "storageAccount": theirs, "keyVault": made("Microsoft.KeyVault/vaults"),
            "applicationInsights": made("Microsoft.Insights/components"), "publicNetworkAccess": "Disabled",
            "managedNetwork": {"isolationMode": "AllowOnlyApprovedOutbound"},
        },
    });
    world.shell(reqwest::Method::PUT, &world.workspace_id(), Some(&body)).await;
    let destination = json!({"serviceResourceId": theirs, "subresourceTarget": "dfs", "sparkEnabled": false});
    let rule =
        json!({"properties": {"type": "PrivateEndpoint", "category": "UserDefined", "destination": destination}});
    world.shell(reqwest::Method::PUT, &format!("{}/outboundRules/theirs", world.workspace_id()), Some(&rule)).await;
    world.azure.clear_requests();
    let operator = world.operator().await;
    world.apply(world.connection_manifest()).await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["managementPolicy"] = json!("Observe");
    world.apply(workspace.clone()).await;
    // A rule of ours keeps the question of roles open.
    world.apply(world.lake_rule("lake")).await;
    world.eventually("the roles are asked for", async || !world.requests_with("roleAssignments").is_empty()).await;
    world.rest().await;
    workspace["spec"]["managementPolicy"] = json!("Manage");
    workspace["spec"]["adoption"] = json!("Always");
    world.apply(workspace.clone()).await;
    world.until(&workspace, "a verdict", |object| condition(object, "Ready")["reason"] == "NotChangeable").await;
    world.rest().await;
    let gone_there = world.azure.requests().into_iter().filter(|entry| entry.path.contains("/resourceGroups/theirs"));
    assert_eq!(gone_there.map(|entry| entry.path).collect::<Vec<_>>(), Vec::<String>::new());
    operator.stop().await;
}

/// Namespaces chosen by their labels may as long as they carry them.
#[tokio::test(flavor = "multi_thread")]
async fn a_grant_by_labels_ends_with_the_labels() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut connection = world.connection_manifest();
    connection["spec"]["grants"][1]["namespaces"] = json!({"matchLabels": {"may-approve": world.mark}});
    world.apply(connection).await;
    let policy = world.approval_manifest();
    world.apply(policy.clone()).await;
    world.until_reason(&policy, "ScopeNotAllowed").await;
    let counted = |line: &str| operator.metrics.encode().expect("the metrics").lines().any(|shown| shown == line);
    let line = r#"aml_operator_objects{kind="PrivateEndpointApproval",ready="False"} 1"#;
    world.eventually("it is counted", async || counted(line)).await;
    let namespace = |labels: Value| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": world.platform, "labels": labels}});
    world.apply(namespace(json!({"may-approve": world.mark}))).await;
    world.until_reason(&policy, "InForce").await;
    let line = r#"aml_operator_objects{kind="PrivateEndpointApproval",ready="True"} 1"#;
    world.eventually("it is counted", async || counted(line)).await;
    world.apply(namespace(json!({}))).await;
    world.until_reason(&policy, "ScopeNotAllowed").await;
    world.knock(&world.lake(), &World::endpoint(&world.subscription, "hub", "lake-1"));
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());
    operator.stop().await;
}

/// What the connection says binds every policy below it, whatever the policy says.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_suspended_or_only_reads_lets_nobody_approve() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.knock(&world.lake(), &World::endpoint(&world.subscription, "hub", "lake-1"));
    let policy = world.approval_manifest();
    for (number, ceiling) in [json!({"suspend": true}), json!({"managementPolicy": "Observe"})].iter().enumerate() {
        let mut connection = world.connection_manifest();
        connection["spec"].as_object_mut().expect("a spec").extend(ceiling.as_object().cloned().expect("fields"));
        world.apply(connection).await;
        world.apply(policy.clone()).await;
        world
            .until(&policy, "held", |object| {
                let message = condition(object, "Ready")["message"].as_str().unwrap_or_default().to_owned();
                condition(object, "Ready")["reason"] == "ConnectionSuspended"
                    && message.contains("Observe") == (number == 1)
                    && object["status"]["pending"] == 1
            })
            .await;
        world.rest().await;
        assert_eq!(world.written(), Vec::<String>::new(), "{ceiling}");
    }
    world.apply(world.connection_manifest()).await;
    world.until(&policy, "approved", |object| object["status"]["approved"] == 1).await;
    operator.stop().await;
}
