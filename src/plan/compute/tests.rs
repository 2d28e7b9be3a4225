use super::*;
use crate::api::AmlCompute;
use crate::api::common::{Acknowledgement, Adoption, DeletionPolicy, Recreate};
use crate::plan::ownership::Owner;
use crate::plan::testing::{Ground, SUB, shown, workspace, workspace_id};

fn object(spec: &Value) -> AmlCompute {
    let mut spec = spec.clone();
    spec["workspaceRef"] = json!({"name": "fraud"});
    serde_json::from_value(json!({
        "apiVersion": "aml-operator.io/v1alpha1", "kind": "AmlCompute",
        "metadata": {"name": "dev", "namespace": "team", "generation": 1}, "spec": spec,
    }))
    .unwrap()
}

/// A world for one decision.
struct Case {
    object: AmlCompute,
    ground: Ground,
    observed: Option<Compute>,
    said: Option<AmlComputeStatus>,
}

impl Case {
    fn of(spec: &Value) -> Self {
        Self { object: object(spec), ground: Ground::of("AmlCompute", "dev"), observed: None, said: None }
    }

    fn in_azure(mut self, compute: &Value) -> Self {
        self.observed = Some(serde_json::from_value(compute.clone()).unwrap());
        self
    }

    fn workspace_is(mut self, spec: &Value, view: &Value) -> Self {
        self.ground.workspace = workspace(spec);
        self.ground.azure_shows(view);
        self
    }

    fn with<T>(&self, run: impl FnOnce(ComputeInput<'_>) -> T) -> T {
        let compute = workspace_id().child("computes", "dev").unwrap();
        let spec = &self.object.spec;
        self.ground.with(|site| {
            run(ComputeInput {
                site,
                id: &compute,
                spec,
                policies: Policies {
                    workspace_ref: &spec.workspace_ref,
                    management: spec.management_policy.unwrap_or_default(),
                    deletion: DeletionPolicy::Delete,
                    adoption: spec.adoption.unwrap_or(Adoption::Never),
                    suspend: false,
                    acknowledge: &spec.acknowledge,
                },
                said: self.said.as_ref(),
                observed: self.observed.as_ref(),
            })
        })
    }

    fn plan(&self) -> Decided<AmlComputeStatus> {
        self.with(plan)
    }

    fn check(&self) -> Result<(), Verdict> {
        self.with(|input| check(input.spec, input.site, input.id))
    }

    /// The reason, and the verb of the next write.
    fn outcome(&self) -> (&'static str, Option<&'static str>) {
        let decided = self.plan();
        (decided.verdict.reason.word(), decided.steps.first().map(|step| step.request.verb))
    }
}

fn owner() -> Owner {
    Owner { installation: "i".into(), kind: "AmlCompute", namespace: "team".into(), name: "dev".into() }
}

fn instance(more: &Value) -> Value {
    let mut instance = json!({"vmSize": "Standard_DS3_v2"});
    for (key, value) in more.as_object().unwrap() {
        instance[key] = value.clone();
    }
    json!({ "instance": instance })
}

/// What Azure shows once a creating body was carried out.
fn made(body: &Value) -> Value {
    let mut made = body.clone();
    made["properties"]["provisioningState"] = json!("Succeeded");
    if made["properties"]["computeType"] == "ComputeInstance" {
        made["properties"]["properties"]["state"] = json!("Running");
    }
    made
}

#[test]
fn what_is_not_said_is_closed() {
    let body = |spec: &Value| Case::of(spec).plan().steps[0].request.body.clone().unwrap();
    let instance = body(&instance(&json!({})));
    let own = &instance["properties"]["properties"];
    assert_eq!(own["enableNodePublicIp"], false);
    assert_eq!(own["sshSettings"]["sshPublicAccess"], "Disabled");
    assert_eq!(own["applicationSharingPolicy"], "Personal");
    assert_eq!(instance["properties"]["disableLocalAuth"], true);
    assert_eq!(instance["location"], "westeurope");
    assert_eq!(instance["tags"][OWNER_TAG], "i/AmlCompute/team/dev/created");
    let cluster = body(&json!({"cluster": {"vmSize": "Standard_DS3_v2", "maxNodes": 4}}));
    let own = &cluster["properties"]["properties"];
    assert_eq!(own["remoteLoginPortPublicAccess"], "Disabled");
    assert_eq!(own["enableNodePublicIp"], false);
    assert_eq!(own["scaleSettings"], json!({"minNodeCount": 0, "maxNodeCount": 4}));
}

#[test]
fn what_was_made_as_declared_needs_nothing_more() {
    for spec in [
        instance(
            &json!({"idleTimeBeforeShutdown": "PT60M", "rootAccess": false, "ssh": {"adminPublicKey": "ssh-rsa AAAAAAAAAAAA"}}),
        ),
        json!({"cluster": {"vmSize": "Standard_DS3_v2", "minNodes": 1, "maxNodes": 4, "nodeIdleTimeBeforeScaleDown": "PT5M"},
            "identity": {"type": "SystemAssigned"}, "localAuth": true}),
    ] {
        let case = Case::of(&spec);
        let body = case.plan().steps[0].request.body.clone().unwrap();
        let decided = case.in_azure(&made(&body)).plan();
        assert!(decided.steps.is_empty() && decided.verdict.reason == Reason::Running, "{spec}: {:?}", decided.verdict);
    }
}

#[test]
fn public_addresses_wait_for_a_word_and_are_taken_back_when_opened_by_hand() {
    let open = json!({"cluster": {"vmSize": "s", "maxNodes": 1}, "network": {"enableNodePublicIp": true}});
    let mut case = Case::of(&open);
    assert_eq!(case.outcome(), ("AcknowledgementRequired", None));
    assert!(case.plan().verdict.message.contains("{door: NodePublicIp, value: dev}"));
    case.object.spec.acknowledge = vec![Acknowledgement { door: Door::NodePublicIp, value: "dev".into() }];
    assert_eq!(case.outcome(), ("Creating", Some("PUT")));
    // A compute that says nothing of it has public addresses, outside a managed network: Azure's own default.
    let closed = json!({"cluster": {"vmSize": "s", "maxNodes": 1}});
    let found = json!({"tags": {OWNER_TAG: "i/AmlCompute/team/dev/created"}, "properties": {
        "computeType": "AmlCompute", "disableLocalAuth": true, "provisioningState": "Succeeded",
        "properties": {"vmSize": "S", "scaleSettings": {"maxNodeCount": 1}}}});
    let network = json!({"managedNetwork": {"isolationMode": "Disabled"}});
    let case = Case::of(&closed).in_azure(&found).workspace_is(&network, &shown("Disabled", "Inactive"));
    let decided = case.plan();
    assert_eq!(decided.verdict.reason, Reason::NotChangeable);
    assert!(decided.verdict.message.contains("enableNodePublicIp from true to false"), "{}", decided.verdict.message);
    assert_eq!(decided.conditions[0].reason, "PublicAddress");
}

#[test]
fn a_compute_waits_for_the_network_as_its_workspace_says() {
    let spec = instance(&json!({}));
    for (when, mode, network, want) in [
        ("Immediately", "AllowOnlyApprovedOutbound", "Active", "Creating"),
        ("Immediately", "AllowOnlyApprovedOutbound", "Inactive", "ManagedNetworkInactive"),
        ("OnFirstCompute", "AllowOnlyApprovedOutbound", "Inactive", "ManagedNetworkInactive"),
        ("Never", "AllowOnlyApprovedOutbound", "Inactive", "ManagedNetworkNotProvisioned"),
        ("Never", "Disabled", "Inactive", "PrivatePathMissing"),
    ] {
        let declared = json!({"managedNetwork": {"isolationMode": mode, "provision": {"when": when}}});
        let case = Case::of(&spec).workspace_is(&declared, &shown(mode, network));
        assert_eq!(case.outcome().0, want, "{when} {mode} {network}");
    }
    let mut reachable = shown("Disabled", "Inactive");
    let endpoint = format!("/subscriptions/{SUB}/resourceGroups/hub/providers/Microsoft.Network/privateEndpoints/pe");
    reachable["properties"]["privateEndpointConnections"] = json!([{"name": "c", "properties": {
        "privateEndpoint": {"id": endpoint}, "privateLinkServiceConnectionState": {"status": "Approved"}}}]);
    let declared = json!({"managedNetwork": {"isolationMode": "Disabled"}});
    assert_eq!(Case::of(&spec).workspace_is(&declared, &reachable).outcome(), ("Creating", Some("PUT")));
    let mut gone = Case::of(&spec);
    gone.ground.view.workspace = None;
    assert_eq!(gone.outcome(), ("WorkspaceNotReady", None));
}

#[test]
fn what_cannot_be_meant_is_refused_before_azure_is_asked() {
    let subnet = |subscription: &str| {
        format!(
            "/subscriptions/{subscription}/resourceGroups/rg/providers/Microsoft.Network/virtualNetworks/v/subnets/s"
        )
    };
    let disabled = json!({"managedNetwork": {"isolationMode": "Disabled"}});
    let in_subnet = |subscription: &str| {
        let mut spec = instance(&json!({}));
        spec["network"] = json!({"subnet": {"resourceId": subnet(subscription)}});
        spec
    };
    let elsewhere = |mut spec: Value| {
        spec["location"] = json!("northeurope");
        spec
    };
    let cluster = json!({"cluster": {"vmSize": "s", "maxNodes": 1}});
    let other = "00000000-0000-0000-0000-00000000000f";
    let managed = json!({});
    for (spec, workspace, want) in [
        (in_subnet(SUB), &managed, Some("has a managed network")),
        (in_subnet(SUB), &disabled, None),
        (in_subnet(other), &disabled, Some("does not let namespace \"team\" reach")),
        (elsewhere(instance(&json!({}))), &disabled, Some("in the region of its workspace")),
        (elsewhere(cluster.clone()), &disabled, None),
        (elsewhere(cluster), &managed, Some("every compute must be in the region")),
    ] {
        let case = Case::of(&spec).workspace_is(workspace, &shown("Disabled", "Inactive"));
        let found = case.check().err().map(|verdict| verdict.message);
        match (found, want) {
            (None, None) => {}
            (Some(found), Some(want)) => assert!(found.contains(want), "{found}"),
            (found, want) => panic!("{spec}: {found:?}, wanted {want:?}"),
        }
    }
}

#[test]
fn what_azure_cannot_change_is_made_anew_only_if_that_is_allowed() {
    let case = Case::of(&instance(&json!({})));
    let mut found = made(&case.plan().steps[0].request.body.clone().unwrap());
    found["properties"]["properties"]["vmSize"] = json!("STANDARD_DS3_V2");
    assert_eq!(case.in_azure(&found).outcome(), ("Running", None), "sizes compare without regard to case");
    found["properties"]["properties"]["sshSettings"]["sshPublicAccess"] = json!("Enabled");
    let mut case = Case::of(&instance(&json!({}))).in_azure(&found);
    assert_eq!(case.outcome(), ("NotChangeable", None));
    case.object.spec.recreate = Some(Recreate::Allowed);
    let decided = case.plan();
    assert_eq!(
        decided.steps[0].request.path,
        format!("{}?underlyingResourceAction=Delete", decided.steps[0].request.id)
    );
    assert!(
        decided.verdict.message.contains("sshPublicAccess from Enabled to Disabled"),
        "{}",
        decided.verdict.message
    );
    case.ground.azure_shows(&shown("AllowOnlyApprovedOutbound", "Inactive"));
    assert_eq!(case.outcome(), ("ManagedNetworkInactive", None), "nothing goes that could not be made again");
}

#[test]
fn a_clusters_bounds_are_changed_in_place() {
    let small = Case::of(&json!({"cluster": {"vmSize": "s", "maxNodes": 1}}));
    let found = made(&small.plan().steps[0].request.body.clone().unwrap());
    let grown = Case::of(&json!({"cluster": {"vmSize": "s", "maxNodes": 4}})).in_azure(&found).plan();
    let request = &grown.steps[0].request;
    assert_eq!(request.method, "PATCH");
    let scale = json!({"minNodeCount": 0, "maxNodeCount": 4});
    assert_eq!(request.body, Some(json!({"properties": {"properties": {"scaleSettings": scale}}})));
    let idle = Case::of(&instance(&json!({"idleTimeBeforeShutdown": "PT30M"})));
    let mut found = made(&idle.plan().steps[0].request.body.clone().unwrap());
    found["properties"]["properties"]["idleTimeBeforeShutdown"] = json!("PT60M");
    let idle = idle.in_azure(&found).plan();
    assert!(idle.steps[0].request.path.ends_with("/computes/dev/updateIdleShutdownSetting"), "{:?}", idle.steps);
}

#[test]
fn an_instance_is_started_stopped_and_restarted_once() {
    let powered = |state: &str, restart: Option<&str>, restarted: Option<&str>, now: &str| {
        let mut spec = instance(&json!({}));
        spec["power"] = json!({"state": state, "restartAt": restart});
        let mut case = Case::of(&spec);
        let mut found = made(&case.plan().steps[0].request.body.clone().unwrap());
        found["properties"]["properties"]["state"] = json!(now);
        case = case.in_azure(&found);
        case.said = Some(AmlComputeStatus { restarted_at: restarted.map(ToOwned::to_owned), ..Default::default() });
        case.outcome()
    };
    assert_eq!(powered("Running", None, None, "Stopped"), ("Updating", Some("POST start")));
    assert_eq!(powered("Stopped", None, None, "Running"), ("Updating", Some("POST stop")));
    assert_eq!(powered("Stopped", None, None, "Stopped"), ("Stopped", None));
    assert_eq!(powered("Running", Some("a"), Some("a"), "Running"), ("Running", None));
    assert_eq!(powered("Running", Some("b"), Some("a"), "Running"), ("Updating", Some("POST restart")));
    assert_eq!(powered("Running", Some("a"), None, "Running"), ("Running", None), "the first value restarts nothing");
    assert_eq!(powered("Running", None, None, "Starting"), ("Updating", None));
    assert_eq!(powered("Running", None, None, "CreateFailed"), ("AzureRefused", None));
}

#[test]
fn strangers_computes_are_left_alone_and_kubernetes_is_only_reported() {
    let case = Case::of(&instance(&json!({})));
    let mut found = made(&case.plan().steps[0].request.body.clone().unwrap());
    found["tags"] = json!({"team": "x"});
    let mut case = case.in_azure(&found);
    assert_eq!(case.outcome(), ("AdoptionRefused", None));
    case.object.spec.adoption = Some(Adoption::IfMatching);
    let decided = case.plan();
    let body = decided.steps[0].request.body.clone().unwrap();
    assert_eq!(body["tags"], json!({"team": "x", OWNER_TAG: "i/AmlCompute/team/dev/adopted"}), "others' tags stay");
    let cluster = json!({"properties": {"computeType": "Kubernetes", "resourceId": "/x"}});
    assert_eq!(Case::of(&json!({"kubernetes": {}})).outcome(), ("ParentMissing", None));
    assert_eq!(Case::of(&json!({"kubernetes": {}})).in_azure(&cluster).outcome(), ("Active", None));
    let other = json!({"kubernetes": {"clusterResourceId": "/y"}});
    assert_eq!(Case::of(&other).in_azure(&cluster).outcome(), ("Differs", None));
}

#[test]
fn only_what_carries_the_objects_tag_is_deleted() {
    let id = workspace_id().child("computes", "dev").unwrap();
    let compute = |tag: &str, state: &str| -> Compute {
        serde_json::from_value(json!({"tags": {OWNER_TAG: tag}, "properties": {"provisioningState": state}})).unwrap()
    };
    let own = "i/AmlCompute/team/dev/created";
    assert!(matches!(farewell(&owner(), &id, Some(&compute(own, "Succeeded"))), Farewell::Remove(_)));
    assert!(matches!(farewell(&owner(), &id, Some(&compute(own, "Deleting"))), Farewell::Wait(_)));
    assert!(matches!(farewell(&owner(), &id, Some(&compute("j/x", "Succeeded"))), Farewell::Release(_)));
    assert!(matches!(farewell(&owner(), &id, None), Farewell::Release(_)));
}

#[test]
fn an_idle_time_that_azure_does_not_take_is_refused() {
    for (text, taken) in [
        ("PT15M", true),
        ("PT1H30M", true),
        ("P3D", true),
        ("P2DT24H", true),
        ("PT14M", false),
        ("P3DT1M", false),
        ("P99999999999999999999D", false),
        ("PT", false),
    ] {
        let refused = Case::of(&instance(&json!({ "idleTimeBeforeShutdown": text }))).check().err();
        assert_eq!(refused.map(|verdict| verdict.reason), (!taken).then_some(Reason::Invalid), "{text}");
    }
}

#[test]
fn an_assigned_user_is_of_the_connections_tenant_unless_it_says_otherwise() {
    let of = |user: Value| {
        let body = Case::of(&instance(&json!({ "assignedUser": user }))).plan().steps[0].request.body.clone().unwrap();
        body["properties"]["properties"]["personalComputeInstanceSettings"]["assignedUser"].clone()
    };
    let (alice, elsewhere) = ("00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b");
    assert_eq!(of(json!({ "objectId": alice })), json!({"objectId": alice, "tenantId": SUB}));
    let guest = json!({"objectId": alice, "tenantId": elsewhere});
    assert_eq!(of(guest.clone()), guest);
}
