use std::time::Duration;

use arm_simulator::{Fault, FaultAction, OperationSeconds, Settings};
use serde_json::json;

use crate::lab::{Answer, Lab, ML, fqdn_rule, workspace, workspace_body};

/// Ten simulated seconds for everything, on a clock that only moves by hand.
fn slow() -> Settings {
    Settings { operation_seconds: OperationSeconds::all(10.0), clock_speed: 0.0, ..Settings::fast() }
}

async fn poll(lab: &Lab, accepted: &Answer, header: &str) -> Answer {
    lab.send("GET", accepted.header(header).unwrap(), &lab.token, None).await.unwrap()
}

#[tokio::test]
async fn a_workspace_is_created_by_a_202_with_two_urls_that_agree() {
    let lab = Lab::start(slow()).await;
    let id = workspace("slow");
    let accepted = lab.put(&id, ML, workspace_body("Disabled")).await.expect(202);
    assert_eq!(accepted.text, "");
    assert_eq!(accepted.header("x-ms-retry-after-ms"), Some("5"));
    assert_eq!(lab.get(&id, ML).await.body["properties"]["provisioningState"], "Creating");

    let running = poll(&lab, &accepted, "Azure-AsyncOperation").await.expect(200);
    assert_eq!(running.body, json!({ "status": "InProgress" }));
    assert_eq!(running.header("x-ms-retry-after-ms"), Some("5"));
    poll(&lab, &accepted, "Location").await.expect(202);

    lab.sim.clock().advance(Duration::from_secs(10));
    let done = poll(&lab, &accepted, "Azure-AsyncOperation").await.expect(200);
    assert_eq!(done.body["status"], "Succeeded");
    let result = poll(&lab, &accepted, "Location").await.expect(200);
    assert_eq!(result.body["properties"]["provisioningState"], "Succeeded");
    assert_eq!(result.body, lab.get(&id, ML).await.body);
}

#[tokio::test]
async fn state_advances_with_time_and_not_with_polls() {
    let lab = Lab::start(slow()).await;
    let id = workspace("unpolled");
    lab.put(&id, ML, workspace_body("Disabled")).await.expect(202);
    lab.sim.clock().advance(Duration::from_secs(10));
    assert_eq!(lab.get(&id, ML).await.body["properties"]["provisioningState"], "Succeeded");
    lab.delete(&id, ML).await.expect(202);
    assert_eq!(lab.get(&id, ML).await.body["properties"]["provisioningState"], "Deleting");
    lab.sim.clock().advance(Duration::from_secs(10));
    lab.get(&id, ML).await.expect(404);
}

#[tokio::test]
async fn operation_urls_can_be_long_or_lack_their_version() {
    let lab = Lab::start(Settings { signed_operation_urls: true, ..slow() }).await;
    let accepted = lab.put(&workspace("long"), ML, workspace_body("Disabled")).await.expect(202);
    assert!(accepted.header("Azure-AsyncOperation").unwrap().len() > 3000);
    poll(&lab, &accepted, "Azure-AsyncOperation").await.expect(200);

    lab.sim.settings(|settings| (settings.omit_api_version, settings.signed_operation_urls) = (true, false));
    let accepted = lab.put(&workspace("bare"), ML, workspace_body("Disabled")).await.expect(202);
    let refused = poll(&lab, &accepted, "Location").await.expect(400);
    assert_eq!(refused.code(), "MissingApiVersionParameter");
}

#[tokio::test]
async fn a_planned_failure_shows_on_both_urls_with_or_without_its_effect() {
    for after in [false, true] {
        let lab = Lab::start(Settings::fast()).await;
        let ws = lab.workspace("failing", "AllowOnlyApprovedOutbound").await;
        let action = FaultAction::FailOperation { code: "OutOfCapacity".into(), message: "no room".into() };
        let fault = Fault::once(action).method("PUT").path("outboundRules");
        lab.sim.add_fault(if after { fault.after() } else { fault });
        let accepted = lab.rule(&ws, "pypi", fqdn_rule("pypi.org")).await.expect(202);
        let failed = poll(&lab, &accepted, "Azure-AsyncOperation").await.expect(200);
        let error = json!({ "code": "OutOfCapacity", "message": "no room" });
        assert_eq!(failed.body, json!({ "status": "Failed", "error": error }));
        assert_eq!(poll(&lab, &accepted, "Location").await.expect(400).code(), "OutOfCapacity");
        assert_eq!(lab.rule_status(&ws, "pypi").await.is_some(), after);
    }
}

#[tokio::test]
async fn who_began_an_operation_may_follow_it_without_further_rights() {
    let mut seed = crate::lab::seed();
    seed.role_assignments.push(crate::lab::assignment(&workspace("mine"), "Contributor", "guest-object"));
    seed.service_principals.push(crate::lab::principal("other"));
    let lab = Lab::with(seed, slow()).await;
    let guest = lab.sign_in("guest").await;
    let url = format!("{}?api-version={ML}", workspace("mine"));
    let accepted = lab.send("PUT", &url, &guest, Some(workspace_body("Disabled"))).await.unwrap().expect(202);
    let status = accepted.header("Azure-AsyncOperation").unwrap();
    lab.send("GET", status, &guest, None).await.unwrap().expect(200);
    let other = lab.sign_in("other").await;
    lab.send("GET", status, &other, None).await.unwrap().expect(403);
}
