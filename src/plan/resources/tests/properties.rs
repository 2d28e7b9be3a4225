//! What holds for every declaration and every state of Azure, tried with many of both on a model of what ARM does with a write.

use std::collections::BTreeSet;

use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use super::*;
use crate::api::common::{Door, acknowledged};

const ADDRESSES: [&str; 4] = ["20.1.2.3", "20.2.0.0/16", "20.3.3.3", "20.4.4.4"];
/// More writes than any declaration needs.
const STEPS: usize = 5;
const FIELDS: [Field; 5] =
    [Field::StorageAccount, Field::KeyVault, Field::ContainerRegistry, Field::LogWorkspace, Field::ApplicationInsights];

/// One situation: a declaration, a resource of it and what there is.
#[derive(Clone, Debug)]
struct Case {
    spec: AmlWorkspaceSpec,
    field: Field,
    there: Option<Value>,
    entries: Option<String>,
}

fn rules_member(field: Field) -> Option<&'static str> {
    match field {
        Field::StorageAccount | Field::KeyVault => Some("networkAcls"),
        Field::ContainerRegistry => Some("networkRuleSet"),
        Field::LogWorkspace | Field::ApplicationInsights => None,
    }
}

fn network(field: Field) -> impl Strategy<Value = Value> {
    let lists = rules_member(field).is_some();
    let serves = lists && field != Field::ContainerRegistry;
    let mut accesses = vec!["PrivateEndpoint", "Public"];
    if serves {
        accesses.push("ServiceEndpoint");
    }
    (
        select(accesses),
        option::of(any::<bool>()),
        any::<bool>(),
        subsequence(ADDRESSES.to_vec(), 0..=2),
        subsequence(vec!["a", "b"], 1..=2),
        any::<bool>(),
    )
        .prop_map(move |(access, trusted, trust, addresses, subnets, exclusive)| {
            let mut network = json!({ "access": access });
            if lists {
                network["ownership"] = json!(if exclusive { "Exclusive" } else { "Shared" });
                if let Some(trusted) = trusted {
                    network["trustedServices"] = json!(trusted);
                }
                if access != "PrivateEndpoint" {
                    network["ipRules"] = json!(addresses);
                }
            }
            if field == Field::StorageAccount {
                network["trustWorkspace"] = json!(trust);
            }
            if access == "ServiceEndpoint" {
                let subnets = subnets.iter().map(|name| json!({ "resourceId": subnet(name) }));
                network["subnets"] = subnets.collect();
            }
            network
        })
}

fn words() -> impl Strategy<Value = Value> {
    let doors = vec![
        json!({"door": "PublicNetworkAccess", "value": "Enabled"}),
        json!({"door": "PublicNetworkAccess", "value": "SelectedAddresses"}),
        json!({"door": "RegistrySku", "value": "Premium"}),
        json!({"door": "ExclusiveRules", "value": "20.3.3.3,20.4.4.4"}),
    ];
    let many = doors.len();
    prop_oneof![Just(doors.clone()), subsequence(doors, 0..=many)].prop_map(|words| json!(words))
}

fn there(field: Field) -> impl Strategy<Value = Value> {
    let access = || option::of(select(vec!["Enabled", "Disabled", "disabled"]));
    let rules = (
        option::of(select(vec!["Allow", "Deny"])),
        option::of(select(vec!["None", "AzureServices", "Logging, AzureServices"])),
        subsequence(ADDRESSES.to_vec(), 0..=4),
        subsequence(vec!["A", "c"], 0..=2),
        any::<bool>(),
    );
    let rest =
        (access(), access(), select(vec!["Basic", "Standard", "Premium"]), option::of(any::<bool>()), any::<bool>());
    (rules, rest).prop_map(move |(rules, (access, query, sku, switch, ours))| {
        let (action, bypass, addresses, subnets, has_rules) = rules;
        let mut there =
            json!({"location": "westeurope", "tags": {"cost": "42"}, "sku": {"name": sku}, "properties": {}});
        if ours {
            there["tags"][OWNER_TAG] = json!(TAG);
        }
        let properties = &mut there["properties"];
        for name in ["adminUserEnabled", "allowBlobPublicAccess", "enableRbacAuthorization"] {
            properties[name] = json!(switch);
        }
        properties["publicNetworkAccess"] = json!(access);
        properties["publicNetworkAccessForIngestion"] = json!(access);
        properties["publicNetworkAccessForQuery"] = json!(query);
        let Some(member) = rules_member(field).filter(|_| has_rules) else { return there };
        let mut rules = json!({ "defaultAction": action });
        rules["ipRules"] = addresses.iter().map(|value| json!({ "value": value })).collect();
        if field == Field::ContainerRegistry {
            properties["networkRuleBypassOptions"] = json!(bypass.filter(|bypass| !bypass.contains("Logging")));
        } else {
            rules["bypass"] = json!(bypass);
            rules["virtualNetworkRules"] = subnets.iter().map(|name| json!({ "id": subnet(name) })).collect();
        }
        properties[member] = rules;
        there
    })
}

fn case() -> impl Strategy<Value = Case> {
    let of = |field: Field| {
        let there = option::weighted(0.8, there(field));
        (network(field), words(), there, any::<bool>(), subsequence(ADDRESSES.to_vec(), 0..=2)).prop_map(
            move |(network, words, there, creates, remembered)| {
                let change = json!({"acknowledge": words, "adoption": "Always"});
                let parent = if field == Field::LogWorkspace { "applicationInsights" } else { field.as_str() };
                // Only what is created has a log workspace that is looked at.
                let creates = creates || field == Field::LogWorkspace || there.is_none();
                let mut spec = json!(if creates { creating(parent, json!({}), change) } else { spec(change) });
                spec["associatedResources"][parent]["network"] = network;
                let remembered = remembered.iter().map(|address| Entry::Address((*address).to_owned()).mark());
                let entries = Some(remembered.collect::<Vec<_>>().join(",")).filter(|marks| !marks.is_empty());
                Case { spec: serde_json::from_value(spec).unwrap(), field, there, entries }
            },
        )
    };
    select(FIELDS.to_vec()).prop_flat_map(of)
}

impl Case {
    fn decide(&self) -> ResourcePlan {
        decide_with(&self.spec, self.field, self.there.clone(), self.entries.as_deref(), &Peers::default())
    }

    /// What ARM makes of the write: a PUT is the whole, a PATCH is laid over, and tags and lists are taken as they are sent.
    fn carry_out(&mut self, step: &Step) {
        let body = step.request.body.clone().unwrap();
        match (step.request.method, &mut self.there) {
            ("PATCH", Some(there)) => {
                let mut body = body;
                if let Some(tags) = body.as_object_mut().and_then(|body| body.remove("tags")) {
                    there["tags"] = tags;
                }
                json_patch::merge(there, &body);
            }
            _ => self.there = Some(body),
        }
    }

    fn observed(&self) -> Option<Observed> {
        self.there.clone().map(|there| Observed::read(self.field, there).unwrap())
    }

    fn entries(&self) -> BTreeSet<Entry> {
        let observed = self.observed();
        observed.and_then(|observed| observed.firewall().map(|firewall| shown(&firewall.rules))).unwrap_or_default()
    }

    /// 0: nobody from the internet, 1: some addresses, 2: everybody.
    fn openness(&self) -> u8 {
        let Some(there) = &self.there else { return 0 };
        let properties = &there["properties"];
        let on = |name: &str| !properties[name].as_str().unwrap_or("Enabled").eq_ignore_ascii_case("Disabled");
        match rules_member(self.field) {
            None => {
                2 * u8::from(on("publicNetworkAccessForIngestion")).max(u8::from(on("publicNetworkAccessForQuery")))
            }
            Some(_) if !on("publicNetworkAccess") => 0,
            Some(member) if properties[member]["defaultAction"] == "Deny" => {
                u8::from(properties[member]["ipRules"].as_array().is_some_and(|rules| !rules.is_empty()))
            }
            Some(_) => 2,
        }
    }

    fn says(&self, door: Door, value: &str) -> bool {
        acknowledged(&self.spec.acknowledge, door, value)
    }

    fn posture(&self) -> Posture {
        let all = declared(&self.spec, &workspace());
        all.into_iter().find(|resource| resource.field == self.field).and_then(|resource| resource.posture).unwrap()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// After a few plans nothing is left to do, and nothing is said but what waits for a person.
    #[test]
    fn plans_that_are_carried_out_come_to_an_end(mut case in case()) {
        for _ in 0..STEPS {
            let plan = case.decide();
            let Some(step) = plan.step else {
                match plan.trouble {
                    None => prop_assert!(plan.differences.is_empty()),
                    Some(trouble) => prop_assert_eq!(trouble.reason, Reason::AcknowledgementRequired),
                }
                return Ok(());
            };
            case.carry_out(&step);
            case.entries = plan.status.entries;
        }
        prop_assert!(false, "no end: {:?}", case.decide());
    }

    /// Whatever opens a resource, costs more or takes away a stranger's entry happens only where somebody said so.
    #[test]
    fn no_plan_crosses_a_door_without_its_word(mut case in case()) {
        let (was, before, sku) = (case.openness(), case.entries(), case.there.clone());
        let plan = case.decide();
        let Some(step) = plan.step else { return Ok(()) };
        case.carry_out(&step);
        let is = case.openness();
        if is > was {
            let word = case.says(Door::PublicNetworkAccess, "Enabled")
                || is == 1 && case.says(Door::PublicNetworkAccess, "SelectedAddresses");
            prop_assert!(word, "opened from {} to {} by {:?}", was, is, step.request.body);
        }
        if let (Field::ContainerRegistry, Some(sku)) = (case.field, sku) {
            let dearer = case.there.as_ref().unwrap()["sku"] != sku["sku"];
            prop_assert!(!dearer || case.says(Door::RegistrySku, "Premium"));
        }
        let posture = case.posture();
        let remembered = case.entries.clone().unwrap_or_default();
        let wanted: BTreeSet<Entry> = posture.addresses.iter().cloned().map(Entry::Address).collect();
        let after = case.entries();
        for entry in before.difference(&after) {
            prop_assert!(!wanted.contains(entry), "one's own is not removed: {:?}", entry);
            let given_up = remembered.split(',').any(|mark| mark == entry.mark());
            let agreed = posture.exclusive && doors::agreed(&case.spec.acknowledge, entry);
            prop_assert!(given_up || agreed, "{:?} was a stranger's", entry);
        }
    }

    /// A resource is only written to with the verb for it, under its own id, and never deleted.
    #[test]
    fn every_write_is_asked_for_by_its_verb(case in case()) {
        let plan = case.decide();
        let Some(step) = plan.step else { return Ok(()) };
        let verb = if case.there.is_none() { Verb::Create } else { Verb::Configure };
        let id = ArmId::parse(&plan.status.resource_id).unwrap();
        prop_assert_eq!(&step.needs, &vec![(verb, id)]);
        prop_assert_eq!(&step.request.id, &plan.status.resource_id);
        prop_assert!(!step.removes());
    }

    /// Others' tags stay as they are.
    #[test]
    fn no_plan_touches_another_tag(mut case in case()) {
        let before = case.there.is_some();
        let Some(step) = case.decide().step else { return Ok(()) };
        case.carry_out(&step);
        prop_assert!(!before || case.there.as_ref().unwrap()["tags"]["cost"] == "42");
    }
}
