use arm_simulator::{Bucket, Buckets, Fault, FaultAction, Seed, SeedResource, Settings};
use serde_json::json;

use crate::lab::{GROUP, Lab, ML, SUB, storage, workspace};

#[tokio::test]
async fn what_is_not_there_is_said_as_arm_says_it() {
    let lab = Lab::start(Settings::fast()).await;
    let absent = workspace("absent");
    for (path, status, code, text) in [
        (
            format!("{absent}?api-version={ML}"),
            404,
            "ResourceNotFound",
            "The Resource 'Microsoft.MachineLearningServices/workspaces/absent' under resource group 'rg1' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
        ),
        (
            format!(
                "/subscriptions/{SUB}/resourceGroups/nope/providers/Microsoft.Storage/storageAccounts/a?api-version=2023-05-01"
            ),
            404,
            "ResourceGroupNotFound",
            "Resource group 'nope' could not be found.",
        ),
        (
            "/subscriptions/99999999-0000-0000-0000-000000000000/resourceGroups/rg1?api-version=2021-04-01".to_owned(),
            404,
            "SubscriptionNotFound",
            "The subscription '99999999-0000-0000-0000-000000000000' could not be found.",
        ),
        (absent.clone(), 400, "MissingApiVersionParameter", ""),
        (format!("{absent}?api-version=1999-01-01"), 400, "NoRegisteredProviderFound", ""),
        (format!("{absent}?api-version=latest"), 400, "InvalidApiVersionParameter", ""),
        (format!("{GROUP}/providers/Microsoft.Nothing/things/x?api-version={ML}"), 404, "InvalidResourceType", ""),
        (
            format!("{absent}/nothing?api-version={ML}"),
            404,
            "InvalidResourceType",
            "The resource type 'Microsoft.MachineLearningServices/workspaces/nothing' could not be found for api version '2025-12-01'.",
        ),
        (format!("{absent}/outboundRules/abc?api-version={ML}"), 404, "ResourceNotFound", ""),
    ] {
        let answer = lab.send("GET", &path, &lab.token, None).await.unwrap().expect(status);
        assert_eq!(answer.code(), code, "{path}");
        assert!(text.is_empty() || answer.message() == text, "{}", answer.message());
    }
}

#[tokio::test]
async fn paths_compare_without_case_and_answers_carry_arms_headers() {
    let lab = Lab::start(Settings::fast()).await;
    let answer =
        lab.get(&storage("own").to_uppercase().replace("/SUBSCRIPTIONS", "/Subscriptions"), "2023-05-01").await;
    let answer = answer.expect(200);
    assert_eq!(answer.body["id"], storage("own"));
    for name in ["x-ms-request-id", "x-ms-correlation-request-id", "x-ms-routing-request-id"] {
        assert!(answer.header(name).is_some(), "{name}");
    }
    assert_eq!(answer.header("x-ms-ratelimit-remaining-subscription-reads"), Some("249"));
    let answer = lab.delete(&workspace("absent"), ML).await.expect(204);
    assert_eq!(answer.header("x-ms-ratelimit-remaining-subscription-deletes"), Some("199"));
}

#[tokio::test]
async fn an_empty_bucket_answers_429_until_it_has_refilled() {
    let reads = Bucket { size: 2.0, refill_per_second: 0.5 };
    let buckets = Buckets { reads, ..Buckets::default() };
    let lab = Lab::start(Settings { throttle: true, buckets, clock_speed: 0.0, ..Settings::fast() }).await;
    lab.get(GROUP, "2021-04-01").await.expect(200);
    let last = lab.get(GROUP, "2021-04-01").await.expect(200);
    assert_eq!(last.header("x-ms-ratelimit-remaining-subscription-reads"), Some("0"));
    let refused = lab.get(GROUP, "2021-04-01").await.expect(429);
    assert_eq!(refused.header("Retry-After"), Some("2"));
    lab.sim.clock().advance(std::time::Duration::from_secs(2));
    lab.get(GROUP, "2021-04-01").await.expect(200);
}

#[tokio::test]
async fn lists_come_in_pages() {
    let lab = Lab::start(Settings { page_size: 2, ..Settings::fast() }).await;
    for name in ["ws-a", "ws-b", "ws-c", "ws-d", "ws-e"] {
        lab.workspace(name, "Disabled").await;
    }
    for scope in [GROUP.to_owned(), format!("/subscriptions/{SUB}")] {
        let mut url = format!("{scope}/providers/Microsoft.MachineLearningServices/workspaces?api-version={ML}");
        let mut names = Vec::new();
        let mut pages = 0;
        loop {
            let page = lab.send("GET", &url, &lab.token, None).await.unwrap().expect(200);
            names.extend(page.body["value"].as_array().unwrap().iter().map(|w| w["name"].as_str().unwrap().to_owned()));
            pages += 1;
            match page.body["nextLink"].as_str() {
                Some(next) => next.clone_into(&mut url),
                None => break,
            }
        }
        assert_eq!((pages, names), (3, ["ws-a", "ws-b", "ws-c", "ws-d", "ws-e"].map(str::to_owned).to_vec()));
    }
}

#[tokio::test]
async fn faults_strike_what_they_are_meant_for() {
    let lab = Lab::start(Settings::fast()).await;
    let id = workspace("faulty");
    let body = || crate::lab::workspace_body("Disabled");
    let throttled = FaultAction::Status {
        status: 429,
        code: "TooManyRequests".into(),
        message: "slow down".into(),
        headers: vec![("Retry-After".into(), "7".into())],
    };
    lab.sim.add_fault(Fault::once(throttled).method("PUT").path("/workspaces/").skip(0).times(1));
    lab.get(GROUP, "2021-04-01").await.expect(200);
    let refused = lab.put(&id, ML, body()).await.expect(429);
    assert_eq!((refused.code(), refused.header("Retry-After")), ("TooManyRequests", Some("7")));
    lab.get(&id, ML).await.expect(404);

    lab.sim.add_fault(Fault::status(500, "InternalServerError").method("PUT").after());
    lab.put(&id, ML, body()).await.expect(500);
    lab.get(&id, ML).await.expect(200);

    lab.sim.add_fault(Fault::once(FaultAction::Drop).path("/workspaces/faulty").after());
    let dropped = lab.send("DELETE", &format!("{id}?api-version={ML}&forceToPurge=true"), &lab.token, None).await;
    assert!(dropped.is_err());
    lab.get(&id, ML).await.expect(404);

    lab.sim.add_fault(Fault::once(FaultAction::Garbage));
    let garbage = lab.get(GROUP, "2021-04-01").await.expect(200);
    assert!(garbage.body.is_null(), "{}", garbage.text);

    let log = lab.sim.requests();
    let put: Vec<_> = log.iter().filter(|entry| entry.method == "PUT").map(|entry| entry.status).collect();
    assert_eq!(put, [Some(429), Some(500)]);
    let deleted = log.iter().find(|entry| entry.method == "DELETE").unwrap();
    assert_eq!((deleted.status, deleted.started_operation.as_deref()), (None, Some("workspaceDelete")));
}

#[tokio::test]
async fn seeds_can_be_added_later() {
    let lab = Lab::start(Settings::fast()).await;
    let registry = crate::lab::id("Microsoft.ContainerRegistry/registries", "acr01");
    lab.get(&registry, "2023-07-01").await.expect(404);
    let resource = SeedResource::new(registry.as_str(), "westeurope").property("adminUserEnabled", json!(false));
    lab.sim.seed(Seed { resources: vec![resource], ..Seed::default() }).unwrap();
    let found = lab.get(&registry, "2023-07-01").await.expect(200);
    assert_eq!(found.body["type"], "Microsoft.ContainerRegistry/registries");
}
