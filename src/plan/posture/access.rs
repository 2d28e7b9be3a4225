//! Who comes in by the public address, and by what else than an identity.

use crate::api::workspace::Check;

use super::dependency::{Dependency, DependencyKind, Exposure, Shown, wide};
use super::facts::{BuildCompute, Facts};
use super::{Sight, connections};

impl DependencyKind {
    const fn public_access(self) -> Check {
        match self {
            Self::Storage => Check::StoragePublicAccess,
            Self::Vault => Check::VaultPublicAccess,
            Self::Registry => Check::RegistryPublicAccess,
            Self::Insights => Check::InsightsPublicAccess,
        }
    }
}

pub(super) fn judge(facts: &Facts<'_>) -> Vec<Sight> {
    let mut sights = vec![workspace(facts), image_builds(facts)];
    for dependency in facts.dependencies {
        sights.push(of_shown(dependency.kind.public_access(), dependency, public));
        match dependency.kind {
            DependencyKind::Storage => {
                sights.push(of_shown(Check::StorageSharedKeys, dependency, |shown| {
                    switch(shown.shared_keys, "allowSharedKeyAccess", "whoever has a key of the account is everybody")
                }));
                sights.push(of_shown(Check::StorageAnonymousBlobs, dependency, |shown| {
                    switch(shown.anonymous, "allowBlobPublicAccess", "a container can be opened to everybody")
                }));
                sights.push(both_endpoints(facts, dependency));
            }
            DependencyKind::Registry => sights.push(of_shown(Check::RegistryAdminUser, dependency, |shown| {
                switch(shown.admin_user, "adminUserEnabled", "one password for everything")
            })),
            DependencyKind::Vault => sights.push(both_endpoints(facts, dependency)),
            DependencyKind::Insights => {}
        }
    }
    sights
}

/// What one look at a resource came to: `Ok(None)` is as it should be, `Ok(Some)` a flaw, `Err` not known.
type Seen = Result<Option<String>, String>;

fn of_shown(check: Check, dependency: &Dependency, look: impl Fn(&Shown) -> Seen) -> Sight {
    match dependency.shown.as_ref().map_err(Clone::clone).and_then(look) {
        Ok(None) => Sight::pass(check, &dependency.id),
        Ok(Some(evidence)) => Sight::fail(check, &dependency.id, evidence),
        Err(why) => Sight::unknown(check, &dependency.id, why),
    }
}

fn public(shown: &Shown) -> Seen {
    Ok(match &shown.exposure {
        Exposure::Closed => None,
        Exposure::Open(evidence) => Some(evidence.clone()),
        Exposure::Selected(addresses) => {
            wide(addresses).map(|widest| format!("selected addresses may come in, among them {widest}"))
        }
    })
}

fn switch(on: Option<bool>, field: &str, means: &str) -> Seen {
    match on {
        Some(true) => Ok(Some(format!("{field} is true or left out: {means}"))),
        Some(false) => Ok(None),
        None => Err(format!("Azure does not state {field}")),
    }
}

fn workspace(facts: &Facts<'_>) -> Sight {
    let check = Check::WorkspacePublicAccess;
    let id = facts.id.as_str();
    let own = &facts.workspace.properties;
    let Some(access) = own.public_network_access.as_deref() else {
        return Sight::unknown(check, id, "Azure does not state publicNetworkAccess");
    };
    if access.eq_ignore_ascii_case("Disabled") {
        return Sight::pass(check, id);
    }
    let denies = |action: &str| action.eq_ignore_ascii_case("Deny");
    let list = own.network_acls.as_ref().filter(|acls| acls.default_action.as_deref().is_some_and(denies));
    match list {
        None => Sight::fail(
            check,
            id,
            format!("publicNetworkAccess is {access}, and no list of addresses was seen to limit it"),
        ),
        Some(acls) => {
            let addresses: Vec<String> = acls.ip_rules.iter().flatten().filter_map(|rule| rule.value.clone()).collect();
            match wide(&addresses) {
                Some(widest) => Sight::fail(check, id, format!("selected addresses may come in, among them {widest}")),
                None => Sight::pass(check, id),
            }
        }
    }
}

/// Microsoft: "Secure an Azure Machine Learning workspace with virtual networks": neither tasks of a registry behind a network restriction
/// nor serverless builds work there.
fn image_builds(facts: &Facts<'_>) -> Sight {
    let check = Check::ImageBuildsCannotWork;
    let id = facts.id.as_str();
    let registry = facts.dependencies.iter().find(|dependency| dependency.kind == DependencyKind::Registry);
    let (Some(registry), false) = (registry, facts.build_compute == BuildCompute::There) else {
        return Sight::pass(check, id);
    };
    match &registry.shown {
        Err(why) => Sight::unknown(check, id, format!("whether the registry is restricted is not known: {why}")),
        Ok(Shown { exposure: Exposure::Open(_), .. }) => Sight::pass(check, id),
        Ok(_) => {
            let name = facts.workspace.properties.image_build_compute.as_deref().unwrap_or_default();
            let restricted = "the registry's network is restricted";
            match facts.build_compute {
                BuildCompute::None => {
                    Sight::fail(check, id, format!("{restricted}, and no compute is named to build images"))
                }
                BuildCompute::Missing => Sight::fail(
                    check,
                    id,
                    format!("{restricted}, and there is no compute {name}, which is named to build images"),
                ),
                BuildCompute::Unknown | BuildCompute::There => Sight::unknown(
                    check,
                    id,
                    format!("{restricted}; whether there is a compute {name} to build images could not be read"),
                ),
            }
        }
    }
}

/// Microsoft: "Workspace managed virtual network isolation", limitations: not both on one resource.
fn both_endpoints(facts: &Facts<'_>, dependency: &Dependency) -> Sight {
    let check = Check::ServiceAndPrivateEndpoint;
    of_shown(check, dependency, |shown| {
        let private = connections::of_dependency(facts, dependency)
            .into_iter()
            .find(|(connection, whose)| connection.is("Approved") && *whose == connections::Whose::Ours);
        Ok(private.zip(shown.subnets.first()).map(|((connection, _), subnet)| {
            format!(
                "the subnet {subnet} comes in by a service endpoint, and {} is a private endpoint",
                connection.endpoint
            )
        }))
    })
}
