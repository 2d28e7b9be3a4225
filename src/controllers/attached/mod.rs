//! What every kind that attaches to a workspace shares: arrive, observe, plan, write, report, and depart. A kind says what it reads
//! and what it decides; the rest is here, once.

mod arrive;
mod carry_out;
mod depart;
mod fields;
mod report;

pub use arrive::{counts, may_attach};
pub(crate) use fields::fields;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use kube::{CustomResourceExt, ResourceExt};
use serde_json::Value;

use crate::api::common::{Drift, WouldWrite};
use crate::api::condition::ConditionDraft;
use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::api::operation::Operation;
use crate::api::{AmlWorkspace, RECONCILE_AT};
use crate::azure::client::{Client, Priority};
use crate::azure::credential::Secret;
use crate::plan::attached::{Decided, Farewell, Policies, Site};
use crate::plan::fence::Fence;
use crate::plan::ownership::Owner;
use crate::plan::step::Request;
use crate::plan::{Reason, Verdict};
use crate::runtime::connections::Connected;
use crate::runtime::context::Context;
use crate::runtime::driver::{Error, Outcome};
use crate::runtime::indexes::{key_of, workspace_id};
use crate::runtime::kind::Kind;
use crate::runtime::station::Station;
use crate::runtime::status::has_finalizer;
use crate::runtime::terms::Terms;
use crate::runtime::writes::Writes;

/// What every status of such a kind has beside generation, token and conditions.
pub struct Shared<'a> {
    /// The connection it was last reached through.
    pub connection: &'a mut Option<String>,
    /// Writes under way.
    pub operations: &'a mut Vec<Operation>,
    /// With `Observe`, what would be written.
    pub would_write: &'a mut Vec<WouldWrite>,
    /// Fields that were found changed.
    pub drift: &'a mut Vec<Drift>,
}

/// A body that is sent and nowhere kept, because there are secrets in it. It cannot be printed.
pub struct Filled {
    body: Value,
    secrets: Vec<Secret>,
}

impl Filled {
    /// This body, in which `secret` stands.
    pub fn new(body: Value, secret: Secret) -> Self {
        Self { body, secrets: vec![secret] }
    }
}

/// A kind that attaches to a workspace.
#[async_trait]
pub trait Attached: Terms + CustomResourceExt {
    /// What is read for it from Azure.
    type Observed: Send + Sync;
    /// What its turns remember beside its writes; all of it can be lost.
    type Extra: Clone + Debug + Default + Send + Sync + 'static;
    /// Whether it is part of the workspace in Azure, and goes when that goes.
    const PART_OF_WORKSPACE: bool;
    /// The verbs of which its namespace needs one on [`Attached::resource`], to have a say on who manages it.
    const CLAIMS_BY: &'static [Verb] = &[Verb::Create, Verb::Configure];
    /// What it is called in messages, with its article: `the compute`.
    const NOUN: &'static str;
    /// The conditions it reports beside the summary.
    const CONDITIONS: &'static [&'static str] = &[];

    /// The fields that every such kind has.
    fn policies(&self) -> Policies<'_>;
    /// Where its objects are kept.
    fn station(context: &Context) -> &Station<Self>;
    /// The shared part of a status.
    fn shared(status: &mut Self::Status) -> Shared<'_>;
    /// The operations and the connection that a status speaks of.
    fn said(status: &Self::Status) -> (&[Operation], Option<&str>);
    /// The api-version for the resource `id`.
    fn azure_version(id: &str) -> &'static str;
    /// The ARM id that only one object may manage, if there is one.
    ///
    /// # Errors
    /// With the verdict to report if the object's names make no id.
    fn resource(&self, workspace: &ArmId) -> Result<Option<ArmId>, Verdict>;
    /// True if an operation on `id` may be this object's; asked of what its status says, which anybody may have written. Of most kinds only
    /// those on [`Attached::resource`] are.
    fn owns(&self, workspace: Option<&ArmId>, id: &str) -> bool {
        let own = workspace.and_then(|workspace| self.resource(workspace).ok().flatten());
        own.is_some_and(|own| own.key() == id.to_ascii_lowercase())
    }

    /// Whether it waits for the workspace's managed network to be built.
    fn needs_network(&self) -> bool {
        false
    }
    /// What can be refused before Azure is asked: what no grant allows, and what cannot be meant.
    ///
    /// # Errors
    /// With the verdict to report.
    fn check(&self, site: &Site<'_>) -> Result<(), Verdict>;
    /// Reads what the decision needs.
    async fn observe(&self, scene: &Scene<'_>, extra: &mut Self::Extra) -> Result<Self::Observed, Verdict>;
    /// Decides. Pure.
    fn plan(&self, site: &Site<'_>, observed: &Self::Observed, extra: &Self::Extra) -> Decided<Self::Status>;
    /// Writes to Kubernetes what follows from a status, and says how that went. Not called with `Observe`.
    async fn publish(&self, _scene: &Scene<'_>, _status: &Self::Status) -> Vec<ConditionDraft> {
        Vec::new()
    }
    /// The owner tag of the resource, for telling who manages it.
    fn owner_tag(_observed: &Self::Observed) -> Option<&str> {
        None
    }
    /// True if Azure shows the resource `id` (lower case) being changed.
    fn is_moving(_observed: &Self::Observed, _id: &str) -> bool {
        false
    }
    /// Notes in a status what ARM's acceptance of a write with this verb settles.
    fn accepted(&self, _verb: &str, _status: &mut Self::Status) {}
    /// Called right before `requests` go out, for what must be on record first.
    async fn prepare(
        &self,
        _scene: &Scene<'_>,
        _requests: &[&Request],
        _extra: &mut Self::Extra,
    ) -> Result<(), Verdict> {
        Ok(())
    }
    /// The body that goes out for `request`, where that has a stand-in for a secret: plans, intents, events and logs know only that.
    /// Asked right before it goes out.
    async fn fill(&self, _scene: &Scene<'_>, _request: &Request) -> Result<Option<Filled>, Verdict> {
        Ok(None)
    }
    /// The client that `request` goes through; the connection's own, but for data planes.
    ///
    /// # Errors
    /// With the verdict to report if there is none.
    fn client(&self, connected: &Connected, _id: &str) -> Result<Client, Verdict> {
        Ok(connected.client.clone())
    }
    /// Decides what its deletion means for Azure, reading what that needs.
    async fn farewell(&self, exit: &Exit<'_>, extra: &mut Self::Extra) -> Result<Farewell, Verdict>;
}

/// What is remembered of one object.
#[derive(Clone, Debug)]
pub struct Memory<K: Attached> {
    /// Its writes.
    pub writes: Writes,
    /// What the kind itself remembers.
    pub extra: K::Extra,
    /// The generation of the spec that Azure was last seen to be as declared for.
    settled: Option<i64>,
}

impl<K: Attached> Default for Memory<K> {
    fn default() -> Self {
        Self { writes: Writes::default(), extra: K::Extra::default(), settled: None }
    }
}

/// Everything one turn works with.
pub struct Scene<'a> {
    /// What controllers work with.
    pub context: &'a Context,
    /// The connection.
    pub connected: &'a Connected,
    /// What is decided on.
    pub site: Site<'a>,
    /// How soon its requests go.
    pub priority: Priority,
}

/// Everything a departure works with. The workspace's object may be gone.
pub struct Exit<'a> {
    /// What controllers work with.
    pub context: &'a Context,
    /// The connection.
    pub connected: &'a Connected,
    /// Who the object is.
    pub owner: &'a Owner,
    /// What its namespace may do.
    pub fence: &'a Fence<'a>,
    /// The workspace's object, and its ARM id.
    pub workspace: Option<(&'a AmlWorkspace, &'a ArmId)>,
    /// Now.
    pub now: Timestamp,
}

/// The value of the annotation that asks for a retry now.
fn token<K: Kind>(object: &K) -> &str {
    object.annotations().get(RECONCILE_AT).map(String::as_str).unwrap_or_default()
}

/// Who `object` is.
fn owner<K: Kind>(context: &Context, object: &K) -> Owner {
    Owner {
        installation: context.installation.clone(),
        kind: K::NAME,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    }
}

/// Looks at one object.
///
/// # Errors
/// If Kubernetes does not take what is reported.
pub async fn reconcile<K: Attached>(context: Arc<Context>, mut object: K) -> Result<Outcome, Error> {
    let uid = object.uid().unwrap_or_default();
    if object.meta().deletion_timestamp.is_some() {
        // Whoever goes asks for nothing shared any more.
        context.claims.forget(&uid);
    }
    if Context::abandoned(&object) && has_finalizer(&object) {
        context.release(&object, "abandoned by annotation; Azure keeps whatever is there").await?;
        K::station(&context).forget(&uid);
        return Ok(Outcome::Done);
    }
    let mut memory = K::station(&context).take(&uid);
    let priority = urgency(&object, &memory);
    let key = key_of(&object);
    let place = if priority < Priority::Resync {
        context.calm.leave(K::NAME, &key);
        None
    } else if let Some(place) = context.calm.enter(K::NAME, &key) {
        Some(place)
    } else {
        K::station(&context).put(&uid, memory);
        // It is called before; this is for a call that got lost.
        return Ok(Outcome::Again(context.pace.resync));
    };
    let outcome = if object.meta().deletion_timestamp.is_some() {
        depart::depart(&context, &mut object, &mut memory).await
    } else {
        arrive::arrive(&context, &mut object, &mut memory, priority).await
    };
    drop(place);
    if object.meta().deletion_timestamp.is_some() && matches!(outcome, Ok(Outcome::Done)) {
        K::station(&context).forget(&uid);
    } else {
        K::station(&context).put(&uid, memory);
    }
    outcome
}

/// How urgent a turn of `object` is: what somebody waits for goes before what is only looked at again.
fn urgency<K: Attached>(object: &K, memory: &Memory<K>) -> Priority {
    use crate::api::condition::{READY, find};
    let conditions = object.status().map(K::conditions).unwrap_or_default();
    let ready = find(conditions, READY);
    let answered = ready.is_some_and(|ready| ready.observed_generation == object.meta().generation);
    let moves = [Reason::Pending, Reason::Creating, Reason::Updating, Reason::Deleting, Reason::Provisioning];
    let moves = ready.is_some_and(|ready| moves.iter().any(|reason| reason.word() == ready.reason));
    if object.meta().deletion_timestamp.is_some() {
        Priority::Urgent
    } else if !answered || moves || memory.writes.under_way() {
        Priority::Change
    } else {
        Priority::Resync
    }
}

/// The workspace's object that `object` attaches to, with its ARM id.
fn workspace_of<K: Attached>(context: &Context, object: &K) -> Result<(AmlWorkspace, ArmId), Verdict> {
    let key = crate::runtime::station::workspace_of(object);
    let missing = || {
        let message = format!(
            "there is no AmlWorkspace {}/{}, or it does not admit objects of this namespace; create it, or correct workspaceRef",
            key.namespace, key.name
        );
        Verdict::new(Reason::WorkspaceMissing, message)
    };
    let found = context.indexes.workspace(&key).ok_or_else(missing)?;
    let workspace = found.0.as_ref().map_err(|_| missing())?;
    let id = workspace_id(workspace).map_err(|error| Verdict::new(Reason::WorkspaceNotReady, error.to_string()))?;
    Ok((workspace.clone(), id))
}
