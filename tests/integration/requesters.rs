//! What the requesting endpoint itself says of an approval, and what somebody else approved.

use serde_json::{Value, json};

use crate::support::{FOREIGN, World, condition};

const VERSION: &str = "2024-05-01";

impl World {
    /// A real endpoint of ours in the group `rg`, which asks to be let in at `target` by hand.
    async fn endpoint_to(&self, name: &str, target: &str) -> String {
        let network = self.id("Microsoft.Network/virtualNetworks", "hub");
        let seed = json!({"resources": [{"id": network, "location": "westeurope", "properties": {
            "addressSpace": {"addressPrefixes": ["10.0.0.0/16"]},
            "subnets": [{"name": "pe", "properties": {"addressPrefix": "10.0.0.0/24"}}]}}]});
        let there = self.azure.state_json().to_string().to_lowercase().contains(&network.to_lowercase());
        if !there {
            self.azure.seed(serde_json::from_value(seed).expect("a seed")).expect("the network is there");
        }
        let id = self.ours("rg", name);
        let body = json!({"location": "westeurope", "properties": {
            "subnet": {"id": format!("{network}/subnets/pe")},
            "manualPrivateLinkServiceConnections": [{"name": "c", "properties": {
                "privateLinkServiceId": target, "groupIds": ["blob"], "requestMessage": "please"}}]}});
        let (status, answer) = self.ask_azure(reqwest::Method::PUT, &id, VERSION, Some(&body)).await;
        assert!((200..300).contains(&status), "{answer}");
        id
    }

    /// The policy that lets the endpoints of the group `rg` in.
    fn requesters_policy(&self) -> Value {
        let mut policy = self.approval_manifest();
        policy["spec"]["allow"][0]["privateEndpoint"]["resourceGroup"] = json!("rg");
        policy
    }

    async fn until_proven(&self, policy: &Value, endpoint: &str, word: &str) -> Value {
        self.until(policy, word, |object| reported(object, endpoint)["proven"] == word).await
    }
}

fn reported(object: &Value, endpoint: &str) -> Value {
    let mut connections = object["status"]["connections"].as_array().into_iter().flatten();
    connections.find(|one| one["privateEndpoint"] == endpoint).cloned().unwrap_or_default()
}

fn doubt(object: &Value) -> (Value, String) {
    let doubt = condition(object, "ConnectionsDoubtful");
    (doubt["reason"].clone(), doubt["message"].as_str().unwrap_or_default().to_owned())
}

/// An endpoint that leads here confirms; one that leads elsewhere loses its approval; one that may not be read is not asked.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_requesting_endpoint_contradicts_is_withdrawn() {
    let world = World::new().await;
    let good = world.endpoint_to("lake-good", &world.lake()).await;
    let elsewhere = world.id("Microsoft.Storage/storageAccounts", "frauddata");
    let bad = world.endpoint_to("lake-bad", &elsewhere).await;
    world.seed_connection(&bad, "bad", "Pending");
    let foreign = World::endpoint(FOREIGN, "hub", "lake-1");
    world.seed_connection(&foreign, "foreign", "Pending");
    let mut policy = world.requesters_policy();
    policy["spec"]["allow"].as_array_mut().expect("entries").push(json!({"privateEndpoint": {"id": foreign}}));
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    world.azure.clear_requests();
    let operator = world.operator().await;
    world.until_proven(&policy, &good, "Confirmed").await;
    world.until_proven(&policy, &foreign, "Unprovable").await;
    world.eventually("withdrawn", async || world.endpoints_in("Rejected") == [bad.as_str()]).await;
    let settled = world.until(&policy, "in force", |object| {
        condition(object, "Ready")["reason"] == "InForce" && doubt(object).0 == "NoneDoubtful"
    });
    settled.await;
    world.rest().await;
    let mut approved = [good, foreign.clone()];
    approved.sort();
    assert_eq!(world.endpoints_in("Approved"), approved);
    let sent = world.decisions().into_iter().filter(|(name, _)| name == "bad").map(|(_, state)| state);
    assert_eq!(sent.collect::<Vec<_>>(), ["Approved", "Rejected"]);
    let asked = world.azure.requests().into_iter().filter(|request| request.path.eq_ignore_ascii_case(&foreign));
    assert_eq!(asked.count(), 0, "no grant and no own subscription covers it");
    operator.stop().await;
}

/// An endpoint that goes on waiting alarms, also across a restart, and is cut off only if the policy says so.
#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_stays_silent_alarms_and_is_withdrawn_if_the_policy_says_so() {
    let world = World::new().await;
    let silent = world.endpoint_to("lake-silent", &world.lake()).await;
    // The endpoint shows the first of its connections, and that one Azure refuses to decide.
    world.seed_connection(&silent, "a-first", "Pending");
    let refused = arm_simulator::Fault::status(403, "AuthorizationFailed").method("PUT").path("/a-first").always();
    world.azure.add_fault(refused);
    let mut policy = world.requesters_policy();
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    let told = world.until(&policy, "told", |object| doubt(object).0 == "Unproven").await;
    assert!(doubt(&told).1.contains(&silent) && doubt(&told).1.contains("onUnproven: Withdraw"), "{}", doubt(&told).1);
    let proven = told["status"]["connections"].as_array().into_iter().flatten().find(|one| one["proven"] == "Silent");
    assert!(proven.is_some(), "{told}");
    operator.cut().await;
    let operator = world.operator().await;
    world.rest().await;
    assert_eq!(world.endpoints_in("Approved"), [silent.as_str()], "it alarms, and no more");
    let events = world.events(&world.platform).await;
    let mut warned = events.iter().filter(|event| event["reason"] == "Unproven");
    assert!(warned.all(|event| event["type"] == "Warning"), "{events:?}");
    policy["spec"]["onUnproven"] = json!("Withdraw");
    world.apply(policy.clone()).await;
    world.eventually("withdrawn", async || world.endpoints_in("Rejected") == [silent.as_str()]).await;
    world.until(&policy, "no doubt", |object| doubt(object).0 == "NoneDoubtful").await;
    operator.stop().await;
}

/// What a person approves against every policy is told and left alone; what was approved before anybody looked is not.
#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_approves_against_every_policy_is_told() {
    let world = World::new().await;
    let (early, late) = (World::endpoint(FOREIGN, "hub", "early"), World::endpoint(FOREIGN, "hub", "late"));
    world.seed_connection(&early, "early", "Approved");
    world.seed_connection(&late, "late", "Pending");
    let mut policy = world.approval_manifest();
    world.apply(world.connection_manifest()).await;
    world.apply(policy.clone()).await;
    let operator = world.operator().await;
    world.until(&policy, "seen", |object| object["status"]["unmatched"] == 1).await;
    world.seed_connection(&late, "late", "Approved");
    let told = world.until(&policy, "told", |object| doubt(object).0 == "ApprovedElsewhere").await;
    let (_, message) = doubt(&told);
    assert!(message.contains(&late) && !message.contains(&early), "{message}");
    let shown = reported(&told, &late);
    assert_eq!(shown["approvedBy"], "somebody else");
    assert!(shown["why"].as_str().unwrap_or_default().contains("no policy on this target allows"), "{shown}");
    world.rest().await;
    assert_eq!(world.decisions(), [], "it may well be right");
    policy["spec"]["allow"].as_array_mut().expect("entries").push(json!({"privateEndpoint": {"id": late}}));
    world.apply(policy.clone()).await;
    world.until(&policy, "explained", |object| doubt(object).0 == "NoneDoubtful").await;
    operator.stop().await;
}
