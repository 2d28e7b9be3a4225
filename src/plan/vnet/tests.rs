use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;
use crate::api::common::{Acknowledgement, Door};
use crate::api::connection::{AzureConnectionSpec, Verb};
use crate::api::{AmlWorkspace, OWNER_TAG, VnetAttachment};
use crate::azure::machine_learning::Workspace;
use crate::azure::network::read;
use crate::plan::attached::{Farewell, View};
use crate::plan::fence::Fence;
use crate::plan::ownership::{Origin, Owner};

const SUB: &str = "00000000-0000-0000-0000-000000000001";
const GUID: &str = "fb7e20a0";

fn id(group: &str, type_: &str, name: &str) -> String {
    format!("/subscriptions/{SUB}/resourceGroups/{group}/providers/{type_}/{name}")
}

fn owner() -> Owner {
    Owner { installation: "i".into(), kind: "VnetAttachment", namespace: "team".into(), name: "hub".into() }
}

fn subnet_id() -> String {
    format!("{}/subnets/endpoints", id("net", "Microsoft.Network/virtualNetworks", "hub"))
}

fn attachment(spec: &Value) -> VnetAttachment {
    let mut base =
        json!({"workspaceRef": {"name": "fraud"}, "subnet": {"resourceId": subnet_id()}, "role": "Services"});
    for (key, value) in spec.as_object().unwrap() {
        base[key] = value.clone();
    }
    serde_json::from_value(json!({
        "apiVersion": "aml-operator.io/v1alpha1", "kind": "VnetAttachment",
        "metadata": {"name": "hub", "namespace": "team"}, "spec": base,
    }))
    .unwrap()
}

fn workspace() -> AmlWorkspace {
    serde_json::from_value(json!({
        "apiVersion": "aml-operator.io/v1alpha1", "kind": "AmlWorkspace",
        "metadata": {"name": "fraud", "namespace": "team"}, "spec": {
            "connectionRef": {"name": "contoso"}, "subscriptionId": SUB, "resourceGroup": "rg", "location": "westeurope",
            "identity": {"type": "SystemAssigned"}, "publicNetworkAccess": "Disabled",
            "managedNetwork": {"isolationMode": "AllowOnlyApprovedOutbound"},
            "associatedResources": {
                "storageAccount": {"resourceId": id("rg", "Microsoft.Storage/storageAccounts", "data")},
                "keyVault": {"resourceId": id("rg", "Microsoft.KeyVault/vaults", "keys")},
                "containerRegistry": {"resourceId": id("rg", "Microsoft.ContainerRegistry/registries", "images")},
            },
        },
    }))
    .unwrap()
}

fn network(change: &Value) -> VirtualNetwork {
    let mut subnet = json!({"addressPrefix": "10.0.0.0/24", "privateEndpointNetworkPolicies": "Disabled"});
    for (key, value) in change.as_object().unwrap() {
        subnet[key] = value.clone();
    }
    read(json!({"location": "northeurope", "properties": {"subnets": [{"id": subnet_id(), "properties": subnet}]}}))
        .unwrap()
}

/// A world for one decision.
struct Case {
    object: VnetAttachment,
    workspace: AmlWorkspace,
    view: View,
    connection: AzureConnectionSpec,
    observed: Observed,
}

impl Case {
    fn of(spec: &Value) -> Self {
        let grant = |scope: &str, verbs: &[&str]| {
            let scope = format!("/subscriptions/{SUB}/resourceGroups/{scope}");
            json!({"namespaces": {"names": ["team"]}, "scope": scope, "verbs": verbs})
        };
        let connection = json!({
            "tenantId": SUB, "cloud": "Public", "credential": {"managedIdentity": {}},
            "grants": [grant("net", &["create", "reach", "dns"]), grant("rg", &["reach"])],
        });
        let shown: Workspace = serde_json::from_value(json!({
            "location": "westeurope", "properties": {"workspaceId": GUID, "publicNetworkAccess": "Disabled"},
        }))
        .unwrap();
        let mut case = Self {
            object: attachment(spec),
            workspace: workspace(),
            view: View { workspace: Some(shown), rules: Vec::new() },
            connection: serde_json::from_value(connection).unwrap(),
            observed: Observed { network: Some(network(&json!({}))), ..Observed::default() },
        };
        let targets = case.targets();
        case.observed.endpoints = targets
            .iter()
            .map(|target| Seen { zones: zone_names(target, &[], CloudName::Public), ..Seen::default() })
            .collect();
        case.observed.zones = targets
            .iter()
            .flat_map(|target| zone_names(target, &[], CloudName::Public))
            .map(|name| (name, SeenZone::default()))
            .collect();
        case
    }

    fn id() -> ArmId {
        ArmId::of(SUB, "rg", "Microsoft.MachineLearningServices/workspaces", "fraud").unwrap()
    }

    fn targets(&self) -> Vec<Target> {
        let shown = self.view.workspace.as_ref().unwrap();
        targets(&self.object.spec, &self.workspace.spec, &Self::id(), shown).unwrap()
    }

    fn with<T>(&self, run: impl FnOnce(&Site<'_>) -> T) -> T {
        let labels = BTreeMap::new();
        let owner = owner();
        let fence = Fence::new("contoso", &self.connection, "team", &labels);
        run(&Site {
            owner: &owner,
            fence: &fence,
            workspace: &self.workspace,
            id: &Self::id(),
            view: &self.view,
            observes: false,
            now: Timestamp::UNIX_EPOCH,
        })
    }

    fn plan(&self) -> Decided<VnetAttachmentStatus> {
        self.with(|site| {
            plan(VnetInput { site, spec: &self.object.spec, cloud: CloudName::Public, observed: &self.observed })
        })
    }

    /// The names of an endpoint to the target at `index`, as Azure would give them.
    fn names(&self, index: usize) -> Vec<(String, IpAddr)> {
        let target = &self.targets()[index];
        let name = target.id.name();
        let hosts = match target.group.as_str() {
            "amlworkspace" => vec![
                format!("{GUID}.workspace.westeurope.api.azureml.ms"),
                format!("ml-fraud-westeurope-{GUID}.westeurope.notebooks.azure.net"),
                "*.westeurope.inference.ml.azure.com".to_owned(),
            ],
            "vault" => vec![format!("{name}.vault.azure.net")],
            "registry" => vec![format!("{name}.azurecr.io"), format!("{name}.westeurope.data.azurecr.io")],
            group => vec![format!("{name}.{group}.core.windows.net")],
        };
        let address = |at: usize| IpAddr::from([10, 0, u8::try_from(index).unwrap(), u8::try_from(at).unwrap()]);
        hosts.into_iter().enumerate().map(|(at, host)| (host, address(at))).collect()
    }

    /// What Azure would show once `step` was carried out; `state` is what becomes of a new endpoint's connection.
    fn carry_out(&mut self, step: &Step, state: &str) {
        let request = &step.request;
        let name = request.id.rsplit('/').next().unwrap().to_owned();
        let zone_of = |id: &str| {
            let parts: Vec<&str> = id.split('/').collect();
            parts[parts.iter().position(|part| *part == "privateDnsZones").unwrap() + 1].to_owned()
        };
        if request.id.contains("/virtualNetworkLinks/") {
            let mut link: ZoneLink = read(request.body.clone().unwrap()).unwrap();
            link.name = Some(name);
            self.observed.zones.get_mut(&zone_of(&request.id)).unwrap().link = Some(link);
        } else if request.id.contains("/privateDnsZoneGroups/") {
            let group: ZoneGroup = read(request.body.clone().unwrap()).unwrap();
            let index = self.index_of(request.id.split("/privateDnsZoneGroups").next().unwrap());
            let seen = &mut self.observed.endpoints[index];
            for zone in group.zones().map(zone_of) {
                let mut written: BTreeMap<String, Vec<IpAddr>> = BTreeMap::new();
                for (host, address) in &seen.names {
                    if let Some(record) = crate::azure::private_zones::record(host, &zone, GUID) {
                        written.entry(record).or_default().push(*address);
                    }
                }
                let records = &mut self.observed.zones.get_mut(&zone).unwrap().records;
                records.extend(written.into_iter().map(|(name, addresses)| (name, Some(addresses))));
            }
            seen.group = Some(group);
        } else if request.id.contains("/privateDnsZones/") {
            let zone = self.observed.zones.get_mut(&name).unwrap();
            zone.zone = Some(read(request.body.clone().unwrap()).unwrap());
        } else if request.method == "DELETE" {
            let index = self.index_of(&request.id);
            self.observed.endpoints[index].own = None;
        } else {
            let index = self.index_of(&request.id);
            let mut body = request.body.clone().unwrap();
            body["properties"]["manualPrivateLinkServiceConnections"][0]["properties"]["privateLinkServiceConnectionState"] =
                json!({"status": state});
            let names = self.names(index);
            let zones = self.observed.endpoints[index].zones.clone();
            for zone in zones {
                for (host, _) in &names {
                    if let Some(record) = crate::azure::private_zones::record(host, &zone, GUID) {
                        self.observed.zones.get_mut(&zone).unwrap().records.entry(record).or_insert(None);
                    }
                }
            }
            let seen = &mut self.observed.endpoints[index];
            seen.own = Some(read(body).unwrap());
            seen.names = names;
        }
    }

    fn index_of(&self, endpoint: &str) -> usize {
        let places = Places::of(&self.object.spec).unwrap();
        let ids = self.targets();
        let is =
            |target: &Target| endpoint_id(&owner(), &places, target).unwrap().as_str().eq_ignore_ascii_case(endpoint);
        ids.iter().position(is).unwrap()
    }

    /// Carries out whole plans until nothing is left to do.
    fn settle(&mut self) -> Decided<VnetAttachmentStatus> {
        for _ in 0..10 {
            let decided = self.plan();
            if decided.steps.is_empty() {
                return decided;
            }
            for step in &decided.steps {
                self.carry_out(step, "Approved");
            }
        }
        panic!("never at rest");
    }
}

#[test]
fn from_nothing_each_thing_comes_when_what_it_needs_is_there() {
    let mut case = Case::of(&json!({}));
    let first = case.plan();
    let kinds = |decided: &Decided<VnetAttachmentStatus>| {
        let mut kinds: Vec<&str> = decided
            .steps
            .iter()
            .map(|step| {
                let parts: Vec<&str> = step.request.id.split('/').collect();
                parts[parts.len() - 2]
            })
            .collect();
        kinds.dedup();
        kinds.into_iter().map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&first), ["privateEndpoints", "privateDnsZones"]);
    assert_eq!(first.steps.len(), 5 + 6, "workspace, blob, file, vault, registry; six zones");
    for step in &first.steps {
        case.carry_out(step, "Pending");
    }
    let waiting = case.plan();
    assert_eq!((waiting.verdict.reason, waiting.steps.len()), (Reason::ApprovalPending, 0), "no name changes before");
    for index in 0..5 {
        let own = case.observed.endpoints[index].own.as_mut().unwrap();
        let manual = own.properties.manual_private_link_service_connections.as_mut().unwrap();
        manual[0].properties.private_link_service_connection_state = Some(read(json!({"status": "Approved"})).unwrap());
    }
    let linking = case.plan();
    assert_eq!(kinds(&linking), ["virtualNetworkLinks"]);
    for step in &linking.steps {
        case.carry_out(step, "Approved");
    }
    let writing = case.plan();
    assert_eq!((kinds(&writing), writing.steps.len()), (vec!["privateDnsZoneGroups".to_owned()], 5));
    let done = case.settle();
    assert_eq!(done.verdict.reason, Reason::Attached);
    assert_eq!(done.status.approved.as_deref(), Some("5/5"));
    assert!(done.conditions.iter().all(|condition| condition.reason != "NamesMissing"));
    assert_eq!(done.status.dns_records.len(), 8, "{:?}", done.status.dns_records);
}

#[test]
fn endpoints_ask_and_never_approve_themselves() {
    let decided = Case::of(&json!({})).plan();
    for step in decided.steps.iter().filter(|step| step.request.id.contains("/privateEndpoints/")) {
        let body = step.request.body.clone().unwrap();
        assert_eq!(body["properties"]["privateLinkServiceConnections"], Value::Null);
        let asked = &body["properties"]["manualPrivateLinkServiceConnections"][0]["properties"];
        assert!(asked["requestMessage"].as_str().unwrap().chars().count() <= 140);
        assert_eq!(body["location"], "northeurope", "where the network is, wherever the workspace is");
        assert_eq!(body["tags"][OWNER_TAG], owner().tag(Origin::Created));
        let verbs: Vec<Verb> = step.needs.iter().map(|(verb, _)| *verb).collect();
        assert_eq!(verbs, [Verb::Create, Verb::Reach, Verb::Reach]);
    }
}

#[test]
fn each_role_has_its_endpoints() {
    let words =
        |spec: &Value| Case::of(spec).targets().iter().map(|target| target.group.clone()).collect::<Vec<_>>().join(" ");
    assert_eq!(words(&json!({})), "amlworkspace blob file vault registry");
    assert_eq!(words(&json!({"role": "Clients"})), "amlworkspace blob file");
    assert_eq!(words(&json!({"role": "Inference"})), "amlworkspace blob registry");
    assert_eq!(words(&json!({"role": "Clients", "storageServices": ["blob", "queue"]})), "amlworkspace blob queue");
    let lake = id("rg", "Microsoft.Storage/storageAccounts", "lake");
    let extra = json!({"role": "Clients", "extraTargets": [{"resourceId": lake, "subresources": ["DFS", "dfs"]}]});
    assert_eq!(words(&extra), "amlworkspace blob file dfs");
    let wrong = attachment(&json!({"extraTargets": [{"resourceId": lake, "subresources": ["vault"]}]}));
    let refused = targets(&wrong.spec, &workspace().spec, &Case::id(), &Workspace::default()).unwrap_err();
    assert!(refused.message.contains("has no sub-resource \"vault\""), "{}", refused.message);
}

#[test]
fn a_record_that_another_endpoint_holds_is_never_overwritten() {
    let mut case = Case::of(&json!({}));
    // A shared account with the central zone: the hub's endpoint answers already.
    let held = BTreeMap::from([("data".to_owned(), Some(vec![IpAddr::from([10, 99, 0, 4])]))]);
    case.observed.zones.get_mut("privatelink.blob.core.windows.net").unwrap().records = held.clone();
    let decided = case.settle();
    assert_eq!(decided.verdict.reason, Reason::RecordOwned);
    assert!(decided.verdict.message.contains("data in privatelink.blob.core.windows.net leads to 10.99.0.4"));
    assert_eq!(case.observed.zones["privatelink.blob.core.windows.net"].records, held, "nobody else's name changes");
    let blob = decided.status.endpoints.iter().find(|endpoint| endpoint.subresource == "blob").unwrap();
    assert!(blob.dns.as_deref().unwrap().contains("10.99.0.4"), "{blob:?}");
    let file = decided.status.endpoints.iter().find(|endpoint| endpoint.subresource == "file").unwrap();
    assert_eq!(file.dns, None, "the others are led all the same");
}

#[test]
fn a_zone_that_the_network_is_linked_to_elsewhere_is_named_and_none_is_made() {
    let mut case = Case::of(&json!({}));
    let blob = "privatelink.blob.core.windows.net";
    let theirs = ArmId::parse(&id("net", "Microsoft.Network/privateDnsZones", blob)).unwrap();
    case.observed.zones.get_mut(blob).unwrap().elsewhere = Some(theirs.clone());
    let decided = case.settle();
    assert_eq!(decided.verdict.reason, Reason::ZoneElsewhere);
    assert!(decided.verdict.message.contains(theirs.as_str()), "{}", decided.verdict.message);
    assert_eq!(case.observed.zones[blob].zone, None, "no second zone of the name is made");
    let missing: Vec<&str> = decided
        .status
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.dns.is_some())
        .map(|endpoint| endpoint.subresource.as_str())
        .collect();
    assert_eq!(missing, ["blob"], "the others are led all the same");
}

#[test]
fn what_is_lost_is_made_again() {
    type Loss = fn(&mut Observed);
    let losses: [(&str, Loss); 5] = [
        ("privateEndpoints", |observed| observed.endpoints[1].own = None),
        ("privateDnsZones", |observed| {
            observed.zones.insert("privatelink.blob.core.windows.net".into(), SeenZone::default());
        }),
        ("virtualNetworkLinks", |observed| {
            observed.zones.get_mut("privatelink.blob.core.windows.net").unwrap().link = None;
        }),
        ("privateDnsZoneGroups", |observed| observed.endpoints[1].group = None),
        ("privateDnsZoneGroups", |observed| {
            let zone = observed.zones.get_mut("privatelink.blob.core.windows.net").unwrap();
            zone.records.insert("data".into(), None);
        }),
    ];
    for (made, lose) in losses {
        let mut case = Case::of(&json!({}));
        assert_eq!(case.settle().verdict.reason, Reason::Attached);
        lose(&mut case.observed);
        let decided = case.plan();
        assert!(decided.steps.iter().any(|step| step.request.id.contains(made)), "{made}: {:?}", decided.steps);
        assert!(!decided.differences.is_empty(), "{made}: it is told");
        assert_eq!(case.settle().verdict.reason, Reason::Attached, "{made}");
    }
}

#[test]
fn a_subnet_that_cannot_hold_endpoints_is_said_before_any_is_made() {
    for (change, want) in [
        (
            json!({"delegations": [{"properties": {"serviceName": "Microsoft.Web/serverFarms"}}]}),
            "delegated to Microsoft.Web/serverFarms",
        ),
        (json!({"privateEndpointNetworkPolicies": "Enabled"}), "network policies for private endpoints are on"),
        (json!({"addressPrefix": "172.17.3.0/24"}), "containers of computes"),
        (
            json!({"addressPrefix": "10.0.0.0/28", "ipConfigurations": [{}, {}, {}, {}]}),
            "need 8 addresses, and 7 are free",
        ),
    ] {
        let mut case = Case::of(&json!({}));
        case.observed.network = Some(network(&change));
        let decided = case.plan();
        assert_eq!(decided.verdict.reason, Reason::SubnetNotUsable, "{change}");
        assert!(decided.verdict.message.contains(want), "{}", decided.verdict.message);
        assert!(!decided.steps.iter().any(|step| step.request.id.contains("privateEndpoints")), "{change}");
    }
    for (obstacles, reason, want) in [
        (
            Obstacles { lock: Some("/subscriptions/s/locks/calm".into()), ..Obstacles::default() },
            Reason::Locked,
            "locks/calm is ReadOnly",
        ),
        (
            Obstacles { unregistered: Some("NotRegistered".into()), ..Obstacles::default() },
            Reason::ProviderNotRegistered,
            "az provider register --namespace Microsoft.Network",
        ),
    ] {
        let mut case = Case::of(&json!({}));
        case.observed.obstacles = obstacles;
        let decided = case.plan();
        assert_eq!(decided.verdict.reason, reason);
        assert!(decided.verdict.message.contains(want), "{}", decided.verdict.message);
        assert!(!decided.steps.iter().any(|step| step.request.id.contains("privateEndpoints")), "{reason:?}");
    }
    let mut gone = Case::of(&json!({}));
    gone.observed.network = None;
    assert_eq!(gone.plan().verdict.reason, Reason::ParentMissing);
}

#[test]
fn what_was_rejected_or_cut_off_is_asked_anew_only_if_that_is_allowed() {
    for state in ["Rejected", "Disconnected"] {
        let mut case = Case::of(&json!({}));
        case.settle();
        let own = case.observed.endpoints[3].own.as_mut().unwrap();
        let manual = own.properties.manual_private_link_service_connections.as_mut().unwrap();
        let words = json!({"status": state, "description": "not\nyou"});
        manual[0].properties.private_link_service_connection_state = Some(read(words).unwrap());
        let decided = case.plan();
        assert_eq!((decided.verdict.reason, decided.steps.len()), (Reason::ConnectionRejected, 0));
        assert!(!decided.verdict.message.contains('\n'), "words of others are cleaned");
        case.object.spec.recreate = Some(Recreate::Allowed);
        let decided = case.plan();
        assert_eq!(decided.steps[0].request.method, "DELETE");
        assert_eq!(case.settle().verdict.reason, Reason::Attached);
    }
}

#[test]
fn an_endpoint_that_is_there_is_reused_and_a_strangers_under_our_name_is_not_touched() {
    let mut case = Case::of(&json!({"role": "Clients"}));
    let blob: PrivateEndpoint = read(json!({"properties": {"privateLinkServiceConnections": [{"properties": {
        "privateLinkServiceId": id("rg", "Microsoft.Storage/storageAccounts", "data"), "groupIds": ["blob"],
        "privateLinkServiceConnectionState": {"status": "Approved"}}}]}}))
    .unwrap();
    let theirs = ArmId::parse(&id("net", "Microsoft.Network/privateEndpoints", "theirs")).unwrap();
    case.observed.endpoints[1].reusable = Some((theirs.clone(), blob.clone()));
    let decided = case.settle();
    assert_eq!(decided.verdict.reason, Reason::Attached);
    assert_eq!(decided.status.endpoints[1].origin, "Reused");
    assert_eq!(decided.status.endpoints[1].resource_id, theirs.to_string());
    let mut case = Case::of(&json!({"role": "Clients"}));
    case.observed.endpoints[1].own = Some(blob);
    let decided = case.plan();
    assert_eq!(decided.verdict.reason, Reason::OwnedElsewhere);
}

#[test]
fn zones_of_a_hub_are_written_to_and_never_made() {
    let hub = format!("/subscriptions/{SUB}/resourceGroups/net");
    let mut case = Case::of(&json!({"dns": {"mode": "ZoneGroups", "zonesResourceGroupId": hub}}));
    let decided = case.settle();
    assert_eq!(decided.verdict.reason, Reason::ZoneMissing);
    for zone in case.observed.zones.values_mut() {
        zone.zone = Some(PrivateZone::default());
    }
    let decided = case.settle();
    assert_eq!(decided.verdict.reason, Reason::Attached, "{}", decided.verdict.message);
    assert!(case.observed.zones.values().all(|zone| zone.link.is_none()), "links are the hub's business");
    let mut custom = Case::of(&json!({"dns": {"mode": "Custom"}}));
    let decided = custom.settle();
    assert_eq!((decided.verdict.reason, decided.status.dns_records.len()), (Reason::Attached, 8));
    assert!(custom.observed.zones.values().all(|zone| zone.zone.is_none()));
}

#[test]
fn a_network_for_all_and_hidden_names_are_told() {
    let reason = |case: &mut Case, type_: &str| {
        let conditions = case.settle().conditions;
        conditions.into_iter().find(|condition| condition.type_ == type_).unwrap().reason
    };
    assert_eq!(reason(&mut Case::of(&json!({})), SAME_NETWORK), "ThisNetwork");
    let mut clients = Case::of(&json!({"role": "Clients"}));
    assert_eq!(reason(&mut clients, SAME_NETWORK), "NoServicesNetwork");
    clients.observed.peers = vec![Peer { network: "/other".into(), role: NetworkRole::Services }];
    assert_eq!(reason(&mut clients, SAME_NETWORK), "OtherAttachment");
    let mut others = Case::of(&json!({}));
    others.observed.others = vec!["risk".into()];
    assert_eq!(
        reason(&mut others, NAMES_HIDDEN),
        "NoneHidden",
        "new links ask the public DNS for what they do not hold"
    );
    let mut strict = Case::of(&json!({"dns": {"mode": "Managed", "resolutionPolicy": "Default"}}));
    strict.observed.others = vec!["risk".into()];
    let first = strict.plan().conditions.into_iter().find(|condition| condition.type_ == NAMES_HIDDEN);
    assert_eq!(first.unwrap().reason, "ZoneAnswersForAll", "told before the zone is linked");
    assert_eq!(reason(&mut strict, NAMES_HIDDEN), "ZoneAnswersForAll");
}

#[test]
fn what_no_grant_allows_is_refused_before_azure_is_asked() {
    let judged = |grants: Value| {
        let mut case = Case::of(&json!({}));
        case.connection.grants = serde_json::from_value(grants).unwrap();
        case.with(|site| check(&case.object.spec, site)).err().map(|verdict| verdict.message)
    };
    let grant = |group: &str, verbs: &[&str]| {
        let scope = format!("/subscriptions/{SUB}/resourceGroups/{group}");
        json!({"namespaces": {"names": ["team"]}, "scope": scope, "verbs": verbs})
    };
    let net = grant("net", &["create", "reach", "dns"]);
    assert_eq!(judged(json!([net, grant("rg", &["reach"])])), None);
    assert!(judged(json!([net])).unwrap().contains("reach"), "the workspace and what it depends on");
    assert!(judged(json!([grant("net", &["create", "dns"]), grant("rg", &["reach"])])).unwrap().contains("/subnets/"));
    assert!(judged(json!([grant("net", &["create", "reach"]), grant("rg", &["reach"])])).unwrap().contains("dns"));
}

fn leaving(case: &Case) -> Leaving {
    let places = Places::of(&case.object.spec).unwrap();
    let targets = case.targets();
    let endpoints = targets.iter().zip(&case.observed.endpoints).filter_map(|(target, seen)| {
        Some((endpoint_id(&owner(), &places, target).unwrap(), seen.own.clone()?, seen.group.is_some()))
    });
    let zone = |name: &str| places.zone(name).unwrap();
    Leaving {
        endpoints: endpoints.collect(),
        links: case
            .observed
            .zones
            .iter()
            .filter_map(|(name, seen)| Some((link_id(&zone(name), &places.network).unwrap(), seen.link.clone()?)))
            .collect(),
        zones: case.observed.zones.iter().filter_map(|(name, seen)| Some((zone(name), seen.zone.clone()?))).collect(),
        network_in_use: false,
        workspace: case.view.workspace.clone(),
    }
}

#[test]
fn removal_takes_what_it_made_in_order_and_nothing_else() {
    let mut case = Case::of(&json!({}));
    case.settle();
    let verbs = |farewell: Farewell| match farewell {
        Farewell::Remove(steps) => steps.iter().map(|step| step.request.id.clone()).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    let mut all = leaving(&case);
    let groups = verbs(farewell(&owner(), &[], &all));
    assert!(groups.len() == 5 && groups.iter().all(|id| id.ends_with("/privateDnsZoneGroups/default")), "{groups:?}");
    all.endpoints.iter_mut().for_each(|(_, _, group)| *group = false);
    assert_eq!(verbs(farewell(&owner(), &[], &all)).len(), 5);
    // A stranger's endpoint is not ours to remove.
    all.endpoints[0].1.tags = None;
    assert_eq!(verbs(farewell(&owner(), &[], &all)).len(), 4);
    all.endpoints.clear();
    let links = verbs(farewell(&owner(), &[], &all));
    assert!(links.len() == 6 && links.iter().all(|id| id.contains("/virtualNetworkLinks/")), "{links:?}");
    assert!(matches!(farewell(&owner(), &[], &Leaving { network_in_use: true, ..all.clone() }), Farewell::Release(_)));
    all.links.clear();
    assert!(matches!(farewell(&owner(), &[], &all), Farewell::Release(_)), "zones that hold records stay");
    let properties = json!({"numberOfRecordSets": 1, "numberOfVirtualNetworkLinks": 0});
    let tags = json!({ OWNER_TAG: shared_owner("i").tag(Origin::Created) });
    all.zones[0].1 = read(json!({"tags": tags, "properties": properties})).unwrap();
    all.zones[1].1 = read(json!({"properties": properties})).unwrap();
    assert_eq!(verbs(farewell(&owner(), &[], &all)), [all.zones[0].0.to_string()], "only an own zone that is empty");
}

#[test]
fn the_last_private_way_goes_only_with_a_word() {
    let mut case = Case::of(&json!({"role": "Clients"}));
    case.settle();
    let places = Places::of(&case.object.spec).unwrap();
    let own = endpoint_id(&owner(), &places, &case.targets()[0]).unwrap();
    let path = |id: &str| json!({"name": "c", "properties": {"privateEndpoint": {"id": id}, "privateLinkServiceConnectionState": {"status": "Approved"}}});
    let managed = id("commonHoboRG", "Microsoft.Network/privateEndpoints", "__SYS_PE_fraud_amlworkspace_1234abcd");
    let shown = |connections: Vec<Value>, public: &str| -> Option<Workspace> {
        serde_json::from_value(
            json!({"properties": {"publicNetworkAccess": public, "privateEndpointConnections": connections}}),
        )
        .ok()
    };
    let judged = |workspace: Option<Workspace>, acknowledge: &[Acknowledgement]| {
        farewell(&owner(), acknowledge, &Leaving { workspace, ..leaving(&case) })
    };
    let last = || shown(vec![path(own.as_str()), path(&managed)], "Disabled");
    let Farewell::Wait(verdict) = judged(last(), &[]) else { panic!("it must wait") };
    assert_eq!(verdict.reason, Reason::AcknowledgementRequired);
    let word = Acknowledgement { door: Door::LastPrivatePath, value: own.key() };
    assert!(verdict.message.contains(&word.value), "{}", verdict.message);
    assert!(matches!(judged(last(), &[word]), Farewell::Remove(_)));
    assert!(matches!(judged(shown(vec![path(own.as_str())], "Enabled"), &[]), Farewell::Remove(_)));
    let other = id("other", "Microsoft.Network/privateEndpoints", "theirs");
    assert!(matches!(judged(shown(vec![path(own.as_str()), path(&other)], "Disabled"), &[]), Farewell::Remove(_)));
    assert!(matches!(judged(None, &[]), Farewell::Remove(_)), "a workspace that is gone is reached by nobody");
}
