//! Leader election: of several replicas one works, the others wait, and no two ever work at once.
//!
//! The protocol is that of client-go (`tools/leaderelection`) on one `coordination.k8s.io/v1` Lease. The holder writes the
//! lease again and again; whoever sees it unchanged for the time it promises takes it. Three rules make that safe:
//!
//! * A write carries the resourceVersion of what was read. Of two that take an expired lease, one gets 409 and has lost.
//! * Expiry is measured on the *local monotonic* clock from when the record was last *seen to change*. `renewTime` is
//!   for people; comparing it with a local clock would let a replica whose clock runs ahead take a lease that is alive.
//! * The holder counts from *before* it sent its last successful write, everybody else from after it took effect. It gives
//!   up at `renew_deadline`, they wait for `duration`; the difference is its time to stop.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::{Api, PostParams};
use kube::{Client, Error};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

/// The durations of an election. Safe only if `retry < renew_deadline < duration`, for all replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasePace {
    /// For how long a lease that does not change is respected.
    pub duration: Duration,
    /// For how long the holder goes on without a successful renewal.
    pub renew_deadline: Duration,
    /// Between two looks at the lease, or renewals of it.
    pub retry: Duration,
}

impl Default for LeasePace {
    /// The values of controller-runtime and the Kubernetes components.
    fn default() -> Self {
        Self {
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

impl LeasePace {
    /// A Lease speaks in whole seconds, at least one.
    fn whole_seconds(&self) -> i32 {
        let seconds = self.duration.as_secs() + u64::from(self.duration.subsec_nanos() > 0);
        i32::try_from(seconds.max(1)).unwrap_or(i32::MAX)
    }

    /// How long `record` is respected unchanged: as long as its holder promises, which during an update may differ from what
    /// we would. A holder that promises what we would write has our pace, and so our duration before it was rounded.
    fn respects(&self, record: &LeaseSpec) -> Duration {
        match record.lease_duration_seconds {
            Some(promised) if promised != self.whole_seconds() => {
                u64::try_from(promised).map_or(self.duration, Duration::from_secs)
            }
            _ => self.duration,
        }
    }

    /// How long one attempt may take. Half the deadline, so that a connection that hangs leaves time for another.
    fn attempt(&self) -> Duration {
        self.renew_deadline / 2
    }
}

/// Leadership was held and is no more. The process must end: its work may be going on elsewhere by now.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// The lease could not be renewed in time.
    #[error("leadership lost: lease {lease} could not be renewed for {deadline:?}")]
    Deadline {
        /// Namespace and name of the lease.
        lease: String,
        /// For how long it was tried.
        deadline: Duration,
    },
    /// The lease names somebody else.
    #[error("leadership lost: lease {lease} is held by {holder}")]
    Taken {
        /// Namespace and name of the lease.
        lease: String,
        /// Who holds it.
        holder: String,
    },
}

/// A candidate for leadership.
#[derive(Clone)]
pub struct Election {
    /// The API server.
    pub client: Client,
    /// The lease's namespace.
    pub namespace: String,
    /// The lease's name.
    pub name: String,
    /// Who we are; in a cluster, the pod's name. A lease that names us is ours at once: our container was restarted. So no
    /// two processes that run at once may have the same identity.
    pub identity: String,
    /// The durations.
    pub pace: LeasePace,
}

impl Election {
    /// Runs for leadership, and holds it once it has it. `leading` says which of the two it is at present, and is false when
    /// this returns.
    ///
    /// On `shutdown` the lease is given up, so that the next replica need not wait for it to expire. Cancel it only when all
    /// work that needs leadership has stopped; up to then it is renewed.
    ///
    /// # Errors
    /// Leadership was [`Lost`]. That the API server cannot be reached is an error only to one who leads; a follower goes on
    /// trying, and says so in the log.
    pub async fn run(self, shutdown: CancellationToken, leading: watch::Sender<bool>) -> Result<(), Lost> {
        let mut candidate = Candidate { leases: self.leases(), election: &self, seen: None, renewed: None };
        let end = candidate.contend(&shutdown, &leading).await;
        leading.send_replace(false);
        if end.is_ok() {
            self.vacate().await;
        }
        end
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn lease(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// Clears our name from the lease, if it is there: also after a write whose answer we never saw.
    async fn vacate(&self) {
        let leases = self.leases();
        let clear = async {
            let Some(mut lease) = leases.get_opt(&self.name).await? else { return Ok(()) };
            match &mut lease.spec {
                Some(spec) if spec.holder_identity.as_ref() == Some(&self.identity) => {
                    spec.holder_identity = None;
                    spec.renew_time = Some(now());
                }
                _ => return Ok(()),
            }
            leases.replace(&self.name, &PostParams::default(), &lease).await.map(drop)
        };
        match timeout(self.pace.attempt(), clear).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(lease = self.lease(), %error, "could not give up the lease; it will expire")
            }
            Err(_) => tracing::warn!(lease = self.lease(), "no answer in time to giving up the lease; it will expire"),
        }
    }
}

/// What there is to do about a lease.
#[derive(Debug, PartialEq, Eq)]
enum Decision<'a> {
    /// There is none: make it.
    Create,
    /// Nobody holds it any more: put our name in.
    Take,
    /// It is ours: say that we are alive.
    Renew,
    /// Somebody holds it.
    Wait,
    /// We led, and it is somebody else's.
    StepDown(&'a str),
}

/// Decides about `record`, which has not changed for `unchanged`, for `identity`, which believes to be `leading` or not.
fn decide<'a>(
    record: Option<&'a LeaseSpec>,
    unchanged: Duration,
    identity: &str,
    leading: bool,
    pace: &LeasePace,
) -> Decision<'a> {
    let Some(record) = record else { return Decision::Create };
    match record.holder_identity.as_deref() {
        None | Some("") => Decision::Take,
        Some(holder) if holder == identity => Decision::Renew,
        Some(holder) if leading => Decision::StepDown(holder),
        Some(_) if unchanged >= pace.respects(record) => Decision::Take,
        Some(_) => Decision::Wait,
    }
}

/// The record to write over `old`, which is taken from its holder or renewed. What others wrote into it stays.
fn claim(old: LeaseSpec, identity: &str, taken: bool, pace: &LeasePace) -> LeaseSpec {
    let now = now();
    let transitions = old.lease_transitions.unwrap_or(0);
    LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: Some(pace.whole_seconds()),
        acquire_time: if taken { Some(now.clone()) } else { old.acquire_time },
        lease_transitions: Some(if taken { transitions.saturating_add(1) } else { transitions }),
        renew_time: Some(now),
        ..old
    }
}

/// The wall clock, for people who read the lease.
fn now() -> MicroTime {
    MicroTime(jiff::Timestamp::now())
}

/// An election that goes on.
struct Candidate<'a> {
    leases: Api<Lease>,
    election: &'a Election,
    /// The record as last seen, and since when it has been so.
    seen: Option<(LeaseSpec, Instant)>,
    /// While we lead: from before the last successful write.
    renewed: Option<Instant>,
}

/// What came of one attempt.
enum Attempt {
    /// The lease is ours.
    Held,
    /// It is somebody else's.
    NotYet,
    /// Ours no more.
    Taken(String),
}

impl Candidate<'_> {
    async fn contend(&mut self, shutdown: &CancellationToken, leading: &watch::Sender<bool>) -> Result<(), Lost> {
        let Election { pace, identity, .. } = self.election;
        let lease = self.election.lease();
        while !shutdown.is_cancelled() {
            let begun = Instant::now();
            let deadline = self.renewed.map(|renewed| renewed + pace.renew_deadline);
            if deadline.is_some_and(|deadline| begun >= deadline) {
                return Err(Lost::Deadline { lease, deadline: pace.renew_deadline });
            }
            match timeout_at(earlier(begun + pace.attempt(), deadline), self.attempt()).await {
                Ok(Ok(Attempt::Held)) => {
                    if self.renewed.replace(begun).is_none() {
                        tracing::info!(lease, identity, "leading");
                        leading.send_replace(true);
                    }
                }
                Ok(Ok(Attempt::NotYet)) => {}
                Ok(Ok(Attempt::Taken(holder))) => return Err(Lost::Taken { lease, holder }),
                Ok(Err(Error::Api(status))) if status.is_conflict() || status.is_already_exists() => {
                    tracing::debug!(lease, "somebody else wrote the lease first");
                }
                Ok(Err(error)) => tracing::warn!(lease, %error, "could not read or write the lease"),
                Err(_) => tracing::warn!(lease, "no answer in time about the lease"),
            }
            let deadline = self.renewed.map(|renewed| renewed + pace.renew_deadline);
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = sleep_until(earlier(Instant::now() + pace.retry, deadline)) => {}
            }
        }
        Ok(())
    }

    /// Looks at the lease and does what there is to do.
    async fn attempt(&mut self) -> Result<Attempt, Error> {
        let Election { name, identity, pace, .. } = self.election;
        let found = self.leases.get_opt(name).await?;
        let unchanged = self.observe(found.as_ref());
        let record = found.as_ref().map(|lease| lease.spec.clone().unwrap_or_default());
        let taken = match decide(record.as_ref(), unchanged, identity, self.renewed.is_some(), pace) {
            Decision::Wait => return Ok(Attempt::NotYet),
            Decision::StepDown(holder) => return Ok(Attempt::Taken(holder.to_owned())),
            Decision::Create => {
                let first = LeaseSpec { acquire_time: Some(now()), ..LeaseSpec::default() };
                let lease = Lease {
                    metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
                    spec: Some(claim(first, identity, false, pace)),
                };
                self.leases.create(&PostParams::default(), &lease).await?;
                return Ok(Attempt::Held);
            }
            Decision::Take => true,
            Decision::Renew => false,
        };
        // The resourceVersion that was read goes back with the metadata.
        let lease = Lease {
            metadata: found.map(|lease| lease.metadata).unwrap_or_default(),
            spec: record.map(|record| claim(record, identity, taken, pace)),
        };
        self.leases.replace(name, &PostParams::default(), &lease).await?;
        Ok(Attempt::Held)
    }

    /// Notes what was found; returns for how long it has been so.
    fn observe(&mut self, found: Option<&Lease>) -> Duration {
        let now = Instant::now();
        let record = found.and_then(|lease| lease.spec.as_ref());
        match (&self.seen, record) {
            (Some((seen, since)), Some(record)) if seen == record => now - *since,
            (_, record) => {
                let holder = |record: Option<&LeaseSpec>| record.and_then(|record| record.holder_identity.clone());
                let (before, after) = (holder(self.seen.as_ref().map(|(seen, _)| seen)), holder(record));
                if before != after && after.as_ref() != Some(&self.election.identity) {
                    tracing::info!(lease = self.election.lease(), holder = after, "the lease's holder has changed");
                }
                self.seen = record.map(|record| (record.clone(), now));
                Duration::ZERO
            }
        }
    }
}

fn earlier(instant: Instant, bound: Option<Instant>) -> Instant {
    bound.map_or(instant, |bound| bound.min(instant))
}
