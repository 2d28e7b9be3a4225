//! Whose a workspace is.

use super::*;

#[test]
fn what_was_there_before_is_taken_over_only_as_adoption_allows() {
    let untagged = |open: bool| {
        let mut workspace =
            shown(json!({"properties": {"publicNetworkAccess": if open { "Enabled" } else { "Disabled" }}}));
        workspace.tags = Some(BTreeMap::from([("cost".into(), "42".into())]));
        workspace
    };
    let adopted = json!({"tags": {"cost": "42", "aml-operator.io-owner": "cluster-1/AmlWorkspace/team/fraud/adopted"}});
    let mut adopted_and_closed = adopted.clone();
    adopted_and_closed["properties"] = json!({"publicNetworkAccess": "Disabled"});
    for (adoption, open, word, body) in [
        ("Never", false, "AdoptionRefused", None),
        ("IfMatching", false, "Updating", Some(&adopted)),
        ("IfMatching", true, "AdoptionRefused", None),
        ("Always", false, "Updating", Some(&adopted)),
        ("Always", true, "Updating", Some(&adopted_and_closed)),
    ] {
        let decided = decide(&spec(json!({"adoption": adoption})), Some(&untagged(open)));
        assert_eq!(decided.verdict.reason.word(), word, "{adoption} {open}");
        assert_eq!(decided.write, body.cloned().map(Write::Update), "{adoption} {open}");
        assert!(!decided.rules_may_change);
    }
}

#[test]
fn anothers_workspace_is_left_alone_until_its_tag_is_acknowledged() {
    let foreign =
        || json!({"tags": {"aml-operator.io-owner": OTHERS}, "properties": {"provisioningState": "Succeeded"}});
    let takeover = json!({"adoption": "Always", "acknowledge": [{"door": "Takeover", "value": OTHERS}]});
    for declared in
        [json!({}), json!({"adoption": "Always"}), json!({"acknowledge": [{"door": "Takeover", "value": OTHERS}]})]
    {
        assert_eq!(patch(declared, foreign()), ("OwnedElsewhere", None));
    }
    let ours = json!({"tags": {"cost": "42", "aml-operator.io-owner": "cluster-1/AmlWorkspace/team/fraud/adopted"}});
    assert_eq!(patch(takeover.clone(), foreign()), ("Updating", Some(ours.clone())));
    let mut failed = foreign();
    failed["properties"]["provisioningState"] = json!("Failed");
    assert_eq!(patch(takeover, failed), ("Updating", Some(ours)), "also when its last change failed");
}

#[test]
fn to_observe_needs_neither_claim_nor_grant_and_tells_each_field() {
    let mut theirs =
        shown(json!({"tags": {"aml-operator.io-owner": OTHERS}, "properties": {"publicNetworkAccess": "Enabled"}}));
    let spec = spec(json!({"tags": {"team": "fraud"}}));
    let decide = |observed: Option<&Workspace>| {
        with_input(&["reach"], &spec, observed, |input| plan(WorkspaceInput { observes: true, ..input }))
    };
    let decided = decide(Some(&theirs));
    let told = decided.write.unwrap().would(&id(), &decided.sent, &[]);
    let told: Vec<(&str, &str, Option<&str>, Option<&str>)> = told
        .iter()
        .map(|write| {
            (
                write.verb.as_str(),
                write.field.as_deref().unwrap_or_default(),
                write.from.as_deref(),
                write.to.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("PATCH", "properties.publicNetworkAccess", Some("Enabled"), Some("Disabled")),
            ("PATCH", "tags.team", None, Some("fraud")),
        ]
    );
    theirs.properties.public_network_access = Some("Disabled".into());
    theirs.tags = Some(BTreeMap::from([("team".into(), "fraud".into())]));
    assert_eq!(decide(Some(&theirs)).verdict.reason, Reason::Secured, "no owner tag is missed");
    assert!(matches!(decide(None).write, Some(Write::Create(_))), "it tells what it would create, too");
}

#[test]
fn a_claim_takes_nothing_that_would_have_to_be_built() {
    let mut untagged = shown(json!({}));
    untagged.tags = None;
    let spec = spec(json!({"adoption": "IfMatching", "managedNetwork": {"provision": {"when": "Immediately"}}}));
    let refused = decide(&spec, Some(&untagged));
    assert_eq!((refused.write, refused.verdict.reason), (None, Reason::AdoptionRefused));
    assert!(refused.verdict.message.contains("would be built"), "{}", refused.verdict.message);
}
