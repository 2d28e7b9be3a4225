use super::*;
use crate::api::AmlOnlineEndpoint;
use crate::api::common::{Acknowledgement, Adoption, DeletionPolicy};
use crate::api::condition::{ConditionDraft, ConditionStatus};
use crate::plan::compute::ISOLATED;
use crate::plan::testing::{Ground, SUB, shown, workspace_id};

/// A world for one decision.
struct Case {
    object: AmlOnlineEndpoint,
    ground: Ground,
    observed: Observed,
}

fn closed() -> Value {
    json!({"publicNetworkAccess": "Disabled"})
}

impl Case {
    fn of(spec: &Value) -> Self {
        let mut spec = spec.clone();
        spec["workspaceRef"] = json!({"name": "fraud"});
        let object = serde_json::from_value(json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "AmlOnlineEndpoint",
            "metadata": {"name": "score", "namespace": "team", "generation": 1}, "spec": spec,
        }))
        .unwrap();
        Self { object, ground: Ground::of("AmlOnlineEndpoint", "score"), observed: Observed::default() }
    }

    /// Azure shows our endpoint with these properties.
    fn shows(mut self, properties: &Value) -> Self {
        let tags = json!({OWNER_TAG: self.owner().tag(Origin::Created), "cost": "42"});
        let endpoint = json!({"location": "westeurope", "kind": "Managed", "tags": tags, "properties": properties,
            "identity": {"type": "SystemAssigned", "principalId": "p"}});
        self.observed.endpoint = Some(OnlineEndpoint::read(endpoint).unwrap());
        self
    }

    /// Azure shows this deployment besides.
    fn deployed(mut self, name: &str, properties: &Value) -> Self {
        let made = "2026-01-02T00:00:00Z";
        let deployment = json!({"name": name, "properties": properties, "systemData": {"createdAt": made}});
        self.observed.deployments.push(Deployment::read(deployment).unwrap());
        self
    }

    fn acknowledges(mut self, value: &str) -> Self {
        self.object.spec.acknowledge.push(Acknowledgement { door: Door::PublicNetworkAccess, value: value.into() });
        self
    }

    fn owner(&self) -> Owner {
        self.ground.owner.clone()
    }

    fn id() -> ArmId {
        workspace_id().child("onlineEndpoints", "score").unwrap()
    }

    fn plan(&self) -> Decided<AmlOnlineEndpointStatus> {
        let (id, spec) = (Self::id(), &self.object.spec);
        let policies = Policies {
            workspace_ref: &spec.workspace_ref,
            management: spec.management_policy.unwrap_or_default(),
            deletion: DeletionPolicy::Delete,
            adoption: spec.adoption.unwrap_or(Adoption::Never),
            suspend: false,
            acknowledge: &spec.acknowledge,
        };
        self.ground.with(|site| plan(EndpointInput { site, id: &id, spec, policies, observed: &self.observed }))
    }

    fn check(&self) -> Result<(), Verdict> {
        self.ground.with(|site| check(&self.object.spec, site, &Self::id()))
    }

    /// The reason, and the method of the next write.
    fn outcome(&self) -> (&'static str, Option<&'static str>) {
        let decided = self.plan();
        (decided.verdict.reason.word(), decided.steps.first().map(|step| step.request.method))
    }

    fn condition(&self, type_: &str) -> ConditionDraft {
        self.plan().conditions.into_iter().find(|condition| condition.type_ == type_).unwrap()
    }
}

#[test]
fn what_is_not_said_is_closed_and_called_by_identity() {
    let decided = Case::of(&closed()).plan();
    let body = decided.steps[0].request.body.clone().unwrap();
    assert_eq!(body["properties"], json!({"authMode": "AADToken", "publicNetworkAccess": "Disabled"}));
    assert_eq!(body["identity"], json!({"type": "SystemAssigned"}));
    assert_eq!(body["tags"][OWNER_TAG], "i/AmlOnlineEndpoint/team/score/created");
    let made = Case::of(&closed()).shows(&json!({"authMode": "aadtoken", "publicNetworkAccess": "Disabled"}));
    assert_eq!(made.outcome(), ("Online", None));
}

#[test]
fn the_internet_is_let_in_only_by_a_grant_and_a_word() {
    let open = json!({"publicNetworkAccess": "Enabled"});
    let mut case = Case::of(&open);
    assert_eq!(case.check().unwrap_err().reason, Reason::EgressNotAllowed);
    let egress = json!({"publicNetworkAccess": "Enabled"});
    case.ground.connection.grants[0].egress = Some(serde_json::from_value(egress).unwrap());
    assert!(case.check().is_ok());
    assert_eq!(case.outcome(), ("AcknowledgementRequired", None));
    assert_eq!(Case::of(&open).acknowledges("another").outcome(), ("AcknowledgementRequired", None));
    assert_eq!(Case::of(&open).acknowledges("score").outcome(), ("Creating", Some("PUT")));
    let shut = json!({"authMode": "AADToken", "publicNetworkAccess": "Disabled"});
    assert_eq!(Case::of(&open).shows(&shut).outcome(), ("AcknowledgementRequired", None));
    assert_eq!(Case::of(&open).acknowledges("score").shows(&shut).outcome(), ("Updating", Some("PUT")));
    // Closing needs no word.
    let public = json!({"authMode": "AADToken"});
    assert_eq!(Case::of(&closed()).shows(&public).outcome(), ("Updating", Some("PUT")));
}

#[test]
fn a_change_sends_back_what_it_does_not_change() {
    let found = json!({
        "authMode": "Key", "publicNetworkAccess": "Enabled", "traffic": {"blue": 90, "green": 10}, "mirrorTraffic": {"green": 5},
        "description": "scores", "properties": {"azureml.onlineendpointid": "x"}, "provisioningState": "Succeeded",
        "scoringUri": "https://score.westeurope.inference.ml.azure.com/score",
    });
    let decided = Case::of(&closed()).shows(&found).plan();
    let body = decided.steps[0].request.body.clone().unwrap();
    assert_eq!(
        body["properties"],
        json!({
            "authMode": "AADToken", "publicNetworkAccess": "Disabled", "traffic": {"blue": 90, "green": 10},
            "mirrorTraffic": {"green": 5}, "description": "scores", "properties": {"azureml.onlineendpointid": "x"},
        })
    );
    assert_eq!((&body["tags"]["cost"], &body["identity"]), (&json!("42"), &json!({"type": "SystemAssigned"})));
    let fields: Vec<&str> = decided.differences.iter().map(|difference| difference.field.as_ref()).collect();
    assert_eq!(fields, ["properties.publicNetworkAccess", "properties.authMode"]);
}

#[test]
fn an_identity_is_for_life() {
    let id = format!(
        "/subscriptions/{SUB}/resourceGroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/score"
    );
    let mut spec = closed();
    spec["identity"] = json!({"type": "UserAssigned", "userAssignedIdentities": [id]});
    let body = Case::of(&spec).plan().steps[0].request.body.clone().unwrap();
    assert_eq!(body["identity"], json!({"type": "UserAssigned", "userAssignedIdentities": {id.clone(): {}}}));
    let found = json!({"authMode": "AADToken", "publicNetworkAccess": "Disabled"});
    let decided = Case::of(&spec).shows(&found).plan();
    assert_eq!((decided.verdict.reason, decided.steps.len()), (Reason::NotChangeable, 0));
    assert!(!decided.verdict.message.contains("recreate"), "{}", decided.verdict.message);
    assert!(Case::of(&spec).check().is_ok());
    spec["identity"]["userAssignedIdentities"] = json!([id.replace("/rg/", "/theirs/")]);
    assert_eq!(Case::of(&spec).check().unwrap_err().reason, Reason::ScopeNotAllowed);
}

#[test]
fn what_is_taken_over_changes_its_tag_first() {
    let mut spec = closed();
    spec["adoption"] = json!("Always");
    let mut case = Case::of(&spec).shows(&json!({"authMode": "Key", "traffic": {"blue": 100}}));
    let endpoint = case.observed.endpoint.as_mut().unwrap();
    endpoint.tags.as_mut().unwrap().remove(OWNER_TAG);
    let decided = case.plan();
    assert_eq!(decided.steps[0].request.method, "PATCH");
    let tags = json!({"tags": {OWNER_TAG: case.owner().tag(Origin::Adopted), "cost": "42"}});
    assert_eq!(decided.steps[0].request.body, Some(tags));
    case.object.spec.adoption = None;
    assert_eq!(case.outcome(), ("AdoptionRefused", None));
}

#[test]
fn it_waits_for_the_network_and_for_azure_and_tries_again_what_failed() {
    let mut waits = Case::of(&closed());
    waits.ground.azure_shows(&shown("AllowOnlyApprovedOutbound", "Inactive"));
    assert_eq!(waits.outcome(), ("ManagedNetworkInactive", None));
    let with = |state: &str| {
        let own = json!({"authMode": "AADToken", "publicNetworkAccess": "Disabled", "provisioningState": state});
        Case::of(&closed()).shows(&own).outcome()
    };
    assert_eq!(with("Updating"), ("Updating", None));
    assert_eq!(with("Failed"), ("Updating", Some("PUT")));
}

#[test]
fn a_way_in_or_out_is_told() {
    use ConditionStatus::{False, True, Unknown};
    let shut = json!({"authMode": "AADToken", "publicNetworkAccess": "Disabled"});
    let attached = json!({"authMode": "Key", "publicNetworkAccess": "Disabled", "compute": "/x/computes/aks"});
    let kept = json!({"egressPublicNetworkAccess": "Disabled"});
    let out = json!({"egressPublicNetworkAccess": "Enabled"});
    let none: &[(&str, &Value)] = &[];
    for (mode, network, since, own, deployments, status, reason, names) in [
        ("AllowOnlyApprovedOutbound", "Active", None, &json!({"authMode": "Key"}), none, False, "PublicAccess", ""),
        ("AllowOnlyApprovedOutbound", "Active", None, &attached, none, Unknown, "AttachedKubernetes", "aks"),
        ("AllowOnlyApprovedOutbound", "Active", None, &shut, &[("blue", &out)], True, "InManagedNetwork", ""),
        ("AllowOnlyApprovedOutbound", "Active", None, &shut, &[("blue", &kept)], True, "InManagedNetwork", "blue"),
        ("AllowInternetOutbound", "Active", None, &shut, none, True, "InManagedNetwork", "AllowInternetOutbound"),
        ("AllowInternetOutbound", "Inactive", None, &shut, none, False, "NetworkNotActive", ""),
        (
            "AllowInternetOutbound",
            "Active",
            Some("2026-01-03T00:00:00Z"),
            &shut,
            &[("blue", &out)],
            False,
            "OlderThanNetwork",
            "blue",
        ),
        (
            "AllowInternetOutbound",
            "Active",
            Some("2026-01-01T00:00:00Z"),
            &shut,
            &[("blue", &out)],
            True,
            "InManagedNetwork",
            "",
        ),
        ("Disabled", "Inactive", None, &shut, none, True, "NoDeployments", ""),
        ("Disabled", "Inactive", None, &shut, &[("blue", &kept)], True, "LegacyEgress", "blue"),
        ("Disabled", "Inactive", None, &shut, &[("blue", &kept), ("green", &out)], False, "PublicEgress", "green"),
        ("Disabled", "Inactive", None, &shut, &[("blue", &json!({}))], False, "PublicEgress", "blue"),
    ] {
        let mut case = Case::of(&closed()).shows(own);
        case.ground.azure_shows(&shown(mode, network));
        if let Some(since) = since {
            case.ground.workspace.status = Some(serde_json::from_value(json!({ "isolatedSince": since })).unwrap());
        }
        for (name, properties) in deployments {
            case = case.deployed(name, properties);
        }
        let told = case.condition(ISOLATED);
        assert_eq!((told.status, told.reason.as_str()), (status, reason), "{mode} {network} {own} {deployments:?}");
        assert!(told.message.contains(names), "{}", told.message);
    }
}

#[test]
fn whether_calls_are_answered_is_told() {
    use ConditionStatus::{False, True, Unknown};
    let state = |state: &str| json!({ "provisioningState": state });
    let (works, failed, changing) = (state("Succeeded"), state("Failed"), state("Scaling"));
    for (traffic, blue, status, reason) in [
        (json!({}), None, False, "NoDeployments"),
        (json!({}), Some(&works), False, "NoTraffic"),
        (json!({"blue": 0}), Some(&works), False, "NoTraffic"),
        (json!({"green": 100}), Some(&works), False, "DeploymentMissing"),
        (json!({"BLUE": 100}), Some(&failed), False, "DeploymentFailed"),
        (json!({"blue": 100}), Some(&changing), Unknown, "DeploymentChanging"),
        (json!({"blue": 60}), Some(&works), False, "TrafficIncomplete"),
        (json!({"blue": 100, "green": 0}), Some(&works), True, "TrafficServed"),
        (json!({"blue": i64::MAX, "green": i64::MAX}), Some(&works), False, "DeploymentMissing"),
    ] {
        let own = json!({"authMode": "AADToken", "publicNetworkAccess": "Disabled", "traffic": traffic});
        let mut case = Case::of(&closed()).shows(&own);
        if let Some(blue) = blue {
            case = case.deployed("blue", blue);
        }
        let told = case.condition(SERVING);
        assert_eq!((told.status, told.reason.as_str()), (status, reason), "{traffic} {blue:?}");
        // None of it makes the object unready: models are somebody else's.
        assert_eq!(case.outcome(), ("Online", None));
    }
}

#[test]
fn a_status_lists_deployments_up_to_its_limit() {
    let own = json!({"authMode": "Key", "publicNetworkAccess": "Disabled", "traffic": {"d-00": 100}});
    let mut case = Case::of(&closed()).shows(&own);
    for number in (0..30).rev() {
        case = case.deployed(&format!("d-{number:02}"), &json!({"egressPublicNetworkAccess": "Enabled"}));
    }
    let status = case.plan().status;
    assert_eq!((status.deployments_total, status.deployments.len()), (Some(30), 20));
    assert_eq!((status.deployments[0].name.as_str(), status.deployments[0].traffic), ("d-00", 100));
}

#[test]
fn what_has_deployments_is_not_deleted_under_them() {
    let shut = json!({"authMode": "AADToken", "publicNetworkAccess": "Disabled"});
    let case = Case::of(&closed()).shows(&shut);
    let leaves = |case: &Case| farewell(&case.owner(), &Case::id(), &case.observed);
    assert!(matches!(leaves(&case), Farewell::Remove(steps) if steps[0].removes()));
    let case = case.deployed("blue", &json!({}));
    assert!(
        matches!(leaves(&case), Farewell::Wait(verdict) if verdict.reason == Reason::InUse && verdict.message.contains("blue"))
    );
    let mut theirs = case;
    theirs.observed.endpoint.as_mut().unwrap().tags = None;
    assert!(matches!(leaves(&theirs), Farewell::Release(_)));
    assert!(matches!(leaves(&Case::of(&closed())), Farewell::Release(_)));
}
