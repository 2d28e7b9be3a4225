//! What holds for every declaration and every state of Azure, tried with many of both on a model of what ARM does with a write.

use std::collections::{BTreeMap, BTreeSet};

use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

use crate::api::common::{Adoption, Door, acknowledged};
use crate::api::connection::{AzureConnectionSpec, Verb};
use crate::azure::machine_learning::{OutboundRule, Workspace};
use crate::plan::fence::Fence;
use crate::plan::ownership::Owner;

use super::*;

const SUB: &str = "00000000-0000-0000-0000-000000000001";
const OURS: &str = "cluster-1/AmlWorkspace/team/fraud/created";
const OTHERS: &str = "cluster-2/AmlWorkspace/team/fraud/created";
const MODES: [&str; 3] = ["Disabled", "AllowInternetOutbound", "AllowOnlyApprovedOutbound"];
/// Everything that a declaration may name, by type and name.
const REACHED: [&str; 7] = [
    "storageAccounts/data",
    "vaults/keys",
    "vaults/cmk",
    "registries/images",
    "userAssignedIdentities/a",
    "userAssignedIdentities/b",
    "userAssignedIdentities/reader",
];
/// More writes than any declaration needs.
const STEPS: usize = 8;

fn resource(type_: &str, name: &str) -> String {
    format!("/subscriptions/{SUB}/resourceGroups/rg/providers/{type_}/{name}")
}

fn user(name: &str) -> String {
    resource("Microsoft.ManagedIdentity/userAssignedIdentities", name)
}

fn id() -> ArmId {
    ArmId::parse(&resource("Microsoft.MachineLearningServices/workspaces", "fraud")).unwrap()
}

fn owner() -> Owner {
    Owner { installation: "cluster-1".into(), kind: "AmlWorkspace", namespace: "team".into(), name: "fraud".into() }
}

fn put(into: &mut Value, field: &str, value: Option<Value>) {
    if let Some(value) = value {
        into[field] = value;
    }
}

fn identity() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"type": "SystemAssigned"}),
        json!({"type": "UserAssigned", "userAssignedIdentities": [user("a")]}),
        json!({"type": "SystemAssigned,UserAssigned", "userAssignedIdentities": [user("a"), user("b")], "primaryUserAssignedIdentity": user("b")}),
    ])
}

fn words() -> impl Strategy<Value = Vec<Value>> {
    let doors: Vec<Value> = [
        ("PublicNetworkAccess", "Enabled"),
        ("PublicNetworkAccess", "SelectedAddresses"),
        ("IsolationMode", MODES[0]),
        ("IsolationMode", MODES[1]),
        ("IsolationMode", MODES[2]),
        ("RecreateComputes", MODES[1]),
        ("RecreateComputes", MODES[2]),
        ("AzureFirewall", "Basic"),
        ("AzureFirewall", "Standard"),
        ("IdentityChanged", "UserAssigned"),
        ("PurgeWorkspace", "fraud"),
        ("Takeover", OTHERS),
    ]
    .into_iter()
    .map(|(door, value)| json!({"door": door, "value": value}))
    .collect();
    let many = doors.len();
    prop_oneof![Just(doors.clone()), subsequence(doors, 0..=many)]
}

fn tags() -> impl Strategy<Value = BTreeMap<&'static str, &'static str>> {
    subsequence(vec![("team", "fraud"), ("Cost", "42"), ("stage", "prod")], 0..=3).prop_map(BTreeMap::from_iter)
}

fn acls() -> impl Strategy<Value = Value> {
    select(vec![
        json!({"defaultAction": "Allow"}),
        json!({"defaultAction": "Deny"}),
        json!({"defaultAction": "Deny", "ipRules": ["20.1.2.3", "20.2.0.0/16"]}),
    ])
}

fn access() -> impl Strategy<Value = &'static str> {
    select(vec!["Enabled", "Disabled"])
}

/// A declaration: what has a door, and what has none.
fn spec() -> impl Strategy<Value = AmlWorkspaceSpec> {
    let guarded = (
        identity(),
        access(),
        option::of(acls()),
        select(MODES.to_vec()),
        option::of(select(vec!["Basic", "Standard"])),
        option::of((select(vec!["Never", "OnFirstCompute", "Immediately"]), any::<bool>())),
        words(),
        option::of(select(vec!["Stop", "Recover", "Purge"])),
        select(vec!["Never", "IfMatching", "Always"]),
    );
    let free = (
        tags(),
        option::of("[a-z]{0,4}"),
        option::of(select(vec!["AccessKey", "Identity", "UserDelegationSAS"])),
        option::of(select(vec!["", "builder"])),
        option::of(any::<bool>()),
        option::of(any::<bool>()),
        option::of(select(vec!["old", "new"])),
        option::of(select(vec!["images"])),
    );
    // A profile, and which of the fields that it sets are left to it.
    let profile = option::of((select(vec!["Public", "SecuredResources", "Private"]), any::<bool>(), any::<bool>()));
    (guarded, free, profile).prop_map(|(guarded, free, profile)| {
        let (identity, access, acls, mode, sku, provision, words, on_soft_deleted, adoption) = guarded;
        let (tags, name, auth, compute, legacy, isolation, key, registry) = free;
        let mut spec = json!({
            "connectionRef": {"name": "contoso"}, "subscriptionId": SUB, "resourceGroup": "rg", "location": "westeurope",
            "identity": identity, "publicNetworkAccess": access, "managedNetwork": {"isolationMode": mode}, "tags": tags,
            "acknowledge": words, "adoption": adoption,
            "associatedResources": {
                "storageAccount": {"resourceId": resource("Microsoft.Storage/storageAccounts", "data")},
                "keyVault": {"resourceId": resource("Microsoft.KeyVault/vaults", "keys")},
            },
        });
        put(&mut spec, "networkAcls", acls);
        put(&mut spec, "onSoftDeleted", on_soft_deleted.map(Value::from));
        put(&mut spec, "friendlyName", name.map(Value::from));
        put(&mut spec, "systemDatastoresAuthMode", auth.map(Value::from));
        put(&mut spec, "imageBuildCompute", compute.map(Value::from));
        put(&mut spec, "v1LegacyMode", legacy.map(Value::from));
        put(&mut spec, "enableDataIsolation", isolation.map(Value::from));
        put(&mut spec["managedNetwork"], "firewallSku", sku.map(Value::from));
        let provision = provision.map(|(when, spark)| json!({"when": when, "includeSpark": spark}));
        put(&mut spec["managedNetwork"], "provision", provision);
        let encryption = key.map(|key| {
            json!({"keyVault": {"resourceId": resource("Microsoft.KeyVault/vaults", "cmk")},
                "keyIdentifier": format!("https://cmk.vault.azure.net/keys/{key}/1"), "userAssignedIdentity": user("reader")})
        });
        put(&mut spec, "encryption", encryption);
        let registry =
            registry.map(|name| json!({"resourceId": resource("Microsoft.ContainerRegistry/registries", name)}));
        put(&mut spec["associatedResources"], "containerRegistry", registry);
        if let Some((profile, access, mode)) = profile {
            spec["profile"] = json!(profile);
            let (spec, remove) = (spec.as_object_mut().unwrap(), |map: &mut Map<String, Value>, name| map.remove(name));
            access.then(|| remove(spec, "publicNetworkAccess"));
            mode.then(|| remove(spec["managedNetwork"].as_object_mut().unwrap(), "isolationMode"));
        }
        serde_json::from_value(spec).unwrap()
    })
}

/// A workspace as ARM may show it, whoever made it.
fn there() -> impl Strategy<Value = Value> {
    let who = select(vec![
        json!({"type": "SystemAssigned", "principalId": "p"}),
        json!({"type": "UserAssigned", "userAssignedIdentities": {user("a"): {}}}),
        json!({"type": "SystemAssigned, UserAssigned", "principalId": "p", "userAssignedIdentities": {user("A"): {}, user("c"): {}}}),
    ]);
    let tags = (
        option::of(select(vec![OURS, OTHERS])),
        option::of(select(vec!["team", "team,cost", "gone"])),
        subsequence(vec![("TEAM", "fraud"), ("cost", "1"), ("gone", "x"), ("theirs", "y")], 0..=4),
    );
    let network = (
        option::of(select(MODES.to_vec())),
        option::of(subsequence(MODES.to_vec(), 0..=3)),
        option::of(select(vec!["Basic", "Standard"])),
        any::<bool>(),
        any::<bool>(),
    );
    let rest = (
        option::of(access()),
        option::of(acls()),
        option::of(select(vec!["", "x"])),
        option::of(select(vec!["accesskey", "identity"])),
        option::of(any::<bool>()),
        any::<bool>(),
        select(vec!["Succeeded", "Failed"]),
    );
    (who, tags, network, rest).prop_map(|(who, (tag, list, others), network, rest)| {
        let (mode, changeable, sku, active, spark) = network;
        let (access, acls, name, auth, legacy, encrypted, state) = rest;
        let mut tags: Map<String, Value> =
            others.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        tags.extend(tag.map(|tag| (OWNER_TAG.to_owned(), tag.into())));
        tags.extend(list.map(|list| (crate::api::TAGS_TAG.to_owned(), list.into())));
        let mut properties = json!({
            "workspaceId": "w", "provisioningState": state,
            "storageAccount": resource("Microsoft.Storage/storageAccounts", "DATA"),
            "keyVault": resource("Microsoft.Keyvault/vaults", "keys"),
            "managedNetwork": {"status": {"status": if active { "Active" } else { "Inactive" }, "sparkReady": spark}},
        });
        put(&mut properties["managedNetwork"], "isolationMode", mode.map(Value::from));
        put(&mut properties["managedNetwork"], "changeableIsolationModes", changeable.map(|modes| json!(modes)));
        put(&mut properties["managedNetwork"], "firewallSku", sku.map(Value::from));
        put(&mut properties, "publicNetworkAccess", access.map(Value::from));
        let listed = |acls: Value| {
            let rules = acls["ipRules"].as_array().into_iter().flatten().map(|rule| json!({ "value": rule }));
            json!({"defaultAction": acls["defaultAction"], "ipRules": rules.collect::<Vec<_>>()})
        };
        put(&mut properties, "networkAcls", acls.map(listed));
        put(&mut properties, "friendlyName", name.map(Value::from));
        put(&mut properties, "systemDatastoresAuthMode", auth.map(Value::from));
        put(&mut properties, "v1LegacyMode", legacy.map(Value::from));
        let key = json!({"status": "Enabled", "identity": {"userAssignedIdentity": user("reader")}, "keyVaultProperties": {
            "keyVaultArmId": resource("Microsoft.KeyVault/vaults", "cmk"), "keyIdentifier": "https://cmk.vault.azure.net/keys/old/1"}});
        put(&mut properties, "encryption", encrypted.then_some(key));
        json!({"location": "West Europe", "tags": tags, "identity": who, "properties": properties})
    })
}

fn rules() -> impl Strategy<Value = Vec<OutboundRule>> {
    let rule =
        |name: &str, properties: Value| OutboundRule::read(&json!({"name": name, "properties": properties})).unwrap();
    let all = vec![
        rule("host", json!({"type": "FQDN", "category": "UserDefined", "destination": "theirs.org"})),
        rule("__SYS_x", json!({"type": "ServiceTag", "category": "Required"})),
    ];
    subsequence(all, 0..=2)
}

/// One situation: a declaration and what there is.
#[derive(Clone, Debug)]
struct Case {
    spec: AmlWorkspaceSpec,
    there: Option<Value>,
    rules: Vec<OutboundRule>,
    computes: Option<Vec<String>>,
    soft_deleted: bool,
}

fn case() -> impl Strategy<Value = Case> {
    let computes = option::of(subsequence(vec!["cluster".to_owned()], 0..=1));
    (spec(), option::weighted(0.7, there()), rules(), computes, any::<bool>())
        .prop_map(|(spec, there, rules, computes, soft_deleted)| Case { spec, there, rules, computes, soft_deleted })
}

fn connection(grants: Value) -> AzureConnectionSpec {
    let spec = json!({"tenantId": SUB, "cloud": "Public", "credential": {"managedIdentity": {}}, "grants": grants});
    serde_json::from_value(spec).unwrap()
}

fn everything() -> AzureConnectionSpec {
    connection(json!([{"namespaces": {"names": ["team"]}, "scope": format!("/subscriptions/{SUB}"),
        "verbs": ["create", "configure", "reach", "delete"],
        "egress": {"isolationModes": MODES, "publicNetworkAccess": "Enabled"}}]))
}

impl Case {
    fn decide(&self, connection: &AzureConnectionSpec) -> WorkspacePlan {
        let observed = self.there.clone().map(|there| Workspace::read(there).unwrap());
        let rules = if observed.is_some() { self.rules.as_slice() } else { &[] };
        plan(WorkspaceInput {
            owner: &owner(),
            id: &id(),
            spec: &self.spec,
            hub: None,
            observed: observed.as_ref(),
            rules,
            computes: self.computes.as_deref(),
            wanted: false,
            soft_deleted: self.soft_deleted,
            resources: Foundation::default(),
            observes: false,
            fence: &Fence::new("contoso", connection, "team", &BTreeMap::new()),
        })
    }

    /// What ARM makes of `write`, by the specification and JSON merge patch (ARM RPC, resource-api-reference).
    fn carry_out(&mut self, write: &Write) {
        match write {
            Write::Create(body) => {
                let recovers = !body["properties"]["allowRecoverSoftDeletedWorkspace"].is_null();
                // A creation under the name of a deleted workspace is refused, unless it asks for that one.
                if !self.soft_deleted || recovers {
                    let mut made = body.clone();
                    made["properties"]["workspaceId"] = json!("w");
                    made["properties"]["managedNetwork"]["status"] = json!({"status": "Inactive"});
                    self.there = Some(made);
                    self.soft_deleted = false;
                }
            }
            Write::Update(body) => {
                let Some(there) = &mut self.there else { return };
                let mut body = body.clone();
                if let Some(tags) = body.as_object_mut().and_then(|body| body.remove("tags")) {
                    there["tags"] = tags;
                }
                if let Some(network) = body.pointer_mut("/properties/managedNetwork").and_then(Value::as_object_mut) {
                    network.remove("outboundRules");
                    there["properties"]["managedNetwork"].as_object_mut().unwrap().remove("changeableIsolationModes");
                }
                if let Some(identity) = body.get("identity") {
                    let kept = identity["type"].as_str().is_some_and(|type_| type_.contains("UserAssigned"));
                    let system = identity["type"].as_str().is_some_and(|type_| type_.starts_with("SystemAssigned"));
                    let now = there["identity"].as_object_mut().unwrap();
                    if !kept {
                        now.remove("userAssignedIdentities");
                    }
                    // Ids have no case: what is sent replaces what is there under another spelling.
                    let sent = identity["userAssignedIdentities"].as_object();
                    if let (Some(sent), Some(ids)) =
                        (sent, now.get_mut("userAssignedIdentities").and_then(Value::as_object_mut))
                    {
                        ids.retain(|id, _| {
                            sent.contains_key(id) || !sent.keys().any(|sent| sent.eq_ignore_ascii_case(id))
                        });
                    }
                    if system {
                        now.insert("principalId".into(), json!("p"))
                    } else {
                        now.remove("principalId")
                    };
                }
                json_patch::merge(there, &body);
                there["properties"]["provisioningState"] = json!("Succeeded");
            }
            Write::Provision(body) => {
                let Some(there) = &mut self.there else { return };
                let status = &mut there["properties"]["managedNetwork"]["status"];
                let spark = status["sparkReady"] == true || body["includeSpark"] == true;
                *status = json!({"status": "Active", "sparkReady": spark});
            }
            Write::Purge => self.soft_deleted = false,
            Write::Delete | Write::Disconnect(_) | Write::Rules(_) => panic!("nobody asked for {write:?}"),
        }
    }

    fn observed(&self) -> Option<Workspace> {
        self.there.clone().map(|there| Workspace::read(there).unwrap())
    }

    fn says(&self, door: Door, value: &str) -> bool {
        acknowledged(&self.spec.acknowledge, door, value)
    }
}

/// 0: nobody, 1: some addresses, 2: everybody.
fn openness(workspace: Option<&Workspace>) -> u8 {
    let Some(workspace) = workspace else { return 0 };
    let properties = &workspace.properties;
    if properties.public_network_access.as_deref().is_some_and(|access| access.eq_ignore_ascii_case("Disabled")) {
        return 0;
    }
    let action = properties.network_acls.as_ref().and_then(|acls| acls.default_action.as_deref());
    if action == Some("Deny") { 1 } else { 2 }
}

/// Every text in `value` that is an ARM id, also where it is a key.
fn ids(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::String(text) if text.starts_with("/subscriptions/") => {
            found.insert(text.clone());
        }
        Value::Array(list) => list.iter().for_each(|value| ids(value, found)),
        Value::Object(map) => {
            for (key, value) in map {
                // What is taken away is not named for anybody's use.
                if key.starts_with("/subscriptions/") && !value.is_null() {
                    found.insert(key.clone());
                }
                ids(value, found);
            }
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// What a plan sends is in place after it was carried out, and after a few plans nothing is left to do.
    #[test]
    fn a_plan_that_is_carried_out_leaves_nothing_of_itself_to_do(mut case in case()) {
        let all = everything();
        // ARM refuses this creation until somebody purges by hand.
        prop_assume!(!(case.there.is_none() && case.soft_deleted && case.spec.on_soft_deleted.unwrap_or_default() == OnSoftDeleted::Stop));
        for _ in 0..STEPS {
            let decided = case.decide(&all);
            let Some(write) = decided.write else {
                prop_assert_eq!(&decided.write, &case.decide(&all).write);
                if decided.verdict.reason == Reason::Secured {
                    prop_assert!(decided.differences.is_empty() && decided.rules_may_change);
                }
                return Ok(());
            };
            case.carry_out(&write);
            let next = case.decide(&all);
            for sent in &decided.sent {
                let again = next.differences.iter().find(|difference| difference.field == sent.field);
                prop_assert!(again.is_none(), "{:?} again: {:?}", sent, again);
            }
        }
        prop_assert!(false, "no end: {:?}", case.decide(&all));
    }

    /// Whatever costs money or cannot be taken back happens only where somebody said so.
    #[test]
    fn no_plan_crosses_a_door_without_its_word(mut case in case()) {
        let before = case.observed();
        let decided = case.decide(&everything());
        let Some(write) = decided.write else { return Ok(()) };
        let purged = write == Write::Purge;
        case.carry_out(&write);
        let after = case.observed();
        prop_assert!(!purged || case.says(Door::PurgeWorkspace, "fraud"));
        let (was, is) = (openness(before.as_ref()), openness(after.as_ref()));
        if is > was {
            let everybody = case.says(Door::PublicNetworkAccess, "Enabled");
            let word = everybody || (is == 1 && case.says(Door::PublicNetworkAccess, "SelectedAddresses"));
            prop_assert!(word, "opened from {} to {}", was, is);
        }
        let (Some(before), Some(after)) = (before, after) else { return Ok(()) };
        let mode = after.isolation_mode();
        if !mode.eq_ignore_ascii_case(before.isolation_mode()) {
            prop_assert!(case.says(Door::IsolationMode, mode));
            let switched_on = before.isolation_mode().eq_ignore_ascii_case("Disabled");
            let lost = switched_on && case.computes.as_ref().is_none_or(|computes| !computes.is_empty());
            prop_assert!(!lost || case.says(Door::RecreateComputes, mode));
            let network = before.properties.managed_network.as_ref().unwrap();
            let stated = network.changeable_isolation_modes.as_ref();
            let documented = switched_on || (before.isolation_mode() == MODES[1] && mode == MODES[2]);
            prop_assert!(stated.map_or(documented, |modes| modes.iter().any(|stated| stated == mode)));
        }
        let host = case.rules.iter().any(|rule| rule.name == "host");
        let sku = |workspace: &Workspace| workspace.properties.managed_network.as_ref().and_then(|network| network.firewall_sku.clone());
        let declared = Effective::of(&case.spec).firewall_sku().map_or("Standard", |sku| sku.as_str());
        let started = after.network_active() && !before.network_active();
        if host && (started || sku(&after) != sku(&before)) {
            prop_assert!(case.says(Door::AzureFirewall, declared));
        }
        let own = |workspace: &Workspace| workspace.identity.as_ref().and_then(|identity| identity.principal_id.clone());
        prop_assert!(own(&before).is_none() || own(&after).is_some() || case.says(Door::IdentityChanged, "UserAssigned"));
        match before.tag(OWNER_TAG) {
            Some(OURS) => {}
            Some(theirs) => {
                prop_assert!(case.spec.adoption == Some(Adoption::Always) && case.says(Door::Takeover, theirs));
            }
            None => prop_assert!(case.spec.adoption.is_some_and(|adoption| adoption != Adoption::Never)),
        }
    }

    /// Others' tags are never touched, whatever the list beside the owner's tag says, unless it is this object's list.
    #[test]
    fn no_plan_touches_a_tag_that_is_not_declared(mut case in case()) {
        let Some(before) = case.observed() else { return Ok(()) };
        let Some(write) = case.decide(&everything()).write else { return Ok(()) };
        case.carry_out(&write);
        let after = case.observed().unwrap();
        let listed = before.tag(crate::api::TAGS_TAG).filter(|_| before.tag(OWNER_TAG) == Some(OURS)).unwrap_or_default();
        for (name, value) in before.tags.iter().flatten() {
            let declared = case.spec.tags.keys().any(|key| key.eq_ignore_ascii_case(name));
            let given_up = listed.split(',').any(|key| key.eq_ignore_ascii_case(name));
            if !declared && !given_up && !name.starts_with("aml-operator.io") {
                prop_assert_eq!(after.tag(name), Some(value.as_str()), "{}", name);
            }
        }
    }

    /// Every write needs its verb on the workspace, and every id in its body the verb `reach`.
    #[test]
    fn no_plan_names_an_id_or_a_verb_that_was_not_granted(
        case in case(),
        verbs in subsequence(vec!["create", "configure", "delete"], 0..=3),
        missing in option::of(select(REACHED.to_vec())),
    ) {
        let team = json!({"names": ["team"]});
        let egress = json!({"isolationModes": MODES, "publicNetworkAccess": "Enabled"});
        let mut grants = vec![json!({"namespaces": team, "scope": id().as_str(), "verbs": verbs, "egress": egress})];
        let providers = [("storageAccounts", "Microsoft.Storage"), ("vaults", "Microsoft.KeyVault"),
            ("registries", "Microsoft.ContainerRegistry"), ("userAssignedIdentities", "Microsoft.ManagedIdentity")];
        for name in REACHED.iter().filter(|name| Some(**name) != missing) {
            let provider = providers.iter().find(|(type_, _)| name.starts_with(type_)).unwrap().1;
            grants.push(json!({"namespaces": team, "scope": resource(provider, name), "verbs": ["reach"]}));
        }
        // A grant without a verb is none.
        grants.retain(|grant| grant["verbs"].as_array().is_some_and(|verbs| !verbs.is_empty()));
        let connection = connection(json!(grants));
        let fence = Fence::new("contoso", &connection, "team", &BTreeMap::new());
        // The controller asks this before anything else.
        if check(&case.spec, None, &id(), &fence).is_err() {
            return Ok(());
        }
        let decided = case.decide(&connection);
        let Some(write) = decided.write else { return Ok(()) };
        let needed: &[Verb] = match write {
            Write::Create(_) if case.there.is_none() => &[Verb::Create],
            Write::Purge => &[Verb::Create, Verb::Delete],
            _ => &[Verb::Configure],
        };
        for verb in needed {
            prop_assert!(fence.allows(*verb, &id()).is_ok(), "{:?} for {:?}", verb, write);
        }
        let request = write.request(&id(), None);
        let below = format!("{}/", id());
        prop_assert!(request.id == id().as_str() || request.id.starts_with(&below));
        let mut named = BTreeSet::new();
        ids(&request.body.unwrap_or_default(), &mut named);
        for named in named {
            prop_assert!(fence.allows(Verb::Reach, &ArmId::parse(&named).unwrap()).is_ok(), "{} is not granted", named);
        }
    }
}
