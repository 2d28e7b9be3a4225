//! Many workspaces: each costs what one costs, none is overtaken, and a change that somebody makes waits for none of them. The large
//! numbers are measured by `make bench`.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt};
use serde_json::{Value, json};

use crate::support::{World, condition};
use arm_simulator::{Bucket, Buckets, RequestEntry};

/// The workspace whose own path a request is about, by name.
fn looked_at(request: &RequestEntry) -> Option<String> {
    let path = request.path.to_lowercase();
    let name = path.rsplit_once("/workspaces/")?.1;
    (request.method == "GET" && !name.contains('/')).then(|| name.to_owned())
}

impl World {
    /// The manifests of `count` workspaces.
    fn workspaces(&self, count: usize) -> Vec<Value> {
        let named = |n| {
            let mut workspace = self.workspace_manifest();
            workspace["metadata"]["name"] = format!("ws-{n:03}").into();
            workspace
        };
        (0..count).map(named).collect()
    }

    async fn apply_all(&self, manifests: &[Value]) {
        stream::iter(manifests).for_each_concurrent(8, |manifest| self.apply(manifest.clone())).await;
    }

    /// How often each workspace was looked at since request `seq`.
    fn looks_since(&self, seq: u64) -> BTreeMap<String, usize> {
        let mut looks = BTreeMap::new();
        for name in self.azure.requests_since(seq).iter().filter_map(looked_at) {
            *looks.entry(name).or_default() += 1;
        }
        looks
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_workspaces_with_five_rules_each_cost_twenty_times_what_one_costs() {
    const WORKSPACES: usize = 20;
    const RULES: usize = 5;
    let world = World::new().await;
    let mut connection = world.connection_manifest();
    connection["spec"]["grants"][0]["egress"]["fqdns"] = json!(["*.example.org"]);
    world.apply(connection).await;
    let workspaces = world.workspaces(WORKSPACES);
    let rules: Vec<Value> = (0..WORKSPACES * RULES)
        .map(|n| {
            let of = &workspaces[n / RULES]["metadata"]["name"];
            let mut rule = world.fqdn(&format!("rule-{n:03}"), &format!("host-{n:03}.example.org"));
            rule["spec"]["workspaceRef"]["name"] = of.clone();
            rule
        })
        .collect();
    world.apply_all(&workspaces).await;
    world.apply_all(&rules).await;
    let operator = world.operator().await;
    for rule in &rules {
        world.until_reason(rule, "Active").await;
    }
    for workspace in &workspaces {
        world
            .until(workspace, "all of it", |object| {
                condition(object, "Ready")["reason"] == "Secured"
                    && object["status"]["rules"] == format!("{RULES}/{RULES}")
            })
            .await;
    }
    let mut writes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for write in world.writes() {
        let path = write.path.to_lowercase();
        let (name, action) =
            path.rsplit_once("/workspaces/").map(|(_, rest)| rest.split_once('/').unwrap_or((rest, ""))).unwrap();
        writes.entry(name.to_owned()).or_default().push(format!("{} {action}", write.method));
    }
    assert_eq!(writes.len(), WORKSPACES);
    for (name, writes) in writes {
        assert_eq!(writes, ["PUT ", "POST provisionmanagednetwork", "PATCH "], "{name}: whatever the others do");
    }

    world.rest().await;
    let before = world.last_request();
    world
        .eventually("some resyncs", async || world.looks_since(before).values().sum::<usize>() >= 5 * WORKSPACES)
        .await;
    operator.stop().await;
    let looks = world.looks_since(before);
    assert_eq!(looks.len(), WORKSPACES);
    let (all, requests) = (looks.values().sum::<usize>(), world.azure.requests_since(before));
    // What the posture reads is counted apart. A look was perhaps under way when the counting began.
    let own = requests.iter().filter(|request| request.path.contains("/Microsoft.MachineLearningServices/")).count();
    assert!(own.abs_diff(2 * all) <= WORKSPACES, "{own} requests for {all} looks");
    assert!(requests.iter().all(|request| request.method == "GET"), "nothing is written");
}

/// More workspaces than the operator looks at at once, by an ARM that lets it read fewer than it would like to.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_overtakes_what_is_looked_at_again_which_is_served_in_turn() {
    const WATCHED: usize = 80;
    let mut world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    let mut watched = world.workspaces(WATCHED);
    for workspace in &mut watched {
        workspace["spec"]["managementPolicy"] = "Observe".into();
    }
    world.apply_all(&watched).await;
    for workspace in &watched {
        world.until_reason(workspace, "Differs").await;
    }
    operator.stop().await;

    // From here the operator is some 30 reads a second short of all it would like to read: those that wait never get fewer.
    world.azure.settings(|settings| {
        settings.throttle = true;
        settings.buckets = Buckets { reads: Bucket { size: 40.0, refill_per_second: 30.0 }, ..Buckets::default() };
    });
    world.throttle.buckets = true;
    let start = world.last_request();
    let operator = world.operator().await;
    let all_looked_at = || world.looks_since(start).len() == WATCHED + 1;
    world.eventually("all were looked at", async || all_looked_at()).await;

    let rule = world.fqdn("a", "a.example.org");
    world.apply(rule.clone()).await;
    world.until_reason(&rule, "Active").await;
    let requests = world.azure.requests_since(start);
    let write = requests.iter().position(|request| request.method == "PUT").expect("the rule is written");
    // What the write rests on was read for it: the last look at the workspace before it, and then its list of rules.
    let look = requests[..write].iter().rposition(|one| looked_at(one).as_deref() == Some("fraud")).expect("a look");
    let list = requests[look..write].iter().position(|one| one.path.ends_with("/fraud/outboundRules")).expect("a list");
    let between = requests[look + 1..look + list].iter().filter(|one| looked_at(one).is_some()).count();
    // A look that had begun when the rule came keeps its place behind the 32 that wait at any time; without them all 80 would.
    assert!(between <= 40, "{between} workspaces were looked at between the change's two reads");

    // Round by round: whoever waits longest is looked at first.
    let before = world.last_request();
    let rounds = || world.looks_since(before).values().sum::<usize>() / WATCHED;
    world.eventually("some rounds", async || rounds() >= 4).await;
    let mut looks = world.looks_since(before);
    looks.remove("fraud");
    let (least, most) = (looks.values().min().copied(), looks.values().max().copied());
    assert_eq!(looks.len(), WATCHED, "nobody is left out");
    assert!(most.unwrap_or_default() - least.unwrap_or_default() <= 2, "{looks:?}");
    operator.cut().await;
}

/// A workspace on which every rule takes a write of its own holds up no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_with_much_to_do_lets_one_with_little_pass() {
    const MANY: usize = 30;
    const FEW: usize = 4;
    let world = World::new().await;
    let mut connection = world.connection_manifest();
    connection["spec"]["grants"][0]["egress"]["fqdns"] = json!(["*.example.org"]);
    let workspaces = world.workspaces(2);
    let operator = world.operator().await;
    world.apply(connection).await;
    world.apply_all(&workspaces).await;
    for workspace in &workspaces {
        world.until_reason(workspace, "Secured").await;
    }
    operator.stop().await;
    // Beside a stranger's rule ours are written one by one.
    let id = |n: usize| world.id("Microsoft.MachineLearningServices/workspaces", &format!("ws-{n:03}"));
    for n in 0..2 {
        let body = json!({"properties": {"type": "FQDN", "category": "UserDefined", "destination": "s.example.net"}});
        world.shell(reqwest::Method::PUT, &format!("{}/outboundRules/strangers", id(n)), Some(&body)).await;
    }
    let rules: Vec<Value> = (0..MANY + FEW)
        .map(|n| {
            let mut rule = world.fqdn(&format!("rule-{n:02}"), &format!("host-{n:02}.example.org"));
            rule["spec"]["workspaceRef"]["name"] = if n < MANY { "ws-000" } else { "ws-001" }.into();
            rule
        })
        .collect();
    world.apply_all(&rules).await;
    let before = world.last_request();
    let operator = world.operator().await;
    for rule in &rules {
        world.until_reason(rule, "Active").await;
    }
    operator.stop().await;
    let writes: Vec<bool> = world
        .azure
        .requests_since(before)
        .iter()
        .filter(|request| request.method == "PUT")
        .map(|request| request.path.contains("/ws-001/"))
        .collect();
    assert_eq!(writes.len(), MANY + FEW);
    let last = writes.iter().rposition(|few| *few).expect("its rules are written");
    assert!(last < MANY, "the last of the few came after {last} writes");
}
