//! People's decisions: signed by admission, counted by the policy that asks for them, and ignored once nothing vouches for them.

use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::admissionregistration::v1::{ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding};
use kube::api::{Api, DynamicObject, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::support::{World, condition, control_plane, user};

/// Name of the admission policy and its binding.
const GUARD: &str = "approvaldecisions.aml-operator.io";
/// All worlds share the admission policy: one test takes it away, and the others must not run meanwhile.
pub(crate) static SHARED_GUARD: RwLock<()> = RwLock::const_new(());

fn request(world: &World, name: &str) -> String {
    let endpoint = World::endpoint(&world.subscription, "spoke", name);
    world.knock(&world.lake(), &endpoint);
    endpoint
}

/// What the policy's status says of the connection that `endpoint` asks for.
fn reported(policy: &Value, endpoint: &str) -> Value {
    let mut connections = policy["status"]["connections"].as_array().into_iter().flatten();
    connections.find(|one| one["privateEndpoint"] == endpoint).cloned().unwrap_or_default()
}

/// A policy of the name, with `spec` laid over what every policy has and no entry.
fn policy(world: &World, name: &str, spec: &Value) -> Value {
    let mut policy = world.approval_manifest();
    policy["metadata"]["name"] = json!(name);
    policy["spec"]["allow"] = json!([]);
    for (member, value) in spec.as_object().into_iter().flatten() {
        policy["spec"][member] = value.clone();
    }
    policy
}

/// What a person writes after looking at the policy's status, for the connection that it lists for `endpoint`.
async fn decision(world: &World, policy: &Value, approver: &str, endpoint: &str) -> Value {
    let seen = world.until(policy, "listed", |policy| reported(policy, endpoint).is_object()).await;
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    json!({
        "apiVersion": "aml-operator.io/v1alpha1", "kind": "ApprovalDecision",
        "metadata": {"name": format!("d{number}"), "namespace": world.platform, "labels": {"test": world.mark}},
        "spec": {
            "policyRef": {"name": policy["metadata"]["name"]}, "connectionName": reported(&seen, endpoint)["name"],
            "privateEndpointId": endpoint, "decision": "Approve", "approver": approver, "mayEditPolicy": false,
        },
    })
}

/// `who` creates `manifest`; the error is what they read.
async fn creates(who: &str, manifest: &Value, dry_run: bool) -> Result<(), String> {
    let namespace = manifest["metadata"]["namespace"].as_str().unwrap_or_default();
    let resource = kube::api::ApiResource::erase::<aml_operator::api::ApprovalDecision>(&());
    let api: Api<DynamicObject> = Api::namespaced_with(user(who).await, namespace, &resource);
    let object: DynamicObject = serde_json::from_value(manifest.clone()).expect("an object");
    let created = api.create(&PostParams { dry_run, ..PostParams::default() }, &object).await;
    created.map(|_| ()).map_err(|error| error.to_string())
}

/// The people of the platform's namespace: `alice` and `bob` may decide for the policy `lake`, `erin` may decide and edit, and
/// `editor` may edit all that the chart's role for editors lets them.
async fn people(world: &World) {
    let namespace = &world.platform;
    let role = |name: &str, verbs: &[&str]| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name, "namespace": namespace}, "rules": [
            {"apiGroups": ["aml-operator.io"], "resources": ["privateendpointapprovals"], "resourceNames": ["lake"], "verbs": verbs},
            {"apiGroups": ["aml-operator.io"], "resources": ["approvaldecisions"], "verbs": ["create", "get"]},
        ]})
    };
    let binding = |kind: &str, role: &str, users: &[&str]| {
        let subjects: Vec<Value> = users
            .iter()
            .map(|name| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}))
            .collect();
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": role, "namespace": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role}, "subjects": subjects})
    };
    let rights = json!({"apiVersion": "v1", "kind": "List", "items": [
        role("decides", &["approve"]), binding("Role", "decides", &["alice", "bob"]),
        role("decides-and-edits", &["approve", "patch"]), binding("Role", "decides-and-edits", &["erin"]),
        binding("ClusterRole", "aml-operator-edit", &["editor"]),
    ]});
    control_plane().await.kubectl_with_input(&["apply", "-f", "-"], &rights.to_string()).await.expect("the rights");
}

/// Waits until the API server asks the admission policy, and until decisions are younger than it.
async fn guarded(world: &World, policy: &Value, endpoint: &str) {
    let forged = decision(world, policy, "nobody", endpoint).await;
    world.eventually("the admission policy is in force", async || creates("alice", &forged, true).await.is_err()).await;
    // Both are dated in whole seconds, and the operator's clock of a decision starts when it first saw the policy.
    tokio::time::sleep(Duration::from_millis(2500)).await;
}

/// A world with a policy `lake` that asks people, who are there, and an operator.
async fn world_with(policy: impl Fn(&World) -> Value) -> (World, Value, String) {
    let world = World::new().await;
    people(&world).await;
    let endpoint = request(&world, "lake-1");
    let lake = policy(&world);
    world.apply(world.connection_manifest()).await;
    world.apply(lake.clone()).await;
    (world, lake, endpoint)
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_holds_the_verb_on_a_policy_decides_for_it_and_only_in_their_own_name() {
    let _guard = SHARED_GUARD.read().await;
    let (world, lake, first) = world_with(|world| policy(world, "lake", &json!({}))).await;
    let second = request(&world, "lake-2");
    let pond = policy(&world, "pond", &json!({}));
    world.apply(pond.clone()).await;
    let operator = world.operator().await;
    guarded(&world, &lake, &first).await;

    let alices = decision(&world, &lake, "alice", &first).await;
    let with = |member: &str, value: Value| {
        let mut changed = alices.clone();
        changed["spec"][member] = value;
        changed
    };
    for (who, manifest, words) in [
        ("editor", with("approver", json!("editor")), "editor may not decide for the policy lake"),
        ("editor", alices.clone(), "write approver: editor"),
        ("bob", alices.clone(), "write approver: bob"),
        ("alice", with("policyRef", json!({"name": "pond"})), "may not decide for the policy pond"),
        ("alice", with("policyRef", json!({"name": "sea"})), "may not decide for the policy sea"),
        ("alice", with("mayEditPolicy", json!(true)), "write mayEditPolicy: false"),
        ("erin", with("approver", json!("erin")), "write mayEditPolicy: true"),
        ("alice", with("privateEndpointId", json!("lake-1")), "full ARM id"),
    ] {
        let answer = creates(who, &manifest, false).await.expect_err(words);
        assert!(answer.contains(words), "{who}: {answer}");
    }
    world.rest().await;
    assert!(world.writes().is_empty(), "{:?}", world.written());

    // Names another endpoint than the one that asks: as if it had been exchanged since alice looked.
    let mut other = decision(&world, &lake, "alice", &second).await;
    other["spec"]["privateEndpointId"] = json!(World::endpoint(&world.subscription, "spoke", "lake-3"));
    creates("alice", &other, false).await.expect("alice may");
    creates("alice", &alices, false).await.expect("alice may");
    let change = json!({"spec": {"decision": "Reject"}});
    let api = world.api("ApprovalDecision", Some(&world.platform));
    let name = alices["metadata"]["name"].as_str().unwrap_or_default();
    let refused = api.patch(name, &PatchParams::default(), &Patch::Merge(&change)).await.expect_err("no change");
    assert!(refused.to_string().contains("a decision cannot change"), "{refused}");

    world.until_reason(&alices, "Applied").await;
    let shown = world.until(&lake, "approved", |policy| reported(policy, &first)["state"] == "Approved").await;
    assert_eq!(reported(&shown, &first)["approvedBy"], "alice");
    world.until_reason(&other, "RequestMissing").await;
    world.rest().await;
    let shown = world.read(&lake).await.expect("the policy");
    assert_eq!(reported(&shown, &second)["state"], "Pending");
    assert_eq!(world.writes().len(), 1, "{:?}", world.written());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_different_people_who_may_not_edit_the_policy_have_to_approve() {
    let _guard = SHARED_GUARD.read().await;
    let entry = |world: &World| json!([{"privateEndpoint": {"subscriptionId": world.subscription}}]);
    let two = |world: &World| policy(world, "lake", &json!({"allow": entry(world), "requireApprovers": 2}));
    let (world, lake, endpoint) = world_with(two).await;
    let operator = world.operator().await;
    guarded(&world, &lake, &endpoint).await;
    let waiting = world.read(&lake).await.expect("the policy");
    assert_eq!(reported(&waiting, &endpoint)["decision"], "ApproversMissing");
    let alices = decision(&world, &lake, "alice", &endpoint).await;
    let again = decision(&world, &lake, "alice", &endpoint).await;
    let mut erins = decision(&world, &lake, "erin", &endpoint).await;
    erins["spec"]["mayEditPolicy"] = json!(true);
    for (who, manifest) in [("alice", &alices), ("alice", &again), ("erin", &erins)] {
        creates(who, manifest, false).await.expect("they may");
    }
    let said = world.until_reason(&alices, "ApproversMissing").await;
    assert!(condition(&said, "Ready")["message"].as_str().unwrap_or_default().starts_with("1 of 2"), "{said}");
    world.until_reason(&erins, "ApproverMayEditPolicy").await;
    world.rest().await;
    assert!(world.writes().is_empty(), "{:?}", world.written());
    let bobs = decision(&world, &lake, "bob", &endpoint).await;
    creates("bob", &bobs, false).await.expect("bob may");
    world.until_reason(&bobs, "Applied").await;
    world.until_reason(&alices, "Applied").await;
    let shown = world.until(&lake, "approved", |policy| reported(policy, &endpoint)["state"] == "Approved").await;
    assert_eq!(reported(&shown, &endpoint)["approvedBy"], "alice, bob");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_rejects_turns_away_what_an_entry_allows() {
    let _guard = SHARED_GUARD.read().await;
    let entry = |world: &World| json!([{"privateEndpoint": {"subscriptionId": world.subscription}}]);
    let one = |world: &World| policy(world, "lake", &json!({"allow": entry(world), "requireApprovers": 1}));
    let (world, lake, endpoint) = world_with(one).await;
    let operator = world.operator().await;
    guarded(&world, &lake, &endpoint).await;
    let mut no = decision(&world, &lake, "alice", &endpoint).await;
    no["spec"]["decision"] = json!("Reject");
    creates("alice", &no, false).await.expect("alice may");
    world.until_reason(&no, "Applied").await;
    let yes = decision(&world, &policy(&world, "lake", &json!({})), "bob", &endpoint).await;
    creates("bob", &yes, false).await.expect("bob may");
    world.until_reason(&yes, "Outdated").await;
    world.rest().await;
    assert_eq!(world.writes().len(), 1, "{:?}", world.written());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_let_in_for_a_policy_ends_with_it() {
    let _guard = SHARED_GUARD.read().await;
    let ends = |world: &World| policy(world, "lake", &json!({"onDelete": "Withdraw", "gracePeriod": "1s"}));
    let (world, lake, endpoint) = world_with(ends).await;
    let operator = world.operator().await;
    guarded(&world, &lake, &endpoint).await;
    let alices = decision(&world, &lake, "alice", &endpoint).await;
    creates("alice", &alices, false).await.expect("alice may");
    world.until_reason(&alices, "Applied").await;
    world.delete(&lake).await;
    world.until_gone(&lake).await;
    world.until_reason(&alices, "PolicyMissing").await;
    assert_eq!(world.endpoints_in("Rejected"), [endpoint]);
    assert_eq!(world.writes().len(), 2, "{:?}", world.written());
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_admission_policy_nobodys_decision_counts_and_those_from_that_time_never_do() {
    let _guard = SHARED_GUARD.write().await;
    let asks = |world: &World| policy(world, "lake", &json!({"requireApprovers": 2}));
    let (world, lake, endpoint) = world_with(asks).await;
    let operator = world.operator().await;
    guarded(&world, &lake, &endpoint).await;
    let alices = decision(&world, &lake, "alice", &endpoint).await;
    creates("alice", &alices, false).await.expect("alice may");
    world.until_reason(&alices, "ApproversMissing").await;

    // The binding narrowed to nothing: the objects are there, and ask nobody.
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(world.kube.clone());
    let narrow = json!({"spec": {"matchResources": {"namespaceSelector": {"matchLabels": {"no": "namespace"}}}}});
    bindings.patch(GUARD, &PatchParams::default(), &Patch::Merge(&narrow)).await.expect("narrowed");
    world.until_reason(&alices, "GuardMissing").await;
    world.until(&lake, "told", |policy| condition(policy, "GuardMissing")["status"] == "True").await;
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(world.kube.clone());
    policies.delete(GUARD, &Default::default()).await.expect("the admission policy goes");

    // Nobody checks now whose name stands there.
    let forged = decision(&world, &lake, "bob", &endpoint).await;
    world.eventually("nobody checks", async || creates("alice", &forged, true).await.is_ok()).await;
    creates("alice", &forged, false).await.expect("nobody checks");
    world.until_reason(&forged, "GuardMissing").await;
    world.rest().await;

    // It comes back as the chart has it: what was decided before vouches for nothing.
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/aml-operator/files/guard");
    bindings.delete(GUARD, &Default::default()).await.expect("the binding goes");
    control_plane().await.kubectl(&["apply", "--server-side", "-f", chart]).await.expect("the guard");
    world.until_reason(&forged, "Outdated").await;
    world.until_reason(&alices, "Outdated").await;
    world.until(&lake, "told", |policy| condition(policy, "GuardMissing").is_null()).await;
    guarded(&world, &lake, &endpoint).await;
    assert!(world.writes().is_empty(), "{:?}", world.written());
    for who in ["alice", "bob"] {
        let anew = decision(&world, &lake, who, &endpoint).await;
        creates(who, &anew, false).await.expect("they may");
    }
    world.until(&lake, "approved", |policy| reported(policy, &endpoint)["state"] == "Approved").await;
    operator.stop().await;
}

/// What a decision came to is told on it, Azure's refusal too; and it is used up in the very write that records its approval.
#[tokio::test(flavor = "multi_thread")]
async fn a_decision_tells_what_azure_refused_and_is_used_up_with_the_record_of_its_approval() {
    let _guard = SHARED_GUARD.read().await;
    let (mut world, lake, endpoint) = world_with(|world| policy(world, "lake", &json!({}))).await;
    world.pace.slow = Duration::from_secs(2);
    let refusal =
        arm_simulator::Fault::status(403, "AuthorizationFailed").method("PUT").path("/privateEndpointConnections/");
    world.azure.add_fault(refusal);
    let operator = world.operator().await;
    guarded(&world, &lake, &endpoint).await;
    let secrets: Api<k8s_openapi::api::core::v1::Secret> = Api::namespaced(world.kube.clone(), "aml-operator");
    let params = kube::api::WatchParams::default().fields(&format!("metadata.name={}", world.ledger_name()));
    let versions = secrets.watch(&params, "0").await.expect("a watch").boxed();
    let alices = decision(&world, &lake, "alice", &endpoint).await;
    creates("alice", &alices, false).await.expect("alice may");
    let refused = world.until_reason(&alices, "AuthorizationFailed").await;
    let message = condition(&refused, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("approving") && message.contains("AuthorizationFailed"), "{message}");
    world.until_reason(&alices, "Applied").await;
    let pages = versions.filter_map(async |event| match event {
        Ok(kube::core::WatchEvent::Added(secret) | kube::core::WatchEvent::Modified(secret)) => {
            let data = secret.data.unwrap_or_default().remove("ledger.json")?;
            serde_json::from_slice::<Value>(&data.0).ok()
        }
        _ => None,
    });
    let mut recorded = std::pin::pin!(pages.skip_while(|page| std::future::ready(page["approvals"].is_null())));
    let first = recorded.next().await.expect("the approval is recorded");
    assert_eq!(first["signatures"][0]["spent"], true, "{first}");
    assert!(first["proofs"].is_null(), "{first}");
    operator.stop().await;
}

/// One policy goes and takes along what it approved, and only the people of another keep it: while nothing vouches for them, nobody
/// is cut off on the ground that their decision does not count.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_admission_policy_nothing_is_withdrawn_that_people_decided_to_keep() {
    let _guard = SHARED_GUARD.write().await;
    let (world, lake, waiting) = world_with(|world| policy(world, "lake", &json!({}))).await;
    let kept = World::endpoint(&world.subscription, "hub", "lake-kept");
    world.knock(&world.lake(), &kept);
    let mut going = world.approval_manifest();
    going["metadata"]["name"] = json!("going");
    going["spec"]["onDelete"] = json!("Withdraw");
    going["spec"]["gracePeriod"] = json!("0s");
    world.apply(going.clone()).await;
    let operator = world.operator().await;
    guarded(&world, &lake, &waiting).await;
    world.until_approved(&going, 1).await;
    let by_lakes_people = async || {
        let mut keeps = decision(&world, &going, "alice", &kept).await;
        keeps["spec"]["policyRef"]["name"] = json!("lake");
        keeps
    };
    let (first, second) = (by_lakes_people().await, by_lakes_people().await);
    creates("alice", &first, false).await.expect("alice may");
    world.until_reason(&first, "Applied").await;

    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(world.kube.clone());
    bindings.delete(GUARD, &Default::default()).await.expect("the binding goes");
    world.until(&lake, "told", |policy| condition(policy, "GuardMissing")["status"] == "True").await;
    world.delete(&going).await;
    let held = world.until_reason(&going, "GuardMissing").await;
    let message = condition(&held, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains(&kept) && message.contains("ApprovalDecision"), "{message}");
    world.rest().await;
    assert_eq!(world.endpoints_in("Approved"), [kept.as_str()]);

    // It is back: the old decision still counts for nothing, and still nobody is cut off for that.
    let chart = concat!(env!("CARGO_MANIFEST_DIR"), "/charts/aml-operator/files/guard");
    control_plane().await.kubectl(&["apply", "--server-side", "-f", chart]).await.expect("the guard");
    world.until_reason(&first, "Outdated").await;
    world.rest().await;
    assert_eq!(world.endpoints_in("Approved"), [kept.as_str()]);
    guarded(&world, &lake, &waiting).await;
    creates("alice", &second, false).await.expect("alice may");
    world.until_gone(&going).await;
    assert_eq!(world.endpoints_in("Approved"), [kept]);
    assert_eq!(world.writes().len(), 1, "{:?}", world.written());
    operator.stop().await;
}
