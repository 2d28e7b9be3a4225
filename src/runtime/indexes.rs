//! What is known of the cluster, and who wants to hear of changes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector::{ObjectRef, Store};
use kube::{Resource, ResourceExt};
use tokio::sync::mpsc::UnboundedSender;

use super::guarded::Guarded;
use super::kind::Kind;
use super::lookup::Index;
use super::station::Stations;
use super::terms::{Term, Terms};
use crate::api::condition::{ConditionStatus, READY, find};
use crate::api::ids::ArmId;
use crate::api::{AmlWorkspace, ApprovalDecision, AzureConnection, OutboundRule, PrivateEndpointApproval};
use crate::plan::rules::ObjectKey;
use crate::plan::targets::Targets;
use crate::telemetry::ObjectCount;

/// All objects of the kinds, and the namespaces.
#[derive(Clone)]
pub struct Indexes {
    /// Connections.
    pub connections: Index<AzureConnection>,
    /// Workspaces.
    pub workspaces: Index<AmlWorkspace>,
    /// Rules.
    pub rules: Index<OutboundRule>,
    /// Approval policies.
    pub approvals: Index<PrivateEndpointApproval>,
    /// People's decisions.
    pub decisions: Index<ApprovalDecision>,
    /// What attaches to workspaces.
    pub stations: Stations,
    /// Namespaces, metadata only.
    pub namespaces: Store<PartialObjectMeta<Namespace>>,
    synced: Arc<AtomicBool>,
}

impl Indexes {
    /// Indexes over these stores, not synced yet.
    pub fn new(
        connections: Store<Guarded<AzureConnection>>,
        workspaces: Store<Guarded<AmlWorkspace>>,
        rules: Store<Guarded<OutboundRule>>,
        approvals: Store<Guarded<PrivateEndpointApproval>>,
        decisions: Store<Guarded<ApprovalDecision>>,
        stations: Stations,
        namespaces: Store<PartialObjectMeta<Namespace>>,
    ) -> Self {
        Self {
            connections: Index::new(connections),
            workspaces: Index::new(workspaces),
            rules: Index::new(rules),
            approvals: Index::new(approvals),
            decisions: Index::new(decisions),
            stations,
            namespaces,
            synced: Arc::default(),
        }
    }

    /// Resolves once every store has seen its first whole list. Absence before that is no evidence of anything.
    ///
    /// # Errors
    /// If a watch has ended.
    pub async fn wait(&self) -> Result<(), kube::runtime::reflector::store::WriterDropped> {
        self.connections.store().wait_until_ready().await?;
        self.workspaces.store().wait_until_ready().await?;
        self.rules.store().wait_until_ready().await?;
        self.approvals.store().wait_until_ready().await?;
        self.decisions.store().wait_until_ready().await?;
        self.stations.wait().await?;
        self.namespaces.wait_until_ready().await?;
        self.synced.store(true, Ordering::Release);
        Ok(())
    }

    /// True once [`Indexes::wait`] has resolved.
    pub fn synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }

    /// The connection `name`, if it can be read.
    pub fn connection(&self, name: &str) -> Option<Arc<Guarded<AzureConnection>>> {
        self.connections.get(&ObjectKey { namespace: String::new(), name: name.to_owned() })
    }

    /// The workspace that a rule in `namespace` refers to.
    pub fn workspace(&self, key: &ObjectKey) -> Option<Arc<Guarded<AmlWorkspace>>> {
        self.workspaces.get(key)
    }

    /// The rule `key`.
    pub fn rule(&self, key: &ObjectKey) -> Option<Arc<Guarded<OutboundRule>>> {
        self.rules.get(key)
    }

    /// The policy `key`.
    pub fn policy(&self, key: &ObjectKey) -> Option<Arc<Guarded<PrivateEndpointApproval>>> {
        self.approvals.get(key)
    }

    /// All decisions for the policy `key` that can be read and are not being deleted, oldest first.
    pub fn decisions_of(&self, key: &ObjectKey) -> Vec<ApprovalDecision> {
        let decisions = self.decisions.find(&Term::Policy(key.clone()));
        let mut decisions: Vec<ApprovalDecision> = decisions
            .iter()
            .filter_map(|decision| decision.0.as_ref().ok())
            .filter(|decision| decision.metadata.deletion_timestamp.is_none())
            .cloned()
            .collect();
        decisions.sort_by_cached_key(age);
        decisions
    }

    /// True if there is a decision with this uid.
    pub fn has_decision(&self, uid: &str) -> bool {
        self.decisions.has(&Term::Uid(uid.into()))
    }

    /// Labels of `namespace`, and whether it is being deleted.
    pub fn namespace(&self, name: &str) -> (BTreeMap<String, String>, bool) {
        self.namespaces
            .get(&ObjectRef::new(name))
            .map(|namespace| (namespace.labels().clone(), namespace.metadata.deletion_timestamp.is_some()))
            .unwrap_or_default()
    }

    /// All rules that refer to the workspace `key`, oldest first.
    pub fn rules_of(&self, key: &ObjectKey) -> Vec<OutboundRule> {
        let rules = self.rules.find(&Term::Workspace(key.clone()));
        let mut rules: Vec<OutboundRule> = rules.iter().filter_map(|rule| rule.0.as_ref().ok()).cloned().collect();
        rules.sort_by_cached_key(age);
        rules
    }

    /// How many objects there are, by kind and Ready condition; those that cannot be read are `Unknown`.
    pub fn census(&self) -> Vec<ObjectCount> {
        let mut counts = census_of(&self.connections);
        counts.extend(census_of(&self.workspaces));
        counts.extend(census_of(&self.rules));
        counts.extend(census_of(&self.approvals));
        counts.extend(census_of(&self.decisions));
        counts.extend(self.stations.all().iter().flat_map(|station| station.census()));
        counts
    }

    /// True if every OutboundRule in the cluster can be read; one that cannot may stand for any rule.
    pub fn rules_whole(&self) -> bool {
        self.synced() && !self.rules.has(&Term::Unreadable)
    }

    /// Everything that refers to the connection `name`, with its kind.
    pub fn users_of(&self, name: &str) -> Vec<(&'static str, ObjectKey)> {
        let term = Term::Connection(name.into());
        let mut users = Vec::new();
        for workspace in self.workspaces.find(&term) {
            let key = key_of(workspace.as_ref());
            let rules = self.rules.find(&Term::Workspace(key.clone()));
            users.push((AmlWorkspace::NAME, key));
            users.extend(rules.iter().map(|rule| (OutboundRule::NAME, key_of(rule.as_ref()))));
        }
        users.extend(self.stations.all().iter().flat_map(|station| station.users_of(self, name)));
        let policies = self.approvals.find(&term);
        users.extend(policies.iter().map(|policy| (PrivateEndpointApproval::NAME, key_of(policy.as_ref()))));
        users
    }

    /// The objects that declare the workspace `id`.
    pub fn declarers(&self, id: &ArmId) -> Vec<Arc<Guarded<AmlWorkspace>>> {
        self.workspaces.find(&Term::Declares(id.key()))
    }

    /// The workspaces that declare the user-assigned identity `id`, or may, because they cannot be read.
    pub fn having(&self, id: &str) -> Vec<Arc<Guarded<AmlWorkspace>>> {
        let mut workspaces = self.workspaces.find(&Term::Identity(id.to_ascii_lowercase()));
        workspaces.extend(self.workspaces.find(&Term::Unreadable));
        workspaces
    }

    /// The policies that decide on `target`, by itself or with its group.
    pub fn policies_on(&self, target: &ArmId) -> Vec<Arc<Guarded<PrivateEndpointApproval>>> {
        let mut policies = self.approvals.find(&Term::Target(target.key()));
        policies.extend(self.approvals.find(&Term::Group(Targets::around(target).collection())));
        policies
    }

    /// The policies that decide on something that `targets` covers.
    pub fn policies_meeting(&self, targets: &Targets) -> Vec<Arc<Guarded<PrivateEndpointApproval>>> {
        match targets {
            Targets::One(target) => self.policies_on(target),
            Targets::Group { .. } => self.approvals.find(&Term::Around(targets.collection())),
        }
    }

    /// The connection that a rule uses through its workspace.
    pub fn connection_of(&self, rule: &OutboundRule) -> Option<String> {
        let workspace = self.workspace(&workspace_key(rule))?;
        workspace.0.as_ref().ok().map(|workspace| workspace.spec.connection_ref.name.clone())
    }
}

/// How many objects of one kind there are, by Ready condition.
pub(super) fn census_of<K: Terms>(index: &Index<K>) -> Vec<ObjectCount> {
    let mut counts = [("True", 0), ("False", 0), ("Unknown", 0)];
    for object in index.state() {
        let status = object.0.as_ref().ok().and_then(Kind::status);
        let ready = status.and_then(|status| find(K::conditions(status), READY)).map(|ready| ready.status);
        let place = match ready {
            Some(ConditionStatus::True) => 0,
            Some(ConditionStatus::False) => 1,
            _ => 2,
        };
        counts[place].1 += 1;
    }
    counts.into_iter().map(|(ready, count)| (K::NAME, ready, count)).collect()
}

/// True if `workspace` takes rules from the namespace of `rule`, which carries `labels`.
pub fn admits(workspace: &AmlWorkspace, rule: &OutboundRule, labels: &BTreeMap<String, String>) -> bool {
    let namespace = rule.namespace().unwrap_or_default();
    let allowed = workspace.spec.allowed_rules.as_ref();
    rule.namespace() == workspace.namespace()
        || allowed.is_some_and(|allowed| allowed.namespaces.matches(&namespace, labels))
}

/// The workspace that `rule` refers to.
pub fn workspace_key(rule: &OutboundRule) -> ObjectKey {
    let reference = &rule.spec.workspace_ref;
    ObjectKey {
        namespace: reference.namespace.clone().or_else(|| rule.namespace()).unwrap_or_default(),
        name: reference.name.clone(),
    }
}

/// The policy that `decision` is for.
pub fn policy_key(decision: &ApprovalDecision) -> ObjectKey {
    ObjectKey { namespace: decision.namespace().unwrap_or_default(), name: decision.spec.policy_ref.name.clone() }
}

/// ARM id of the workspace that `workspace` declares.
///
/// # Errors
/// If what it names makes no ARM id, which the schema refuses.
pub fn workspace_id(workspace: &AmlWorkspace) -> Result<ArmId, crate::api::ids::NoArmId> {
    let name = workspace.spec.azure_name.clone().unwrap_or_else(|| workspace.name_any());
    let spec = &workspace.spec;
    ArmId::of(&spec.subscription_id, &spec.resource_group, crate::azure::machine_learning::WORKSPACES, &name)
}

/// Namespace and name of `object`.
pub fn key_of<K: Resource>(object: &K) -> ObjectKey {
    ObjectKey { namespace: object.namespace().unwrap_or_default(), name: object.name_any() }
}

/// Sorts objects by age; the name breaks ties, so that everybody agrees who is older.
pub fn age<K: Resource>(object: &K) -> (String, String, String) {
    let created = object.meta().creation_timestamp.as_ref().map(|time| time.0.to_string()).unwrap_or_default();
    (created, object.namespace().unwrap_or_default(), object.name_any())
}

/// Asks controllers to look at objects.
#[derive(Clone)]
pub struct Triggers {
    /// Connections.
    pub connections: UnboundedSender<ObjectRef<Guarded<AzureConnection>>>,
    /// Workspaces.
    pub workspaces: UnboundedSender<ObjectRef<Guarded<AmlWorkspace>>>,
    /// Rules.
    pub rules: UnboundedSender<ObjectRef<Guarded<OutboundRule>>>,
    /// Approval policies.
    pub approvals: UnboundedSender<ObjectRef<Guarded<PrivateEndpointApproval>>>,
    /// People's decisions.
    pub decisions: UnboundedSender<ObjectRef<Guarded<ApprovalDecision>>>,
}

impl Triggers {
    /// Asks for a look at connection `name`.
    pub fn connection(&self, name: &str) {
        // A closed channel means the controllers are shutting down: nobody is left to look.
        drop(self.connections.send(ObjectRef::new(name)));
    }

    /// Asks for a look at the workspace `key`.
    pub fn workspace(&self, key: &ObjectKey) {
        drop(self.workspaces.send(ObjectRef::new(&key.name).within(&key.namespace)));
    }

    /// Asks for a look at the rule `key`.
    pub fn rule(&self, key: &ObjectKey) {
        drop(self.rules.send(ObjectRef::new(&key.name).within(&key.namespace)));
    }

    /// Asks for a look at the policy `key`.
    pub fn approval(&self, key: &ObjectKey) {
        drop(self.approvals.send(ObjectRef::new(&key.name).within(&key.namespace)));
    }

    /// Asks for a look at the decision `key`.
    pub fn decision(&self, key: &ObjectKey) {
        drop(self.decisions.send(ObjectRef::new(&key.name).within(&key.namespace)));
    }
}
