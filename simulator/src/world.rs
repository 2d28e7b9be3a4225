//! Everything the simulated cloud knows, in one place and under one lock.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde_json::{Value, json};

use crate::condition::{Facts, NoFacts};
use crate::connections::Connection;
use crate::dice::Dice;
use crate::directory::{Directory, Principal};
use crate::error::ArmError;
use crate::fault::{FaultPlan, OperationFault};
use crate::ids;
use crate::operations::Operations;
use crate::providers::machine_learning::ManagedNetwork;
use crate::providers::resources::Registrations;
use crate::rbac::{RoleAssignment, RoleDefinition, Roles};
use crate::resource_type;
use crate::seed::SeedPolicy;
use crate::settings::Settings;
use crate::throttle::Throttle;

/// A subscription and the tenant it trusts.
#[derive(Clone, Debug)]
pub(crate) struct Subscription {
    pub(crate) id: String,
    pub(crate) tenant: String,
}

/// The state of the simulated cloud. Every map is keyed by [`ids::key`].
#[derive(Default)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    /// Simulated time of the request, or of the operation's end, that is being worked on.
    pub(crate) now: i64,
    pub(crate) directory: Directory,
    pub(crate) subscriptions: BTreeMap<String, Subscription>,
    pub(crate) groups: BTreeMap<String, Value>,
    /// Resources as stored; what others decide (connections, networks, states) is added by [`resource_type::render`].
    pub(crate) resources: BTreeMap<String, Value>,
    pub(crate) connections: BTreeMap<String, Connection>,
    pub(crate) networks: BTreeMap<String, ManagedNetwork>,
    /// What is deleted but not purged.
    pub(crate) soft_deleted: BTreeMap<String, Value>,
    /// How often each id was created: a resource made anew has new guids. It must remember what is gone, so it never
    /// shrinks: a word and a number for every id that was ever used, until the world is reset.
    pub(crate) generations: BTreeMap<String, u32>,
    /// What was asked of resource providers' registrations.
    pub(crate) registrations: Registrations,
    pub(crate) roles: Roles,
    /// By assignment.
    pub(crate) policies: BTreeMap<String, SeedPolicy>,
    pub(crate) operations: Operations,
    pub(crate) faults: FaultPlan,
    pub(crate) throttle: Throttle,
    pub(crate) dice: Dice,
    /// Set while a request is served whose operation does not go well.
    pub(crate) next_operation: Option<OperationFault>,
    /// The kind of the operation that the present request began.
    pub(crate) begun: Option<&'static str>,
}

/// What lies below an id in a map that is keyed by [`ids::key`], in the order of the keys.
pub(crate) fn below<'a, T>(map: &'a BTreeMap<String, T>, id: &str) -> impl Iterator<Item = &'a T> + use<'a, T> {
    let prefix = ids::key(id) + "/";
    let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
    let found = map.range::<str, _>(from);
    found.take_while(move |(key, _)| key.starts_with(&prefix)).map(|(_, value)| value)
}

impl World {
    pub(crate) fn resource(&self, id: &str) -> Result<&Value, ArmError> {
        self.resources.get(&ids::key(id)).ok_or_else(|| ArmError::not_found(id))
    }

    pub(crate) fn resource_mut(&mut self, id: &str) -> Result<&mut Value, ArmError> {
        self.resources.get_mut(&ids::key(id)).ok_or_else(|| ArmError::not_found(id))
    }

    /// A resource as GET shows it.
    pub(crate) fn render(&self, id: &str) -> Option<Value> {
        self.resources.get(&ids::key(id)).map(|document| resource_type::render(self, document))
    }

    /// The resources of a type in a scope, as stored, ordered by id.
    pub(crate) fn list<'a>(&'a self, scope: &str, kind: &'a str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let of_kind = |document: &&Value| document["type"].as_str().is_some_and(|t| t.eq_ignore_ascii_case(kind));
        below(&self.resources, scope).filter(of_kind)
    }

    pub(crate) fn tenant_of(&self, id: &str) -> Option<&str> {
        let subscription = ids::subscription(id)?;
        self.subscriptions.get(&ids::key(subscription)).map(|subscription| subscription.tenant.as_str())
    }

    /// Whether a principal can have rights on a scope at all: a subscription trusts one tenant, and a role on the root
    /// is one on the root of the principal's own. Whom the directory does not know cannot sign in either; what such a
    /// principal holds is left to the roles.
    fn trusts(&self, principal: &str, scope: &str) -> bool {
        let outside = ids::subscription(scope).is_none();
        outside
            || self.directory.principal(principal).is_none_or(|principal| {
                self.tenant_of(scope).is_some_and(|tenant| tenant.eq_ignore_ascii_case(&principal.tenant))
            })
    }

    /// Whether a principal's roles allow something, also while access checks are off.
    pub(crate) fn holds(&self, principal: &str, action: &str, resource: &str) -> bool {
        self.trusts(principal, resource) && self.roles.allowed(principal, action, resource, self.now)
    }

    /// Whether a principal may do something. With access checks off everybody may everything, in their own tenant.
    pub(crate) fn may(&self, principal: &str, action: &str, resource: &str) -> bool {
        self.may_with(principal, action, resource, &NoFacts)
    }

    /// [`Self::may`] for one call, about which conditions can ask.
    pub(crate) fn may_with(&self, principal: &str, action: &str, resource: &str, facts: &dyn Facts) -> bool {
        self.trusts(principal, resource)
            && (!self.settings.enforce_rbac || self.roles.allowed_with(principal, action, resource, self.now, facts))
    }

    /// ARM checks the caller's rights on what a request to write `path` links to as well.
    pub(crate) fn require_linked(
        &self,
        caller: &Principal,
        path: &str,
        action: &str,
        scope: &str,
    ) -> Result<(), ArmError> {
        let (client, object) = (&caller.client_id, &caller.object_id);
        if self.may(object, action, scope) {
            return Ok(());
        }
        let kind = ids::resource_type(path).unwrap_or_default();
        Err(ArmError::new(
            403,
            "LinkedAuthorizationFailed",
            format!(
                "The client '{client}' with object id '{object}' has permission to perform action '{kind}/write' on \
                 scope '{path}'; however, it does not have permission to perform action(s) '{action}' on the linked \
                 scope(s) '{scope}' or the linked scope(s) are invalid."
            ),
        ))
    }

    /// Whether a role assignment is one of a tenant's. On the root, where every tenant has its own, it is the
    /// principal's; if nobody knows that one, the maker's.
    pub(crate) fn assigned_in(&self, tenant: &str, assignment: &RoleAssignment) -> bool {
        let home = |id: &str| self.directory.principal(id).map(|principal| principal.tenant.as_str());
        let maker = || assignment.made.created_by.as_deref().and_then(home);
        let of = self.tenant_of(&assignment.scope).or_else(|| home(&assignment.principal_id)).or_else(maker);
        of.is_some_and(|of| of.eq_ignore_ascii_case(tenant))
    }

    /// Whether a tenant has a role. Custom ones belong to the tenant of their scopes; one without such a scope was
    /// seeded for everybody.
    pub(crate) fn defined_in(&self, tenant: &str, role: &RoleDefinition) -> bool {
        let of = role.assignable_scopes.iter().find_map(|scope| self.tenant_of(scope));
        of.is_none_or(|of| of.eq_ignore_ascii_case(tenant))
    }

    /// Counts the creations of `id`: 1 the first time.
    pub(crate) fn next_generation(&mut self, id: &str) -> u32 {
        let generation = self.generations.entry(ids::key(id)).or_default();
        *generation += 1;
        *generation
    }

    /// Every ARM object, in a stable order and without times, so that two end states can be compared.
    pub(crate) fn dump(&self) -> Value {
        let rendered = |document: &Value| resource_type::render(self, document);
        let mut dump = json!({
            "resourceGroups": self.groups,
            "resources": self.resources.iter().map(|(id, doc)| (id.clone(), rendered(doc))).collect::<BTreeMap<_, _>>(),
            "privateEndpointConnections":
                self.connections.iter().map(|(id, c)| (id.clone(), c.render())).collect::<BTreeMap<_, _>>(),
            "outboundRules": self.networks.keys().map(|id| (id.clone(), self.rules_document(id))).collect::<BTreeMap<_, _>>(),
            "roleAssignments":
                self.roles.assignments().iter().map(|(id, a)| (id.clone(), a.render())).collect::<BTreeMap<_, _>>(),
            "softDeleted": self.soft_deleted.keys().collect::<Vec<_>>(),
        });
        strip_times(&mut dump);
        dump
    }
}

/// Removes what differs between two runs of the same story: times and entity tags.
fn strip_times(value: &mut Value) {
    match value {
        Value::Object(members) => {
            for name in [
                "systemData",
                "creationTime",
                "creationDate",
                "createdOn",
                "updatedOn",
                "lastSucceededTimestamp",
                "etag",
            ] {
                members.remove(name);
            }
            members.values_mut().for_each(strip_times);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_times),
        _ => {}
    }
}
