//! What controllers work with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use kube::ResourceExt;

use super::attempts::Attempts;
use super::board::{Board, Standings};
use super::calm::Calm;
use super::claims::Claims;
use super::connections::Clients;
use super::endings::Endings;
use super::events::Events;
use super::guard::Watchman;
use super::indexes::{Indexes, Triggers, key_of};
use super::kind::Kind;
use super::lane::Lanes;
use super::ledger::Ledger;
use super::link_ledger::LinkLedger;
use super::pace::Pace;
use super::requesters::Requesters;
use super::role_ledger::RoleLedger;
use super::seal::Seal;
use super::status::{Basis, StatusWriter, WriteError};
use super::surroundings::Surroundings;
use super::views::Views;
use crate::api::condition::{self, ConditionDraft, READY};
use crate::api::ids::ArmId;
use crate::api::{ABANDON, RECONCILE_AT};
use crate::azure::client::CallHook;
use crate::azure::throttle::Throttle;
use crate::azure::transport::{HttpPace, Transport};
use crate::effects::Seam;
use crate::plan::breaker::Word;
use crate::plan::outcome::Requeue;
use crate::plan::rules::ObjectKey;
use crate::plan::{Reason, Verdict};
use crate::telemetry::Metrics;

/// How clients of Azure are built.
#[derive(Clone)]
pub struct AzureParts {
    /// The governor that all of them share.
    pub throttle: Arc<Throttle>,
    /// Limits of a request.
    pub pace: HttpPace,
    /// Where well-known hosts are; the default is the real world.
    pub transport: Transport,
    /// Told of every request.
    pub hook: Option<CallHook>,
    /// The seam.
    pub seam: Seam,
}

/// What controllers work with. One each process.
pub struct Context {
    /// Kubernetes.
    pub kube: kube::Client,
    /// The operator's own namespace.
    pub namespace: String,
    /// The installation's id.
    pub installation: String,
    /// The labels of the objects that this operator looks at; `None` for all.
    pub selector: Option<String>,
    /// All durations.
    pub pace: Pace,
    /// What is known of the cluster.
    pub indexes: Indexes,
    /// Who wants to hear of changes.
    pub triggers: Triggers,
    /// Lanes.
    pub lanes: Lanes,
    /// Places for turns that nobody waits for.
    pub calm: Calm,
    /// What ARM shows of workspaces.
    pub views: Views,
    /// What is known around workspaces.
    pub surroundings: Surroundings,
    /// What lanes know of rules.
    pub board: Board,
    /// What became of people's decisions.
    pub standings: Standings,
    /// The admission policy that vouches for them.
    pub guard: Watchman,
    /// Clients of Azure.
    pub clients: Clients,
    /// How they are built.
    pub azure: AzureParts,
    /// The ledger.
    pub ledger: Ledger,
    /// The ledger of roles.
    pub role_ledger: RoleLedger,
    /// Fingerprints of secrets.
    pub seal: Seal,
    /// The ledger of links.
    pub link_ledger: LinkLedger,
    /// The one writer of status.
    pub status: StatusWriter,
    /// Events.
    pub events: Events,
    /// Metrics.
    pub metrics: Metrics,
    /// What workspaces' lanes remember.
    pub memories: crate::controllers::workspace::Memories,
    /// Removals carried out lately, by connection.
    pub removals: Removals,
    /// Who asks Azure for what several objects want.
    pub claims: Claims,
    /// What was tried on connections lately.
    pub attempts: Attempts,
    /// What requesting endpoints said lately.
    pub requesters: Requesters,
    /// Which connections wait to be withdrawn.
    pub endings: Endings,
    /// What policies' targets showed, and when to look again.
    pub sights: crate::controllers::approval::Sights,
    /// Which kinds of reports the cluster has.
    pub report_kinds: crate::controllers::workspace::ReportKinds,
    /// How often in a row each object failed.
    pub failures: Failures,
}

impl Context {
    /// The time, the only place it is read.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// Reports `verdict` on `object`: the whole of `status`, with conditions. One event if what is said is news.
    ///
    /// # Errors
    /// [`WriteError::Outdated`] if the object changed since it was read: look again.
    pub async fn report<K: Kind>(
        &self,
        object: &mut K,
        mut status: K::Status,
        verdict: &Verdict,
        more: Vec<ConditionDraft>,
        basis: Basis,
    ) -> Result<(), WriteError> {
        let previous = object.status().map(K::conditions).unwrap_or_default().to_vec();
        let mut drafts = verdict.conditions();
        drafts.extend(more);
        let generation = object.meta().generation;
        let conditions = condition::settle(drafts, &previous, generation, self.now());
        let said = |conditions: &[condition::Condition]| {
            condition::find(conditions, READY).map(|ready| (ready.reason.clone(), ready.message.clone()))
        };
        let news = said(&previous) != said(&conditions);
        let token = object.annotations().get(RECONCILE_AT).map(|token| token.chars().take(256).collect());
        K::settle(&mut status, generation, token, conditions);
        self.status.write(object, status, basis).await?;
        if news {
            self.events.publish(object, verdict.reason.is_alarming(), verdict.reason.word(), &verdict.message).await;
        }
        Ok(())
    }

    /// Asks every workspace and policy that uses the connection `name` to look again.
    pub fn tell_users_of(&self, name: &str) {
        for (kind, key) in self.indexes.users_of(name) {
            match kind {
                crate::api::AmlWorkspace::NAME => {
                    self.triggers.workspace(&key);
                    self.indexes.stations.ask_of(&key);
                }
                crate::api::PrivateEndpointApproval::NAME => self.ask_policy(&key),
                // Everything else is looked at with its workspace.
                _ => {}
            }
        }
    }

    /// Asks every policy and decision to look again: the admission policy that vouches for decisions is not as it was.
    pub fn tell_of_guard(&self) {
        for decision in self.indexes.decisions.state() {
            self.triggers.decision(&key_of(decision.as_ref()));
        }
        for policy in self.indexes.approvals.state() {
            self.ask_policy(&key_of(policy.as_ref()));
        }
    }

    /// Asks the policy `key` to look again, at all its targets.
    pub fn ask_policy(&self, key: &ObjectKey) {
        self.sights.ask(key);
        self.triggers.approval(key);
    }

    /// Asks the object that has the private endpoint `id` to look again: something was decided on its connection.
    pub fn tell_requester(&self, id: &str) {
        self.indexes.stations.attachments.ask_all(|attachment| {
            let endpoints = attachment.status.iter().flat_map(|status| &status.endpoints);
            endpoints.into_iter().any(|endpoint| endpoint.resource_id.eq_ignore_ascii_case(id))
        });
        self.indexes.stations.links.ask_all(|link| {
            let endpoints = link.status.iter().flat_map(|status| &status.endpoints);
            endpoints
                .filter_map(|endpoint| endpoint.private_endpoint.as_deref())
                .any(|own| own.eq_ignore_ascii_case(id))
        });
    }

    /// Asks the policies on the resource `id`, as an object names it, to look again there: something was raised or changed.
    pub fn ask_policies_on(&self, id: &str) {
        let Ok(target) = ArmId::parse(id) else { return };
        for policy in self.indexes.policies_on(&target) {
            let key = key_of(policy.as_ref());
            self.sights.ask_on(&key, &target);
            self.triggers.approval(&key);
        }
    }

    /// When to look again at an object with this verdict.
    pub fn requeue(&self, uid: &str, verdict: &Verdict) -> Duration {
        let wait = match verdict.reason.requeue() {
            Requeue::Resync => self.spread(uid),
            Requeue::Soon => return verdict.after.unwrap_or(self.pace.poll),
            Requeue::Slow => self.pace.slow,
            Requeue::Backoff => self.failures.next(uid, self.pace.backoff_first, self.pace.backoff_last),
        };
        if verdict.reason.requeue() != Requeue::Backoff {
            self.failures.reset(uid);
        }
        verdict.after.map_or(wait, |after| after.max(wait))
    }

    /// The resync, up to a tenth earlier by object, so that a thousand objects do not come at once.
    fn spread(&self, uid: &str) -> Duration {
        let share = uid.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 100;
        self.pace.resync.mul_f64(1.0 - f64::from(share) / 1000.0)
    }

    /// True if the user let go of `object`, which is being deleted.
    pub fn abandoned<K: Kind>(object: &K) -> bool {
        object.meta().deletion_timestamp.is_some()
            && object.annotations().get(ABANDON).is_some_and(|uid| Some(uid) == object.meta().uid.as_ref())
    }

    /// Lets go of an object that is being deleted, with an event and an audit line that say what stays.
    ///
    /// # Errors
    /// [`WriteError::Outdated`] if the object changed since it was read.
    pub async fn release<K: Kind>(&self, object: &K, note: &str) -> Result<(), WriteError> {
        tracing::info!(
            target: crate::telemetry::AUDIT, kind = K::NAME, namespace = object.namespace(), name = object.name_any(),
            uid = object.uid(), note, "released"
        );
        self.events.publish(object, false, "Released", note).await;
        self.status.release(object).await
    }

    /// The verdict on an unreadable object.
    pub fn unreadable(error: &str) -> Verdict {
        Verdict::new(
            Reason::Invalid,
            format!(
                "the object cannot be understood, so what it stands for in Azure is left exactly as it is: {error}"
            ),
        )
    }
}

/// How often in a row each object failed.
#[derive(Debug, Default)]
pub struct Failures(Mutex<HashMap<String, u32>>);

impl Failures {
    /// Counts a failure of `uid`, and how long to wait after it.
    pub fn next(&self, uid: &str, first: Duration, last: Duration) -> Duration {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(uid.to_owned()).or_default();
        let wait = first.saturating_mul(1_u32 << (*count).min(16)).min(last);
        *count += 1;
        wait
    }

    /// Forgets the failures of `uid`.
    pub fn reset(&self, uid: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(uid);
    }
}

/// Removals by connection: what was carried out lately, and which ones a person agreed to. Lost with the process: what still waits
/// is counted from the objects.
#[derive(Debug, Default)]
pub struct Removals(Mutex<HashMap<String, Removed>>);

#[derive(Debug, Default)]
struct Removed {
    at: Vec<Timestamp>,
    word: Option<Word>,
}

impl Removals {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Removed>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a removal through `connection`.
    pub fn note(&self, connection: &str, now: Timestamp) {
        self.lock().entry(connection.to_owned()).or_default().at.push(now);
    }

    /// How many there were within `window`.
    pub fn within(&self, connection: &str, window: Duration, now: Timestamp) -> usize {
        let mut removals = self.lock();
        let Some(removed) = removals.get_mut(connection) else { return 0 };
        removed.at.retain(|at| now.duration_since(*at).try_into().is_ok_and(|age: Duration| age < window));
        removed.at.len()
    }

    /// Runs `judge` on what a person agreed to for `connection`, and keeps what it makes of it.
    pub fn agreed<T>(&self, connection: &str, judge: impl FnOnce(&mut Option<Word>) -> T) -> T {
        judge(&mut self.lock().entry(connection.to_owned()).or_default().word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_wait_longer_each_time_up_to_a_limit() {
        let failures = Failures::default();
        let next = || failures.next("u", Duration::from_secs(5), Duration::from_secs(600)).as_secs();
        assert_eq!([next(), next(), next()], [5, 10, 20]);
        let later: Vec<u64> = (0..40).map(|_| next()).collect();
        assert_eq!(later.last(), Some(&600));
        failures.reset("u");
        assert_eq!(failures.next("u", Duration::from_secs(5), Duration::from_secs(600)).as_secs(), 5);
    }

    #[test]
    fn removals_count_within_the_window_only() {
        let removals = Removals::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        removals.note("c", at(0));
        removals.note("c", at(500));
        assert_eq!(removals.within("c", Duration::from_secs(600), at(550)), 2);
        assert_eq!(removals.within("c", Duration::from_secs(600), at(700)), 1);
        assert_eq!(removals.within("d", Duration::from_secs(600), at(700)), 0);
    }
}
