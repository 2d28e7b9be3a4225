//! What the removal of a link takes away, in the order in which it can go: first what notebooks use, then the way, then the right, then
//! what they ran on.

use crate::api::OWNER_TAG;
use crate::api::ids::ArmId;
use crate::azure::authorization;
use crate::azure::synapse::{
    API_VERSION, DATA_API_VERSION, LinkedService, ManagedEndpoint, SparkPool, endpoint_path, linked_service_path,
};
use crate::plan::attached::Farewell;
use crate::plan::names::is_random_of;
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::ownership::Owner;
use crate::plan::step::Step;

use super::prefix;

/// What is left of a link.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Leaving {
    /// Name of the Synapse workspace.
    pub synapse: String,
    /// Its linked service, if it is there and this object's.
    pub linked_service: Option<LinkedService>,
    /// The managed private endpoints of the Synapse workspace.
    pub endpoints: Vec<ManagedEndpoint>,
    /// Role assignments that this installation made for the link and that nobody else needs.
    pub assignments: Vec<ArmId>,
    /// The Spark pool that it asked for, if that is there.
    pub pool: Option<(ArmId, SparkPool)>,
}

/// Decides what goes next.
pub fn farewell(owner: &Owner, leaving: &Leaving) -> Farewell {
    let deleting = |what: String| Verdict::new(Reason::Deleting, format!("Azure is removing {what}"));
    if let Some(service) = &leaving.linked_service {
        let path = linked_service_path(&leaving.synapse, &service.name);
        let verdict = deleting(format!("the linked service {}", service.name));
        return Farewell::Remove(vec![Step::delete(&path, DATA_API_VERSION, verdict)]);
    }
    let prefix = prefix(owner);
    let own: Vec<&ManagedEndpoint> =
        leaving.endpoints.iter().filter(|endpoint| is_random_of(&prefix, &endpoint.name)).collect();
    if !own.is_empty() {
        let still: Vec<&&ManagedEndpoint> = own.iter().filter(|endpoint| !endpoint.is_moving()).collect();
        if still.is_empty() {
            return Farewell::Wait(deleting("the managed private endpoints".to_owned()));
        }
        let remove = |endpoint: &&&ManagedEndpoint| {
            let verdict = deleting(format!("the managed private endpoint {}", endpoint.name));
            Step::delete(&endpoint_path(&leaving.synapse, &endpoint.name), DATA_API_VERSION, verdict)
        };
        return Farewell::Remove(still.iter().map(remove).collect());
    }
    if !leaving.assignments.is_empty() {
        let remove = |path: &ArmId| {
            let verdict = deleting("the role of Synapse's identity on the workspace".to_owned());
            Step::delete(path, authorization::API_VERSION, verdict)
        };
        return Farewell::Remove(leaving.assignments.iter().map(remove).collect());
    }
    let mine = leaving.pool.as_ref().filter(|(_, pool)| pool.tag(OWNER_TAG).is_some_and(|tag| owner.is(tag)));
    if let Some((id, pool)) = mine {
        let verdict = deleting(format!("the Spark pool {}", pool.name));
        if pool.is_moving() {
            return Farewell::Wait(verdict);
        }
        return Farewell::Remove(vec![Step::delete(id, API_VERSION, verdict)]);
    }
    Farewell::Release("what it made in Azure is gone".to_owned())
}
