//! Each check: it fails with its flaw and with no other, and is unknown where Azure does not say.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::api::workspace::{Check, FindingState, Posture, PostureStatus, Waiver};

use super::testing::{
    MICROSOFT, OWN, STRANGER, Scene, connection, endpoint, id, id_of, now, pe_rule, subnet, workspace_id,
};
use super::{BuildCompute, DependencyKind, HeldRole, Network, RuleOfOther, SecurityGroup, Sight, report};

type Change = fn(&mut Scene);

/// Nothing says so.
fn forget(value: &mut Value, member: &str) {
    value.as_object_mut().unwrap().remove(member);
}

fn approver(scope: String, temporary: bool) -> HeldRole {
    HeldRole { id: "/assignment".into(), name: "the approver role".into(), scope, temporary }
}

/// The check, what spoils it, and what keeps it from being told.
const TABLE: &[(Check, &[Change], &[Change])] = &[
    (
        Check::WorkspacePublicAccess,
        &[
            |s| s.properties()["publicNetworkAccess"] = json!("Enabled"),
            |s| {
                s.properties()["publicNetworkAccess"] = json!("Enabled");
                s.properties()["networkAcls"] = json!({"defaultAction": "Deny", "ipRules": [{"value": "20.0.0.0/8"}]});
            },
        ],
        &[|s| forget(s.properties(), "publicNetworkAccess")],
    ),
    (
        Check::StoragePublicAccess,
        &[
            |s| {
                s.of(DependencyKind::Storage)["publicNetworkAccess"] = json!("Enabled");
                s.of(DependencyKind::Storage)["networkAcls"]["defaultAction"] = json!("Allow");
            },
            |s| {
                s.of(DependencyKind::Storage)["publicNetworkAccess"] = json!("Enabled");
                s.of(DependencyKind::Storage)["networkAcls"]["ipRules"] = json!([{"value": "0.0.0.0/1"}]);
            },
        ],
        &[|s| drop(s.resources.insert(DependencyKind::Storage, None))],
    ),
    (
        Check::VaultPublicAccess,
        &[|s| *s.of(DependencyKind::Vault) = json!({"publicNetworkAccess": "Enabled"})],
        &[|s| drop(s.resources.insert(DependencyKind::Vault, None))],
    ),
    (
        Check::RegistryPublicAccess,
        &[|s| {
            s.of(DependencyKind::Registry)["publicNetworkAccess"] = json!("Enabled");
            s.of(DependencyKind::Registry)["networkRuleSet"]["ipRules"] = json!([{"value": "20.0.0.0/8"}]);
        }],
        &[|s| drop(s.resources.insert(DependencyKind::Registry, None))],
    ),
    (
        Check::InsightsPublicAccess,
        &[|s| s.of(DependencyKind::Insights)["publicNetworkAccessForQuery"] = json!("Enabled")],
        &[|s| drop(s.resources.insert(DependencyKind::Insights, None))],
    ),
    (
        Check::StorageSharedKeys,
        &[
            |s| s.of(DependencyKind::Storage)["allowSharedKeyAccess"] = json!(true),
            |s| forget(s.of(DependencyKind::Storage), "allowSharedKeyAccess"),
        ],
        &[|s| drop(s.resources.insert(DependencyKind::Storage, None))],
    ),
    (
        Check::StorageAnonymousBlobs,
        &[|s| s.of(DependencyKind::Storage)["allowBlobPublicAccess"] = json!(true)],
        &[|s| forget(s.of(DependencyKind::Storage), "allowBlobPublicAccess")],
    ),
    (
        Check::RegistryAdminUser,
        &[|s| s.of(DependencyKind::Registry)["adminUserEnabled"] = json!(true)],
        &[|s| forget(s.of(DependencyKind::Registry), "adminUserEnabled")],
    ),
    (
        Check::IsolationMode,
        &[
            |s| s.properties()["managedNetwork"]["isolationMode"] = json!("AllowInternetOutbound"),
            |s| s.properties()["managedNetwork"] = json!({"isolationMode": "Disabled"}),
            |s| forget(s.properties(), "managedNetwork"),
        ],
        &[|s| s.properties()["managedNetwork"]["isolationMode"] = json!("Something")],
    ),
    (
        Check::ManagedNetworkInactive,
        &[|s| s.properties()["managedNetwork"]["status"]["status"] = json!("Inactive")],
        &[|s| forget(&mut s.properties()["managedNetwork"], "status")],
    ),
    (
        Check::RuleNotActive,
        &[
            |s| s.rules[3]["properties"]["status"] = json!("Failed"),
            |s| s.rules[4]["properties"]["status"] = json!("Inactive"),
            |s| {
                s.rules[0]["properties"]["destination"] = json!({"serviceResourceId": id_of(DependencyKind::Storage),
                "sparkEnabled": true, "sparkStatus": "Inactive"})
            },
        ],
        &[|s| forget(&mut s.rules[3]["properties"], "status")],
    ),
    (Check::RuleWildcardFqdn, &[|s| s.rules[3]["properties"]["destination"] = json!("*.azurewebsites.net")], &[]),
    (
        Check::RuleBroadServiceTag,
        &[|s| s.rules[4]["properties"]["destination"]["serviceTag"] = json!("Storage.WestEurope")],
        &[],
    ),
    (
        Check::ImageBuildsCannotWork,
        &[|s| s.build_compute = BuildCompute::None, |s| s.build_compute = BuildCompute::Missing],
        &[
            |s| s.build_compute = BuildCompute::Unknown,
            |s| {
                s.build_compute = BuildCompute::None;
                s.resources.insert(DependencyKind::Registry, None);
            },
        ],
    ),
    (
        Check::ConnectionStrangerApproved,
        &[
            |s| s.connect(DependencyKind::Storage, connection(&endpoint(STRANGER, "pe"), "Approved")),
            |s| {
                s.properties()["privateEndpointConnections"] =
                    json!([connection(&endpoint(STRANGER, "pe"), "Approved")])
            },
            // In Microsoft's subscription, but no rule accounts for it.
            |s| s.connect(DependencyKind::Vault, connection(&endpoint(MICROSOFT, "__SYS_PE_keys_vault_1"), "Approved")),
            // A rule's name carried twice.
            |s| s.connect(DependencyKind::Storage, connection(&endpoint(STRANGER, "__SYS_PE_data_blob_1"), "Approved")),
            // The rule is not in force, so the connection is not its own.
            |s| {
                s.connect(DependencyKind::Vault, connection(&endpoint(STRANGER, "keys"), "Approved"));
                s.rules.push(pe_rule("keys", &id_of(DependencyKind::Vault), "Provisioning", "UserDefined"));
            },
        ],
        &[
            |s| s.connect(DependencyKind::Vault, connection("", "Approved")),
            // Right after a start.
            |s| {
                s.connect(
                    DependencyKind::Storage,
                    connection(&endpoint(MICROSOFT, "__SYS_PE_data_blob_2"), "Approved"),
                );
                s.others_unseen = true;
            },
            |s| {
                drop(s.resources.insert(DependencyKind::Vault, None));
            },
        ],
    ),
    (
        Check::ConnectionStrangerPending,
        &[|s| s.connect(DependencyKind::Registry, connection(&endpoint(STRANGER, "pe"), "Pending"))],
        &[|s| s.connect(DependencyKind::Vault, connection("nonsense", "Pending"))],
    ),
    (
        Check::ConnectionPendingTooLong,
        &[
            |s| {
                let mut waiting = connection(&endpoint(OWN, "pe"), "Pending");
                waiting["systemData"] = json!({"createdAt": "2026-05-01T00:00:00Z"});
                s.connect(DependencyKind::Registry, waiting);
            },
            |s| {
                s.connect(DependencyKind::Vault, connection(&endpoint(OWN, "PE"), "Pending"));
                s.first_seen.insert(endpoint(OWN, "pe").to_lowercase(), "2026-05-20T00:00:00Z".parse().unwrap());
            },
        ],
        &[|s| s.connect(DependencyKind::Vault, connection(&endpoint(OWN, "pe"), "Pending"))],
    ),
    (
        Check::ServiceAndPrivateEndpoint,
        &[|s| {
            s.of(DependencyKind::Storage)["networkAcls"]["virtualNetworkRules"] = json!([{"id": "/v/subnets/jobs"}]);
        }],
        &[|s| drop(s.resources.insert(DependencyKind::Storage, None))],
    ),
    (
        Check::NoLineOfSight,
        &[
            |s| {
                let mut data = s.networks[0].clone();
                s.networks[0].endpoints.truncate(1);
                data.endpoints.remove(0);
                data.id = id("Microsoft.Network/virtualNetworks", "data");
                data.subnet = None;
                s.networks.push(data);
            },
            |s| {
                s.networks[0].endpoints.truncate(1);
                s.of(DependencyKind::Storage)["privateEndpointConnections"] = json!([]);
            },
            |s| by_service(s, "/v/subnets/jobs"),
        ],
        &[
            // The storage account's endpoints lie where nobody looked.
            |s| s.networks[0].endpoints.truncate(1),
            |s| s.networks.clear(),
            |s| {
                by_service(s, "/v/subnets/jobs");
                s.networks.clear();
            },
            |s| drop(s.resources.insert(DependencyKind::Storage, None)),
        ],
    ),
    (
        Check::DnsIncomplete,
        &[|s| s.networks[0].endpoints[1].names_missing = Some("the zone is not linked".into())],
        &[|s| s.networks[0].custom_dns = true, |s| s.networks[0].unseen = Some("not looked at yet".into())],
    ),
    (
        Check::SecurityGroupLacksRules,
        &[|s| drop(group(s).rules.remove(3))],
        &[
            |s| subnet_of(s).security_group = Some(Err("403".into())),
            |s| {
                let rules = &mut group(s).rules;
                rules[3].destinations = vec!["20.40.0.0/16".into()];
            },
        ],
    ),
    (
        Check::StorageWithoutEndpointPolicy,
        &[|s| subnet_of(s).endpoint_policies = false, |s| subnet_of(s).service_endpoints.clear()],
        &[|s| subnet_of(s).security_group = Some(Err("403".into()))],
    ),
    (
        Check::ApproverRoleTooWide,
        &[
            |s| s.roles = Ok(vec![approver(format!("/subscriptions/{OWN}/resourceGroups/rg"), false)]),
            |s| s.roles = Ok(vec![approver("/".into(), false), approver(format!("/subscriptions/{OWN}"), true)]),
        ],
        &[|s| s.roles = Err("403".into())],
    ),
    (
        Check::ApproverRoleStanding,
        &[|s| s.roles = Ok(vec![approver(id_of(DependencyKind::Vault), false)])],
        &[|s| s.roles = Err("403".into())],
    ),
    (Check::ComputeNotIsolated, &[|s| s.computes[0].isolated = Some(false)], &[|s| s.computes[0].isolated = None]),
];

/// The storage account is reached from `subnet` by a service endpoint, and by no private one.
fn by_service(scene: &mut Scene, subnet: &str) {
    scene.networks[0].endpoints.truncate(1);
    let storage = scene.of(DependencyKind::Storage);
    storage["publicNetworkAccess"] = json!("Enabled");
    storage["networkAcls"]["virtualNetworkRules"] = json!([{ "id": subnet }]);
    storage["privateEndpointConnections"] = json!([]);
}

fn subnet_of(scene: &mut Scene) -> &mut super::NetworkSubnet {
    scene.networks[0].subnet.as_mut().unwrap()
}

fn group(scene: &mut Scene) -> &mut SecurityGroup {
    subnet_of(scene).security_group.as_mut().unwrap().as_mut().unwrap()
}

#[test]
fn a_workspace_as_it_should_be_passes_every_check() {
    let sights = Scene::clean().judge();
    let flaws: Vec<&Sight> = sights.iter().filter(|sight| sight.state != FindingState::Pass).collect();
    assert!(flaws.is_empty(), "{flaws:#?}");
    let looked_at: BTreeSet<Check> = sights.iter().map(|sight| sight.check).collect();
    assert_eq!(looked_at, Check::ALL.iter().copied().collect(), "each check looks at something");
}

#[test]
fn each_flaw_fails_its_own_check_and_no_other() {
    let named: BTreeSet<Check> = TABLE.iter().map(|(check, ..)| *check).collect();
    assert_eq!(named, Check::ALL.iter().copied().collect(), "each check has a row");
    for (check, flaws, _) in TABLE {
        for (index, flaw) in flaws.iter().enumerate() {
            let mut scene = Scene::clean();
            flaw(&mut scene);
            assert_eq!(scene.checks(FindingState::Fail), [*check].into(), "{check:?}, flaw {index}");
        }
    }
}

#[test]
fn what_is_not_stated_is_unknown_and_no_pass() {
    for (check, _, unstated) in TABLE {
        for (index, change) in unstated.iter().enumerate() {
            let mut scene = Scene::clean();
            change(&mut scene);
            assert!(scene.checks(FindingState::Unknown).contains(check), "{check:?}, change {index}");
            assert!(!scene.checks(FindingState::Fail).contains(check), "{check:?}, change {index}");
        }
    }
}

#[test]
fn what_is_not_wrong_is_not_told() {
    let changes: &[(&str, Change)] = &[
        ("a few addresses", |s| {
            s.properties()["publicNetworkAccess"] = json!("Enabled");
            s.properties()["networkAcls"] = json!({"defaultAction": "Deny", "ipRules": [{"value": "20.1.2.3"}]});
            s.of(DependencyKind::Storage)["publicNetworkAccess"] = json!("Enabled");
            s.of(DependencyKind::Storage)["networkAcls"]["ipRules"] = json!([{"value": "20.1.2.0/24"}]);
        }),
        ("a tag with addresses of one's own", |s| {
            s.rules[4]["properties"]["destination"]["serviceTag"] = json!("Storage");
            s.rules[4]["properties"]["destination"]["addressPrefixes"] = json!(["20.1.2.0/24"]);
        }),
        ("a rule that Azure is working on", |s| s.rules[3]["properties"]["status"] = json!("Provisioning")),
        ("no registry yet", |s| {
            s.resources.remove(&DependencyKind::Registry);
            s.build_compute = BuildCompute::None;
        }),
        ("an open registry builds images itself, which another check tells", |s| s.build_compute = BuildCompute::There),
        ("a user's rule whose endpoint is called otherwise", |s| {
            s.connect(DependencyKind::Vault, connection(&endpoint(MICROSOFT, "keys-1a2b"), "Approved"));
            s.rules.push(pe_rule("keys", &id_of(DependencyKind::Vault).to_uppercase(), "Active", "UserDefined"));
        }),
        ("another workspace's rule", |s| {
            s.connect(DependencyKind::Storage, connection(&endpoint(MICROSOFT, "__SYS_PE_data_blob_2"), "Approved"));
            let target = id_of(DependencyKind::Storage);
            s.rules_of_others.push(RuleOfOther { name: "__SYS_PE_data_blob_2".into(), target });
        }),
        ("what a policy approved", |s| {
            s.connect(DependencyKind::Storage, connection(&endpoint(STRANGER, "Partner"), "Approved"));
            s.approved_by_policy.insert(endpoint(STRANGER, "Partner").to_lowercase());
        }),
        ("what was rejected", |s| {
            s.connect(DependencyKind::Storage, connection(&endpoint(STRANGER, "pe"), "Rejected"))
        }),
        ("an attachment in another subscription", |s| {
            s.networks[0].endpoints[0].id = endpoint(STRANGER, "hub");
            s.properties()["privateEndpointConnections"] = json!([connection(&endpoint(STRANGER, "hub"), "Approved")]);
        }),
        ("a request of this morning", |s| {
            let mut waiting = connection(&endpoint(OWN, "pe"), "Pending");
            waiting["systemData"] = json!({"createdAt": "2026-05-31T06:00:00Z"});
            s.connect(DependencyKind::Registry, waiting);
        }),
        ("a service endpoint for the subnet of the workspace's endpoint", |s| by_service(s, &subnet().id)),
        ("a service endpoint beside the managed network's endpoint", |s| {
            by_service(s, "/v/subnets/jobs");
            s.of(DependencyKind::Storage)["privateEndpointConnections"] =
                json!([connection(&endpoint(MICROSOFT, "__SYS_PE_data_blob_1"), "Approved")]);
            s.networks.clear();
        }),
        ("a subnet of private endpoints only", |s| {
            subnet_of(s).endpoints_only = true;
            subnet_of(s).endpoint_policies = false;
            group(s).rules.truncate(1);
        }),
        ("a subnet without a security group", |s| {
            subnet_of(s).security_group = None;
            subnet_of(s).endpoint_policies = false;
        }),
        ("storage that is stopped", |s| {
            subnet_of(s).endpoint_policies = false;
            // What is not allowed is missing, which is the other check's.
            group(s).rules.remove(4);
            subnet_of(s).endpoints_only = true;
        }),
        ("nobody works privately", |s| {
            s.networks.clear();
            s.properties()["privateEndpointConnections"] = json!([]);
        }),
        ("a role for the time that a rule takes", |s| {
            s.roles = Ok(vec![approver(id_of(DependencyKind::Vault), true)]);
        }),
    ];
    for (what, change) in changes {
        let mut scene = Scene::clean();
        change(&mut scene);
        assert_eq!(scene.checks(FindingState::Fail), BTreeSet::new(), "{what}");
    }
    let mut open = Scene::clean();
    open.build_compute = BuildCompute::None;
    *open.of(DependencyKind::Registry) = json!({"publicNetworkAccess": "Enabled", "adminUserEnabled": false});
    assert_eq!(open.checks(FindingState::Fail), [Check::RegistryPublicAccess].into());
}

/// Who copies a name is found out, and who is more than rules account for; which one it is, nobody can tell.
#[test]
fn all_that_a_rule_cannot_account_for_are_named() {
    let mut scene = Scene::clean();
    scene.rules.push(pe_rule("queue", &id_of(DependencyKind::Storage), "Active", "UserDefined"));
    scene.connect(DependencyKind::Storage, connection(&endpoint(MICROSOFT, "queue-9f"), "Approved"));
    assert_eq!(scene.checks(FindingState::Fail), BTreeSet::new());
    scene.connect(DependencyKind::Storage, connection(&endpoint(STRANGER, "queue-8e"), "Approved"));
    let sights = scene.judge();
    let strangers: Vec<&str> = sights
        .iter()
        .filter(|sight| sight.check == Check::ConnectionStrangerApproved && sight.state == FindingState::Fail)
        .map(|sight| sight.resource.as_str())
        .collect();
    assert_eq!(strangers.len(), 2, "{strangers:?}");
    assert!(
        strangers.iter().any(|who| who.ends_with("queue-8e")) && strangers.iter().any(|who| who.ends_with("queue-9f"))
    );
}

#[test]
fn a_project_is_judged_by_itself_and_not_by_its_hub() {
    let mut scene = Scene::clean();
    scene.workspace["kind"] = json!("Project");
    forget(scene.properties(), "managedNetwork");
    scene.resources.clear();
    scene.rules.clear();
    assert!(scene.checks(FindingState::Fail).is_empty());
    scene.properties()["publicNetworkAccess"] = json!("Enabled");
    assert_eq!(scene.checks(FindingState::Fail), [Check::WorkspacePublicAccess].into());
}

#[test]
fn two_attachments_of_one_network_are_one_place() {
    let mut scene = Scene::clean();
    let mut second: Network = scene.networks[0].clone();
    second.attachment = "team/second".into();
    second.endpoints[0].names_missing = Some("the zone is missing".into());
    second.subnet = Some(subnet());
    scene.networks.push(second);
    let found: Vec<Sight> = scene.judge().into_iter().filter(|sight| sight.check == Check::DnsIncomplete).collect();
    assert_eq!((found.len(), found[0].state), (1, FindingState::Fail), "{found:?}");
    assert!(found[0].about.ends_with("second"));
}

fn waiver(check: Check, resource: Option<&str>, expires: &str) -> Waiver {
    let expires = serde_json::from_value(json!(expires)).unwrap();
    Waiver { check, resource: resource.map(ToOwned::to_owned), reason: "migration until autumn".into(), expires }
}

fn fails(check: Check, resource: &str) -> Sight {
    Sight::fail(check, resource, "seen")
}

#[test]
fn a_waiver_holds_for_its_check_and_resource_until_it_expires() {
    let account = id_of(DependencyKind::Storage);
    let flaw = || vec![fails(Check::StorageSharedKeys, &account)];
    let state = |waivers: Vec<Waiver>| {
        let said = report(flaw(), Some(&Posture { waivers }), None, now());
        (said.status.findings[0].state.clone(), said.next_expiry.map(|at| at.to_string()), said)
    };
    let (later, over) = ("2026-09-01T00:00:00Z", "2026-05-31T23:59:59Z");
    let waived = |waivers| state(waivers).0 == "Waived";
    assert!(waived(vec![waiver(Check::StorageSharedKeys, None, later)]));
    assert!(waived(vec![waiver(Check::StorageSharedKeys, Some(&account.to_uppercase()), later)]));
    assert!(waived(vec![waiver(Check::StorageSharedKeys, None, over), waiver(Check::StorageSharedKeys, None, later)]));
    assert!(!waived(vec![waiver(Check::StorageSharedKeys, Some("/other"), later)]));
    assert!(!waived(vec![waiver(Check::StorageAnonymousBlobs, None, later)]));
    let (state_now, next, said) = state(vec![waiver(Check::StorageSharedKeys, None, later)]);
    assert_eq!((state_now.as_str(), next.as_deref()), ("Waived", Some(later)), "looked at again when it ends");
    assert!(said.status.findings[0].evidence.contains("migration until autumn"));
    assert_eq!((said.status.failed, said.status.waived, said.secure.reason.as_str()), (0, 1, "NoFlaws"));
    assert!(said.secure.message.contains("1 waived"), "{}", said.secure.message);
    let (state_now, next, said) = state(vec![waiver(Check::StorageSharedKeys, None, over)]);
    assert_eq!((state_now.as_str(), next), ("Fail", None));
    assert!(said.status.findings[0].evidence.contains("expired at 2026-05-31"), "{}", said.status.findings[0].evidence);
    assert_eq!(said.secure.reason, "FlawsFound");
}

#[test]
fn what_is_unknown_cannot_be_waived_and_is_no_pass() {
    let unknown = vec![Sight::unknown(Check::StorageSharedKeys, "/a", "403")];
    let waivers = vec![waiver(Check::StorageSharedKeys, None, "2027-01-01T00:00:00Z")];
    let said = report(unknown, Some(&Posture { waivers }), None, now());
    assert_eq!((said.status.unknown, said.status.waived, said.secure.reason.as_str()), (1, 0, "NotAllKnown"));
    assert_eq!(said.secure.status, crate::api::condition::ConditionStatus::Unknown);
}

#[test]
fn time_moves_only_when_a_flaw_comes_or_goes() {
    let spec = Posture { waivers: vec![waiver(Check::StorageSharedKeys, None, "2026-07-01T00:00:00Z")] };
    let flaw = || vec![fails(Check::StorageSharedKeys, "/a")];
    let at = |text: &str| text.parse().unwrap();
    let since = |status: &PostureStatus| status.findings[0].since.clone();
    let first = report(flaw(), None, None, now()).status;
    let waived = report(flaw(), Some(&spec), Some(&first), at("2026-06-10T00:00:00Z")).status;
    let over = report(flaw(), Some(&spec), Some(&waived), at("2026-08-01T00:00:00Z")).status;
    assert_eq!((since(&waived), since(&over)), (since(&first), since(&first)));
    let unknown = report(
        vec![Sight::unknown(Check::StorageSharedKeys, "/a", "403")],
        None,
        Some(&over),
        at("2026-08-02T00:00:00Z"),
    );
    assert_eq!(since(&unknown.status), "2026-08-02T00:00:00Z");
    let again = report(flaw(), None, Some(&first), at("2026-08-03T00:00:00Z")).status;
    assert_eq!(serde_json::to_string(&again).unwrap(), serde_json::to_string(&first).unwrap(), "byte for byte");
}

/// The worst that a workspace with 500 rules can say, with ids as long as they get.
#[test]
fn a_status_stays_small_whatever_is_found() {
    let long = format!("{}/outboundRules/", workspace_id().replace("fraud", &"f".repeat(33)));
    let flaws = (0..500)
        .map(|n| Sight::fail(Check::RuleNotActive, &format!("{long}{n:033}"), "x".repeat(5000)).about("y".repeat(330)));
    let mut sights: Vec<Sight> = flaws.collect();
    sights.push(fails(Check::ConnectionStrangerApproved, "/pe"));
    sights.push(Sight::pass(Check::StorageSharedKeys, "/a"));
    let said = report(sights, None, None, now());
    assert_eq!((said.status.failed, said.status.passed), (501, 1));
    assert_eq!((said.status.findings.len(), said.findings.len()), (64, 501));
    assert_eq!(said.status.findings[0].check, "ConnectionStrangerApproved", "the worst comes first");
    let size = serde_json::to_string(&said.status).unwrap().len();
    assert!(size < 128 * 1024, "{size} bytes");
    assert!(said.secure.message.contains("and 54 more"), "{}", said.secure.message);
    assert_eq!(said.counts[&(Check::RuleNotActive, FindingState::Fail)], 500);
}

#[test]
fn one_place_is_listed_once_with_the_worst_of_it() {
    let sights = vec![
        Sight::pass(Check::ApproverRoleTooWide, "/group"),
        Sight::unknown(Check::ApproverRoleTooWide, "/GROUP", "403"),
        fails(Check::ApproverRoleTooWide, "/Group"),
    ];
    let said = report(sights, None, None, now()).status;
    assert_eq!((said.failed, said.unknown, said.passed, said.findings.len()), (1, 0, 0, 1));
}
