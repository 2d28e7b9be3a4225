//! What the demo is to show, judged by what the cluster and the simulated Azure say, both of them.

use serde_json::Value;

use crate::objects::{Condition, Key, Look, MissingRole, condition, list, text};
use crate::people::{ALICE, Answer, BOB, Decided};
use crate::private::Private;
use crate::rules::Rules;

/// The endpoint of `azure.yaml` that the policy of `40-approval.yaml` allows.
const OWN_ENDPOINT: &str = "/subscriptions/00000000-0000-0000-0000-000000000002/resourceGroups/hub-network/providers/\
     Microsoft.Network/privateEndpoints/lake-hub";
/// The endpoint of `azure.yaml` that nobody allows.
const STRANGERS_ENDPOINT: &str = "/subscriptions/99999999-9999-9999-9999-999999999999/resourceGroups/hub-network/providers/\
     Microsoft.Network/privateEndpoints/lake-hub";
/// The endpoint of `azure.yaml` that the policy rejects.
const VENDORS_ENDPOINT: &str = "/subscriptions/88888888-8888-8888-8888-888888888888/resourceGroups/vendor-network/providers/\
     Microsoft.Network/privateEndpoints/lake-import";
/// The endpoint of `azure.yaml` that the policy holds for a person.
pub(crate) const HELD_ENDPOINT: &str = "/subscriptions/00000000-0000-0000-0000-000000000002/resourceGroups/hub-network/providers/\
     Microsoft.Network/privateEndpoints/lake-lab";
/// The namespace of the team whose workspace this is about.
const TEAM: &str = "team-fraud";
/// The types of outbound rules.
const TYPES: [&str; 3] = ["FQDN", "PrivateEndpoint", "ServiceTag"];

/// One thing to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Goal {
    /// What it is.
    pub(crate) title: String,
    /// What was found instead; `None` if it is reached.
    pub(crate) lacking: Option<String>,
}

/// What was seen on the way and is gone at the end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Witness {
    /// The rule that said which role is missing, and what it said.
    pub(crate) asked: Option<(Key, MissingRole)>,
    /// Whether the role has been given since.
    pub(crate) granted: bool,
    /// What the people did whom a policy asks.
    pub(crate) decided: Decided,
    /// What became of the rules afterwards.
    pub(crate) rules: Rules,
    /// What became of the private workspace at last.
    pub(crate) private: Private,
}

/// Judges all goals by one look at the cluster and the state of the simulated Azure.
pub(crate) fn judge(look: &Look, azure: &Value, witness: &Witness) -> Vec<Goal> {
    let mut goals = vec![
        goal("the workspace is Ready", workspaces(look, |_| Ok(()))),
        goal("its managed network is active", workspaces(look, |workspace| network(workspace, azure))),
    ];
    for type_ in TYPES {
        goals.push(goal(&format!("outbound rules of type {type_} are active"), rules(look, azure, type_)));
    }
    goals.extend([
        goal("a rule said which role is missing, and became active after it was granted", role(look, azure, witness)),
        goal("the hub's connection is approved by policy", hub(look, azure)),
        goal("the stranger's connection is still pending and reported as such", stranger(look, azure)),
        goal("the connection of a vendor whose contract has ended is rejected by policy", vendor(look, azure)),
        goal("a decision in another's name was refused", refused(witness, true)),
        goal("a decision by somebody without the right to decide was refused", refused(witness, false)),
        goal(
            "what the policy held for a person was approved by one, and not before",
            by_a_person(look, azure, witness),
        ),
    ]);
    goals
}

/// A goal and what came of it.
pub(crate) fn goal(title: &str, outcome: Result<(), String>) -> Goal {
    Goal { title: title.to_owned(), lacking: outcome.err() }
}

/// Ready=True, or what Ready says instead.
pub(crate) fn ready(key: &Key, object: &Value) -> Result<(), String> {
    match condition(object, "Ready") {
        Some(ready) if ready.holds() => Ok(()),
        Some(ready) => Err(format!("{key}: Ready={} {}: {}", ready.status, ready.reason, ready.message)),
        None => Err(format!("{key}: no condition Ready yet")),
    }
}

fn expect(key: &Key, what: &str, found: &str, wanted: &str) -> Result<(), String> {
    if found == wanted {
        return Ok(());
    }
    let found = if found.is_empty() { "not stated" } else { found };
    Err(format!("{key}: {what} is {found}, not {wanted}"))
}

fn workspaces(look: &Look, also: impl Fn((&Key, &Value)) -> Result<(), String>) -> Result<(), String> {
    let mut found = look.of("AmlWorkspace").filter(|(key, _)| key.namespace == TEAM).peekable();
    if found.peek().is_none() {
        return Err("there is no AmlWorkspace".to_owned());
    }
    found.try_for_each(|(key, workspace)| ready(key, workspace).and_then(|()| also((key, workspace))))
}

/// The entry of `section` for an ARM id; ids are compared without regard to case.
fn entry<'a>(azure: &'a Value, section: &str, id: &str) -> Option<&'a Value> {
    let entries = azure.get(section)?.as_object()?;
    entries.iter().find(|(key, _)| key.eq_ignore_ascii_case(id)).map(|(_, value)| value)
}

fn network((key, workspace): (&Key, &Value), azure: &Value) -> Result<(), String> {
    expect(key, "status.network", text(workspace, "/status/network"), "Active")?;
    let shown = entry(azure, "resources", text(workspace, "/status/resourceId"));
    let state = shown.map(|shown| text(shown, "/properties/managedNetwork/status/status")).unwrap_or_default();
    expect(key, "the managed network in Azure", state, "Active")
}

/// Whether a rule is active, by its own words and by Azure's.
pub(crate) fn active(look: &Look, azure: &Value, key: &Key, rule: &Value) -> Result<(), String> {
    ready(key, rule)?;
    expect(key, "status.serviceStatus", text(rule, "/status/serviceStatus"), "Active")?;
    let name = text(rule, "/status/azureName");
    let mut listed = look.of("AmlWorkspace").flat_map(|(_, workspace)| {
        entry(azure, "outboundRules", text(workspace, "/status/resourceId"))
            .map(|rules| list(rules, ""))
            .unwrap_or_default()
    });
    let state = listed.find(|rule| text(rule, "/name") == name).map(|rule| text(rule, "/properties/status"));
    expect(key, "the rule in Azure", state.unwrap_or_default(), "Active")
}

fn rules(look: &Look, azure: &Value, type_: &str) -> Result<(), String> {
    let of_type = |rule: &Value| {
        // What the spec asks for and not what the status says of it: a rule that has no status yet is to be missed.
        let field = match type_ {
            "FQDN" => "/spec/fqdn",
            "ServiceTag" => "/spec/serviceTag",
            _ => "/spec/privateEndpoint",
        };
        rule.pointer(field).is_some()
    };
    let mut found = look.of("OutboundRule").filter(|(_, rule)| of_type(rule)).peekable();
    if found.peek().is_none() {
        return Err(format!("there is no OutboundRule of type {type_}"));
    }
    found.try_for_each(|(key, rule)| active(look, azure, key, rule))
}

fn role(look: &Look, azure: &Value, witness: &Witness) -> Result<(), String> {
    let Some((asked, _)) = &witness.asked else {
        return Err("no rule has said ApproverRoleMissing with a command in status.missingRole".to_owned());
    };
    if !witness.granted {
        return Err(format!("{asked}: the role it asks for has not been granted yet"));
    }
    let rule = look.of("OutboundRule").find(|(key, _)| *key == asked);
    let (key, rule) = rule.ok_or_else(|| format!("{asked} is gone"))?;
    active(look, azure, key, rule)
}

/// What the policy says of the connection of `endpoint`, if that is in `state` in Azure, and the policy says so and decided
/// `decision`.
fn connection<'a>(
    look: &'a Look,
    azure: &Value,
    endpoint: &str,
    state: &str,
    decision: &str,
) -> Result<(&'a Key, &'a Value, &'a Value), String> {
    let policy = look.of("PrivateEndpointApproval").find(|(key, _)| key.name == "lake");
    let (key, policy) = policy.ok_or_else(|| "there is no PrivateEndpointApproval".to_owned())?;
    ready(key, policy)?;
    let same = |id: &str| id.eq_ignore_ascii_case(endpoint);
    let what = format!("the connection of {endpoint}");
    let shown = azure["privateEndpointConnections"].as_object().and_then(|connections| {
        connections.values().find(|connection| same(text(connection, "/properties/privateEndpoint/id")))
    });
    let found =
        shown.map(|shown| text(shown, "/properties/privateLinkServiceConnectionState/status")).unwrap_or_default();
    expect(key, &format!("{what} in Azure"), found, state)?;
    let report = list(policy, "/status/connections").iter().find(|report| same(text(report, "/privateEndpoint")));
    let report = report.ok_or_else(|| format!("{key}: {what} is not in status.connections"))?;
    expect(key, &format!("the state of {what}"), text(report, "/state"), state)?;
    expect(key, &format!("the decision on {what}"), text(report, "/decision"), decision)?;
    Ok((key, policy, report))
}

fn hub(look: &Look, azure: &Value) -> Result<(), String> {
    let (key, _, report) = connection(look, azure, OWN_ENDPOINT, "Approved", "Allowed")?;
    let by = format!("{}/{}", key.namespace, key.name);
    expect(key, "approvedBy of the hub's connection", text(report, "/approvedBy"), &by)
}

fn stranger(look: &Look, azure: &Value) -> Result<(), String> {
    let (key, policy, _) = connection(look, azure, STRANGERS_ENDPOINT, "Pending", "Unmatched")?;
    let waiting = condition(policy, "ConnectionsPending").filter(Condition::holds);
    match waiting {
        Some(waiting) if waiting.message.contains(STRANGERS_ENDPOINT) => Ok(()),
        _ => Err(format!("{key}: ConnectionsPending does not name the stranger's endpoint")),
    }
}

fn vendor(look: &Look, azure: &Value) -> Result<(), String> {
    connection(look, azure, VENDORS_ENDPOINT, "Rejected", "Rejected").map(|_| ())
}

/// Whether the admission policy has refused bob's decision, and for the right reason.
fn refused(witness: &Witness, in_anothers_name: bool) -> Result<(), String> {
    let (answer, words) = if in_anothers_name {
        (&witness.decided.in_anothers_name, format!("write approver: {BOB}"))
    } else {
        (&witness.decided.without_the_right, format!("{BOB} may not decide for the policy"))
    };
    match answer {
        None => Err(format!("{BOB} has not tried: no policy has held a connection")),
        Some(Answer::Taken) => Err(format!("the decision of {BOB} was taken")),
        Some(Answer::Refused(said)) if said.contains("denied request") && said.contains(&words) => Ok(()),
        Some(Answer::Refused(said)) => Err(format!("refused, but not for this: {said}")),
    }
}

fn by_a_person(look: &Look, azure: &Value, witness: &Witness) -> Result<(), String> {
    if !witness.decided.held {
        return Err("no policy has held a connection for a person".to_owned());
    }
    match &witness.decided.by_right {
        None => return Err(format!("{ALICE} has not decided yet")),
        Some(Answer::Refused(said)) => return Err(format!("{ALICE} may decide and was refused: {said}")),
        Some(Answer::Taken) => {}
    }
    look.of("ApprovalDecision").try_for_each(|(key, decision)| ready(key, decision))?;
    let (key, _, report) = connection(look, azure, HELD_ENDPOINT, "Approved", "Allowed")?;
    expect(key, "approvedBy of the held connection", text(report, "/approvedBy"), ALICE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const WORKSPACE: &str = "/subscriptions/s/resourceGroups/g/providers/M.ML/workspaces/fraud";

    fn object(kind: &str, name: &str, spec: Value, mut status: Value) -> Value {
        status["conditions"] = json!([{"type": "Ready", "status": "True", "reason": "R", "message": "m"}]);
        json!({"kind": kind, "metadata": {"namespace": TEAM, "name": name}, "spec": spec, "status": status})
    }

    fn rule(name: &str, spec: Value) -> Value {
        object("OutboundRule", name, spec, json!({"azureName": format!("{name}-x"), "serviceStatus": "Active"}))
    }

    fn cluster() -> Value {
        let report = |endpoint: &str, state: &str, decision: &str| json!({"name": state, "privateEndpoint": endpoint, "state": state, "decision": decision, "why": ""});
        let mut connections = [
            report(OWN_ENDPOINT, "Approved", "Allowed"),
            report(STRANGERS_ENDPOINT, "Pending", "Unmatched"),
            report(VENDORS_ENDPOINT, "Rejected", "Rejected"),
            report(HELD_ENDPOINT, "Approved", "Allowed"),
        ];
        (connections[0]["approvedBy"], connections[3]["approvedBy"]) = (json!("team-fraud/lake"), json!(ALICE));
        let mut lake = object("PrivateEndpointApproval", "lake", json!({}), json!({ "connections": connections }));
        lake["status"]["conditions"].as_array_mut().unwrap().push(
            json!({"type": "ConnectionsPending", "status": "True", "reason": "R", "message": STRANGERS_ENDPOINT}),
        );
        json!({"items": [
            object("AmlWorkspace", "fraud", json!({}), json!({"network": "Active", "resourceId": WORKSPACE})),
            rule("pytorch", json!({"fqdn": "*.pytorch.org"})),
            rule("monitor", json!({"serviceTag": {}})),
            rule("datalake", json!({"privateEndpoint": {}})),
            lake,
            object("ApprovalDecision", "lake-lab", json!({}), json!({})),
        ]})
    }

    fn azure() -> Value {
        let rule = |name: &str| json!({"name": format!("{name}-x"), "properties": {"status": "Active"}});
        let connection = |endpoint: &str, status: &str| {
            json!({"properties": {"privateEndpoint": {"id": endpoint.to_uppercase()},
                "privateLinkServiceConnectionState": {"status": status}}})
        };
        json!({
            "resources": {WORKSPACE.to_lowercase(): {"properties": {"managedNetwork": {"status": {"status": "Active"}}}}},
            "outboundRules": {WORKSPACE.to_lowercase(): [rule("pytorch"), rule("monitor"), rule("datalake")]},
            "privateEndpointConnections":
                {"a": connection(OWN_ENDPOINT, "Approved"), "b": connection(STRANGERS_ENDPOINT, "Pending"),
                "c": connection(VENDORS_ENDPOINT, "Rejected"), "d": connection(HELD_ENDPOINT, "Approved")},
        })
    }

    fn witness() -> Witness {
        let role = MissingRole {
            scope: "/lake".into(),
            role: "Approver".into(),
            principal_id: "p".into(),
            command: "az".into(),
        };
        let said = |words: &str| Some(Answer::Refused(format!("policy 'x' denied request: {words}")));
        Witness {
            asked: Key::new("OutboundRule", TEAM, "datalake").map(|key| (key, role)),
            granted: true,
            decided: Decided {
                held: true,
                in_anothers_name: said(&format!("write approver: {BOB}")),
                without_the_right: said(&format!("{BOB} may not decide for the policy lake")),
                by_right: Some(Answer::Taken),
            },
            rules: Rules::default(),
            private: Private::default(),
        }
    }

    fn lacking(cluster: &Value, azure: &Value, witness: &Witness) -> Vec<String> {
        judge(&Look::new(cluster), azure, witness).into_iter().filter_map(|goal| goal.lacking).collect()
    }

    #[test]
    fn all_is_reached_when_cluster_and_azure_agree() {
        assert_eq!(lacking(&cluster(), &azure(), &witness()), Vec::<String>::new());
    }

    #[test]
    fn an_empty_cluster_reaches_nothing() {
        let goals = judge(&Look::default(), &json!({}), &Witness::default());
        assert_eq!(goals.iter().filter(|goal| goal.lacking.is_none()).count(), 0, "{goals:?}");
    }

    #[test]
    fn what_is_not_reached_is_told_in_the_conditions_words() {
        let mut cluster = cluster();
        let ready = &mut cluster["items"][0]["status"]["conditions"][0];
        (ready["status"], ready["reason"], ready["message"]) =
            (json!("False"), json!("Provisioning"), json!("half an hour"));
        let lacking = lacking(&cluster, &azure(), &witness());
        assert_eq!(lacking[0], "AmlWorkspace team-fraud/fraud: Ready=False Provisioning: half an hour");
        assert_eq!(lacking.len(), 2, "Ready and the network: {lacking:?}");
    }

    #[test]
    fn the_operators_word_alone_is_not_enough() {
        for (pointer, value, goals) in [
            (format!("/resources/{}/properties/managedNetwork/status/status", escaped()), "Inactive", 1),
            (format!("/outboundRules/{}/0/properties/status", escaped()), "Failed", 1),
            ("/privateEndpointConnections/a/properties/privateLinkServiceConnectionState/status".into(), "Pending", 1),
            ("/privateEndpointConnections/b/properties/privateLinkServiceConnectionState/status".into(), "Approved", 1),
            ("/privateEndpointConnections/c/properties/privateLinkServiceConnectionState/status".into(), "Pending", 1),
            ("/privateEndpointConnections/d/properties/privateLinkServiceConnectionState/status".into(), "Pending", 1),
        ] {
            let mut azure = azure();
            *azure.pointer_mut(&pointer).unwrap() = json!(value);
            assert_eq!(lacking(&cluster(), &azure, &witness()).len(), goals, "{pointer}");
        }
    }

    fn escaped() -> String {
        WORKSPACE.to_lowercase().replace('/', "~1")
    }

    #[test]
    fn the_missing_role_must_have_been_said_before_it_was_granted() {
        let unsaid = lacking(&cluster(), &azure(), &Witness { asked: None, granted: false, ..witness() });
        assert_eq!(unsaid.len(), 1, "{unsaid:?}");
        let waiting = lacking(&cluster(), &azure(), &Witness { granted: false, ..witness() });
        assert!(waiting[0].contains("team-fraud/datalake"), "{waiting:?}");
    }

    #[test]
    fn a_policy_that_does_not_report_the_stranger_is_not_enough() {
        let mut unlisted = cluster();
        unlisted["items"][4]["status"]["connections"].as_array_mut().unwrap().remove(1);
        let mut unnamed = cluster();
        unnamed["items"][4]["status"]["conditions"].as_array_mut().unwrap().pop();
        for (cluster, words) in [(unlisted, "status.connections"), (unnamed, "ConnectionsPending")] {
            let lacking = lacking(&cluster, &azure(), &witness());
            assert!(lacking.len() == 1 && lacking[0].contains(words), "{lacking:?}");
        }
    }

    #[test]
    fn a_decision_that_should_be_refused_must_be_refused_by_the_admission_policy() {
        let no_rights = Answer::Refused("Error from server (Forbidden): cannot create resource".to_owned());
        for answer in [None, Some(Answer::Taken), Some(no_rights)] {
            let mut witness = witness();
            (witness.decided.in_anothers_name, witness.decided.without_the_right) = (answer.clone(), answer);
            assert_eq!(lacking(&cluster(), &azure(), &witness).len(), 2);
        }
    }

    #[test]
    fn what_is_held_must_have_been_held_and_carries_the_name_of_who_let_it_in() {
        let mut never_held = witness();
        never_held.decided.held = false;
        assert_eq!(lacking(&cluster(), &azure(), &never_held).len(), 1);
        let mut cluster = cluster();
        cluster["items"][4]["status"]["connections"][3]["approvedBy"] = json!("team-fraud/lake");
        let lacking = lacking(&cluster, &azure(), &witness());
        assert!(lacking.len() == 1 && lacking[0].contains("approvedBy"), "{lacking:?}");
    }

    #[test]
    fn the_example_holds_what_the_goals_speak_of() {
        let azure = include_str!("../../examples/secure-workspace/azure.yaml");
        for endpoint in [OWN_ENDPOINT, STRANGERS_ENDPOINT, VENDORS_ENDPOINT, HELD_ENDPOINT] {
            assert!(azure.contains(&format!("privateEndpointId: {endpoint}\n")), "{endpoint}");
        }
        let people = include_str!("../../examples/secure-workspace/50-people.yaml");
        for who in [ALICE, BOB] {
            assert!(people.contains(&format!("  name: {who}\n")), "{who}");
        }
    }
}
