//! What the deletion of an object means.

use super::*;

#[test]
fn deleting_the_object_deletes_only_what_it_owns_and_only_if_told_to() {
    let ours = shown(json!({}));
    let others = shown(json!({"tags": {"aml-operator.io-owner": OTHERS}}));
    let going = shown(json!({"properties": {"provisioningState": "Deleting"}}));
    for (policy, observed, want) in [
        (Some(DeletionPolicy::Delete), Some(&ours), "delete"),
        (Some(DeletionPolicy::Delete), Some(&others), "release"),
        (Some(DeletionPolicy::Delete), Some(&going), "deleting"),
        (Some(DeletionPolicy::Delete), None, "release"),
        (Some(DeletionPolicy::Retain), Some(&ours), "release"),
        (None, Some(&ours), "release"),
    ] {
        let word = match farewell(&owner(), policy, observed, &[]) {
            Farewell::Release(_) => "release",
            Farewell::Disconnect(_) => "disconnect",
            Farewell::Delete => "delete",
            Farewell::Deleting => "deleting",
        };
        assert_eq!(word, want, "{policy:?}");
    }
}

#[test]
fn private_endpoint_connections_go_before_the_workspace_and_its_own_networks_with_it() {
    let connection = |name: &str, endpoint: &str| json!({"name": name, "properties": {"privateEndpoint": {"id": format!("/x/privateEndpoints/{endpoint}")}}});
    let own = OutboundRule::read(&json!({"name": "myself", "properties": {"type": "PrivateEndpoint"}})).unwrap();
    let say = |connections: Value| {
        let observed = shown(json!({"properties": {"privateEndpointConnections": connections}}));
        farewell(&owner(), Some(DeletionPolicy::Delete), Some(&observed), std::slice::from_ref(&own))
    };
    assert_eq!(say(json!([connection("one", "hub"), connection("two", "hub")])), Farewell::Disconnect("one".into()));
    let left = [
        connection("a", "__SYS_PE_fraud_amlworkspace_01234567"),
        connection("b", "myself"),
        connection("../../x", "hub"),
    ];
    assert_eq!(say(json!(left)), Farewell::Delete, "a name that is a path is no name");
    assert_eq!(say(Value::Null), Farewell::Delete);
}
