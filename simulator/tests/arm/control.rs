use arm_simulator::{OperationSeconds, Settings};
use serde_json::json;

use crate::lab::{GROUP, Lab, ML, storage, workspace, workspace_body};

#[tokio::test]
async fn everything_can_be_driven_without_the_library() {
    let lab = Lab::start(Settings { clock_speed: 0.0, ..Settings::fast() }).await;
    let control = |method: &'static str, what: &'static str, body| {
        let lab = &lab;
        async move { lab.send(method, &format!("/_simulator/{what}"), "", body).await.unwrap() }
    };
    let slow = json!({ "operationSeconds": { "workspaceCreate": 10.0 } });
    let settings = control("PATCH", "settings", Some(slow)).await.expect(200).body;
    let expected = Settings {
        operation_seconds: OperationSeconds { workspace_create: 10.0, ..OperationSeconds::all(0.0) },
        clock_speed: 0.0,
        ..Settings::fast()
    };
    assert_eq!(settings, serde_json::to_value(&expected).unwrap());
    control("PATCH", "settings", Some(json!({ "typo": 1 }))).await.expect(400);

    let id = workspace("driven");
    lab.put(&id, ML, workspace_body("Disabled")).await.expect(202);
    let before = control("GET", "clock", None).await.body["nowMs"].as_i64().unwrap();
    let after = control("POST", "clock", Some(json!({ "advanceMs": 10_000 }))).await.expect(200).body;
    assert_eq!(after["nowMs"].as_i64().unwrap(), before + 10_000);
    assert_eq!(lab.get(&id, ML).await.body["properties"]["provisioningState"], "Succeeded");

    let fault = json!({ "path": "resourceGroups/rg1", "times": 1, "action": { "kind": "status", "status": 503, "code": "Down" } });
    control("POST", "faults", Some(fault)).await.expect(204);
    lab.get(GROUP, "2021-04-01").await.expect(503);
    lab.get(GROUP, "2021-04-01").await.expect(200);
    control("POST", "faults", Some(json!({ "action": { "kind": "drop" } }))).await.expect(204);
    control("DELETE", "faults", None).await.expect(204);
    lab.get(GROUP, "2021-04-01").await.expect(200);

    let connection =
        json!({ "connections": [{ "target": storage("lake"), "privateEndpointId": "/subscriptions/x/pe" }] });
    control("POST", "seed", Some(connection)).await.expect(204);
    assert_eq!(lab.connections(&storage("lake")).await.len(), 1);
    let unknown = json!({ "connections": [{ "target": storage("absent"), "privateEndpointId": "/x" }] });
    control("POST", "seed", Some(unknown)).await.expect(400);

    let log = control("GET", "requests?since=1", None).await.expect(200).body;
    let first = &log[0];
    assert_eq!((&first["seq"], &first["method"], &first["caller"]), (&json!(2), &json!("GET"), &json!("owner-object")));
    assert!(
        lab.sim.requests()[0].body.is_some()
            && lab.sim.requests()[0].started_operation.as_deref() == Some("workspaceCreate")
    );
    control("DELETE", "requests", None).await.expect(204);
    assert!(lab.sim.requests().is_empty());

    let state = control("GET", "state", None).await.expect(200).body;
    assert_eq!(state, lab.sim.state_json());
    control("DELETE", "tokens", None).await.expect(204);
    lab.get(GROUP, "2021-04-01").await.expect(401);
    control("GET", "nothing", None).await.expect(404);
}

#[tokio::test]
async fn the_log_can_be_searched_and_taken_away_as_an_archive() {
    let lab = Lab::start(Settings::fast()).await;
    let guest = lab.sign_in("guest").await;
    let id = workspace("logged");
    lab.put(&id, ML, workspace_body("Disabled")).await.expect(200);
    lab.get(&id, ML).await.expect(200);
    lab.send("GET", &format!("{id}?api-version={ML}"), &guest, None).await.unwrap().expect(403);
    lab.get(GROUP, "2021-04-01").await.expect(200);
    let search = |query: &'static str| {
        let lab = &lab;
        async move { lab.send("GET", &format!("/_simulator/requests?{query}"), "", None).await.unwrap() }
    };
    for (query, found) in [
        ("", vec![1, 2, 3, 4]),
        ("since=2", vec![3, 4]),
        ("method=put", vec![1]),
        ("path=WORKSPACES/log.*d$", vec![1, 2, 3]),
        ("caller=guest-object", vec![3]),
        ("status=403", vec![3]),
        ("method=GET&limit=2", vec![3, 4]),
    ] {
        let list = search(query).await.expect(200).body;
        let seqs: Vec<u64> = list.as_array().unwrap().iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
        assert_eq!(seqs, found, "{query}");
    }
    for wrong in ["since=x", "status=99999", "path=(", "format=xml"] {
        search(wrong).await.expect(400);
    }

    let har = search("format=har&limit=3").await.expect(200);
    assert!(!har.text.contains(&guest));
    let log = &har.body["log"];
    assert_eq!((&log["version"], log["entries"].as_array().unwrap().len()), (&json!("1.2"), 3));
    let har = search("format=har&method=PUT").await.expect(200).body;
    let put = &har["log"]["entries"][0];
    assert_eq!(put["request"]["url"], format!("{}{id}?api-version={ML}", lab.sim.endpoint()));
    assert_eq!(put["request"]["queryString"], json!([{ "name": "api-version", "value": ML }]));
    assert_eq!(put["request"]["postData"]["mimeType"], "application/json");
    let sent: serde_json::Value = serde_json::from_str(put["request"]["postData"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(sent, workspace_body("Disabled"));
    assert_eq!((&put["response"]["status"], &put["response"]["statusText"]), (&json!(200), &json!("OK")));
    let told: serde_json::Value = serde_json::from_str(put["response"]["content"]["text"].as_str().unwrap()).unwrap();
    assert_eq!(told["id"], id);
    assert!(put["startedDateTime"].as_str().unwrap().ends_with('Z') && put["time"].is_f64());
}

#[tokio::test]
async fn a_web_page_cannot_reach_the_controls() {
    let lab = Lab::start(Settings::fast()).await;
    let port = lab.sim.endpoint().rsplit(':').next().unwrap().to_owned();
    for (name, value, status) in [
        ("Accept", "*/*".to_owned(), 204),
        ("Host", format!("localhost:{port}"), 204),
        ("Host", format!("[::1]:{port}"), 204),
        ("Sec-Fetch-Site", "none".to_owned(), 204),
        ("Origin", "https://page.example".to_owned(), 403),
        ("Origin", "null".to_owned(), 403),
        ("Sec-Fetch-Site", "cross-site".to_owned(), 403),
        ("Host", format!("rebound.example:{port}"), 403),
        ("Host", "localhost.example".to_owned(), 403),
        ("Host", "management.azure.com".to_owned(), 403),
    ] {
        lab.sim.add_fault(arm_simulator::Fault::status(503, "Down").path("nowhere"));
        let request = lab.client.delete(format!("{}/_simulator/faults", lab.sim.endpoint())).header(name, &value);
        assert_eq!(request.send().await.unwrap().status(), status, "{name}: {value}");
        let left = lab.send("GET", "/_simulator/faults", "", None).await.unwrap().body;
        assert_eq!(left.as_array().unwrap().is_empty(), status == 204, "{name}: {value}");
        lab.sim.clear_faults();
    }
}

#[tokio::test]
async fn a_reset_goes_back_to_the_start() {
    let lab = Lab::start(Settings { random_seed: Some(1), clock_speed: 0.0, ..Settings::fast() }).await;
    let start = lab.sim.state_json();
    let first = lab.get(GROUP, "2021-04-01").await.expect(200);
    lab.workspace("passing", "Disabled").await;
    lab.sim.add_fault(arm_simulator::Fault::status(503, "Down").always());
    lab.sim.settings(|settings| settings.page_size = 1);
    lab.sim.clock().advance(std::time::Duration::from_secs(5));
    lab.send("POST", "/_simulator/reset", "", None).await.unwrap().expect(204);
    assert_eq!(lab.sim.state_json(), start);
    assert!(lab.sim.requests().is_empty());
    let settings = lab.send("GET", "/_simulator/settings", "", None).await.unwrap().body;
    assert_eq!((&settings["pageSize"], &settings["randomSeed"]), (&json!(100), &json!(1)));
    let token = lab.sign_in("owner").await;
    let url = format!("{GROUP}?api-version=2021-04-01");
    let again = lab.send("GET", &url, &token, None).await.unwrap().expect(200);
    assert_eq!(lab.sim.requests()[0].at, 1_767_225_600_000, "the clock, too");
    // Two sign-ins drew the same numbers before each of the two.
    assert_eq!(again.header("x-ms-request-id"), first.header("x-ms-request-id"));
}

#[tokio::test]
async fn faults_come_alone_or_in_lists_and_are_checked() {
    let lab = Lab::start(Settings::fast()).await;
    let post = |body| {
        let lab = &lab;
        async move { lab.send("POST", "/_simulator/faults", "", Some(body)).await.unwrap() }
    };
    let down =
        |path: &str| json!({ "path": path, "times": 2, "action": { "kind": "status", "status": 503, "code": "Down" } });
    post(json!([down("rg1$"), down("nothing")])).await.expect(204);
    lab.get(GROUP, "2021-04-01").await.expect(503);
    let faults = lab.send("GET", "/_simulator/faults", "", None).await.unwrap().body;
    assert_eq!(
        (&faults[0]["struck"], &faults[0]["path"], &faults[1]["matched"]),
        (&json!(1), &json!("rg1$"), &json!(0))
    );
    for (wrong, why) in [
        (json!({ "path": "(", "action": { "kind": "drop" } }), "not a regular expression"),
        (json!({ "probability": 2, "action": { "kind": "drop" } }), "not from 0 to 1"),
        (json!({ "every": 0, "action": { "kind": "drop" } }), "every is 0"),
        (json!({ "action": { "kind": "status", "status": 100, "code": "" } }), "100"),
        (json!({ "action": { "kind": "explode" } }), "explode"),
        (json!([{ "colour": "red", "action": { "kind": "drop" } }]), "colour"),
    ] {
        let refused = post(wrong).await.expect(400);
        assert!(refused.message().contains(why), "{}", refused.text);
    }
}

#[tokio::test]
async fn the_same_story_ends_in_the_same_state() {
    let mut ends = Vec::new();
    for _ in 0..2 {
        let lab = Lab::start(Settings::fast()).await;
        let ws = lab.built("story", "AllowOnlyApprovedOutbound").await;
        lab.let_approve(&ws, &storage("lake")).await;
        lab.rule(&ws, "lake", crate::lab::endpoint_rule(&storage("lake"), "dfs")).await.expect(200);
        ends.push(lab.sim.state_json());
    }
    assert_eq!(ends[0], ends[1]);
    assert!(ends[0]["resources"].as_object().unwrap().contains_key(&workspace("story").to_ascii_lowercase()));
}

#[tokio::test]
async fn time_does_not_run_backwards() {
    let lab = Lab::start(Settings { clock_speed: 0.0, ..Settings::fast() }).await;
    let now = lab.sim.clock().now_ms();
    for (method, what, body) in [
        ("POST", "clock", json!({ "speed": -1 })),
        ("PATCH", "settings", json!({ "clockSpeed": -0.5 })),
        ("PATCH", "settings", json!({ "operationSeconds": { "rule": -1 } })),
        ("PATCH", "settings", json!({ "roleAssignmentDelaySeconds": -1 })),
    ] {
        let refused = lab.send(method, &format!("/_simulator/{what}"), "", Some(body)).await.unwrap().expect(400);
        assert!(refused.message().contains("negative"), "{}", refused.text);
    }
    for speed in [-1e9, f64::NAN] {
        lab.sim.clock().set_speed(speed);
        assert_eq!((lab.sim.clock().speed(), lab.sim.clock().now_ms()), (0.0, now));
    }
}

#[tokio::test]
async fn an_answer_takes_as_long_and_asks_to_wait_as_long_as_is_set() {
    let lab = Lab::start(Settings { clock_speed: 0.0, ..Settings::fast() }).await;
    lab.sim.settings(|settings| {
        settings.operation_seconds = OperationSeconds::all(10.0);
        settings.retry_after_seconds = Some(7);
    });
    // AML has no `Retry-After` of its own, a network has another one.
    let accepted = lab.put(&workspace("slow"), ML, workspace_body("Disabled")).await.expect(202);
    assert_eq!(accepted.header("Retry-After"), Some("7"));
    let status = accepted.header("Azure-AsyncOperation").unwrap().to_owned();
    let status = lab.send("GET", &status, &lab.token, None).await.unwrap().expect(200);
    assert_eq!(status.header("Retry-After"), Some("7"));
    let body =
        json!({ "location": "westeurope", "properties": { "addressSpace": { "addressPrefixes": ["10.0.0.0/16"] } } });
    let network = crate::lab::id("Microsoft.Network/virtualNetworks", "v");
    let accepted = lab.put(&network, "2024-05-01", body).await.expect(201);
    assert_eq!(accepted.header("Retry-After"), Some("7"));
}

#[tokio::test]
async fn the_log_keeps_no_secret() {
    let lab = Lab::start(Settings::fast()).await;
    let server = crate::lab::id("Microsoft.Sql/servers", "facts");
    let body = json!({ "location": "westeurope", "properties": {
        "administratorLogin": "root", "ADMINISTRATORLOGINPASSWORD": "hunter-2",
    } });
    lab.put(&server, "2021-11-01", body).await.expect(201);
    let keys = lab.call("POST", &format!("{}/listKeys", storage("lake")), "2023-05-01", None).await.expect(200).body;
    let key = keys["keys"][0]["value"].as_str().unwrap();
    let ws = lab.workspace("secretive", "Disabled").await;
    let connection = json!({ "properties": {
        "category": "Git", "target": "https://git.example", "authType": "PAT", "credentials": { "pat": "hunter-3" },
    } });
    lab.put(&format!("{ws}/connections/git"), ML, connection).await.expect(200);
    for format in ["json", "har"] {
        let log = lab.send("GET", &format!("/_simulator/requests?format={format}"), "", None).await.unwrap();
        for secret in ["hunter-2", "hunter-3", key] {
            assert!(!log.text.contains(secret), "{secret} in {format}");
        }
        assert!(log.text.contains("REDACTED") && log.text.contains("administratorLogin"));
    }
}
