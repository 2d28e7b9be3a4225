//! What costs, destroys or cannot be taken back waits for a word.

use super::*;

#[test]
fn isolation_moves_only_one_way_and_only_through_its_door() {
    let modes = ["Disabled", "AllowInternetOutbound", "AllowOnlyApprovedOutbound"];
    for (from, from_mode) in modes.iter().enumerate() {
        for (to, to_mode) in modes.iter().enumerate() {
            let observed = json!({"properties": {"managedNetwork": {"isolationMode": from_mode}}});
            let declare = |word: &str| json!({"managedNetwork": {"isolationMode": to_mode}, "acknowledge": [{"door": "IsolationMode", "value": word}]});
            let open = patch(declare(to_mode), observed.clone());
            let closed = patch(declare("something else"), observed);
            let body = json!({"properties": {"managedNetwork": {"isolationMode": to_mode}}});
            match to.cmp(&from) {
                std::cmp::Ordering::Equal => assert_eq!((open.0, closed.0), ("Secured", "Secured")),
                std::cmp::Ordering::Less => {
                    assert_eq!((open, closed), (("NotChangeable", None), ("NotChangeable", None)))
                }
                std::cmp::Ordering::Greater => {
                    assert_eq!(
                        (open, closed),
                        (("Updating", Some(body)), ("AcknowledgementRequired", None)),
                        "{from_mode} to {to_mode}"
                    );
                }
            }
        }
    }
    let never_had = json!({"properties": {"managedNetwork": null}});
    assert_eq!(patch(json!({}), never_had).0, "AcknowledgementRequired");
    let novel = json!({"properties": {"managedNetwork": {"isolationMode": "Novelty"}}});
    assert_eq!(patch(json!({}), novel).0, "NotChangeable");
}

#[test]
fn a_closed_door_holds_up_nothing_but_its_own_change() {
    let both =
        json!({"properties": {"publicNetworkAccess": "Enabled", "managedNetwork": {"isolationMode": "Disabled"}}});
    let closing = json!({"properties": {"publicNetworkAccess": "Disabled"}});
    assert_eq!(patch(json!({}), both), ("Updating", Some(closing)), "what somebody opened is closed all the same");
    let waiting = decide(
        &spec(json!({})),
        Some(&shown(json!({"properties": {"managedNetwork": {"isolationMode": "Disabled"}}}))),
    );
    assert!(
        waiting.verdict.message.contains("{door: IsolationMode, value: AllowOnlyApprovedOutbound}"),
        "{}",
        waiting.verdict.message
    );
    assert!(!waiting.rules_may_change);

    let open = json!({"publicNetworkAccess": "Enabled"});
    assert_eq!(patch(open.clone(), json!({})), ("AcknowledgementRequired", None));
    assert_eq!(
        decide(&spec(open.clone()), None).verdict.reason,
        Reason::AcknowledgementRequired,
        "not at creation either"
    );
    let mut acknowledged = open;
    acknowledged["acknowledge"] = json!([{"door": "PublicNetworkAccess", "value": "Enabled"}]);
    assert_eq!(patch(acknowledged, json!({})).1, Some(json!({"properties": {"publicNetworkAccess": "Enabled"}})));
}

#[test]
fn azures_own_word_on_isolation_modes_counts_more_than_the_documentation() {
    let modes = |from: &str, modes: Value| json!({"properties": {"managedNetwork": {"isolationMode": from, "changeableIsolationModes": modes}}});
    let to = |mode: &str| json!({"managedNetwork": {"isolationMode": mode}, "acknowledge": [{"door": "IsolationMode", "value": mode}]});
    let open = "AllowInternetOutbound";
    let strict = "AllowOnlyApprovedOutbound";
    assert_eq!(patch(to(strict), modes(open, json!([]))).0, "NotChangeable");
    assert_eq!(patch(to("Disabled"), modes(open, json!(["disabled"]))).0, "Updating");
    assert_eq!(patch(to(open), modes(strict, json!([]))).0, "NotChangeable");
    assert_eq!(
        patch(to(strict), modes(open, Value::Null)).0,
        "Updating",
        "where Azure says nothing, the documentation does"
    );
}

#[test]
fn computes_that_have_to_be_made_anew_have_a_door_of_their_own() {
    let observed = shown(json!({"properties": {"managedNetwork": {"isolationMode": "Disabled"}}}));
    let computes = ["cluster".to_owned(), "notebook".to_owned()];
    let mode = "AllowOnlyApprovedOutbound";
    let decide = |doors: &[&str], computes: Option<&[String]>| {
        let words: Vec<Value> = doors.iter().map(|door| json!({"door": door, "value": mode})).collect();
        let spec = spec(json!({ "acknowledge": words }));
        with_input(&["configure"], &spec, Some(&observed), |input| plan(WorkspaceInput { computes, ..input }))
    };
    let asked = decide(&[], Some(&computes)).verdict;
    for word in ["cluster, notebook", "{door: IsolationMode, value: ", "{door: RecreateComputes, value: "] {
        assert!(asked.message.contains(word), "{word}: {}", asked.message);
    }
    assert_eq!(decide(&["IsolationMode"], Some(&computes)).write, None);
    assert_eq!(decide(&["RecreateComputes"], Some(&computes)).write, None);
    assert!(decide(&["IsolationMode", "RecreateComputes"], Some(&computes)).write.is_some());
    assert!(decide(&["IsolationMode"], Some(&[])).write.is_some(), "without computes there is nothing to lose");
    let unknown = decide(&["IsolationMode"], None);
    assert!(
        unknown.write.is_none() && unknown.verdict.message.contains("could not be listed"),
        "{:?}",
        unknown.verdict
    );
}

#[test]
fn building_a_network_that_has_a_host_rule_waits_for_the_firewalls_word() {
    let rule =
        OutboundRule::read(&json!({"name": "theirs", "properties": {"type": "FQDN", "destination": "theirs.org"}}))
            .unwrap();
    let observed = shown(json!({}));
    let decide = |acknowledge: Value| {
        let spec = spec(json!({"managedNetwork": {"provision": {"when": "Immediately"}}, "acknowledge": acknowledge}));
        let rules = std::slice::from_ref(&rule);
        with_input(&["configure"], &spec, Some(&observed), |input| plan(WorkspaceInput { rules, ..input }))
    };
    let closed = decide(json!([]));
    assert_eq!((closed.write, closed.verdict.reason), (None, Reason::AcknowledgementRequired));
    let open = decide(json!([{"door": "AzureFirewall", "value": "Standard"}]));
    assert_eq!(open.write, Some(Write::Provision(json!({"includeSpark": false}))));
}

#[test]
fn a_change_of_the_network_takes_the_rules_along_and_another_sku_waits_for_a_word() {
    let rule = OutboundRule::read(&json!({"name": "theirs", "properties": {
        "type": "FQDN", "category": "UserDefined", "destination": "theirs.org", "status": "Active"}}))
    .unwrap();
    let observed = shown(json!({"properties": {"managedNetwork": {"firewallSku": "Standard"}}}));
    let decide = |acknowledge: Value| {
        let spec = spec(json!({"managedNetwork": {"firewallSku": "Basic"}, "acknowledge": acknowledge}));
        let rules = std::slice::from_ref(&rule);
        with_input(&["create", "configure"], &spec, Some(&observed), |input| plan(WorkspaceInput { rules, ..input }))
    };
    assert_eq!(decide(json!([])).verdict.reason.word(), "AcknowledgementRequired");
    let Some(Write::Update(body)) = decide(json!([{"door": "AzureFirewall", "value": "Basic"}])).write else {
        panic!("a PATCH")
    };
    let network = &body["properties"]["managedNetwork"];
    assert_eq!(network["firewallSku"], "Basic");
    assert_eq!(network["outboundRules"]["theirs"]["destination"], "theirs.org", "nobody's rule is lost: {body}");
}
