use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::api::connection::AzureConnectionSpec;

use super::*;

const SUB: &str = "00000000-0000-0000-0000-000000000001";

fn connection(grants: &Value) -> AzureConnectionSpec {
    serde_json::from_value(json!({
        "tenantId": SUB, "cloud": "Public", "credential": {"managedIdentity": {}}, "grants": grants
    }))
    .unwrap()
}

fn account(group: &str, name: &str) -> String {
    format!("/subscriptions/{SUB}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{name}")
}

fn rule(mut destination: Value) -> OutboundRuleSpec {
    destination["workspaceRef"] = json!({"name": "fraud"});
    serde_json::from_value(destination).unwrap()
}

struct Case {
    spec: OutboundRuleSpec,
    admitted: bool,
    isolation: IsolationMode,
    spark: bool,
}

impl Case {
    fn new(destination: Value) -> Self {
        Self {
            spec: rule(destination),
            admitted: true,
            isolation: IsolationMode::AllowOnlyApprovedOutbound,
            spark: true,
        }
    }

    /// A rule of namespace `guest` for the workspace of namespace `team`.
    fn judge(&self, grants: &Value) -> Result<RuleBody, Verdict> {
        let connection = connection(grants);
        let none = BTreeMap::new();
        let (guest, team) =
            (Fence::new("contoso", &connection, "guest", &none), Fence::new("contoso", &connection, "team", &none));
        let id = ArmId::of(SUB, "ml", "Microsoft.MachineLearningServices/workspaces", "fraud").unwrap();
        let applicant = Applicant { namespace: "guest", spec: &self.spec, admitted: self.admitted, fence: &guest };
        let host = Host {
            namespace: "team",
            name: "fraud",
            id: &id,
            fence: &team,
            project: false,
            isolation: self.isolation,
            spark: self.spark,
        };
        wanted(&applicant, &host)
    }
}

fn grants() -> Value {
    json!([
        {"namespaces": {"names": ["team"]}, "scope": format!("/subscriptions/{SUB}/resourceGroups/ml"), "verbs": ["configure"],
         "egress": {"fqdns": ["*.pytorch.org"]}},
        {"namespaces": {"names": ["guest"]}, "scope": account("data", "lake"), "verbs": ["reach"]},
    ])
}

#[test]
fn each_refusal_says_who_can_change_it() {
    let lake = |spark| json!({"privateEndpoint": {"resourceId": account("data", "lake"), "subresource": "dfs", "sparkEnabled": spark}});
    let case = Case::new(lake(true));
    assert!(case.judge(&grants()).is_ok());
    for (case, word, words) in [
        (
            Case { admitted: false, ..Case::new(lake(true)) },
            "NotAdmitted",
            &["team/fraud", "\"guest\"", "spec.allowedRules"][..],
        ),
        (Case { spark: false, ..Case::new(lake(true)) }, "SparkNotIncluded", &["team/fraud", "includeSpark"]),
        (Case { isolation: IsolationMode::Disabled, ..Case::new(lake(false)) }, "IsolationModeForbids", &["Disabled"]),
        (Case::new(json!({"fqdn": "x.blob.core.windows.net"})), "DestinationRefused", &["private endpoint"]),
        (Case::new(json!({"fqdn": "pypi.org"})), "EgressNotAllowed", &["\"team\"", "egress.fqdns"]),
        (
            Case::new(json!({"privateEndpoint": {"resourceId": account("data", "other"), "subresource": "dfs"}})),
            "ScopeNotAllowed",
            &["\"guest\"", "verbs: [reach]"],
        ),
    ] {
        let verdict = case.judge(&grants()).unwrap_err();
        assert_eq!(verdict.reason.word(), word, "{}", verdict.message);
        for words in words {
            assert!(verdict.message.contains(words), "{words:?} is not in: {}", verdict.message);
        }
    }
    assert!(
        Case { spark: false, ..Case::new(lake(false)) }.judge(&grants()).is_ok(),
        "without Spark nothing is missing"
    );
}

proptest! {
    /// Whatever the grants and the rule: what gets through is named by a grant to the right namespace, with the right verb, on a
    /// path at or above it.
    #[test]
    fn no_plan_names_an_id_or_verb_that_was_not_granted(
        grants in prop::collection::vec((0..3usize, 0..4usize, 0..3usize), 0..4),
        (group, name) in (0..2usize, 0..2usize),
    ) {
        let scopes = [
            format!("/subscriptions/{SUB}"),
            format!("/subscriptions/{SUB}/resourceGroups/data0"),
            account("data0", "lake0"),
            account("data1", "lake1"),
        ];
        let given: Vec<(&str, &str, &str)> = grants
            .iter()
            .map(|(who, scope, verb)| {
                (["guest", "team", "other"][*who], scopes[*scope].as_str(), ["reach", "configure", "approve"][*verb])
            })
            .collect();
        let listed: Vec<Value> = given
            .iter()
            .map(|(who, scope, verb)| json!({"namespaces": {"names": [who]}, "scope": scope, "verbs": [verb]}))
            .collect();
        let target = account(&format!("data{group}"), &format!("lake{name}"));
        let case = Case::new(json!({"privateEndpoint": {"resourceId": target, "subresource": "blob"}}));
        let right = given.iter().any(|(who, scope, verb)| {
            *who == "guest" && *verb == "reach" && (target == *scope || target.starts_with(&format!("{scope}/")))
        });
        prop_assert_eq!(case.judge(&json!(listed)).is_ok(), right);
    }
}
