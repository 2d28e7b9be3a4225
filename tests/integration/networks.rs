//! Networks: from an attachment to a workspace that is used privately, by every name, from every attached network.

use arm_simulator::Seed;
use serde_json::{Value, json};

use crate::support::{FOREIGN, World, condition, settings};

const NETWORK: &str = "Microsoft.Network/virtualNetworks";
const STORAGE: &str = "Microsoft.Storage/storageAccounts";
const REGISTRY: &str = "Microsoft.ContainerRegistry/registries";

impl World {
    /// A world with two networks, and with everything that a workspace depends on closed to the internet.
    pub(crate) async fn with_networks() -> Self {
        Self::seeded(settings(), |seed, subscription| {
            let id = |type_: &str, name: &str| {
                format!("/subscriptions/{subscription}/resourceGroups/rg/providers/{type_}/{name}")
            };
            // Each in a group of its own: a group holds one zone of a name, and two networks that share a zone share its records.
            let network = |name: &str, block: &str| {
                let id = format!("/subscriptions/{subscription}/resourceGroups/{name}/providers/{NETWORK}/{name}");
                json!({"id": id, "location": "westeurope", "properties": {
                    "addressSpace": {"addressPrefixes": [format!("{block}.0.0/16")]},
                    "subnets": [{"name": "endpoints", "properties": {"addressPrefix": format!("{block}.1.0/24")}}],
                }})
            };
            let closed = json!({"publicNetworkAccess": "Disabled"});
            let group = |name: &str| json!({"subscriptionId": subscription, "name": name, "location": "westeurope"});
            let more: Seed = serde_json::from_value(json!({"resourceGroups": [group("hub"), group("people")], "resources": [
                network("hub", "10.1"), network("people", "10.2"),
                {"id": id(REGISTRY, "fraudimages"), "location": "westeurope", "sku": {"name": "Premium"}, "properties": closed},
            ]}))
            .expect("a seed");
            seed.resource_groups.extend(more.resource_groups);
            seed.resources.extend(more.resources);
            for resource in &mut seed.resources {
                if resource.id.ends_with("frauddata") || resource.id.ends_with("fraudkeys") {
                    resource.properties = closed.as_object().cloned().expect("properties");
                }
            }
        })
        .await
    }

    /// ARM id of a network.
    pub(crate) fn network(&self, name: &str) -> String {
        format!("/subscriptions/{}/resourceGroups/{name}/providers/{NETWORK}/{name}", self.subscription)
    }

    /// ARM id of a private DNS zone.
    fn zone(&self, group: &str, name: &str) -> String {
        format!(
            "/subscriptions/{}/resourceGroups/{group}/providers/Microsoft.Network/privateDnsZones/{name}",
            self.subscription
        )
    }

    /// The workspace with a registry of its own.
    pub(crate) fn whole_workspace(&self) -> Value {
        let mut workspace = self.workspace_manifest();
        workspace["spec"]["associatedResources"]["containerRegistry"] =
            json!({"resourceId": self.id(REGISTRY, "fraudimages")});
        workspace
    }

    /// The connection, with which the team may write to zones and the platform approve everywhere.
    pub(crate) fn network_connection(&self) -> Value {
        let mut connection = self.connection_manifest();
        let group = format!("/subscriptions/{}/resourceGroups/rg", self.subscription);
        connection["spec"]["grants"][0]["verbs"].as_array_mut().expect("verbs").push(json!("dns"));
        connection["spec"]["grants"][1] =
            json!({"namespaces": {"names": [self.platform]}, "scope": group, "verbs": ["approve"]});
        for name in ["hub", "people"] {
            let scope = format!("/subscriptions/{}/resourceGroups/{name}", self.subscription);
            let grant =
                json!({"namespaces": {"names": [self.team]}, "scope": scope, "verbs": ["create", "reach", "dns"]});
            connection["spec"]["grants"].as_array_mut().expect("grants").push(grant);
        }
        connection
    }

    /// An attachment of the workspace `fraud` to the network `network`.
    pub(crate) fn attachment_manifest(&self, name: &str, network: &str, role: &str) -> Value {
        json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "VnetAttachment",
            "metadata": {"name": name, "namespace": self.team},
            "spec": {
                "workspaceRef": {"name": "fraud"}, "role": role,
                "subnet": {"resourceId": format!("{}/subnets/endpoints", self.network(network))},
            },
        })
    }

    /// Policies that let the endpoints of these attachments in, on everything that a workspace depends on.
    pub(crate) fn attachment_policies(&self, attachments: &[&str]) -> Vec<Value> {
        let group = format!("/subscriptions/{}/resourceGroups/rg", self.subscription);
        let types = ["Microsoft.MachineLearningServices/workspaces", STORAGE, "Microsoft.KeyVault/vaults", REGISTRY];
        let allow: Vec<Value> = attachments
            .iter()
            .map(|name| json!({"name": name, "vnetAttachmentRef": {"name": name, "namespace": self.team}}))
            .collect();
        let policy = |type_: &&str| {
            let name = type_.rsplit('/').next().unwrap_or_default().to_lowercase();
            json!({
                "apiVersion": "aml-operator.io/v1alpha1", "kind": "PrivateEndpointApproval",
                "metadata": {"name": name, "namespace": self.platform},
                "spec": {"connectionRef": {"name": self.connection}, "allow": allow,
                    "target": {"resourceGroupId": group, "resourceType": type_}},
            })
        };
        types.iter().map(policy).collect()
    }

    /// Every host name of what the workspace is made of.
    fn host_names(&self) -> Vec<String> {
        let storage = self.id(STORAGE, "frauddata");
        let blob_and_file = self
            .azure
            .host_names(&storage)
            .expect("names")
            .into_iter()
            .filter(|name| name.contains(".blob.") || name.contains(".file."));
        let others =
            [self.workspace_id(), self.id("Microsoft.KeyVault/vaults", "fraudkeys"), self.id(REGISTRY, "fraudimages")];
        let others = others.iter().flat_map(|id| self.azure.host_names(id).expect("names"));
        blob_and_file.chain(others).collect()
    }

    /// Attaches both networks and waits until they are in place.
    async fn attached(&self) -> [Value; 2] {
        self.apply(self.network_connection()).await;
        self.apply(self.whole_workspace()).await;
        for policy in self.attachment_policies(&["hub", "people"]) {
            self.apply(policy).await;
        }
        let attachments = [
            self.attachment_manifest("hub", "hub", "Services"),
            self.attachment_manifest("people", "people", "Clients"),
        ];
        for attachment in &attachments {
            self.apply(attachment.clone()).await;
        }
        for attachment in &attachments {
            self.until_reason(attachment, "Attached").await;
        }
        attachments
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_name_leads_to_a_private_address_in_every_attached_network() {
    let world = World::with_networks().await;
    let operator = world.operator().await;
    let [hub, people] = world.attached().await;
    let names = world.host_names();
    assert!(names.len() >= 8, "{names:?}");
    let reached = |network: &str, name: &str| world.azure.reach(&world.network(network), name).expect("a place");
    for name in &names {
        assert!(reached("hub", name).reachable, "{name} from the hub: {:?}", reached("hub", name));
        let outside = world.azure.reach("internet", name).expect("a place");
        assert!(!outside.reachable, "{name} from outside: {outside:?}");
    }
    for name in
        names.iter().filter(|name| name.contains("azureml") || name.contains(".blob.") || name.contains(".file."))
    {
        assert!(reached("people", name).reachable, "{name}: {:?}", reached("people", name));
    }
    let shown = world.read(&hub).await.expect("the object is there");
    assert_eq!(shown["status"]["approved"], "5/5");
    for (type_, reason) in
        [("EndpointsApproved", "AllApproved"), ("DnsReady", "AllNames"), ("SameNetwork", "ThisNetwork")]
    {
        assert_eq!(condition(&shown, type_)["reason"], reason);
    }
    let records = shown["status"]["dnsRecords"].as_array().expect("records").clone();
    assert!(
        records.iter().any(|record| record["name"].as_str().is_some_and(|name| name.contains("inference"))),
        "{records:?}"
    );
    assert_eq!(condition(&world.read(&people).await.expect("it is there"), "SameNetwork")["reason"], "OtherAttachment");
    // At rest it costs reads and no writes.
    world.azure.clear_requests();
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_waits_for_its_policy_and_a_strangers_stays_outside() {
    let world = World::with_networks().await;
    let operator = world.operator().await;
    world.apply(world.network_connection()).await;
    world.apply(world.whole_workspace()).await;
    world.until_reason(&world.workspace_manifest(), "Secured").await;
    let hub = world.attachment_manifest("hub", "hub", "Clients");
    world.apply(hub.clone()).await;
    let waiting = world.until_reason(&hub, "ApprovalPending").await;
    assert_eq!(waiting["status"]["approved"], "0/3");
    world.rest().await;
    assert!(!world.written().iter().any(|written| written.contains("virtualNetworkLinks")), "no name changes before");
    let own = waiting["status"]["endpoints"][1]["resourceId"].as_str().expect("an id").to_owned();
    let name = own.rsplit('/').next().expect("a name");
    // Somebody else's endpoint of the same name.
    world.knock(&world.id(STORAGE, "frauddata"), &World::endpoint(FOREIGN, "hub", name));
    for policy in world.attachment_policies(&["hub"]) {
        world.apply(policy).await;
    }
    world.until_reason(&hub, "Attached").await;
    let storage = world.attachment_policies(&["hub"]).remove(1);
    let told = world.until(&storage, "the stranger is reported", |object| object["status"]["pending"] == 1).await;
    assert_eq!(told["status"]["approved"], 2, "blob and file, and nobody else");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_away_by_hand_comes_back_and_is_told() {
    let world = World::with_networks().await;
    let operator = world.operator().await;
    let [hub, _] = world.attached().await;
    let shown = world.read(&hub).await.expect("it is there");
    let endpoint = shown["status"]["endpoints"][1]["resourceId"].as_str().expect("an id").to_owned();
    let zone = world.zone("hub", "privatelink.blob.core.windows.net");
    let blob = "frauddata.blob.core.windows.net";
    for (what, path) in [
        ("privateDnsZoneGroups", format!("{endpoint}/privateDnsZoneGroups/default")),
        ("privateDnsZoneGroups", format!("{zone}/A/frauddata")),
        ("privateEndpoints", endpoint.clone()),
    ] {
        world.azure.clear_requests();
        world.delete_in_azure(&path).await;
        world
            .eventually(&format!("{path} is mended"), async || {
                world.azure.reach(&world.network("hub"), blob).expect("a place").reachable
                    && world.written().iter().any(|written| written.starts_with("PUT") && written.contains(what))
            })
            .await;
        world.until_reason(&hub, "Attached").await;
    }
    let told = world.read(&hub).await.expect("it is there");
    let drift: Vec<&str> =
        told["status"]["drift"].as_array().expect("drift").iter().filter_map(|drift| drift["field"].as_str()).collect();
    assert!(drift.iter().any(|field| field.ends_with("privateDnsZoneGroups")), "{drift:?}");
    assert!(
        drift.iter().any(|field| field.starts_with("privateEndpoints/") && !field.contains("ZoneGroups")),
        "{drift:?}"
    );
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removal_takes_what_it_made_and_the_last_way_only_with_a_word() {
    let world = World::with_networks().await;
    let operator = world.operator().await;
    let [hub, mut people] = world.attached().await;
    world.delete(&hub).await;
    world.until_gone(&hub).await;
    let left = world.azure.state_json().to_string().to_lowercase();
    assert!(!left.contains("/privateendpoints/hub-"), "its endpoints are gone");
    let name = world.host_names().remove(0);
    assert!(
        world.azure.reach(&world.network("people"), &name).expect("a place").reachable,
        "the other network goes on"
    );
    world.delete(&people).await;
    let waiting = world.until_reason(&people, "AcknowledgementRequired").await;
    let message = condition(&waiting, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    let value = message.split("value: ").nth(1).and_then(|rest| rest.split('}').next()).expect("a value").to_owned();
    people["spec"]["acknowledge"] = json!([{"door": "LastPrivatePath", "value": value}]);
    world.apply(people.clone()).await;
    world.until_gone(&people).await;
    let shown = world.in_azure("fraud").await;
    assert_eq!(
        shown["properties"]["publicNetworkAccess"], "Disabled",
        "removing the last way does not open the workspace"
    );
    let left = world.azure.state_json().to_string().to_lowercase();
    assert!(!left.contains("/virtualnetworklinks/"), "links that nobody needs are gone");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_elses_name_changes_in_a_central_zone() {
    let world = World::with_networks().await;
    // The hub's own endpoint to the shared account, with its record in the central zone.
    let lake = world.lake();
    let zone = world.zone("rg", "privatelink.blob.core.windows.net");
    world.shell(reqwest::Method::PUT, &zone, Some(&json!({"location": "global"}))).await;
    let record = json!({"properties": {"ttl": 10, "aRecords": [{"ipv4Address": "10.9.9.9"}]}});
    world.shell(reqwest::Method::PUT, &format!("{zone}/A/lake"), Some(&record)).await;
    world.azure.clear_requests();
    let operator = world.operator().await;
    world.apply(world.network_connection()).await;
    world.apply(world.whole_workspace()).await;
    for policy in world.attachment_policies(&["people"]) {
        world.apply(policy).await;
    }
    let mut people = world.attachment_manifest("people", "people", "Clients");
    let zones = format!("/subscriptions/{}/resourceGroups/rg", world.subscription);
    people["spec"]["dns"] = json!({"mode": "Managed", "zonesResourceGroupId": zones});
    people["spec"]["extraTargets"] = json!([{"resourceId": lake, "subresources": ["blob"]}]);
    world.apply(people.clone()).await;
    let told = world.until_reason(&people, "RecordOwned").await;
    assert!(condition(&told, "Ready")["message"].as_str().unwrap_or_default().contains("lake in privatelink.blob"));
    world.rest().await;
    let (_, shown) = world.ask_azure(reqwest::Method::GET, &format!("{zone}/A/lake"), "2024-06-01", None).await;
    assert_eq!(shown["properties"]["aRecords"], json!([{"ipv4Address": "10.9.9.9"}]));
    assert!(!world.written().iter().any(|written| written.contains("/A/")), "records are written by zone groups only");
    operator.stop().await;
}
