//! Whether an online endpoint is closed and its deployments are kept in, and whether its calls are answered. Nothing of it is changed.

use crate::api::condition::{ConditionDraft, ConditionStatus};
use crate::api::workspace::IsolationMode;
use crate::azure::machine_learning::Workspace;
use crate::azure::online_endpoint::{Deployment, OnlineEndpoint};
use crate::azure::resource::{has_failed, in_motion};
use crate::plan::compute::ISOLATED;

use super::{EndpointInput, LISTED};

/// Says whether all traffic goes to deployments that work.
pub const SERVING: &str = "Serving";

/// The names of deployments, for a message.
pub(super) fn names<'a>(deployments: impl Iterator<Item = &'a Deployment>) -> String {
    let names: Vec<&str> = deployments.map(|deployment| deployment.name.as_str()).collect();
    let more = names.len().saturating_sub(LISTED);
    let named = names.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
    if more == 0 { named } else { format!("{named} and {more} more") }
}

fn draft(type_: &'static str, status: ConditionStatus, reason: &str, message: String) -> ConditionDraft {
    ConditionDraft { type_, status, reason: reason.to_owned(), message }
}

/// Judges.
pub(super) fn judge(input: &EndpointInput<'_>, shown: &Workspace, observed: &OnlineEndpoint) -> [ConditionDraft; 2] {
    let (status, reason, message) = isolated(input, shown, observed);
    let (serves, why, words) = serving(&input.observed.deployments, observed);
    [draft(ISOLATED, status, reason, message), draft(SERVING, serves, why, words)]
}

type Judged = (ConditionStatus, &'static str, String);

fn isolated(input: &EndpointInput<'_>, shown: &Workspace, observed: &OnlineEndpoint) -> Judged {
    use ConditionStatus::{False, True, Unknown};
    let own = &observed.properties;
    let deployments = &input.observed.deployments;
    if let Some(compute) = own.compute.as_deref().filter(|compute| !compute.is_empty()) {
        return (Unknown, "AttachedKubernetes", format!("it runs on {compute}, whose network is not looked at"));
    }
    if !own.public_network_access.as_deref().is_some_and(|access| access.eq_ignore_ascii_case("Disabled")) {
        return (False, "PublicAccess", "the internet can call it: publicNetworkAccess is Enabled".into());
    }
    // The older switch of a deployment: it keeps in where there is no managed network, and says nothing where there is one
    // (Microsoft: "Network isolation with managed online endpoints").
    let kept = |deployment: &&Deployment| {
        let egress = deployment.properties.egress_public_network_access.as_deref();
        egress.is_some_and(|egress| egress.eq_ignore_ascii_case("Disabled"))
    };
    let legacy = names(deployments.iter().filter(kept));
    if shown.isolation_mode().eq_ignore_ascii_case(IsolationMode::Disabled.as_str()) {
        let open = names(deployments.iter().filter(|deployment| !kept(deployment)));
        return if !open.is_empty() {
            let message = format!(
                "closed to the internet, but these deployments reach out to it: {open}. Give the workspace a managed network and deploy anew"
            );
            (False, "PublicEgress", message)
        } else if legacy.is_empty() {
            let message = "closed to the internet; the workspace has no managed network, so that a deployment would reach out to it";
            (True, "NoDeployments", message.into())
        } else {
            let message = format!(
                "closed to the internet; these deployments are kept in by the legacy egressPublicNetworkAccess: Disabled: {legacy}. A managed \
                 network of the workspace does that for all of them"
            );
            (True, "LegacyEgress", message)
        };
    }
    if !shown.network_active() {
        return (False, "NetworkNotActive", "the workspace's managed network is not built yet".into());
    }
    let created = |deployment: &Deployment| deployment.system_data.as_ref().and_then(|data| data.created_at.clone());
    let older =
        names(deployments.iter().filter(|deployment| input.site.predates_network(created(deployment).as_deref())));
    if !older.is_empty() {
        let message = format!(
            "these deployments are older than the workspace's managed network and not in it: {older}. Deploy them anew"
        );
        return (False, "OlderThanNetwork", message);
    }
    let mut message =
        format!("closed to the internet, and in the workspace's managed network ({})", shown.isolation_mode());
    if !legacy.is_empty() {
        message =
            format!("{message}. The legacy egressPublicNetworkAccess: Disabled says nothing there any more: {legacy}");
    }
    (True, "InManagedNetwork", message)
}

fn serving(deployments: &[Deployment], observed: &OnlineEndpoint) -> Judged {
    use ConditionStatus::{False, True, Unknown};
    let shares = observed.properties.traffic.iter().flatten().map(|(name, share)| (name.as_str(), *share));
    let called: Vec<(&str, i64)> = shares.filter(|(_, share)| *share > 0).collect();
    let words = |called: &[(&str, i64)]| {
        called.iter().take(LISTED).map(|(name, share)| format!("{name} {share}")).collect::<Vec<_>>().join(", ")
    };
    let found = |name: &str| deployments.iter().find(|deployment| deployment.name.eq_ignore_ascii_case(name));
    let state = |name: &str| found(name).and_then(|deployment| deployment.properties.provisioning_state.as_deref());
    let those = |wanted: &dyn Fn(&str) -> bool| -> Vec<(&str, i64)> {
        called.iter().filter(|(name, _)| wanted(name)).copied().collect()
    };
    if deployments.is_empty() {
        return (False, "NoDeployments", "there is no deployment".into());
    }
    if called.is_empty() {
        return (False, "NoTraffic", "no deployment gets calls".into());
    }
    let missing = those(&|name| found(name).is_none());
    if !missing.is_empty() {
        return (
            False,
            "DeploymentMissing",
            format!("calls go to deployments that are not there: {}", words(&missing)),
        );
    }
    let failed = those(&|name| has_failed(state(name)));
    if !failed.is_empty() {
        return (
            False,
            "DeploymentFailed",
            format!("calls go to deployments that Azure shows as failed: {}", words(&failed)),
        );
    }
    let moving = those(&|name| in_motion(state(name)));
    if !moving.is_empty() {
        return (
            Unknown,
            "DeploymentChanging",
            format!("Azure is changing deployments that calls go to: {}", words(&moving)),
        );
    }
    let sum = called.iter().fold(0_i64, |sum, (_, share)| sum.saturating_add(*share));
    if sum != 100 {
        return (False, "TrafficIncomplete", format!("the shares add up to {sum} of 100: {}", words(&called)));
    }
    (True, "TrafficServed", format!("all calls go to deployments that work: {}", words(&called)))
}
