//! What is wrong with a seed although it can be read: references to what is not there.

use crate::ids;
use crate::pipeline::{first_clock, first_world};
use crate::seed::{Seed, SeedError};
use crate::settings::Settings;

/// Something in a seed that cannot be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeedProblem {
    /// The value that is wrong, as the seed spells it.
    pub value: String,
    /// What is wrong with it, a sentence without a full stop.
    pub reason: String,
}

impl Seed {
    /// Everything in it that refers to nothing, and what ARM would not accept. An empty list says that a simulator starts
    /// with it and that everything in it can be reached.
    pub fn problems(&self) -> Vec<SeedProblem> {
        let mut problems = self.unreachable();
        let settings = Settings::default();
        match first_world(self.clone(), &settings, &first_clock(&settings)) {
            Ok(world) => {
                let nobody = |id: &&String| world.directory.principal(id).is_none();
                let holders = self.role_assignments.iter().map(|assignment| &assignment.principal_id);
                problems.extend(holders.filter(nobody).map(|id| SeedProblem {
                    value: id.clone(),
                    reason: format!("nobody has the object id '{id}' to which a role is assigned"),
                }));
            }
            Err(error) => problems.push(SeedProblem { value: subject(&error), reason: error.to_string() }),
        }
        problems.dedup();
        problems
    }

    /// What lies in a subscription or a group that the seed does not have.
    fn unreachable(&self) -> Vec<SeedProblem> {
        let subscriptions: Vec<String> = self.subscriptions.iter().map(|s| ids::key(&s.subscription_id)).collect();
        let groups: Vec<(String, String)> =
            self.resource_groups.iter().map(|g| (ids::key(&g.subscription_id), ids::key(&g.name))).collect();
        let unknown_subscription = |id: &str, value: &str| {
            (!subscriptions.contains(&ids::key(id)))
                .then(|| SeedProblem { value: value.to_owned(), reason: format!("subscription '{id}' is not known") })
        };
        let in_groups = self.resource_groups.iter().filter_map(|group| {
            let value = &group.subscription_id;
            unknown_subscription(value, value)
        });
        let in_resources = self.resources.iter().filter_map(|resource| {
            let id = resource.id.as_str();
            let subscription = ids::subscription(id)?;
            unknown_subscription(subscription, id).or_else(|| {
                let group = ids::resource_group(id)?;
                (!groups.contains(&(ids::key(subscription), ids::key(group)))).then(|| SeedProblem {
                    value: id.to_owned(),
                    reason: format!("resource group '{group}' is not known in subscription '{subscription}'"),
                })
            })
        });
        let in_scopes = self
            .role_assignments
            .iter()
            .filter_map(|assignment| unknown_subscription(ids::subscription(&assignment.scope)?, &assignment.scope));
        let in_policies = self
            .policies
            .iter()
            .filter_map(|policy| unknown_subscription(ids::subscription(&policy.scope)?, &policy.scope));
        in_groups.chain(in_resources).chain(in_scopes).chain(in_policies).collect()
    }
}

/// The value that an error is about.
fn subject(error: &SeedError) -> String {
    match error {
        SeedError::UnknownRole(value)
        | SeedError::UnknownResource(value)
        | SeedError::BadId(value)
        | SeedError::BadCondition(value)
        | SeedError::NoIssuerKey(value) => value.clone(),
        SeedError::Workspace { id, .. } | SeedError::Misshapen { id, .. } => id.clone(),
        SeedError::Keep(_) => String::new(),
    }
}
