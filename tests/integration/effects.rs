//! The process dies at any effect: the main job is run once to count its effects, then again with the operator cut at each of
//! them in turn. The end must be the same, and no operation may be started twice, except where the cut falls between ARM's
//! acceptance and its record.
//!
//! "Dies" is an operator dropped in this process, with everything it remembers; SIGKILL of the real one is tried elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use aml_operator::effects::{Effect, Moment, Observer, Seam, System};
use futures::StreamExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{FOREIGN, World, condition, settings};
use arm_simulator::{OperationSeconds, Settings};

/// Counts effects, and stops the operator for good at one of them.
#[derive(Default)]
pub(crate) struct Cut {
    at: Option<usize>,
    passed: Mutex<Vec<(Moment, Effect)>>,
    reached: Notify,
}

impl Cut {
    /// Stops at the `at`-th passage, or never.
    pub(crate) fn at(at: Option<usize>) -> Self {
        Self { at, ..Self::default() }
    }

    /// Resolves once it has stopped the operator.
    pub(crate) async fn reached(&self) {
        self.reached.notified().await;
    }

    /// All passages so far.
    pub(crate) fn passed(&self) -> Vec<(Moment, Effect)> {
        self.passed.lock().unwrap().clone()
    }
}

impl Observer for Cut {
    fn reach<'a>(&'a self, moment: Moment, effect: &'a Effect) -> BoxFuture<'a, ()> {
        let stop = {
            let mut passed = self.passed.lock().unwrap();
            passed.push((moment, effect.clone()));
            // Everything after the cut stops too: a dead process has no other hands.
            self.at.is_some_and(|at| passed.len() > at)
        };
        Box::pin(async move {
            if stop {
                self.reached.notify_one();
                futures::future::pending::<()>().await;
            }
        })
    }
}

/// What of a run must be the same whatever happened on the way.
#[derive(Debug, PartialEq)]
struct End {
    rules: BTreeMap<String, String>,
    workspace: Value,
    connections: Vec<(String, String)>,
}

struct Run {
    end: End,
    started: BTreeMap<String, usize>,
    passed: Vec<(Moment, Effect)>,
}

/// Applies the demonstration's manifests, deletes one rule, and lets the operator be cut at the `at`-th passage of the seam.
async fn run(at: Option<usize>) -> Run {
    let world = World::with(Settings { operation_seconds: OperationSeconds::all(0.03), ..settings() }).await;
    world.knock(&world.lake(), &World::endpoint(&world.subscription, "hub", "lake-1"));
    world.knock(&world.lake(), &World::endpoint(FOREIGN, "hub", "lake-1"));
    let cut = Arc::new(Cut::at(at));
    let first = world.operator_through(Seam::watched(cut.clone())).await;
    let stays = [world.fqdn("pytorch", "*.pytorch.org"), world.fqdn("pypi", "pypi.org")];
    let goes = world.fqdn("goes", "a.example.org");
    let objects = [world.connection_manifest(), world.workspace_manifest(), world.approval_manifest()];
    for manifest in objects.iter().chain(&stays).chain([&goes]) {
        world.apply(manifest.clone()).await;
    }
    let scenario = async {
        world.until_reason(&goes, "Active").await;
        world.delete(&goes).await;
        world.until_gone(&goes).await;
        world.until_reason(&objects[1], "Secured").await;
        for rule in &stays {
            world.until_reason(rule, "Active").await;
        }
        world.until(&objects[2], "approved", |object| object["status"]["approved"] == 1).await;
        world
            .until(&objects[1], "no operation left", |object| {
                object["status"]["operations"].is_null() && condition(object, "RulesReady")["status"] == "True"
            })
            .await;
    };
    let mut operators = vec![first];
    let restart = async {
        cut.reached().await;
        operators.remove(0).cut().await;
        operators.push(world.operator().await);
        futures::future::pending::<()>().await;
    };
    tokio::select! {
        () = scenario => {}
        () = restart => {}
    }
    // It may stand at the cut, with all that mattered done: then it would never stop by itself.
    for operator in operators {
        operator.cut().await;
    }
    let state = world.azure.state_json().to_string().replace(&world.subscription, "SUB").replace(&world.mark, "MARK");
    let state: Value = serde_json::from_str(&state).unwrap();
    let mut started = BTreeMap::new();
    for request in world.writes().into_iter().filter(|request| request.started_operation.is_some()) {
        let path = request.path.replace(&world.subscription, "SUB");
        *started.entry(format!("{} {}", request.method, kind_of(&path))).or_default() += 1;
    }
    let passed = cut.passed();
    Run { end: end(&world, &state), started, passed }
}

/// The path without the names that differ between runs.
fn kind_of(path: &str) -> String {
    let mut segments: Vec<&str> = path.split('/').collect();
    let named = ["outboundRules", "privateEndpointConnections"];
    if segments.len() > 2 && named.iter().any(|kind| segments[segments.len() - 2].eq_ignore_ascii_case(kind)) {
        segments.pop();
    }
    segments.join("/")
}

fn end(world: &World, state: &Value) -> End {
    // Derived names hold a hash of the namespace, which differs between runs: what the rule leads to is what counts.
    let names = world.rules_in_azure();
    let rules = names
        .into_iter()
        .map(|(name, status)| (name.rsplit_once('-').map_or(name.clone(), |(kept, _)| kept.to_owned()), status))
        .collect();
    let mut workspaces = Vec::new();
    let mut connections = Vec::new();
    visit(state, &mut |object| {
        let type_ = object["type"].as_str().unwrap_or_default().to_lowercase();
        if type_ == "microsoft.machinelearningservices/workspaces" {
            let properties = &object["properties"];
            workspaces.push(json!({
                "tags": object["tags"], "state": properties["provisioningState"], "access": properties["publicNetworkAccess"],
                "mode": properties["managedNetwork"]["isolationMode"], "network": properties["managedNetwork"]["status"],
            }));
        }
        let link = &object["properties"]["privateLinkServiceConnectionState"];
        if let (Some(endpoint), Some(status)) =
            (object["properties"]["privateEndpoint"]["id"].as_str(), link["status"].as_str())
            && endpoint.contains("/hub/")
        {
            connections.push((endpoint.to_owned(), status.to_owned()));
        }
    });
    connections.sort();
    // Both sides of a connection show it.
    connections.dedup();
    End { rules, workspace: Value::Array(workspaces), connections }
}

fn visit(value: &Value, look: &mut impl FnMut(&Value)) {
    look(value);
    match value {
        Value::Object(map) => map.values().for_each(|value| visit(value, look)),
        Value::Array(list) => list.iter().for_each(|value| visit(value, look)),
        _ => {}
    }
}

/// True if the cut falls between ARM's acceptance of a write and its record: the answer is known to nobody any more.
pub(crate) fn unrecorded(passed: &[(Moment, Effect)], at: usize) -> bool {
    let Some((moment, effect)) = passed.get(at) else { return false };
    let is_record = |effect: &Effect| effect.system == System::Kubernetes && effect.path.ends_with("/status");
    match (effect.system, moment) {
        (System::Arm, Moment::After) => true,
        (System::Arm, Moment::Before) => false,
        // The write of the operation's URL, or what runs beside it before that.
        (System::Kubernetes, _) => {
            let since = passed[..at].iter().rev().take(6);
            since.into_iter().any(|(moment, effect)| effect.system == System::Arm && *moment == Moment::After)
                && (is_record(effect) || !passed.is_empty())
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cut_at_any_effect_the_end_is_the_same() {
    let whole = run(None).await;
    assert_eq!(whole.end.rules.len(), 2, "{:?}", whole.end);
    assert_eq!(whole.end.connections.iter().filter(|(_, status)| status == "Approved").count(), 1);
    assert_eq!(whole.started.get("POST /subscriptions/SUB/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/fraud/provisionManagedNetwork"), Some(&1), "{:?}", whole.started);
    let passages = whole.passed.len();
    assert!(passages >= 40, "the job has many effects: {passages}");

    let mut runs =
        futures::stream::iter((0..passages).map(|at| async move { (at, tokio::spawn(run(Some(at))).await.unwrap()) }))
            .buffer_unordered(6);
    let mut hit = 0;
    while let Some((at, cut)) = runs.next().await {
        let what = cut
            .passed
            .get(at)
            .map_or_else(|| "after the last effect".into(), |(moment, effect)| format!("{moment:?} {effect}"));
        hit += usize::from(cut.passed.len() > at);
        assert_eq!(cut.end, whole.end, "cut at {at}: {what}");
        for (operation, count) in &cut.started {
            let usual = whole.started.get(operation).copied().unwrap_or_default();
            let allowed = usual + usize::from(unrecorded(&cut.passed, at));
            // A rule may come in another batch than in the whole run; the workspace and its network may not.
            let about_rules = operation.contains("outboundRules") || operation.starts_with("PATCH");
            assert!(
                *count <= allowed || about_rules,
                "cut at {at}: {what}: {operation} started {count} times, usually {usual}"
            );
        }
    }
    assert!(hit * 10 >= passages * 9, "nearly every cut must hit: {hit} of {passages}");
}
