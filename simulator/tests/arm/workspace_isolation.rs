//! Which isolation a workspace may take on after which, and the rules that come with it.

use arm_simulator::{Leniency, Settings};
use serde_json::json;

use crate::lab::{Lab, ML, workspace, workspace_body};

#[tokio::test]
async fn isolation_only_tightens() {
    let (d, i, o) = ("Disabled", "AllowInternetOutbound", "AllowOnlyApprovedOutbound");
    let lab = Lab::start(Settings::fast()).await;
    for (n, (from, to, status)) in
        [(d, i, 200), (d, o, 200), (i, o, 200), (o, o, 200), (i, d, 400), (o, i, 400), (o, d, 400)]
            .into_iter()
            .enumerate()
    {
        let id = lab.workspace(&format!("iso-{n}"), from).await;
        let patch = json!({ "properties": { "managedNetwork": { "isolationMode": to } } });
        let answer = lab.patch(&id, patch).await.expect(status);
        let expected = if status == 200 { to } else { from };
        let shown = lab.get(&id, ML).await.body;
        assert_eq!(shown["properties"]["managedNetwork"]["isolationMode"], expected, "{from} to {to}: {}", answer.text);
    }
}

#[tokio::test]
async fn the_service_makes_its_own_rules() {
    let lab = Lab::start(Settings::fast()).await;
    let id = lab.workspace("ruled", "AllowOnlyApprovedOutbound").await;
    let list = lab.get(&format!("{id}/outboundRules"), ML).await.expect(200).body;
    let rules = list["value"].as_array().unwrap();
    let has = |start: &str| rules.iter().any(|rule| rule["name"].as_str().unwrap().starts_with(start));
    for name in [
        "__SYS_ST_AzureActiveDirectory_TCP",
        "__SYS_ST_MicrosoftContainerRegistry.westeurope_TCP",
        "__SYS_PE_own_blob_",
        "__SYS_PE_own_file_",
        "__SYS_PE_kv1_vault_",
        "__SYS_PE_ruled_amlworkspace_",
    ] {
        assert!(has(name), "{name}");
    }
    assert!(rules.iter().all(|rule| rule["properties"]["category"] == "Required"));
    assert!(rules.iter().all(|rule| rule["properties"]["status"] == "Inactive"));
    let map = lab.get(&id, ML).await.body["properties"]["managedNetwork"]["outboundRules"].clone();
    assert_eq!(map.as_object().unwrap().len(), rules.len());

    // The looser mode only closes in what has no public access, here the workspace itself.
    let mut body = workspace_body("AllowInternetOutbound");
    body["properties"]["publicNetworkAccess"] = json!("Disabled");
    let loose = lab.put(&workspace("loose"), ML, body).await.expect(200).body;
    let map = loose["properties"]["managedNetwork"]["outboundRules"].as_object().unwrap().clone();
    assert_eq!(map.len(), 1);
    assert!(map.keys().next().unwrap().starts_with("__SYS_PE_loose_amlworkspace_"));
}

#[tokio::test]
async fn contradicted_transitions_can_be_switched() {
    let (d, i, o) = ("Disabled", "AllowInternetOutbound", "AllowOnlyApprovedOutbound");
    let lab = Lab::start(Settings::fast()).await;
    lab.sim.settings(|settings| {
        (settings.isolation_tightening, settings.isolation_disabling) = (Leniency::Refuse, Leniency::Allow);
    });
    let id = lab.built("switched", i).await;
    let to = |mode: &str| json!({ "properties": { "managedNetwork": { "isolationMode": mode } } });
    lab.patch(&id, to(o)).await.expect(400);
    let parked = lab.patch(&id, to(d)).await.expect(200).body["properties"]["managedNetwork"].clone();
    assert_eq!(parked, json!({ "isolationMode": d, "changeableIsolationModes": [i, o] }));
    lab.patch(&id, to(o)).await.expect(200);
    let network = lab.get(&id, ML).await.body["properties"]["managedNetwork"].clone();
    assert_eq!((&network["status"]["status"], &network["changeableIsolationModes"]), (&json!("Inactive"), &json!([])));
}
