use arm_simulator::{Fault, FaultAction, Settings};
use serde_json::{Value, json};

use crate::lab::{GROUP, Lab, ML, workspace, workspace_body};

#[tokio::test]
async fn exchanges_hold_what_was_asked_and_what_was_answered_but_no_token() {
    let lab = Lab::start(Settings::fast()).await;
    let id = workspace("kept");
    let answer = lab.put(&id, ML, workspace_body("Disabled")).await.expect(200);
    lab.sim.add_fault(Fault::once(FaultAction::Drop).after());
    assert!(lab.send("DELETE", &format!("{id}?api-version={ML}"), &lab.token, None).await.is_err());

    let all = lab.sim.exchanges();
    let [put, delete] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(serde_json::from_slice::<Value>(&put.request_body).unwrap(), workspace_body("Disabled"));
    assert_eq!(put.request_headers.get("authorization"), Some("REDACTED"));
    assert_eq!(put.request_headers.get("content-type"), Some("application/json"));
    assert_eq!(put.response_body, answer.text.as_bytes());
    assert_eq!(put.response_headers.get("x-ms-request-id"), answer.header("x-ms-request-id"));
    assert_eq!(put.response_headers.get("content-type"), answer.header("content-type"));
    assert!(!format!("{all:?}").contains(&lab.token));
    assert_eq!((delete.status, delete.response_body.len()), (None, 0));
    assert_eq!(all.iter().map(arm_simulator::Exchange::entry).collect::<Vec<_>>(), lab.sim.requests());
}

#[tokio::test]
async fn the_log_forgets_the_oldest_when_it_is_full() {
    let lab = Lab::start(Settings { log_megabytes: 1, ..Settings::fast() }).await;
    let tag = "x".repeat(300_000);
    for _ in 0..5 {
        let body = json!({ "location": "westeurope", "tags": { "big": tag } });
        lab.put(&format!("{GROUP}/nothing/served/here"), ML, body).await.expect(404);
    }
    let kept: Vec<u64> = lab.sim.requests().iter().map(|entry| entry.seq).collect();
    assert_eq!(kept, [3, 4, 5]);
    lab.sim.settings(|settings| settings.log_megabytes = 0);
    assert!(lab.sim.requests().is_empty());
}
