//! One look at each resource, and what to do about it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use futures::future::join_all;
use kube::ResourceExt;
use serde_json::Value;

use super::super::{Memory, Turn};
use super::peers::peers;
use super::{Said, Settled};
use crate::api::workspace::AssociatedResourceStatus;
use crate::api::{AmlWorkspace, RECONCILE_AT};
use crate::plan::overdue::overdue;
use crate::plan::posture::Shown;
use crate::plan::resources::{
    Associated, Created, Field, Observed, Peers, ResourceInput, ResourcePlan, declared, plan,
};
use crate::plan::step::Step;
use crate::plan::workspace::Foundation;
use crate::plan::{Reason, Verdict};

/// How much of a resync has to pass before resources that were as declared are read again: turns of the rules come more often.
const DUE: f64 = 0.8;

/// What was seen and decided.
pub(in super::super) struct Looked {
    pub(super) plans: Vec<ResourcePlan>,
    /// Those of the decided writes that may go out now.
    pub(super) sendable: Vec<Step>,
    /// Whether anything is said of any of them beside its id.
    looked_at: bool,
    /// Writes go on; when to look again at the first of them.
    pub(in super::super) running: Option<Duration>,
    /// Why the workspace has to wait.
    waits: Option<Verdict>,
    /// What would be written, in words.
    changes: Vec<String>,
    /// What was read of each that was read in this turn, by id in lower case.
    pub(in super::super) shown: BTreeMap<String, Shown>,
}

impl Looked {
    /// What the decision about the workspace has to know.
    pub(in super::super) fn foundation(&self) -> Foundation<'_> {
        Foundation { waits: self.waits.as_ref(), changes: &self.changes }
    }

    /// Nothing is written, since the workspace itself is not this object's, or waits for somebody: `verdict` says so.
    pub(in super::super) fn hold(&mut self, memory: &mut Memory, verdict: &Verdict) {
        if self.sendable.is_empty() {
            return;
        }
        self.sendable.clear();
        let message = format!("waiting for the workspace: {} ({})", verdict.reason.word(), verdict.message);
        for plan in self.plans.iter_mut().filter(|plan| plan.step.is_some()) {
            plan.trouble = Some(Verdict::new(Reason::WorkspaceNotReady, message.clone()));
        }
        memory.resources.said = Some(Said::of(&self.plans, self.looked_at, false));
    }
}

/// The annotation that asks for a look now.
pub(super) fn token(workspace: &AmlWorkspace) -> &str {
    workspace.annotations().get(RECONCILE_AT).map(String::as_str).unwrap_or_default()
}

/// Looks at all resources, unless all were as declared a short while ago.
pub(in super::super) async fn look(
    turn: &Turn<'_>,
    workspace: &AmlWorkspace,
    memory: &mut Memory,
    observes: bool,
) -> Looked {
    let context = turn.context;
    let all = declared(&workspace.spec, turn.id);
    let memory = &mut memory.resources;
    let operations = workspace.status.as_ref().map(|status| status.operations.clone()).unwrap_or_default();
    memory.writes.take_over(&operations, |id| all.iter().any(|resource| resource.id.eq_ignore_ascii_case(id)));
    let version = |id: &str| {
        let known = all.iter().find(|resource| resource.id.eq_ignore_ascii_case(id));
        known.map_or(Field::StorageAccount.version(), |resource| resource.field.version())
    };
    let client = |_: &str| turn.connected.client.clone();
    let followed = memory.writes.follow(client, &context.pace, version, token(workspace), context.now()).await;
    let none = Looked {
        plans: Vec::new(),
        sendable: Vec::new(),
        looked_at: false,
        running: None,
        waits: None,
        changes: Vec::new(),
        shown: BTreeMap::new(),
    };
    if is_settled(turn, workspace, memory.settled.as_ref()) && !memory.writes.under_way() {
        return none;
    }
    let (mut plans, shown) = Scene::new(turn, workspace, &all, observes).decide().await;
    let looked_at = all.iter().any(Associated::is_looked_at);
    let steps = || plans.iter().filter_map(|plan| plan.step.as_ref());
    let wanted: BTreeSet<String> = steps().map(|step| step.request.id.to_ascii_lowercase()).collect();
    let moving: BTreeSet<String> =
        plans.iter().filter(|plan| plan.moving).map(|plan| plan.status.resource_id.to_ascii_lowercase()).collect();
    let unknown = memory.writes.settle(&wanted, |id| moving.contains(id), context.now(), context.pace.rest);
    memory.writes.keep(&wanted);
    let changes = steps().flat_map(words).collect();
    let held = held(turn, workspace);
    let mut sendable = Vec::new();
    for plan in plans.iter_mut().filter(|_| !observes) {
        let Some(step) = &plan.step else { continue };
        let on_its_way =
            memory.writes.operations().iter().find(|known| known.id.eq_ignore_ascii_case(&step.request.id));
        if let Some(operation) = on_its_way {
            let late = plan
                .trouble
                .as_ref()
                .and_then(|trouble| overdue(trouble, operation, context.pace.usual_change, context.now()));
            plan.trouble = unknown.clone().filter(|_| operation.url.is_none()).or(late).or(plan.trouble.take());
            continue;
        }
        let refused = step.needs.iter().find_map(|(verb, id)| turn.fence.allows(*verb, id).err());
        let waits = refused
            .or_else(|| held.clone())
            .or_else(|| memory.writes.held(&step.request, token(workspace), context.now(), &context.pace));
        match waits {
            Some(waits) => plan.trouble = Some(waits),
            None => sendable.push(step.clone()),
        }
    }
    let waits = plans.iter().filter(|plan| plan.holds).find_map(|plan| plan.trouble.clone());
    let said = Said::of(&plans, looked_at, observes);
    memory.settled = (said.trouble.is_none() && !memory.writes.under_way()).then(|| Settled {
        at: context.now(),
        generation: workspace.metadata.generation,
        token: token(workspace).to_owned(),
    });
    memory.said = Some(said);
    Looked { plans, sendable, looked_at, running: followed.running, waits, changes, shown }
}

/// Why nothing is written, if so.
fn held(turn: &Turn<'_>, workspace: &AmlWorkspace) -> Option<Verdict> {
    let suspended = || Verdict::new(Reason::Suspended, "suspended: nothing new is started (spec.suspend)");
    workspace.spec.suspend.then(suspended).or_else(|| turn.connected.holds_writes())
}

fn is_settled(turn: &Turn<'_>, workspace: &AmlWorkspace, settled: Option<&Settled>) -> bool {
    settled.is_some_and(|settled| {
        let age: Duration = turn.context.now().duration_since(settled.at).try_into().unwrap_or(Duration::MAX);
        age < turn.context.pace.resync.mul_f64(DUE)
            && settled.generation == workspace.metadata.generation
            && settled.token == token(workspace)
    })
}

/// What a step changes, in words.
fn words(step: &Step) -> Vec<String> {
    vec![format!("{} {}: {}", step.request.verb, step.request.path, step.why)]
}

/// What Azure answered about `resource`, understood.
fn observed(resource: &Associated<'_>, answer: Result<Option<Value>, Verdict>) -> Result<Option<Observed>, Verdict> {
    let Some(answer) = answer? else { return Ok(None) };
    Observed::read(resource.field, answer).map(Some).map_err(|error| {
        let message = format!("what Azure shows of {} cannot be read: {error}", resource.name());
        Verdict::new(Reason::AzureRefused, message)
    })
}

/// All that deciding about the resources takes.
pub(super) struct Scene<'a> {
    turn: &'a Turn<'a>,
    workspace: &'a AmlWorkspace,
    all: &'a [Associated<'a>],
    peers: HashMap<String, Peers>,
    observes: bool,
}

impl<'a> Scene<'a> {
    pub(super) fn new(
        turn: &'a Turn<'a>,
        workspace: &'a AmlWorkspace,
        all: &'a [Associated<'a>],
        observes: bool,
    ) -> Self {
        Self { turn, workspace, all, peers: peers(turn, workspace, all), observes }
    }

    /// Reads each resource that something is said of, and decides about it. Returns also what was read, for the posture.
    async fn decide(&self) -> (Vec<ResourcePlan>, BTreeMap<String, Shown>) {
        let answers = join_all(self.all.iter().map(|resource| self.ask(resource))).await;
        let shown = self.all.iter().zip(&answers).filter_map(|(resource, answer)| {
            let answer = answer.as_ref().ok()?.as_ref()?;
            Some((resource.id.to_ascii_lowercase(), Shown::read(resource.field.dependency()?, answer)))
        });
        let shown = shown.collect();
        let reads: Vec<_> = self.all.iter().zip(answers).map(|(resource, answer)| observed(resource, answer)).collect();
        let is_there = |id: &str| {
            let found = self.all.iter().zip(&reads).find(|(resource, _)| resource.id.eq_ignore_ascii_case(id));
            found.is_none_or(|(resource, read)| {
                !resource.is_looked_at() || matches!(read, Ok(Some(shown)) if !shown.is_moving())
            })
        };
        let decided = |(resource, read): (&Associated<'_>, &Result<Option<Observed>, Verdict>)| {
            let grounded = match &resource.created {
                Some(Created::Insights(logs)) => is_there(logs),
                _ => true,
            };
            self.judge(resource, read, grounded)
        };
        (self.all.iter().zip(&reads).map(decided).collect(), shown)
    }

    /// Reads `resource` anew and decides about it; for whoever is in its lane.
    pub(super) async fn decide_on(&self, resource: &Associated<'_>) -> ResourcePlan {
        // Whatever it rests on was there when its step was decided.
        self.judge(resource, &observed(resource, self.ask(resource).await), true)
    }

    async fn ask(&self, resource: &Associated<'_>) -> Result<Option<Value>, Verdict> {
        if !resource.is_looked_at() {
            return Ok(None);
        }
        let client = &self.turn.connected.client;
        let found = client.find(&resource.id, resource.field.version(), self.turn.priority).await;
        found.map_err(|error| Verdict::of_error(&format!("reading {}", resource.name()), &error))
    }

    fn judge(
        &self,
        resource: &Associated<'_>,
        read: &Result<Option<Observed>, Verdict>,
        grounded: bool,
    ) -> ResourcePlan {
        let said = self.workspace.status.as_ref().and_then(|status| {
            let same = |known: &&AssociatedResourceStatus| {
                known.field == resource.field.as_str() && known.resource_id.eq_ignore_ascii_case(&resource.id)
            };
            status.associated_resources.iter().find(same)
        });
        let none = Peers::default();
        match read {
            Ok(observed) => plan(&ResourceInput {
                owner: &self.turn.owner,
                workspace: self.turn.id,
                tenant: &self.turn.connected.spec.tenant_id,
                spec: &self.workspace.spec,
                resource,
                observed: observed.as_ref(),
                said,
                peers: self.peers.get(&resource.id.to_ascii_lowercase()).unwrap_or(&none),
                grounded,
                observes: self.observes,
            }),
            Err(verdict) => ResourcePlan::unseen(resource, said, verdict.clone()),
        }
    }
}
