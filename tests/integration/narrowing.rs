//! Entries that say more: expressions that narrow, entries that are named, and lines that are cut off.

use serde_json::{Value, json};

use crate::support::{FOREIGN, World, condition, settings};

fn said(object: &Value) -> String {
    condition(object, "Ready")["message"].as_str().unwrap_or_default().to_owned()
}

fn reported(object: &Value, endpoint: &str) -> Value {
    let mut connections = object["status"]["connections"].as_array().into_iter().flatten();
    connections.find(|one| one["privateEndpoint"] == endpoint).cloned().unwrap_or_default()
}

impl World {
    /// Somebody with rights on the lake approved what `endpoint` asked for.
    fn approved_by_a_person(&self, endpoint: &str) {
        let seed =
            json!({"connections": [{"target": self.lake(), "privateEndpointId": endpoint, "status": "Approved"}]});
        self.azure.seed(serde_json::from_value(seed).expect("a seed")).expect("a person approved it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expression_narrows_and_the_entry_that_decided_is_told_everywhere() {
    let world = World::new().await;
    let (ours, lab) = (world.ours("hub", "lake-1"), world.ours("hub", "lake-lab"));
    for endpoint in [&ours, &lab] {
        world.knock(&world.lake(), endpoint);
    }
    let mut policy = world.approval_manifest();
    policy["spec"]["allow"][0]["name"] = json!("own hub");
    policy["spec"]["allow"][0]["expression"] = json!("endpoint.ownSubscription && !endpoint.name.endsWith('-lab')");
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    let settled = world
        .until(&policy, "both decided", |object| {
            object["status"]["approved"] == 1 && object["status"]["unmatched"] == 1
        })
        .await;
    world.rest().await;
    assert_eq!(
        (world.endpoints_in("Approved"), world.endpoints_in("Pending")),
        (vec![ours.clone()], vec![lab.clone()])
    );
    let rule = format!("{}/lake allow[0] \"own hub\"", world.platform);
    assert_eq!(reported(&settled, &ours)["rule"], rule.as_str());
    let narrowed = reported(&settled, &lab);
    assert_eq!(narrowed["rule"], Value::Null);
    let why = narrowed["why"].as_str().unwrap_or_default();
    assert!(why.contains(&format!("the expression of {rule} does not hold")), "{why}");
    let events = world.events(&world.platform).await;
    let mut notes = events.iter().filter_map(|event| event["message"].as_str());
    assert!(notes.any(|note| note.contains(&ours) && note.contains(&rule)), "{events:?}");
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_expression_is_told_with_its_place_and_its_policy_lets_nobody_in() {
    let world = World::new().await;
    let (ours, stranger) = (world.ours("hub", "lake-1"), World::endpoint(FOREIGN, "hub", "lake-1"));
    let mut policy = world.approval_manifest();
    let plain = policy["spec"]["allow"][0].clone();
    let mut bad = plain.clone();
    bad["expression"] = json!("endpoint.name.matches('lake-.*')");
    // The other entry would allow it: what the bad one was meant to exclude is not known.
    policy["spec"]["allow"] = json!([bad, plain]);
    policy["spec"]["reject"] = json!([{"privateEndpoint": {"ownSubscription": false}}]);
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    for endpoint in [&ours, &stranger] {
        world.knock(&world.lake(), endpoint);
    }
    let operator = world.operator().await;
    let told = world.until_reason(&policy, "Invalid").await;
    let message = said(&told);
    assert!(
        message.contains("allow[0].expression, character 15") && message.contains("endpoint.resourceGroup"),
        "{message}"
    );
    world
        .eventually("others are rejected all the same", async || world.endpoints_in("Rejected") == [stranger.clone()])
        .await;
    world.rest().await;
    assert_eq!(world.endpoints_in("Pending"), std::slice::from_ref(&ours));
    policy["spec"]["allow"][0]["expression"] = json!("endpoint.name.startsWith('lake-')");
    world.apply(policy.clone()).await;
    world.until_approved(&policy, 1).await;
    assert_eq!(world.endpoints_in("Approved"), [ours]);
    operator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_approved_is_cut_off_only_where_it_is_meant_and_agreed_on() {
    let world = World::new().await;
    let ours = world.ours("hub", "lake-1");
    let strangers = [World::endpoint(FOREIGN, "Hub", "lake-1"), World::endpoint(FOREIGN, "hub", "lake-2")];
    for endpoint in strangers.iter().chain([&ours]) {
        world.approved_by_a_person(endpoint);
    }
    let mut policy = world.approval_manifest();
    policy["spec"]["mode"] = json!("DryRun");
    policy["spec"]["reject"] = json!([
        {"name": "others", "privateEndpoint": {"ownSubscription": false}, "appliesTo": ["Pending", "Approved"]},
        // The lake does not say which sub-resource its connections are for: what is not known cuts nobody off.
        {"subResources": ["dfs"], "appliesTo": ["Pending", "Approved"]},
    ]);
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    let dry = world.until(&policy, "told", |object| said(object).contains("it would cut off")).await;
    assert_eq!(condition(&dry, "Ready")["reason"], "DryRun");
    policy["spec"]["mode"] = json!("Enforce");
    world.apply(policy.clone()).await;
    let asked = world.until_reason(&policy, "AcknowledgementRequired").await;
    for stranger in &strangers {
        let word =
            format!("reject[0] \"others\"): acknowledge {{door: RejectApproved, value: {}}}", stranger.to_lowercase());
        assert!(said(&asked).contains(&word), "{}", said(&asked));
        assert_eq!(reported(&asked, stranger)["decision"], "Rejected");
    }
    assert!(!said(&asked).contains(&ours.to_lowercase()), "{}", said(&asked));
    // A word for another line, and for the kind of step, opens nothing.
    let word = |value: &str| json!({"door": "RejectApproved", "value": value});
    policy["spec"]["acknowledge"] = json!([word("lake"), word(&ours.to_lowercase())]);
    world.apply(policy.clone()).await;
    world.rest().await;
    assert_eq!(world.decisions(), []);
    policy["spec"]["acknowledge"] = json!([word(&strangers[0].to_lowercase())]);
    world.apply(policy.clone()).await;
    world.eventually("the one agreed on is cut off", async || world.endpoints_in("Rejected") == strangers[..1]).await;
    let left = world
        .until(&policy, "the other is still asked about", |object| {
            !said(object).contains("/hub/providers/microsoft.network/privateendpoints/lake-1}")
                && condition(object, "Ready")["reason"] == "AcknowledgementRequired"
        })
        .await;
    assert!(said(&left).contains(&strangers[1].to_lowercase()), "{}", said(&left));
    world.rest().await;
    assert_eq!(world.endpoints_in("Approved"), [ours, strangers[1].clone()]);
    assert_eq!(world.decisions().len(), 1, "{:?}", world.decisions());
    let events = json!(world.events(&world.platform).await).to_string();
    assert!(events.contains("CutOff") && events.contains("reject[0]"), "{events}");
    operator.stop().await;
}

/// A provider that decides only once refuses to reject what is approved: there the connection is deleted.
#[tokio::test(flavor = "multi_thread")]
async fn where_a_rejection_is_refused_the_line_is_cut_by_deletion() {
    let world = World::seeded(settings(), |seed, subscription| {
        let orders = format!("/subscriptions/{subscription}/resourceGroups/rg/providers/Microsoft.Sql/servers/orders");
        let server = json!({"id": orders, "location": "westeurope"});
        seed.resources.push(serde_json::from_value(server).expect("a resource"));
    })
    .await;
    let orders = world.id("Microsoft.Sql/servers", "orders");
    let (ours, stranger) = (world.ours("hub", "orders-1"), World::endpoint(FOREIGN, "hub", "orders-1"));
    for endpoint in [&ours, &stranger] {
        let one =
            json!({"target": orders, "privateEndpointId": endpoint, "status": "Approved", "groupIds": ["sqlServer"]});
        let seed = json!({"connections": [one]});
        world.azure.seed(serde_json::from_value(seed).expect("a seed")).expect("a person approved it");
    }
    let mut connection = world.connection_manifest();
    connection["spec"]["grants"][1]["scope"] = json!(orders);
    let mut policy = world.approval_manifest();
    policy["spec"]["target"]["resourceId"] = json!(orders);
    policy["spec"]["reject"] =
        json!([{"privateEndpoint": {"ownSubscription": false}, "appliesTo": ["Pending", "Approved"]}]);
    policy["spec"]["acknowledge"] = json!([{"door": "RejectApproved", "value": stranger.to_lowercase()}]);
    world.apply(connection).await;
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    let asking = || -> Vec<Value> {
        let state = world.azure.state_json();
        let all = state["privateEndpointConnections"].as_object().into_iter().flatten();
        all.map(|(_, one)| one["properties"]["privateEndpoint"]["id"].clone()).collect()
    };
    world.eventually("the stranger's line is gone", async || asking() == [json!(ours)]).await;
    world.rest().await;
    let written = world.decisions();
    assert!(written.len() == 1 && written[0].1 == "DELETE", "{written:?}");
    operator.stop().await;
}

/// Six at once are as many as a slip of the hand: they wait for the word on the connection, as other removals do.
#[tokio::test(flavor = "multi_thread")]
async fn many_lines_at_once_wait_for_a_second_word() {
    let world = World::new().await;
    let mut connection = world.connection_manifest();
    let strangers: Vec<String> = (0..6).map(|n| World::endpoint(FOREIGN, "hub", &format!("lake-{n}"))).collect();
    strangers.iter().for_each(|endpoint| world.approved_by_a_person(endpoint));
    let mut policy = world.approval_manifest();
    policy["spec"]["reject"] =
        json!([{"privateEndpoint": {"ownSubscription": false}, "appliesTo": ["Pending", "Approved"]}]);
    let words = strangers.iter().map(|endpoint| json!({"door": "RejectApproved", "value": endpoint.to_lowercase()}));
    policy["spec"]["acknowledge"] = words.collect();
    world.apply(connection.clone()).await;
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    let waiting = world.until_reason(&policy, "MassChange").await;
    assert!(said(&waiting).contains("holds up cutting off"), "{}", said(&waiting));
    world.rest().await;
    assert_eq!(world.decisions(), []);
    let open = world.until(&connection, "the breaker", |object| object["status"]["massChange"].is_string()).await;
    connection["spec"]["acknowledge"] = json!([{"door": "MassChange", "value": open["status"]["massChange"]}]);
    world.apply(connection.clone()).await;
    world.eventually("all are cut off", async || world.endpoints_in("Rejected") == strangers).await;
    world.rest().await;
    assert_eq!(world.decisions().len(), 6, "one write each: {:?}", world.decisions());
    operator.stop().await;
}

/// What a policy with a bad expression allows is not known, so it cannot be told what nobody else allows.
#[tokio::test(flavor = "multi_thread")]
async fn while_an_expression_cannot_be_read_nothing_that_another_policy_approved_is_withdrawn() {
    let world = World::new().await;
    let ours = world.ours("hub", "lake-1");
    world.knock(&world.lake(), &ours);
    let mut going = world.policy(&world.platform, "going", "lake-*");
    going["spec"]["onDelete"] = json!("Withdraw");
    going["spec"]["gracePeriod"] = json!("0s");
    let mut shared = world.policy(&world.platform, "shared", "lake-*");
    shared["spec"]["allow"][0]["expression"] = json!("endpoint.name == ");
    world.apply(world.connection_manifest()).await;
    world.apply(going.clone()).await;
    let operator = world.operator().await;
    world.until_approved(&going, 1).await;
    world.apply(shared.clone()).await;
    world.until_reason(&shared, "Invalid").await;
    world.delete(&going).await;
    let waiting = world.until(&going, "it waits", |object| said(object).contains("cannot be read")).await;
    assert!(said(&waiting).contains(&format!("{}/shared", world.platform)), "{}", said(&waiting));
    world.rest().await;
    assert_eq!(world.endpoints_in("Approved"), std::slice::from_ref(&ours));
    // It turns out to allow the line.
    shared["spec"]["allow"][0]["expression"] = json!("endpoint.name == 'lake-1'");
    world.apply(shared.clone()).await;
    world.until_gone(&going).await;
    assert_eq!(world.endpoints_in("Approved"), [ours]);
    operator.stop().await;
}
