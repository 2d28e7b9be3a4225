//! Networks: from an attachment to a workspace that is used privately, by every name, from every attached network.

use std::collections::BTreeMap;
use std::sync::Arc;

use aml_operator::effects::{Effect, Moment, Seam, System};
use arm_simulator::Seed;
use futures::StreamExt;
use serde_json::{Value, json};

use crate::effects::{Cut, unrecorded};
use crate::support::{FOREIGN, OPERATOR_NAMESPACE, World, condition, control_plane, settings};

const NETWORK: &str = "Microsoft.Network/virtualNetworks";
const STORAGE: &str = "Microsoft.Storage/storageAccounts";
const REGISTRY: &str = "Microsoft.ContainerRegistry/registries";

impl World {
    /// A world with two networks, and with everything that a workspace depends on closed to the internet.
    pub(crate) async fn with_networks() -> Self {
        Self::with_networks_and(|_, _| {}).await
    }

    /// The same, in which `change` decides what else there is.
    pub(crate) async fn with_networks_and(change: impl FnOnce(&mut Seed, &str)) -> Self {
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
            change(seed, subscription);
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

    /// Deletes the attachment that is a workspace's last private way, with the word that takes.
    async fn delete_the_last_way(&self, attachment: &mut Value) {
        self.delete(attachment).await;
        let waiting = self.until_reason(attachment, "AcknowledgementRequired").await;
        let message = condition(&waiting, "Ready")["message"].as_str().unwrap_or_default().to_owned();
        let value =
            message.split("value: ").nth(1).and_then(|rest| rest.split('}').next()).expect("a value").to_owned();
        attachment["spec"]["acknowledge"] = json!([{"door": "LastPrivatePath", "value": value}]);
        self.apply(attachment.clone()).await;
        self.until_gone(attachment).await;
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
    world.delete_the_last_way(&mut people).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn names_are_published_as_files_where_that_is_allowed() {
    let world = World::with_networks().await;
    let operator = world.operator().await;
    world.apply(world.network_connection()).await;
    world.apply(world.whole_workspace()).await;
    for policy in world.attachment_policies(&["people"]) {
        world.apply(policy).await;
    }
    let mut people = world.attachment_manifest("people", "people", "Clients");
    people["spec"]["dns"] = json!({"mode": "Custom", "configMap": "names"});
    world.apply(people.clone()).await;
    let told =
        world.until(&people, "not allowed", |object| condition(object, "DnsConfigMap")["reason"] == "NotAllowed").await;
    assert!(condition(&told, "DnsConfigMap")["message"].as_str().unwrap_or_default().contains("dnsConfigMaps.enabled"));
    // What the chart does with dnsConfigMaps.enabled, for this namespace only.
    let name = "writes-names";
    let rights = json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name, "namespace": world.team},
         "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "create", "update"]}]},
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name, "namespace": world.team},
         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
         "subjects": [{"kind": "ServiceAccount", "name": "aml-operator", "namespace": OPERATOR_NAMESPACE}]},
    ]});
    control_plane().await.kubectl_with_input(&["apply", "-f", "-"], &rights.to_string()).await.expect("the rights");
    world.until(&people, "written", |object| condition(object, "DnsConfigMap")["reason"] == "Written").await;
    world.until_reason(&people, "Attached").await;
    let map = world.read(&json!({"kind": "ConfigMap", "metadata": {"name": "names", "namespace": world.team}})).await;
    let map = map.expect("the ConfigMap is there");
    let hosts = map["data"]["hosts"].as_str().unwrap_or_default();
    assert!(hosts.lines().any(|line| line.ends_with(" frauddata.blob.core.windows.net")), "{hosts}");
    assert!(map["data"]["zone"].as_str().unwrap_or_default().contains("*.westeurope.inference.ml.azure.com. 10 IN A "));
    assert!(
        !world.written().iter().any(|written| written.contains("privateDns")),
        "nothing of DNS is written in Azure"
    );
    // A ConfigMap of somebody else's is left alone.
    let theirs = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs", "namespace": world.team}, "data": {"a": "b"}});
    world.apply(theirs.clone()).await;
    people["spec"]["dns"]["configMap"] = json!("theirs");
    world.apply(people.clone()).await;
    world.until(&people, "refused", |object| condition(object, "DnsConfigMap")["reason"] == "OwnedElsewhere").await;
    assert_eq!(world.read(&theirs).await.expect("it is there")["data"], json!({"a": "b"}));
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_the_network_has_already_is_reused_and_stays() {
    let world = World::with_networks().await;
    // Somebody made one by hand, approved it, and wrote its record.
    let storage = world.id(STORAGE, "frauddata");
    let hand = format!("{}/by-hand", world.network("people").rsplit_once("/virtualNetworks/").expect("a network").0);
    let hand = hand.replace("Microsoft.Network/by-hand", "Microsoft.Network/privateEndpoints/by-hand");
    let body = json!({"location": "westeurope", "properties": {
        "subnet": {"id": format!("{}/subnets/endpoints", world.network("people"))},
        "privateLinkServiceConnections": [{"name": "by-hand", "properties": {"privateLinkServiceId": storage, "groupIds": ["file"]}}],
    }});
    world.shell(reqwest::Method::PUT, &hand, Some(&body)).await;
    let zone = world.zone("people", "privatelink.file.core.windows.net");
    world.shell(reqwest::Method::PUT, &zone, Some(&json!({"location": "global"}))).await;
    let link = json!({"location": "global", "properties": {"virtualNetwork": {"id": world.network("people")}, "registrationEnabled": false}});
    world.shell(reqwest::Method::PUT, &format!("{zone}/virtualNetworkLinks/theirs"), Some(&link)).await;
    let group =
        json!({"properties": {"privateDnsZoneConfigs": [{"name": "file", "properties": {"privateDnsZoneId": zone}}]}});
    world.shell(reqwest::Method::PUT, &format!("{hand}/privateDnsZoneGroups/theirs"), Some(&group)).await;
    world.azure.clear_requests();
    let operator = world.operator().await;
    world.apply(world.network_connection()).await;
    world.apply(world.whole_workspace()).await;
    for policy in world.attachment_policies(&["people"]) {
        world.apply(policy).await;
    }
    let people = world.attachment_manifest("people", "people", "Clients");
    world.apply(people.clone()).await;
    let shown = world.until_reason(&people, "Attached").await;
    let origin = |subresource: &str| {
        let endpoints = shown["status"]["endpoints"].as_array().expect("endpoints").clone();
        endpoints.into_iter().find(|endpoint| endpoint["subresource"] == subresource).expect("it is there")
    };
    assert_eq!(
        (origin("file")["origin"].as_str(), origin("blob")["origin"].as_str()),
        (Some("Reused"), Some("Created"))
    );
    assert_eq!(origin("file")["resourceId"].as_str().map(str::to_lowercase), Some(hand.to_lowercase()));
    let endpoints = world
        .written()
        .into_iter()
        .filter(|written| written.starts_with("PUT") && written.contains("/privateEndpoints/"));
    assert_eq!(endpoints.filter(|written| !written.contains("ZoneGroups")).count(), 2, "workspace and blob only");
    assert!(
        !world.written().iter().any(|written| written.contains("by-hand")),
        "what is somebody else's is not written"
    );
    let file = "frauddata.file.core.windows.net";
    assert!(world.azure.reach(&world.network("people"), file).expect("a place").reachable);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workspaces_that_share_storage_share_its_endpoints_in_a_network() {
    let world = World::with_networks().await;
    let operator = world.operator().await;
    world.apply(world.network_connection()).await;
    let mut second = world.whole_workspace();
    second["metadata"]["name"] = json!("risk");
    world.apply(world.whole_workspace()).await;
    world.apply(second).await;
    for policy in world.attachment_policies(&["first", "second"]) {
        world.apply(policy).await;
    }
    let mut first = world.attachment_manifest("first", "people", "Clients");
    let mut other = world.attachment_manifest("second", "people", "Clients");
    other["spec"]["workspaceRef"]["name"] = json!("risk");
    world.apply(first.clone()).await;
    world.apply(other.clone()).await;
    world.until_reason(&first, "Attached").await;
    let shown = world.until_reason(&other, "Attached").await;
    let origins = shown["status"]["endpoints"].as_array().expect("endpoints").iter();
    let origins: Vec<(&str, &str)> = origins
        .map(|one| (one["subresource"].as_str().unwrap_or_default(), one["origin"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(origins, [("amlworkspace", "Created"), ("blob", "Reused"), ("file", "Reused")]);
    // Who made them goes; the other makes its own.
    world.delete_the_last_way(&mut first).await;
    world
        .until(&other, "its own", |object| {
            let endpoints = object["status"]["endpoints"].as_array().cloned().unwrap_or_default();
            condition(object, "Ready")["reason"] == "Attached" && endpoints.iter().all(|one| one["origin"] == "Created")
        })
        .await;
    let blob = "frauddata.blob.core.windows.net";
    assert!(world.azure.reach(&world.network("people"), blob).expect("a place").reachable);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_told_before_anything_is_made() {
    let world = World::with_networks().await;
    let group = world.network("people").rsplit_once("/providers/").expect("a group").0.to_owned();
    let lock = format!("{group}/providers/Microsoft.Authorization/locks/calm");
    let body = json!({"properties": {"level": "ReadOnly"}});
    world.shell(reqwest::Method::PUT, &lock, Some(&body)).await;
    let operator = world.operator().await;
    world.apply(world.network_connection()).await;
    world.apply(world.whole_workspace()).await;
    for policy in world.attachment_policies(&["people"]) {
        world.apply(policy).await;
    }
    world.until_reason(&world.workspace_manifest(), "Secured").await;
    world.azure.clear_requests();
    let mut people = world.attachment_manifest("people", "people", "Clients");
    people["spec"]["dns"] = json!({"mode": "Custom"});
    world.apply(people.clone()).await;
    let told = world.until_reason(&people, "Locked").await;
    assert!(condition(&told, "Ready")["message"].as_str().unwrap_or_default().contains("locks/calm"));
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new(), "Azure is not asked for what it would refuse");
    world.delete_in_azure(&lock).await;
    world.until_reason(&people, "Attached").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_the_network_is_linked_to_elsewhere_is_told_before_anything_is_made() {
    let world = World::with_networks().await;
    let zone = world.zone("hub", "privatelink.blob.core.windows.net");
    world.shell(reqwest::Method::PUT, &zone, Some(&json!({"location": "global"}))).await;
    let link = json!({"location": "global", "properties": {"virtualNetwork": {"id": world.network("people")}, "registrationEnabled": false}});
    world.shell(reqwest::Method::PUT, &format!("{zone}/virtualNetworkLinks/theirs"), Some(&link)).await;
    world.azure.clear_requests();
    let operator = world.operator().await;
    world.apply(world.network_connection()).await;
    world.apply(world.whole_workspace()).await;
    for policy in world.attachment_policies(&["people"]) {
        world.apply(policy).await;
    }
    let people = world.attachment_manifest("people", "people", "Clients");
    world.apply(people.clone()).await;
    let told = world.until_reason(&people, "ZoneElsewhere").await;
    let message = condition(&told, "Ready")["message"].as_str().unwrap_or_default().to_lowercase();
    assert!(message.contains(&zone.to_lowercase()), "{message}");
    world.rest().await;
    let blob = |written: &String| written.contains("privatelink.blob");
    assert_eq!(world.written().into_iter().filter(blob).collect::<Vec<_>>(), Vec::<String>::new());
    // The link goes there, and the network gets its own.
    world.delete_in_azure(&format!("{zone}/virtualNetworkLinks/theirs")).await;
    world.until_reason(&people, "Attached").await;
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn insights_is_reached_privately_through_a_private_link_scope() {
    const SCOPE: &str = "Microsoft.Insights/privateLinkScopes";
    let world = World::with_networks().await;
    let (scope, insights) = (world.id(SCOPE, "monitor"), world.id("Microsoft.Insights/components", "fraudinsights"));
    let open = json!({"location": "global", "properties": {"accessModeSettings": {"queryAccessMode": "Open", "ingestionAccessMode": "Open"}}});
    world.shell(reqwest::Method::PUT, &scope, Some(&open)).await;
    let held = json!({"properties": {"linkedResourceId": insights}});
    world.shell(reqwest::Method::PUT, &format!("{scope}/scopedResources/fraud"), Some(&held)).await;
    let operator = world.operator().await;
    world.apply(world.network_connection()).await;
    world.apply(world.whole_workspace()).await;
    let mut policies = world.attachment_policies(&["people"]);
    let mut monitor = policies[0].clone();
    monitor["metadata"]["name"] = json!("monitor");
    monitor["spec"]["target"]["resourceType"] = json!(SCOPE);
    policies.push(monitor);
    for policy in policies {
        world.apply(policy).await;
    }
    let mut people = world.attachment_manifest("people", "people", "Clients");
    people["spec"]["monitorPrivateLinkScope"] = json!({"resourceId": scope});
    world.apply(people.clone()).await;
    world.until_reason(&people, "Attached").await;
    let names = world.azure.host_names(&insights).expect("names");
    assert!(!names.is_empty());
    for name in names {
        let reached = world.azure.reach(&world.network("people"), &name).expect("a place");
        assert!(reached.reachable && format!("{reached:?}").contains("10.2."), "{name}: {reached:?}");
    }
    operator.stop().await;
}

/// What attaching `count` workspaces to two networks writes, by method and type; nothing more is written once they rest. Each has storage,
/// vault and registry of its own, and all share the networks' zones.
async fn writes_of(count: usize) -> BTreeMap<String, usize> {
    let world = World::with_networks_and(|seed, subscription| {
        for n in 0..count {
            let of = |type_: &str, name: &str| {
                json!({"id": format!("/subscriptions/{subscription}/resourceGroups/rg/providers/{type_}/{name}{n}"),
                    "location": "westeurope", "properties": {"publicNetworkAccess": "Disabled"}})
            };
            let mut registry = of(REGISTRY, "images");
            registry["sku"] = json!({"name": "Premium"});
            let more = [of(STORAGE, "data"), of("Microsoft.KeyVault/vaults", "keys"), registry];
            let more: Seed = serde_json::from_value(json!({"resources": more})).expect("a seed");
            seed.resources.extend(more.resources);
        }
    })
    .await;
    world.apply(world.network_connection()).await;
    let operator = world.operator().await;
    let mut attachments = Vec::new();
    let mut names = Vec::new();
    for n in 0..count {
        let mut workspace = world.whole_workspace();
        workspace["metadata"]["name"] = json!(format!("ws{n}"));
        let resources = &mut workspace["spec"]["associatedResources"];
        resources["storageAccount"]["resourceId"] = json!(world.id(STORAGE, &format!("data{n}")));
        resources["keyVault"]["resourceId"] = json!(world.id("Microsoft.KeyVault/vaults", &format!("keys{n}")));
        resources["containerRegistry"]["resourceId"] = json!(world.id(REGISTRY, &format!("images{n}")));
        world.apply(workspace).await;
        for (network, role) in [("hub", "Services"), ("people", "Clients")] {
            let name = format!("{network}{n}");
            let mut attachment = world.attachment_manifest(&name, network, role);
            attachment["spec"]["workspaceRef"]["name"] = json!(format!("ws{n}"));
            attachments.push(attachment);
            names.push(name);
        }
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for policy in world.attachment_policies(&names) {
        world.apply(policy).await;
    }
    for attachment in &attachments {
        world.apply(attachment.clone()).await;
    }
    for attachment in &attachments {
        world.until_reason(attachment, "Attached").await;
    }
    let mut written: BTreeMap<String, usize> = BTreeMap::new();
    for request in world.writes() {
        *written.entry(format!("{} {}", request.method, types(&request.path))).or_default() += 1;
    }
    world.azure.clear_requests();
    world.rest().await;
    assert_eq!(world.written(), Vec::<String>::new(), "with {count} workspaces");
    operator.stop().await;
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn each_workspace_more_costs_as_much_as_the_one_before() {
    let (one, four) = tokio::join!(writes_of(1), writes_of(4));
    assert_eq!(one.keys().collect::<Vec<_>>(), four.keys().collect::<Vec<_>>());
    for (what, count) in &four {
        // Zones and their links are the networks', however many workspaces are reached through them.
        let shared = what.contains("privateDnsZones");
        assert_eq!(*count, one[what] * if shared { 1 } else { 4 }, "{what}: {one:?} {four:?}");
    }
}

/// The process dies at any write to ARM while a network is attached and taken away: the end is the same, and nothing is made twice.
#[tokio::test(flavor = "multi_thread")]
async fn cut_at_any_write_the_network_ends_the_same() {
    let whole = cut_run(None).await;
    assert!(whole.there.len() >= 10, "{:?}", whole.there);
    let passages = whole.passed.len();
    assert!(passages > 30, "attaching has many effects: {passages}");
    let arm: Vec<usize> = (0..passages).filter(|at| whole.passed[*at].1.system == System::Arm).collect();
    let runs = arm.into_iter().map(|at| async move { (at, tokio::spawn(cut_run(Some(at))).await.expect("a run")) });
    let mut runs = futures::stream::iter(runs).buffer_unordered(6);
    while let Some((at, cut)) = runs.next().await {
        let hit = cut.passed.get(at);
        let what = hit.map_or_else(|| "after the last".into(), |(moment, effect)| format!("{moment:?} {effect}"));
        assert_eq!(cut.there, whole.there, "cut at {at}: {what}");
        let allowed = usize::from(unrecorded(&cut.passed, at));
        for (type_, count) in &cut.started {
            let usual = whole.started.get(type_).copied().unwrap_or_default();
            assert!(*count <= usual + allowed, "cut at {at}: {what}: {type_} started {count} times, usually {usual}");
        }
    }
}

/// What came of a run.
struct Run {
    /// The types of what is there in the end, one entry each.
    there: Vec<String>,
    /// How many operations were started, by type.
    started: BTreeMap<String, usize>,
    /// The effects.
    passed: Vec<(Moment, Effect)>,
}

/// The types in an ARM path.
pub(crate) fn types(path: &str) -> String {
    let below: Vec<&str> = path.rsplit("/providers/").next().unwrap_or_default().split('/').collect();
    below.iter().skip(1).step_by(2).copied().collect::<Vec<_>>().join("/")
}

/// Attaches a network with an operator that is cut at the `at`-th passage of the seam, and a second one that goes on. What is there in the
/// end, what was started, and the passages.
async fn cut_run(at: Option<usize>) -> Run {
    let world = World::with_networks().await;
    let cut = Arc::new(Cut::at(at));
    let first = world.operator_through(Seam::watched(cut.clone())).await;
    world.apply(world.network_connection()).await;
    world.apply(world.whole_workspace()).await;
    for policy in world.attachment_policies(&["people"]) {
        world.apply(policy).await;
    }
    let people = world.attachment_manifest("people", "people", "Clients");
    world.apply(people.clone()).await;
    let mut operators = vec![first];
    let restart = async {
        cut.reached().await;
        operators.remove(0).cut().await;
        operators.push(world.operator().await);
        futures::future::pending::<()>().await;
    };
    let scenario = async {
        world.until_reason(&people, "Attached").await;
        world.until(&people, "no operation left", |object| object["status"]["operations"].is_null()).await;
    };
    tokio::select! {
        () = scenario => {}
        () = restart => {}
    }
    for operator in operators {
        operator.cut().await;
    }
    let state = world.azure.state_json().to_string();
    let state: Value = serde_json::from_str(&state).expect("JSON");
    let mut there = Vec::new();
    collect(&state, &mut |id| {
        // Names hold hashes of the namespace, which differs between runs: how many there are of each type is what counts.
        let types = types(id);
        if ["privateEndpoints", "privateDnsZones", "networkInterfaces"].iter().any(|kind| types.starts_with(kind)) {
            there.push(types);
        }
    });
    there.sort();
    let mut started: BTreeMap<String, usize> = BTreeMap::new();
    for request in world.writes().into_iter().filter(|request| request.started_operation.is_some()) {
        *started.entry(types(&request.path)).or_default() += 1;
    }
    Run { there, started, passed: cut.passed() }
}

/// Every ARM id in `value`.
fn collect(value: &Value, look: &mut impl FnMut(&str)) {
    match value {
        Value::Object(map) => {
            if let (Some(id), true) = (map.get("id").and_then(Value::as_str), map.contains_key("properties")) {
                look(id);
            }
            map.values().for_each(|value| collect(value, look));
        }
        Value::Array(list) => list.iter().for_each(|value| collect(value, look)),
        _ => {}
    }
}
