//! What no grant allows.

use super::*;

#[test]
fn no_write_goes_over_the_fence() {
    let drifted = shown(json!({"properties": {"publicNetworkAccess": "Enabled"}}));
    for (verbs, observed, verb) in [(["configure"], None, "create"), (["create"], Some(&drifted), "configure")] {
        let decided = decide_with(&verbs, &spec(json!({})), observed);
        assert_eq!((decided.write, decided.verdict.reason), (None, Reason::ScopeNotAllowed));
        assert!(decided.verdict.message.contains(&format!("verbs: [{verb}]")), "{}", decided.verdict.message);
    }
    let quiet = decide_with(&["reach"], &spec(json!({})), Some(&shown(json!({}))));
    assert_eq!(quiet.verdict.reason, Reason::Secured, "reading needs no verb");
}

#[test]
fn what_the_grants_forbid_is_refused_before_azure_is_asked() {
    let elsewhere = storage().replace("fraud-rg", "other-rg");
    for (verbs, egress, change, want) in [
        (&["reach"][..], json!({}), json!({}), "ok"),
        (&["create"], json!({}), json!({}), "ScopeNotAllowed"),
        (
            &["reach"],
            json!({}),
            json!({"associatedResources": {"storageAccount": {"resourceId": elsewhere}}}),
            "ScopeNotAllowed",
        ),
        (&["reach"], json!({}), json!({"associatedResources": {"keyVault": {"resourceId": "keys"}}}), "Invalid"),
        (&["reach"], json!({}), json!({"deletionPolicy": "Delete"}), "ScopeNotAllowed"),
        (&["reach", "delete"], json!({}), json!({"deletionPolicy": "Delete"}), "ok"),
        (&["reach"], json!({}), json!({"managedNetwork": {"isolationMode": "Disabled"}}), "EgressNotAllowed"),
        (
            &["reach"],
            json!({"isolationModes": ["Disabled"]}),
            json!({"managedNetwork": {"isolationMode": "Disabled"}}),
            "ok",
        ),
        (&["reach"], json!({}), json!({"publicNetworkAccess": "Enabled"}), "EgressNotAllowed"),
        (&["reach"], json!({"publicNetworkAccess": "Enabled"}), json!({"publicNetworkAccess": "Enabled"}), "ok"),
    ] {
        let connection = connection(verbs, egress);
        let fence = Fence::new("contoso", &connection, "team", &BTreeMap::new());
        let word =
            check(&spec(change.clone()), None, &id(), &fence).map_or_else(|verdict| verdict.reason.word(), |()| "ok");
        assert_eq!(word, want, "{verbs:?} {change}");
        let stranger = Fence::new("contoso", &connection, "other", &BTreeMap::new());
        assert!(check(&spec(change), None, &id(), &stranger).is_err(), "no grant, no word to Azure");
    }
}
