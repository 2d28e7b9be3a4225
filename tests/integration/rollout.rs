//! Many rules at once: one write, nothing lost, nobody else's touched, and one bad one among them.

use futures::stream::{self, StreamExt};
use serde_json::{Value, json};

use crate::support::{Running, World, condition, settings};
use arm_simulator::{ConcurrentWrites, Fault, FaultAction, RequestEntry, RuleMapPatch, Settings};

/// How many rules are rolled out.
const MANY: usize = 50;

impl World {
    /// Rules for `count` hosts that the connection allows, applied while the workspace is suspended, so that all of them are
    /// known when the first decision is taken.
    async fn held_back(&self, mut rules: Vec<Value>, count: usize) -> Vec<Value> {
        let mut connection = self.connection_manifest();
        connection["spec"]["grants"][0]["egress"]["fqdns"] = json!(["*.example.org"]);
        self.apply(connection).await;
        self.apply(self.workspace_manifest()).await;
        self.until_reason(&self.workspace_manifest(), "Secured").await;
        let mut suspended = self.workspace_manifest();
        suspended["spec"]["suspend"] = true.into();
        self.apply(suspended.clone()).await;
        self.until_reason(&suspended, "Suspended").await;
        rules.extend((0..count).map(|n| self.fqdn(&format!("rule-{n:02}"), &format!("host-{n:02}.example.org"))));
        stream::iter(&rules).for_each_concurrent(8, |rule| self.apply(rule.clone())).await;
        for rule in &rules {
            self.until_reason(rule, "Suspended").await;
        }
        rules
    }

    /// The workspace goes on.
    async fn released(&self) {
        self.apply(self.workspace_manifest()).await;
    }

    async fn all_active(&self, rules: &[Value]) {
        for rule in rules {
            self.until_reason(rule, "Active").await;
        }
    }

    /// The writes about rules since request `seq`.
    fn rule_writes_since(&self, seq: u64) -> Vec<RequestEntry> {
        let about_rules = |request: &RequestEntry| {
            let inside = request.body.as_ref().is_some_and(|body| body.to_string().contains("outboundRules"));
            request.method != "GET" && (inside || request.path.contains("/outboundRules/"))
        };
        self.azure.requests_since(seq).into_iter().filter(about_rules).collect()
    }

    /// The user-defined rules that ARM lists for the workspace at `id`: destination by name.
    async fn listed(&self, id: &str) -> Vec<(String, Value)> {
        let (status, page) =
            self.ask_azure(reqwest::Method::GET, &format!("{id}/outboundRules"), "2025-12-01", None).await;
        assert_eq!(status, 200, "{page}");
        let rules = page["value"].as_array().cloned().unwrap_or_default().into_iter();
        let own = rules.filter(|rule| rule["properties"]["category"] == "UserDefined");
        own.map(|rule| {
            (rule["name"].as_str().unwrap_or_default().to_owned(), rule["properties"]["destination"].clone())
        })
        .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_rules_at_once_are_one_write_where_parallel_writes_lose_some() {
    let world = World::with(Settings { concurrent_writes: ConcurrentWrites::LoseRules, ..settings() }).await;

    // As tools write that send each rule by itself, all at the same time: an hour passes before the first of them has ended.
    let byhand = world.workspace_id().replace("/fraud", "/byhand");
    let mut body = json!({"location": "westeurope", "identity": {"type": "SystemAssigned"}, "properties": {
        "publicNetworkAccess": "Disabled", "managedNetwork": {"isolationMode": "AllowOnlyApprovedOutbound"}}});
    for (field, resource) in [
        ("storageAccount", world.id("Microsoft.Storage/storageAccounts", "frauddata")),
        ("keyVault", world.id("Microsoft.KeyVault/vaults", "fraudkeys")),
        ("applicationInsights", world.id("Microsoft.Insights/components", "fraudinsights")),
    ] {
        body["properties"][field] = resource.into();
    }
    world.shell(reqwest::Method::PUT, &byhand, Some(&body)).await;
    world.azure.clock().advance(std::time::Duration::from_secs(60));
    world.azure.settings(|settings| settings.operation_seconds.rule_inactive = 3600.0);
    let put = |n: usize| {
        let (world, path) = (&world, format!("{byhand}/outboundRules/rule-{n:02}"));
        let body = json!({"properties":
            {"type": "FQDN", "category": "UserDefined", "destination": format!("host-{n:02}.example.org")}});
        async move { world.ask_azure(reqwest::Method::PUT, &path, "2025-12-01", Some(&body)).await.0 }
    };
    let answers: Vec<u16> = stream::iter((0..MANY).map(put)).buffer_unordered(8).collect().await;
    assert!(answers.iter().all(|status| [200, 202].contains(status)), "every write is taken: {answers:?}");
    world.azure.clock().advance(std::time::Duration::from_secs(4000));
    let left = world.listed(&byhand).await.len();
    assert!(left < MANY, "all {left} of {MANY} survived");
    world.azure.settings(|settings| settings.operation_seconds.rule_inactive = 0.05);

    let operator = world.operator().await;
    let rules = world.held_back(Vec::new(), MANY).await;
    let before = world.last_request();
    world.released().await;
    world.all_active(&rules).await;
    let writes = world.rule_writes_since(before);
    assert_eq!(writes.len(), 1, "{:?}", writes.iter().map(|write| &write.path).collect::<Vec<_>>());
    assert_eq!(world.listed(&world.workspace_id()).await.len(), MANY);
    let done = world
        .until(&world.workspace_manifest(), "all rules", |object| condition(object, "RulesReady")["status"] == "True")
        .await;
    assert_eq!(done["status"]["rules"], format!("{MANY}/{MANY}"));
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_strangers_rules_ours_come_one_after_the_other_and_his_stay() {
    for patch in [RuleMapPatch::Merge, RuleMapPatch::Replace] {
        let world = World::with(Settings { rule_map_patch: patch, ..settings() }).await;
        let operator = world.operator().await;
        world.secured(&[]).await;
        for n in 0..5 {
            world.put_rule(&format!("strangers-{n}"), &format!("stranger-{n}.example.net")).await;
        }
        let rules = world.held_back(Vec::new(), MANY).await;
        let before = world.last_request();
        world.released().await;
        world.all_active(&rules).await;
        let writes = world.rule_writes_since(before);
        let mut written: Vec<&str> = writes.iter().filter_map(|write| write.path.rsplit('/').next()).collect();
        assert!(
            writes.iter().all(|write| write.method == "PUT" && write.path.contains("/outboundRules/")),
            "{written:?}"
        );
        assert!(writes.iter().all(|write| write.status != Some(409)), "one after the other: none meets another");
        written.sort_unstable();
        written.dedup();
        assert_eq!((writes.len(), written.len()), (MANY, MANY), "{patch:?}: each once");
        let listed = world.listed(&world.workspace_id()).await;
        assert_eq!(listed.len(), MANY + 5, "{patch:?}");
        for n in 0..5 {
            let theirs = (format!("strangers-{n}"), json!(format!("stranger-{n}.example.net")));
            assert!(listed.contains(&theirs), "{patch:?}: {listed:?}");
        }
        operator.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_rule_among_fifty_tells_why_in_arms_words_and_holds_up_nobody() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    // The role is there, so that nothing but the account is missing: the rule goes with the others.
    let group = format!("/subscriptions/{}/resourceGroups/rg", world.subscription);
    world.grant(&group, "b556d68e-0be0-4f35-a333-ad7ee1ce17ea", &world.principal().await);
    let nowhere = world.id("Microsoft.Storage/storageAccounts", "nowhere");
    let bad = world.rule_manifest("bad", &json!({"privateEndpoint": {"resourceId": nowhere, "subresource": "blob"}}));
    let rules = world.held_back(vec![bad.clone()], MANY - 1).await;
    let before = world.last_request();
    world.released().await;
    world.all_active(&rules[1..]).await;
    let refused = world.until_reason(&bad, "AzureRefused").await;
    let message = condition(&refused, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("was not found") && message.contains("ValidationError"), "{message}");
    assert_eq!(world.listed(&world.workspace_id()).await.len(), MANY - 1);
    // Halves of halves: ten times fewer than one by one, with one write more for the last and some for trying it again.
    let accepted = world.rule_writes_since(before).iter().filter(|write| write.status != Some(400)).count();
    assert!(accepted <= 8, "{accepted} writes");
    let workspace = world.read(&world.workspace_manifest()).await.expect("the workspace");
    assert_eq!(
        condition(&workspace, "Ready")["status"],
        "True",
        "one team's rule does not break the platform's object"
    );
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_rules_at_rest_cost_two_reads_a_resync_and_no_write() {
    let mut world = World::new().await;
    world.pace.resync = std::time::Duration::from_millis(100);
    let operator = world.operator().await;
    let rules = world.held_back(Vec::new(), MANY).await;
    world.released().await;
    world.all_active(&rules).await;
    world.until_reason(&world.workspace_manifest(), "Secured").await;
    world.rest().await;
    let before = world.last_request();
    let own = world.workspace_id().to_lowercase();
    let looks =
        |requests: &[RequestEntry]| requests.iter().filter(|request| request.path.to_lowercase() == own).count();
    world.eventually("20 resyncs", || async { looks(&world.azure.requests_since(before)) >= 20 }).await;
    operator.stop().await;
    // What the posture reads is counted apart: it is the same for any number of rules.
    let own_type = |request: &RequestEntry| request.path.to_lowercase().starts_with(&own);
    let (requests, of_posture): (Vec<_>, Vec<_>) =
        world.azure.requests_since(before).into_iter().partition(|request| own_type(request));
    assert!(of_posture.iter().all(|request| request.method == "GET"), "nothing is written");
    assert!(of_posture.len() <= 4 * (looks(&requests) + 1), "three resources and one list of roles: {of_posture:?}");
    let lists = |request: &&RequestEntry| request.path.to_lowercase() == format!("{own}/outboundrules");
    let first_pages = requests.iter().filter(lists).filter(|request| !request.query.contains("skip")).count();
    let pages = requests.iter().filter(lists).count();
    assert!(looks(&requests).abs_diff(first_pages) <= 1, "{} looks, {first_pages} lists", looks(&requests));
    assert_eq!(requests.len(), looks(&requests) + pages, "nothing else is asked, nothing written");
}

/// Ten times as many rules are read in pages, and still written at once.
#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_rules_are_one_write_and_their_list_some_pages() {
    const HUNDREDS: usize = 5;
    let world = World::new().await;
    let operator = world.operator().await;
    let rules = world.held_back(Vec::new(), HUNDREDS * 100).await;
    let before = world.last_request();
    world.released().await;
    world.all_active(&rules).await;
    let writes = world.rule_writes_since(before);
    assert_eq!(writes.len(), 1, "{} writes", writes.len());
    world.until_reason(&world.workspace_manifest(), "Secured").await;
    world.rest().await;
    let before = world.last_request();
    let own = world.workspace_id().to_lowercase();
    let of = |path: String| {
        let requests = world.azure.requests_since(before);
        requests.iter().filter(|request| request.path.to_lowercase() == path).count()
    };
    world.eventually("some resyncs", || async { of(own.clone()) >= 3 }).await;
    operator.stop().await;
    let (looks, pages) = (of(own.clone()), of(format!("{own}/outboundrules")));
    // A hundred on each page; the service's own rules make it one page more. A list may have been under way at either end.
    assert!(pages.abs_diff(looks * (HUNDREDS + 1)) <= HUNDREDS + 1, "{looks} looks, {pages} pages");
    // What the posture reads is counted apart: it is the same for any number of rules.
    let requests = world.azure.requests_since(before);
    let of_rules = requests.iter().filter(|request| request.path.to_lowercase().starts_with(&own));
    assert_eq!(of_rules.count(), looks + pages, "nothing else");
    assert!(requests.iter().all(|request| request.method == "GET"), "no write");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_deleted_in_the_portal_comes_back_and_says_so_and_with_observe_only_says_so() {
    let world = World::new().await;
    let operator = world.operator().await;
    let kept = world.fqdn("kept", "a.example.org");
    let mut watched = world.fqdn("watched", "b.example.org");
    world.secured(&[kept.clone(), watched.clone()]).await;
    watched["spec"]["managementPolicy"] = "Observe".into();
    world.apply(watched.clone()).await;
    world.until_reason(&watched, "Matches").await;
    let mut names = Vec::new();
    for rule in [&kept, &watched] {
        let object = world.read(rule).await.expect("the rule");
        names.push(object["status"]["azureName"].as_str().unwrap_or_default().to_owned());
        world.lose_rule(&names[names.len() - 1]).await;
    }
    let drifted = |object: &Value| object["status"]["drift"].as_array().is_some_and(|drift| !drift.is_empty());
    for (rule, reason, host) in [(&kept, "Active", "a.example.org"), (&watched, "Differs", "b.example.org")] {
        let told = world
            .until(rule, &format!("{reason} and told"), |object| {
                condition(object, "Ready")["reason"] == reason && drifted(object)
            })
            .await;
        let drift = &told["status"]["drift"][0];
        assert_eq!(
            (&drift["field"], &drift["found"], &drift["wanted"]),
            (&json!("properties"), &json!("missing"), &json!(host))
        );
        assert!(drift["at"].as_str().is_some_and(|at| at.ends_with('Z')), "{drift}");
        assert_eq!(told["status"]["drift"].as_array().map(Vec::len), Some(1), "told once: {told}");
    }
    let before = world.last_request();
    world.rest().await;
    assert_eq!(world.rule_writes_since(before).len(), 0);
    assert_eq!(world.rules_in_azure().keys().collect::<Vec<_>>(), [&names[0]]);
    let written = world.told("fraud", false).await;
    let why = format!("rule {}: Azure has no such rule", names[0]);
    assert!(
        written.iter().any(|(reason, note)| reason == "Written" && note.contains(&why)),
        "{why:?} is not in {written:?}"
    );
    operator.stop().await;
}

/// Strangers' rules are removed only when a person named them.
#[tokio::test(flavor = "multi_thread")]
async fn exclusive_ownership_asks_for_each_rule_by_name() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[world.fqdn("a", "a.example.org")]).await;
    world.put_rule("strangers-rule", "stranger.example.net").await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["outboundRules"] = json!({"ownership": "Exclusive"});
    world.apply(workspace.clone()).await;
    let asked = world.until_reason(&workspace, "AcknowledgementRequired").await;
    let message = condition(&asked, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("{door: ExclusiveRules, value: \"strangers-rule\"}"), "{message}");
    world.rest().await;
    assert!(world.rules_in_azure().contains_key("strangers-rule"));
    // A word for other rules removes nothing.
    let acknowledge = |world: &World, names: &str| {
        let mut words = world.workspace_manifest()["spec"]["acknowledge"].clone();
        words.as_array_mut().expect("a list").push(json!({"door": "ExclusiveRules", "value": names}));
        words
    };
    workspace["spec"]["acknowledge"] = acknowledge(&world, "fraud,others-rule");
    world.apply(workspace.clone()).await;
    world.rest().await;
    assert!(world.rules_in_azure().contains_key("strangers-rule"));
    workspace["spec"]["acknowledge"] = acknowledge(&world, "strangers-rule");
    world.apply(workspace.clone()).await;
    world.until_reason(&workspace, "Secured").await;
    world.eventually("his rule is gone", || async { world.rules_in_azure().len() == 1 }).await;
    operator.stop().await;
}

/// How long ARM asks for no more writes: what is a minute in Azure.
const WINDOW_MS: i64 = 1500;

#[tokio::test(flavor = "multi_thread")]
async fn while_arm_throttles_nothing_is_asked_and_nothing_is_lost() {
    let world = World::new().await;
    let operator: Running = world.operator().await;
    let rules = world.held_back(Vec::new(), 20).await;
    let header = ("x-ms-retry-after-ms".to_owned(), WINDOW_MS.to_string());
    let throttled = FaultAction::Status {
        status: 429,
        code: "SubscriptionRequestsThrottled".into(),
        message: "Number of writes for the subscription exceeded the limit.".into(),
        headers: vec![header],
    };
    let before = world.last_request();
    for method in ["PUT", "PATCH", "POST"] {
        world.azure.add_fault(Fault::once(throttled.clone()).method(method).path("/workspaces/"));
    }
    world.released().await;
    world.all_active(&rules).await;
    let writes: Vec<RequestEntry> = world.rule_writes_since(before);
    let told: Vec<_> = writes.iter().map(|write| (write.at, write.status)).collect();
    let [refused, taken] = writes.as_slice() else { panic!("one refusal, one write: {told:?}") };
    assert_eq!(refused.status, Some(429), "{told:?}");
    assert!(taken.at >= refused.at + WINDOW_MS, "not before the window's end: {told:?}");
    assert!(taken.status.is_some_and(|status| status < 300), "and then at the first try: {told:?}");
    assert_eq!(world.listed(&world.workspace_id()).await.len(), 20);
    operator.stop().await;
}

/// A provider that asks to leave one workspace alone says nothing about the others.
#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_azure_throttles_holds_up_no_other() {
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    let throttled = FaultAction::Status {
        status: 429,
        code: "TooManyRequests".into(),
        message: "Too many requests on this workspace.".into(),
        headers: vec![("Retry-After".into(), "600".into())],
    };
    world.azure.add_fault(Fault::once(throttled).path("/workspaces/other").always());
    let mut other = world.workspace_manifest();
    other["metadata"]["name"] = "other".into();
    world.apply(other.clone()).await;
    let told = world.until_reason(&other, "Throttled").await;
    assert_eq!(condition(&told, "Reconciling")["status"], "True", "it is tried again when Azure allows");
    let before = world.last_request();
    let rule = world.fqdn("a", "a.example.org");
    world.apply(rule.clone()).await;
    world.until_reason(&rule, "Active").await;
    let asked = world.azure.requests_since(before).iter().filter(|request| request.path.contains("/other")).count();
    assert_eq!(asked, 0, "and not before");
    operator.stop().await;
}

/// Workspaces that Azure is slow to show take up no place that a change needs.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_looked_at_again_holds_up_no_change() {
    const SLOW: usize = 80;
    let world = World::new().await;
    let operator = world.operator().await;
    world.secured(&[]).await;
    let slow: Vec<Value> = (0..SLOW)
        .map(|n| {
            let mut workspace = world.workspace_manifest();
            workspace["metadata"]["name"] = format!("slow-{n:02}").into();
            workspace["spec"]["managementPolicy"] = "Observe".into();
            workspace
        })
        .collect();
    stream::iter(&slow).for_each_concurrent(8, |workspace| world.apply(workspace.clone())).await;
    for workspace in &slow {
        world.until_reason(workspace, "Differs").await;
    }
    // From now on every look at one of them takes longer than this test; more of them are due than an operator works on at once.
    world.azure.add_fault(
        Fault::once(FaultAction::Latency { ms: 600_000, up_to_ms: None })
            .method("GET")
            .path("/workspaces/slow-")
            .always(),
    );
    world.rest().await;
    let rule = world.fqdn("a", "a.example.org");
    world.apply(rule.clone()).await;
    world.until_reason(&rule, "Active").await;
    // Not stopped but dropped: it would wait for the slow ones.
    operator.cut().await;
    world.azure.clear_faults();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_host_waits_for_the_firewalls_word_and_nothing_else_does() {
    let world = World::new().await;
    let operator = world.operator().await;
    let mut workspace = world.workspace_manifest();
    workspace["spec"]["acknowledge"] = json!([{"door": "AzureFirewall", "value": "Standard"}]);
    world.apply(world.connection_manifest()).await;
    world.apply(workspace.clone()).await;
    let host = world.fqdn("host", "a.example.org");
    let own = world.id("Microsoft.Storage/storageAccounts", "frauddata");
    let queue = world.rule_manifest("queue", &json!({"privateEndpoint": {"resourceId": own, "subresource": "queue"}}));
    for rule in [&host, &queue] {
        world.apply(rule.clone()).await;
    }
    world.until_reason(&queue, "Active").await;
    let waiting = world.until_reason(&host, "AcknowledgementRequired").await;
    let message = condition(&waiting, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("{door: AzureFirewall, value: Basic}") && message.contains("costs"), "{message}");
    assert_eq!(
        condition(&waiting, "Reconciling")["status"],
        "True",
        "the workspace's owner has to act, not this object's"
    );
    world.rest().await;
    assert_eq!(world.rules_in_azure().len(), 1);
    world.apply(world.workspace_manifest()).await;
    world.until_reason(&host, "Active").await;
    operator.stop().await;
}
