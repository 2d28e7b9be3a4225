//! The operator as a whole: watches, controllers, and what they share.

mod stations;
#[cfg(test)]
pub(crate) use stations::unwatched as unwatched_stations;

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;
use kube::runtime::reflector;
use kube::{Api, Client, Resource, ResourceExt};
use tokio::sync::mpsc::unbounded_channel;
use tokio_util::sync::CancellationToken;

use crate::api::ids::ArmId;
use crate::api::outbound_rule::ApproverRole;
use crate::api::workspace::WorkspaceKind;
use crate::api::{AmlWorkspace, ApprovalDecision, AzureConnection, OutboundRule, PrivateEndpointApproval};
use crate::controllers;
use crate::plan::targets::Targets;
use crate::runtime::board::{Board, Standings};
use crate::runtime::calm::Calm;
use crate::runtime::connections::Clients;
use crate::runtime::context::{AzureParts, Context};
use crate::runtime::driver::{Source, run};
use crate::runtime::events::Events;
use crate::runtime::guard::Watchman;
use crate::runtime::guarded::Guarded;
use crate::runtime::indexes::{Indexes, Triggers, key_of, policy_key, workspace_id, workspace_key};
use crate::runtime::kind::Kind;
use crate::runtime::lane::Lanes;
use crate::runtime::ledger::Ledger;
use crate::runtime::link_ledger::LinkLedger;
use crate::runtime::pace::Pace;
use crate::runtime::role_ledger::RoleLedger;
use crate::runtime::seal::Seal;
use crate::runtime::status::{OwnWrites, StatusWriter};
use crate::runtime::streams::{Change, watch, watch_metadata};
use crate::runtime::terms::Term;
use crate::telemetry::{Metrics, Readiness};

/// All an operator needs to run.
pub struct Operator {
    /// Kubernetes.
    pub kube: Client,
    /// The operator's own namespace: credentials' Secrets and the ledger lie there.
    pub namespace: String,
    /// The installation's id.
    pub installation: String,
    /// Looks only at objects with these labels; left out, at all. For operators that share a cluster: whatever belongs together
    /// must carry the same labels.
    pub selector: Option<String>,
    /// This instance's name, for events.
    pub instance: Option<String>,
    /// All durations.
    pub pace: Pace,
    /// How clients of Azure are built.
    pub azure: AzureParts,
    /// Metrics.
    pub metrics: Metrics,
    /// Set once every watch has seen its first whole list.
    pub readiness: Readiness,
}

/// Reads the installation's id: the uid of kube-system, which lasts as long as the cluster.
///
/// # Errors
/// If Kubernetes does not answer, or kube-system has no uid.
pub async fn installation_id(client: &Client) -> Result<String, kube::Error> {
    let namespaces: Api<PartialObjectMeta<Namespace>> = Api::all(client.clone());
    let system = namespaces.get("kube-system").await?;
    system.uid().ok_or_else(|| kube::Error::Service("kube-system has no uid".into()))
}

impl Operator {
    /// Runs all controllers until `shutdown`, then until what is under way has ended.
    pub async fn run(self, shutdown: CancellationToken) {
        let (connections, connections_writer) = reflector::store();
        let (workspaces, workspaces_writer) = reflector::store();
        let (rules, rules_writer) = reflector::store();
        let (approvals, approvals_writer) = reflector::store();
        let (decisions, decisions_writer) = reflector::store();
        let (namespaces, namespaces_writer) = reflector::store();
        let (stations, pending) = stations::stations();
        let indexes = Indexes::new(connections, workspaces, rules, approvals, decisions, stations, namespaces);
        let counted = indexes.clone();
        self.metrics.count_objects_by(move || counted.census());
        let (connection_asked, connections_asked) = unbounded_channel();
        let (workspace_asked, workspaces_asked) = unbounded_channel();
        let (rule_asked, rules_asked) = unbounded_channel();
        let (approval_asked, approvals_asked) = unbounded_channel();
        let (decision_asked, decisions_asked) = unbounded_channel();
        let triggers = Triggers {
            connections: connection_asked,
            workspaces: workspace_asked,
            rules: rule_asked,
            approvals: approval_asked,
            decisions: decision_asked,
        };
        let called = triggers.clone();
        let stations = indexes.stations.clone();
        let calm = Calm::new(move |kind, key| match kind {
            AmlWorkspace::NAME => called.workspace(key),
            _ => stations.ask(kind, key),
        });
        let own = OwnWrites::default();
        let context = Arc::new(Context {
            kube: self.kube.clone(),
            namespace: self.namespace.clone(),
            installation: self.installation.clone(),
            selector: self.selector.clone(),
            pace: self.pace,
            indexes: indexes.clone(),
            triggers,
            lanes: Lanes::default(),
            calm,
            views: Default::default(),
            surroundings: Default::default(),
            board: Board::default(),
            standings: Standings::default(),
            guard: Watchman::new(self.kube.clone(), &self.namespace),
            clients: Clients::default(),
            azure: self.azure,
            ledger: Ledger::new(self.kube.clone(), &self.namespace),
            role_ledger: RoleLedger::new(self.kube.clone(), &self.namespace, &self.installation),
            seal: Seal::new(self.kube.clone(), &self.namespace),
            link_ledger: LinkLedger::new(self.kube.clone(), &self.namespace, &self.installation),
            status: StatusWriter::new(self.kube.clone(), own.clone(), self.metrics.clone()),
            events: Events::new(self.kube.clone(), self.instance),
            metrics: self.metrics,
            memories: Default::default(),
            removals: Default::default(),
            attempts: Default::default(),
            requesters: Default::default(),
            endings: Default::default(),
            claims: Default::default(),
            sights: Default::default(),
            report_kinds: Default::default(),
            failures: Default::default(),
        });
        let kube = &self.kube;
        let selector = self.selector.as_deref();
        let told = context.clone();
        let connection_changes = watch(
            Api::<Guarded<AzureConnection>>::all(kube.clone()),
            selector,
            connections_writer,
            indexes.connections.clone(),
            own.clone(),
            move |connection: &Guarded<AzureConnection>, change| {
                let name = connection.name_any();
                if change == Change::Gone {
                    // Its controller may never hear of it: somebody took the finalizer off.
                    told.clients.remove(&name);
                }
                told.tell_users_of(&name);
            },
        );
        let told = context.clone();
        let workspace_changes = watch(
            Api::<Guarded<AmlWorkspace>>::all(kube.clone()),
            selector,
            workspaces_writer,
            indexes.workspaces.clone(),
            own.clone(),
            move |workspace: &Guarded<AmlWorkspace>, change| {
                tell_departing(&told);
                let key = key_of(workspace);
                if change == Change::Gone || workspace.0.is_err() {
                    // It has no more turns.
                    told.calm.leave(AmlWorkspace::NAME, &key);
                }
                for rule in told.indexes.rules.find(&Term::Workspace(key)) {
                    told.triggers.rule(&key_of(rule.as_ref()));
                }
                told.indexes.stations.ask_of(&key_of(workspace));
                if change == Change::Gone {
                    told.metrics.posture(workspace.meta().uid.as_deref().unwrap_or_default(), None);
                }
                if let Ok(workspace) = &workspace.0 {
                    told.triggers.connection(&workspace.spec.connection_ref.name);
                    if change == Change::Gone {
                        tell_rivals(&told, workspace);
                        if let Ok(id) = crate::runtime::indexes::workspace_id(workspace) {
                            told.surroundings.forget_rules(&id);
                        }
                    }
                    tell_sharers(&told, workspace);
                    if workspace.spec.kind() == WorkspaceKind::Hub {
                        tell_projects(&told, workspace);
                    }
                }
            },
        );
        let told = context.clone();
        let rule_changes = watch(
            Api::<Guarded<OutboundRule>>::all(kube.clone()),
            selector,
            rules_writer,
            indexes.rules.clone(),
            own.clone(),
            move |rule: &Guarded<OutboundRule>, _| {
                tell_departing(&told);
                if let Ok(rule) = &rule.0 {
                    told.triggers.workspace(&workspace_key(rule));
                    if let Some(endpoint) = &rule.spec.private_endpoint {
                        told.ask_policies_on(&endpoint.resource_id);
                    }
                    if let Some(connection) = told.indexes.connection_of(rule) {
                        told.triggers.connection(&connection);
                    }
                }
            },
        );
        let told = context.clone();
        let approval_changes = watch(
            Api::<Guarded<PrivateEndpointApproval>>::all(kube.clone()),
            selector,
            approvals_writer,
            indexes.approvals.clone(),
            own.clone(),
            move |approval: &Guarded<PrivateEndpointApproval>, change| {
                tell_departing(&told);
                match change {
                    Change::Present => told.sights.ask(&key_of(approval)),
                    Change::Gone => told.sights.forget(&key_of(approval)),
                }
                if let Ok(policy) = &approval.0 {
                    told.triggers.connection(&policy.spec.connection_ref.name);
                    tell_policies_on(&told, policy);
                    tell_askers(&told, policy);
                    for decision in told.indexes.decisions_of(&key_of(policy)) {
                        told.triggers.decision(&key_of(&decision));
                    }
                }
            },
        );
        let told = context.clone();
        let decision_changes = watch(
            Api::<Guarded<ApprovalDecision>>::all(kube.clone()),
            selector,
            decisions_writer,
            indexes.decisions.clone(),
            own.clone(),
            move |decision: &Guarded<ApprovalDecision>, change| {
                if change == Change::Gone {
                    told.standings.forget(decision.meta().uid.as_deref().unwrap_or_default());
                }
                let Ok(decision) = &decision.0 else { return };
                let key = policy_key(decision);
                told.ask_policy(&key);
                if let Some(Ok(policy)) = told.indexes.policy(&key).as_ref().map(|policy| policy.0.as_ref()) {
                    tell_policies_on(&told, policy);
                }
            },
        );
        let told = context.clone();
        let namespace_changes =
            watch_metadata(Api::<PartialObjectMeta<Namespace>>::all(kube.clone()), namespaces_writer).for_each(
                move |namespace| {
                    if let Ok(namespace) = namespace {
                        tell_namespace(&told, &namespace.name_any());
                    }
                    futures::future::ready(())
                },
            );

        let readiness = self.readiness;
        let guard_changes = watch_guard(context.clone());
        let synced = async {
            // Nothing is decided, and nothing said of the guard, before it was looked at.
            let looked = async {
                while context.guard.look().await.is_err() {
                    tokio::time::sleep(context.pace.poll).await;
                }
            };
            if tokio::join!(indexes.wait(), looked).0.is_ok() {
                readiness.set_ready();
            }
        };
        let none = Duration::ZERO;
        let gather = self.pace.gather;
        let source = Source {
            changes: connection_changes,
            asked: connections_asked,
            store: indexes.connections.store(),
            gather,
        };
        let connections = run(context.clone(), source, shutdown.clone(), controllers::connection::reconcile);
        let source = Source {
            changes: workspace_changes,
            asked: workspaces_asked,
            store: indexes.workspaces.store(),
            gather: none,
        };
        let workspaces = run(context.clone(), source, shutdown.clone(), controllers::workspace::reconcile);
        let source = Source { changes: rule_changes, asked: rules_asked, store: indexes.rules.store(), gather: none };
        let rules = run(context.clone(), source, shutdown.clone(), controllers::outbound_rule::reconcile);
        let source = Source {
            changes: approval_changes,
            asked: approvals_asked,
            store: indexes.approvals.store(),
            gather: none,
        };
        let approvals = run(context.clone(), source, shutdown.clone(), controllers::approval::reconcile);
        let source = Source {
            changes: decision_changes,
            asked: decisions_asked,
            store: indexes.decisions.store(),
            gather: none,
        };
        let decisions = run(context.clone(), source, shutdown.clone(), controllers::decision::reconcile);
        let attached = stations::run_all(pending, context.clone(), own, shutdown.clone());
        let controllers = async {
            recall(&context).await;
            tokio::join!(connections, workspaces, rules, approvals, decisions, attached, synced);
        };
        // Before every index is whole nothing is under way that would have to end.
        let idle = async {
            shutdown.cancelled().await;
            if indexes.synced() {
                futures::future::pending::<()>().await;
            }
        };
        tokio::select! {
            () = controllers => {}
            () = idle => {}
            () = controllers::workspace::keep_roles(context.clone()) => tracing::error!("nobody takes roles back any more"),
            () = guard_changes => tracing::error!("the watch of the admission policy has ended"),
            () = namespace_changes => tracing::error!("the watch of namespaces has ended"),
        }
    }
}

/// Reads what was made sure of links, before anything is decided: what a policy lets in must not seem unknown after a start.
async fn recall(context: &Context) {
    while let Err(error) = context.link_ledger.load().await {
        tracing::warn!(%error, "the ledger of links cannot be read; nothing is decided before");
        tokio::time::sleep(context.pace.poll).await;
    }
}

/// Follows the admission policy that vouches for decisions, and tells everybody who asks for any.
async fn watch_guard(context: Arc<Context>) {
    let mut changes = context.guard.changes();
    while changes.next().await.is_some() {
        loop {
            match context.guard.look().await {
                Ok(true) => context.tell_of_guard(),
                Ok(false) => {}
                Err(error) => {
                    tracing::debug!(%error, "the admission policy for decisions cannot be read");
                    tokio::time::sleep(context.pace.poll).await;
                    continue;
                }
            }
            break;
        }
    }
}

/// Asks the connections that are being deleted to look again: any object may have been the last that needed them, also one that does
/// not say so because it cannot be read or its workspace is gone.
fn tell_departing(context: &Context) {
    for connection in context.indexes.connections.find(&Term::Going) {
        context.triggers.connection(&connection.name_any());
    }
}

/// Asks the other policies on the same targets to look again: they decide together.
fn tell_policies_on(context: &Context, policy: &PrivateEndpointApproval) {
    let Ok(targets) = Targets::of(&policy.spec.target) else { return };
    for other in context.indexes.policies_meeting(&targets) {
        let key = key_of(other.as_ref());
        if key != key_of(policy) {
            match &targets {
                Targets::One(target) => context.sights.ask_on(&key, target),
                Targets::Group { .. } => context.sights.ask(&key),
            }
            context.triggers.approval(&key);
        }
    }
}

/// Asks the workspaces of rules that want the approver role on the policy's targets to look again: any policy there has a say in that.
fn tell_askers(context: &Context, policy: &PrivateEndpointApproval) {
    let Ok(targets) = Targets::of(&policy.spec.target) else { return };
    for rule in context.indexes.rules.state() {
        let Ok(rule) = &rule.0 else { continue };
        let Some(endpoint) = rule.spec.private_endpoint.as_ref() else { continue };
        let asks = endpoint.approver_role.is_some_and(|role| role != ApproverRole::Report);
        if asks && ArmId::parse(&endpoint.resource_id).is_ok_and(|target| targets.covers(&target)) {
            context.triggers.workspace(&workspace_key(rule));
        }
    }
}

/// Asks other workspaces of the same identities to look again: an identity that is shared gets no role for rules.
fn tell_sharers(context: &Context, workspace: &AmlWorkspace) {
    let own = &workspace.spec.identity.user_assigned_identities;
    for other in own.iter().flat_map(|id| context.indexes.having(id)).filter(|other| other.0.is_ok()) {
        if key_of(other.as_ref()) != key_of(workspace) {
            context.triggers.workspace(&key_of(other.as_ref()));
        }
    }
}

/// Asks other objects for the same workspace to look again: one of them may take over.
fn tell_rivals(context: &Context, workspace: &AmlWorkspace) {
    let Ok(id) = workspace_id(workspace) else { return };
    for other in context.indexes.declarers(&id) {
        context.triggers.workspace(&key_of(other.as_ref()));
    }
}

/// Asks the projects of a hub to look again: they wait for the object that declares it.
fn tell_projects(context: &Context, hub: &AmlWorkspace) {
    for project in context.indexes.workspaces.find(&Term::Hub(key_of(hub))) {
        context.triggers.workspace(&key_of(project.as_ref()));
    }
}

/// Asks everything in namespace `name` to look again: its labels decide about grants, its deletion about removals.
fn tell_namespace(context: &Context, name: &str) {
    let here = Term::Namespace(name.into());
    for workspace in context.indexes.workspaces.find(&here) {
        context.triggers.workspace(&key_of(workspace.as_ref()));
    }
    for rule in context.indexes.rules.find(&here) {
        context.triggers.rule(&key_of(rule.as_ref()));
        if let Ok(rule) = &rule.0 {
            context.triggers.workspace(&workspace_key(rule));
        }
    }
    for policy in context.indexes.approvals.find(&here) {
        context.ask_policy(&key_of(policy.as_ref()));
    }
    context.indexes.stations.all().iter().for_each(|station| station.ask_in(name));
}
