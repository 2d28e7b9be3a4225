//! When the managed network is built, and what a write of it takes along.

use super::*;

#[test]
fn a_compute_that_waits_has_the_network_built() {
    let network = json!({"properties": {"managedNetwork": {"status": {"status": "Inactive"}}}});
    for (when, wanted, want) in
        [("OnFirstCompute", true, "Provisioning"), ("OnFirstCompute", false, "Secured"), ("Never", true, "Secured")]
    {
        let spec = spec(json!({"managedNetwork": {"provision": {"when": when}}}));
        let observed = shown(network.clone());
        let decided = with_input(&["create", "configure"], &spec, Some(&observed), |input| {
            plan(WorkspaceInput { wanted, ..input })
        });
        assert_eq!(decided.verdict.reason.word(), want, "{when} {wanted}");
    }
}

#[test]
fn the_network_is_built_when_it_shall_be() {
    let network = |status: &str, spark: Option<bool>| json!({"properties": {"managedNetwork": {"status": {"status": status, "sparkReady": spark}}}});
    for (when, spark, observed, want) in [
        ("Immediately", false, network("Inactive", None), Some(false)),
        ("Immediately", true, network("Inactive", None), Some(true)),
        ("Immediately", true, network("Active", Some(false)), Some(true)),
        ("Immediately", true, network("Active", Some(true)), None),
        ("Immediately", false, network("active", None), None),
        ("OnFirstCompute", true, network("Inactive", None), None),
        ("Never", true, network("Inactive", None), None),
    ] {
        let spec = spec(json!({"managedNetwork": {"provision": {"when": when, "includeSpark": spark}}}));
        let decided = decide(&spec, Some(&shown(observed)));
        assert_eq!(decided.write, want.map(|spark| Write::Provision(json!({"includeSpark": spark}))), "{when} {spark}");
        assert_eq!(decided.verdict.reason.word(), if want.is_some() { "Provisioning" } else { "Secured" });
    }
    let request = Write::Provision(json!({"includeSpark": true})).request(&id(), None);
    assert_eq!((request.method, request.path), ("POST", format!("{}/provisionManagedNetwork", id())));
}

#[test]
fn a_rules_patch_repeats_the_network_as_it_is() {
    let rules = Map::from_iter([("r".to_owned(), json!({"type": "FQDN"}))]);
    let write = Write::Rules(RuleWrite::Patch { rules, names: ["r".to_owned()].into() });
    let observed = shown(json!({}));
    let request = write.request(&id(), observed.properties.managed_network.as_ref());
    assert_eq!((request.method, request.path.as_str()), ("PATCH", id().as_str()));
    assert_ne!(request.id, id().as_str(), "it is filed apart from a change of the workspace itself");
    assert_eq!(
        request.body.unwrap(),
        json!({"properties": {"managedNetwork": {
            "isolationMode": "AllowOnlyApprovedOutbound", "firewallSku": "Standard", "outboundRules": {"r": {"type": "FQDN"}}
        }}})
    );
    let put =
        Write::Rules(RuleWrite::Put { name: "r".into(), properties: json!({"type": "FQDN"}) }).request(&id(), None);
    assert_eq!(
        (put.path, put.body),
        (format!("{}/outboundRules/r", id()), Some(json!({"properties": {"type": "FQDN"}})))
    );
    let delete = Write::Rules(RuleWrite::Delete { name: "r".into() }).request(&id(), None);
    assert_eq!((delete.method, delete.path, delete.body), ("DELETE", format!("{}/outboundRules/r", id()), None));
}

#[test]
fn spark_is_prepared_after_the_first_compute_built_the_network() {
    let built = |spark: bool| {
        shown(json!({"properties": {"managedNetwork": {"status": {"status": "Active", "sparkReady": spark}}}}))
    };
    let spec = spec(json!({"managedNetwork": {"provision": {"when": "OnFirstCompute", "includeSpark": true}}}));
    assert_eq!(decide(&spec, Some(&built(false))).write, Some(Write::Provision(json!({"includeSpark": true}))));
    assert_eq!(decide(&spec, Some(&built(true))).write, None);
}
