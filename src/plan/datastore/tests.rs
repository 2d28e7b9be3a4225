use super::*;
use crate::api::AmlDatastore;
use crate::api::common::{Acknowledgement, Adoption, DeletionPolicy, Door, Recreate};
use crate::plan::testing::{Ground, SUB, shown, workspace, workspace_id};

const KEY: &str = "not-for-any-plan-to-see";

fn lake() -> String {
    format!("/subscriptions/{SUB}/resourceGroups/rg/providers/Microsoft.Storage/storageAccounts/lake")
}

fn blob() -> Value {
    json!({"blob": {"storageAccount": {"resourceId": lake()}, "containerName": "raw"}})
}

fn with_key() -> Value {
    let mut spec = blob();
    spec["credential"] = json!({"accountKey": {"secretRef": {"name": "lake-key"}}});
    spec
}

/// A world for one decision.
struct Case {
    object: AmlDatastore,
    ground: Ground,
    observed: Observed,
}

impl Case {
    fn of(spec: &Value) -> Self {
        let mut spec = spec.clone();
        spec["workspaceRef"] = json!({"name": "fraud"});
        let declares = spec["credential"].is_object();
        let object = serde_json::from_value(json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "AmlDatastore",
            "metadata": {"name": "lake", "namespace": "team", "generation": 1}, "spec": spec,
        }))
        .unwrap();
        let held = |fingerprint: &str| Credential {
            secret: "lake-key".into(),
            fingerprint: fingerprint.into(),
            followed: Some(true),
        };
        let observed = Observed {
            account: Some(Account { location: Some("westeurope".into()), ..Account::default() }),
            credential: declares.then(|| Ok(held("one"))),
            ..Observed::default()
        };
        Self { object, ground: Ground::of("AmlDatastore", "lake"), observed }
    }

    /// The Secret holds something else.
    fn rotate(&mut self, fingerprint: &str) {
        if let Some(Ok(credential)) = &mut self.observed.credential {
            credential.fingerprint = fingerprint.into();
        }
    }

    fn account(&mut self, properties: &Value) {
        let account = json!({"location": "West Europe", "properties": properties});
        self.observed.account = Some(serde_json::from_value(account).unwrap());
    }

    fn with<T>(&self, run: impl FnOnce(DatastoreInput<'_>) -> T) -> T {
        let id = workspace_id().child("datastores", "lake").unwrap();
        let spec = &self.object.spec;
        self.ground.with(|site| {
            run(DatastoreInput {
                site,
                id: &id,
                spec,
                policies: Policies {
                    workspace_ref: &spec.workspace_ref,
                    management: spec.management_policy.unwrap_or_default(),
                    deletion: DeletionPolicy::Delete,
                    adoption: spec.adoption.unwrap_or(Adoption::Never),
                    suspend: false,
                    acknowledge: &spec.acknowledge,
                },
                observed: &self.observed,
            })
        })
    }

    fn plan(&self) -> Decided<AmlDatastoreStatus> {
        self.with(plan)
    }

    /// The reason, and the method of the next write.
    fn outcome(&self) -> (&'static str, Option<&'static str>) {
        let decided = self.plan();
        (decided.verdict.reason.word(), decided.steps.first().map(|step| step.request.method))
    }

    /// What Azure would show once `step` was carried out: everything but secrets.
    fn carry_out(&mut self, step: &Step) {
        let Some(mut body) = step.request.body.clone() else {
            self.observed.datastore = None;
            return;
        };
        assert!(step.request.path.ends_with("?skipValidation=true"), "{}", step.request.path);
        body["properties"]["credentials"].as_object_mut().unwrap().remove("secrets");
        body["properties"]["endpoint"] = json!("core.windows.net");
        body["properties"]["isDefault"] = json!(false);
        self.observed.datastore = Some(Datastore::read(body).unwrap());
    }

    /// Carries out whole plans until nothing is left to do; how many writes that took.
    fn settle(&mut self) -> (Decided<AmlDatastoreStatus>, usize) {
        let mut writes = 0;
        for _ in 0..5 {
            let decided = self.plan();
            if decided.steps.is_empty() {
                return (decided, writes);
            }
            for step in &decided.steps {
                self.carry_out(step);
                writes += 1;
            }
        }
        panic!("never at rest");
    }

    fn reachable(&self) -> (ConditionStatus, String, Option<String>) {
        let decided = self.plan();
        let condition = decided.conditions.iter().find(|condition| condition.type_ == REACHABLE).unwrap();
        (condition.status, condition.reason.clone(), decided.status.suggested_rule)
    }
}

#[test]
fn every_kind_comes_to_rest_after_one_write_and_is_read_by_identity_unless_it_says_otherwise() {
    let account = json!({"resourceId": lake()});
    let secret = json!({"name": "lake-key"});
    let id = "00000000-0000-0000-0000-00000000000a";
    let principal = json!({"tenantId": id, "clientId": id, "secretRef": secret});
    let mut certificate = principal.clone();
    certificate["thumbprint"] = json!("AB12");
    let lake = json!({"adlsGen2": {"storageAccount": account, "filesystem": "raw"}});
    let file = json!({"file": {"storageAccount": account, "fileShareName": "raw"}});
    let with = |base: &Value, credential: Value| {
        let mut spec = base.clone();
        spec["credential"] = credential;
        spec
    };
    for (spec, type_, credentials) in [
        (blob(), "AzureBlob", "None"),
        (lake.clone(), "AzureDataLakeGen2", "None"),
        (file.clone(), "AzureFile", "None"),
        (with_key(), "AzureBlob", "AccountKey"),
        (with(&file, json!({"sas": {"secretRef": secret}})), "AzureFile", "Sas"),
        (with(&lake, json!({ "servicePrincipal": principal })), "AzureDataLakeGen2", "ServicePrincipal"),
        (with(&lake, json!({ "certificate": certificate })), "AzureDataLakeGen2", "Certificate"),
    ] {
        let mut case = Case::of(&spec);
        let (decided, writes) = case.settle();
        assert_eq!((decided.verdict.reason, writes), (Reason::Registered, 1), "{spec}");
        let own = case.observed.datastore.clone().unwrap().properties;
        assert_eq!(own.datastore_type.as_deref(), Some(type_));
        assert_eq!(own.credentials.unwrap().credentials_type.as_deref(), Some(credentials));
        assert_eq!(own.service_data_access_auth_identity.as_deref(), Some("None"));
        assert_eq!(decided.status.target.as_deref(), Some("lake/raw"));
        assert_eq!(decided.status.credentials_type.as_deref(), Some(credentials));
    }
}

#[test]
fn a_new_secret_is_sent_once_and_the_same_one_never_again() {
    let mut case = Case::of(&with_key());
    case.settle();
    assert_eq!(case.outcome(), ("Registered", None));
    case.rotate("two");
    let decided = case.plan();
    assert_eq!(decided.steps[0].changes[0].field, "properties.tags.aml-operator.io-credential");
    assert_eq!(case.settle().1, 1);
    // A restart, a restore without any status: what Azure shows is all that is needed.
    let mut restored = Case::of(&with_key());
    restored.observed.datastore = case.observed.datastore.clone();
    restored.rotate("two");
    assert_eq!(restored.outcome(), ("Registered", None));
    // Without a credential the datastore keeps none.
    let mut without = Case::of(&blob());
    without.observed.datastore = case.observed.datastore.clone();
    without.settle();
    assert_eq!(without.observed.datastore.as_ref().unwrap().tag(CREDENTIAL_TAG), None);
}

#[test]
fn a_plan_holds_a_stand_in_that_takes_the_secret_when_it_goes_out() {
    let decided = Case::of(&with_key()).plan();
    let mut body = decided.steps[0].request.body.clone().unwrap();
    assert_eq!(
        body["properties"]["credentials"],
        json!({"credentialsType": "AccountKey", "secrets": {"secretsType": "AccountKey", "key": "from Secret lake-key"}})
    );
    let (fingerprint, place) = stand_in(&mut body).unwrap();
    assert_eq!(fingerprint, "one");
    *place = json!(KEY);
    assert_eq!(body["properties"]["credentials"]["secrets"]["key"], KEY);
    let mut none = Case::of(&blob()).plan().steps[0].request.body.clone().unwrap();
    assert!(stand_in(&mut none).is_none());
    let another = |fingerprint: &str| {
        let mut case = Case::of(&with_key());
        case.rotate(fingerprint);
        case.plan().steps[0].request.intent(String::new()).body_hash
    };
    assert_ne!(another("one"), another("two"), "a refusal of the one secret does not hold up the next");
}

#[test]
fn a_credential_that_cannot_be_used_leaves_azure_as_it_is() {
    let mut case = Case::of(&with_key());
    case.settle();
    let gone = Verdict::new(Reason::CredentialMissing, "gone");
    case.observed.credential = Some(Err(gone));
    assert_eq!(case.outcome(), ("CredentialMissing", None));
    case.observed.datastore = None;
    assert_eq!(case.outcome(), ("CredentialMissing", None));
}

#[test]
fn an_account_that_is_not_under_its_id_is_nobodys() {
    let mut case = Case::of(&blob());
    case.observed.account = None;
    let decided = case.plan();
    assert_eq!(case.outcome(), ("ParentMissing", None));
    assert!(decided.verdict.message.contains(&lake()), "{}", decided.verdict.message);
    assert_eq!(Case::of(&blob()).with(|input| check(input.spec, input.site, input.id)), Ok(()));
    let elsewhere =
        json!({"blob": {"storageAccount": {"resourceId": lake().replace("/rg/", "/theirs/")}, "containerName": "raw"}});
    let refused = Case::of(&elsewhere).with(|input| check(input.spec, input.site, input.id)).unwrap_err();
    assert!(refused.message.contains("does not let namespace \"team\" reach"), "{}", refused.message);
}

#[test]
fn another_place_takes_making_it_anew_and_what_else_differs_one_write() {
    let made = |change: &dyn Fn(&mut Value)| {
        let mut case = Case::of(&blob());
        let mut body = case.plan().steps[0].request.body.clone().unwrap();
        body["properties"]["properties"] = json!({"theirs": "1"});
        body["properties"]["tags"]["cost"] = json!("42");
        change(&mut body["properties"]);
        case.observed.datastore = Some(Datastore::read(body).unwrap());
        case
    };
    for field in ["accountName", "containerName", "serviceDataAccessAuthIdentity", "datastoreType"] {
        let mut case = made(&|own| own[field] = json!("WorkspaceSystemAssignedIdentity"));
        assert_eq!(case.outcome(), ("NotChangeable", None), "{field}");
        case.object.spec.recreate = Some(Recreate::Allowed);
        assert_eq!(case.outcome(), ("Updating", Some("DELETE")), "{field}");
        assert_eq!(case.settle().1, 2, "{field}");
    }
    let mut keyed = made(&|own| own["credentials"] = json!({"credentialsType": "AccountKey"}));
    let decided = keyed.plan();
    let body = decided.steps[0].request.body.clone().unwrap();
    assert_eq!(body["properties"]["properties"], json!({"theirs": "1"}), "what others keep there stays");
    assert_eq!(body["properties"]["tags"]["cost"], "42");
    assert_eq!(decided.differences[0].field, "properties.credentials.credentialsType");
    assert_eq!(keyed.settle().1, 1);
    assert_eq!(
        made(&|own| own["subscriptionId"] = Value::Null).outcome(),
        ("Registered", None),
        "Azure need not show it"
    );
    assert_eq!(
        made(&|own| own["description"] = json!("theirs")).outcome(),
        ("Registered", None),
        "nothing is declared"
    );
}

#[test]
fn strangers_datastores_are_left_alone_until_they_are_claimed() {
    let mut case = Case::of(&blob());
    let mut body = case.plan().steps[0].request.body.clone().unwrap();
    body["properties"]["tags"] = json!({"team": "x"});
    case.observed.datastore = Some(Datastore::read(body.clone()).unwrap());
    assert_eq!(case.outcome(), ("AdoptionRefused", None));
    case.object.spec.adoption = Some(Adoption::IfMatching);
    let taking = case.plan();
    assert_eq!(
        taking.steps[0].request.body.as_ref().unwrap()["properties"]["tags"],
        json!({"team": "x", OWNER_TAG: "i/AmlDatastore/team/lake/adopted"})
    );
    assert_eq!(case.settle().1, 1);
    let foreign = "j/AmlDatastore/team/lake/created";
    body["properties"]["tags"] = json!({ OWNER_TAG: foreign });
    case.observed.datastore = Some(Datastore::read(body.clone()).unwrap());
    assert_eq!(case.outcome(), ("OwnedElsewhere", None));
    case.object.spec.adoption = Some(Adoption::Always);
    case.object.spec.acknowledge = vec![Acknowledgement { door: Door::Takeover, value: foreign.into() }];
    assert_eq!(case.settle().1, 1);
    let farewell = |datastore: Option<&Datastore>| {
        farewell(&case.ground.owner, &workspace_id().child("datastores", "lake").unwrap(), datastore)
    };
    assert!(matches!(farewell(case.observed.datastore.as_ref()), Farewell::Remove(_)));
    assert!(matches!(farewell(Some(&Datastore::read(body).unwrap())), Farewell::Release(_)));
    assert!(matches!(farewell(None), Farewell::Release(_)));
}

fn endpoint(id: &str, subresource: &str) -> Value {
    json!({"type": "PrivateEndpoint", "category": "UserDefined",
        "destination": {"serviceResourceId": id, "subresourceTarget": subresource, "sparkEnabled": false}})
}

fn tag(tag: &str, ports: &str) -> Value {
    json!({"type": "ServiceTag", "category": "UserDefined",
        "destination": {"serviceTag": tag, "protocol": "TCP", "portRanges": ports, "action": "Allow"}})
}

fn host(host: &str) -> Value {
    json!({"type": "FQDN", "category": "UserDefined", "destination": host})
}

#[test]
fn a_place_is_reachable_if_a_rule_in_force_leads_there() {
    use ConditionStatus::{False, True, Unknown};
    let (all, closed) = (json!({}), json!({"publicNetworkAccess": "Disabled"}));
    let some = json!({"publicNetworkAccess": "Enabled", "networkAcls": {"defaultAction": "Deny"}});
    let approved = "AllowOnlyApprovedOutbound";
    let active = |rule: Value| Some(("Active", rule));
    for (mode, network, rule, account, status, reason) in [
        (approved, "Active", None, &closed, False, "NoRule"),
        (approved, "Active", None, &all, False, "NoRule"),
        (approved, "Active", active(endpoint(&lake().to_uppercase(), "BLOB")), &closed, True, "PrivateEndpoint"),
        (approved, "Inactive", active(endpoint(&lake(), "blob")), &closed, False, "RuleNotActive"),
        (approved, "Active", Some(("Provisioning", endpoint(&lake(), "blob"))), &closed, False, "RuleNotActive"),
        (approved, "Active", active(endpoint(&lake(), "dfs")), &closed, False, "NoRule"),
        (approved, "Active", active(endpoint(&lake().replace("lake", "pond"), "blob")), &closed, False, "NoRule"),
        (approved, "Active", active(tag("Storage.WestEurope", "80, 443")), &all, True, "ServiceTag"),
        (approved, "Active", active(tag("Storage", "443")), &some, False, "NoRule"),
        (approved, "Active", active(tag("Storage.NorthEurope", "443")), &all, False, "NoRule"),
        (approved, "Active", active(tag("Storage", "80")), &all, False, "NoRule"),
        (approved, "Active", active(tag("AzureMonitor", "443")), &all, False, "NoRule"),
        (approved, "Active", active(host("lake.blob.core.windows.net")), &all, True, "Fqdn"),
        (approved, "Active", active(host("*.blob.core.windows.net")), &all, True, "Fqdn"),
        (approved, "Active", active(host("*.core.windows.net")), &closed, False, "NoRule"),
        (approved, "Active", active(host("pond.blob.core.windows.net")), &all, False, "NoRule"),
        ("AllowInternetOutbound", "Active", None, &all, True, "PublicAccess"),
        ("AllowInternetOutbound", "Active", None, &some, False, "NoRule"),
        ("AllowInternetOutbound", "Active", active(endpoint(&lake(), "blob")), &some, True, "PrivateEndpoint"),
        ("Disabled", "Inactive", None, &all, True, "PublicAccess"),
        ("Disabled", "Inactive", None, &closed, Unknown, "NoManagedNetwork"),
    ] {
        let mut case = Case::of(&blob());
        case.ground.workspace = workspace(&json!({"managedNetwork": {"isolationMode": mode}}));
        case.ground.azure_shows(&shown(mode, network));
        let words = format!("{mode} {network} {rule:?} {account}");
        if let Some((state, rule)) = rule {
            case.ground.rule("r", state, rule);
        }
        case.account(account);
        let (found, why, suggested) = case.reachable();
        assert_eq!((found, why.as_str()), (status, reason), "{words}");
        assert_eq!(suggested.is_some(), reason == "NoRule", "{words}");
    }
    let mut project = Case::of(&blob());
    project.ground.azure_shows(&json!({"kind": "Project", "properties": {"workspaceId": "w"}}));
    assert_eq!(project.reachable().1, "HubNetwork");
}

#[test]
fn each_kind_of_place_is_reached_by_its_own_part_of_the_account() {
    let account = json!({"resourceId": lake()});
    for (spec, part) in [
        (blob(), "blob"),
        (json!({"adlsGen2": {"storageAccount": account, "filesystem": "raw"}}), "dfs"),
        (json!({"file": {"storageAccount": account, "fileShareName": "raw"}}), "file"),
    ] {
        let mut case = Case::of(&spec);
        case.ground.rule("r", "Active", endpoint(&lake(), part));
        assert_eq!(case.reachable().0, ConditionStatus::True, "{part}");
    }
    let mut share = Case::of(&json!({"file": {"storageAccount": account, "fileShareName": "raw"}}));
    share.ground.rule("r", "Active", tag("Storage", "443"));
    assert_eq!(share.reachable().1, "NoRule", "a share is mounted by another port");
}

#[test]
fn the_missing_rule_is_a_manifest_to_apply_as_it_is() {
    let mut case = Case::of(&blob());
    case.object.spec.workspace_ref.namespace = Some("platform".into());
    let text = case.reachable().2.unwrap();
    let rule: crate::api::OutboundRule = serde_saphyr::from_str(&text).unwrap();
    assert_eq!((rule.metadata.name.as_deref(), rule.metadata.namespace.as_deref()), (Some("lake-blob"), Some("team")));
    assert_eq!(rule.spec.workspace_ref.namespace.as_deref(), Some("platform"));
    let endpoint = rule.spec.private_endpoint.unwrap();
    assert_eq!((endpoint.resource_id, endpoint.subresource.as_str()), (lake(), "blob"));
    case.observed.coming = Some(Coming { name: "team/lake".into(), reason: "ApproverRoleMissing".into() });
    let (_, reason, suggested) = case.reachable();
    assert_eq!((reason.as_str(), suggested), ("RuleNotActive", None), "there is one already");
}
