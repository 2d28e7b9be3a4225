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

#[cfg(test)]
mod tests {
    use super::*;
    use http::{Method, Request, Response};
    use kube::client::Body;
    use serde_json::{Value, json};
    use std::sync::{Arc, Mutex};
    use tokio::task::JoinHandle;

    const SECOND: Duration = Duration::from_secs(1);

    fn held(holder: &str) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(holder.to_owned()),
            lease_duration_seconds: Some(15),
            lease_transitions: Some(3),
            acquire_time: Some(MicroTime("2020-01-01T00:00:00Z".parse().unwrap())),
            renew_time: Some(MicroTime("2020-01-01T00:00:00Z".parse().unwrap())),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn decisions() {
        let (young, old) = (Duration::from_millis(14_999), 15 * SECOND);
        let slow = LeaseSpec { lease_duration_seconds: Some(60), ..held("other") };
        let silent = LeaseSpec { lease_duration_seconds: None, ..held("other") };
        let follower = [
            (None, young, Decision::Create),
            (Some(LeaseSpec::default()), young, Decision::Take),
            (Some(held("")), young, Decision::Take),
            (Some(held("me")), young, Decision::Renew),
            (Some(held("me")), old, Decision::Renew),
            (Some(held("other")), young, Decision::Wait),
            (Some(held("other")), old, Decision::Take),
            (Some(slow.clone()), old, Decision::Wait),
            (Some(slow), 60 * SECOND, Decision::Take),
            (Some(silent), old, Decision::Take),
        ];
        for (record, unchanged, expected) in follower {
            let decision = decide(record.as_ref(), unchanged, "me", false, &LeasePace::default());
            assert_eq!(decision, expected, "a follower, {record:?} for {unchanged:?}");
        }
        let leader = [
            (None, young, Decision::Create),
            (Some(LeaseSpec::default()), young, Decision::Take),
            (Some(held("me")), young, Decision::Renew),
            (Some(held("me")), old, Decision::Renew),
            (Some(held("other")), young, Decision::StepDown("other")),
            (Some(held("other")), old, Decision::StepDown("other")),
        ];
        for (record, unchanged, expected) in leader {
            let decision = decide(record.as_ref(), unchanged, "me", true, &LeasePace::default());
            assert_eq!(decision, expected, "a leader, {record:?} for {unchanged:?}");
        }
    }

    #[test]
    fn a_pace_finer_than_the_lease_can_say_is_kept_among_equals() {
        let pace = LeasePace { duration: SECOND / 10, renew_deadline: SECOND / 20, retry: SECOND / 100 };
        let record = claim(LeaseSpec::default(), "other", true, &pace);
        assert_eq!(record.lease_duration_seconds, Some(1), "the API server refuses zero");
        assert_eq!(decide(Some(&record), SECOND / 10, "me", false, &pace), Decision::Take);
        assert_eq!(decide(Some(&record), SECOND / 11, "me", false, &pace), Decision::Wait);
    }

    #[test]
    fn a_new_holder_counts_a_transition_and_a_renewal_does_not() {
        let taken = claim(held("other"), "me", true, &LeasePace::default());
        assert_eq!(taken.lease_transitions, Some(4));
        assert_eq!(taken.acquire_time, taken.renew_time);
        assert_eq!(taken.holder_identity.as_deref(), Some("me"));

        let renewed = claim(held("me"), "me", false, &LeasePace::default());
        assert_eq!(renewed.lease_transitions, Some(3));
        assert_eq!(renewed.acquire_time, held("me").acquire_time);
        assert!(renewed.renew_time.unwrap().0 > held("me").renew_time.unwrap().0);
    }

    #[test]
    fn the_default_pace_leaves_a_leader_time_to_stop() {
        let pace = LeasePace::default();
        assert!(pace.retry < pace.attempt() && pace.attempt() < pace.renew_deadline);
        assert!(pace.renew_deadline < pace.duration);
    }

    /// How one replica's connection to the API server fares.
    #[derive(Clone, Copy, PartialEq)]
    enum Link {
        Up,
        /// Nothing arrives.
        Down,
        /// Requests arrive, answers to writes do not.
        MuteAfterWrites,
    }

    /// An API server that holds one lease and knows about resourceVersions.
    #[derive(Clone, Default)]
    struct Server(Arc<Mutex<Store>>);

    #[derive(Default)]
    struct Store {
        lease: Option<Lease>,
        version: u64,
        conflicts: u32,
    }

    impl Store {
        fn put(&mut self, mut lease: Lease) -> (u16, Value) {
            self.version += 1;
            lease.metadata.resource_version = Some(self.version.to_string());
            self.lease = Some(lease.clone());
            (200, json!(lease))
        }

        fn refuse(&mut self, code: u16, reason: &str) -> (u16, Value) {
            self.conflicts += u32::from(code == 409);
            (code, json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason}))
        }

        fn answer(&mut self, method: &Method, sent: Option<Lease>) -> (u16, Value) {
            match (method, self.lease.clone(), sent) {
                (&Method::GET, Some(lease), _) => (200, json!(lease)),
                (&Method::POST, None, Some(sent)) => self.put(sent),
                (&Method::POST, Some(_), _) => self.refuse(409, "AlreadyExists"),
                (&Method::PUT, Some(lease), Some(sent)) => {
                    if lease.metadata.resource_version == sent.metadata.resource_version {
                        self.put(sent)
                    } else {
                        self.refuse(409, "Conflict")
                    }
                }
                (_, None, _) => self.refuse(404, "NotFound"),
                _ => self.refuse(405, "MethodNotAllowed"),
            }
        }
    }

    impl Server {
        fn client(&self, link: &Arc<Mutex<Link>>) -> Client {
            let (server, link) = (self.clone(), link.clone());
            Client::new(
                tower::service_fn(move |request: Request<Body>| {
                    let (server, link) = (server.clone(), link.clone());
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect_bytes().await?;
                        if *link.lock().unwrap() == Link::Down {
                            std::future::pending::<()>().await;
                        }
                        let answer = server.0.lock().unwrap().answer(&head.method, serde_json::from_slice(&body).ok());
                        if *link.lock().unwrap() == Link::MuteAfterWrites && head.method != Method::GET {
                            std::future::pending::<()>().await;
                        }
                        let (status, body) = (answer.0, Body::from(answer.1.to_string().into_bytes()));
                        Ok::<_, Error>(Response::builder().status(status).body(body).unwrap())
                    }
                }),
                "system",
            )
        }

        fn candidate(&self, identity: &str) -> Running {
            let link = Arc::new(Mutex::new(Link::Up));
            let shutdown = CancellationToken::new();
            let (leading, leads) = watch::channel(false);
            let election = Election {
                client: self.client(&link),
                namespace: "system".to_owned(),
                name: "operator".to_owned(),
                identity: identity.to_owned(),
                pace: LeasePace::default(),
            };
            Running { link, leads, task: tokio::spawn(election.run(shutdown.clone(), leading)), shutdown }
        }

        fn write(&self, spec: LeaseSpec) {
            let lease = Lease { spec: Some(spec), ..Lease::default() };
            self.0.lock().unwrap().put(lease);
        }

        fn spec(&self) -> LeaseSpec {
            self.0.lock().unwrap().lease.clone().unwrap().spec.unwrap()
        }
    }

    struct Running {
        link: Arc<Mutex<Link>>,
        shutdown: CancellationToken,
        leads: watch::Receiver<bool>,
        task: JoinHandle<Result<(), Lost>>,
    }

    impl Running {
        fn leads(&self) -> bool {
            *self.leads.borrow()
        }

        fn link(&self, link: Link) {
            *self.link.lock().unwrap() = link;
        }

        /// On the paused clock: how long it takes until it leads.
        async fn until_leading(&mut self) -> Duration {
            let begun = Instant::now();
            timeout(Duration::from_secs(3600), self.leads.wait_for(|leads| *leads)).await.unwrap().unwrap();
            begun.elapsed()
        }
    }

    /// Lets virtual time pass.
    async fn pass(time: Duration) {
        tokio::time::sleep(time).await;
    }

    #[tokio::test(start_paused = true)]
    async fn one_leads_until_it_ends_and_the_next_need_not_wait_for_expiry() {
        let server = Server::default();
        let mut first = server.candidate("first");
        first.until_leading().await;
        let mut second = server.candidate("second");
        pass(600 * SECOND).await;
        assert!(first.leads() && !second.leads());

        first.shutdown.cancel();
        first.task.await.unwrap().unwrap();
        assert!(!*first.leads.borrow());
        assert!(second.until_leading().await <= 2 * SECOND);
        assert_eq!(server.spec().holder_identity.as_deref(), Some("second"));
        assert_eq!(server.spec().lease_transitions, Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_cut_off_stops_before_another_starts() {
        let server = Server::default();
        let mut first = server.candidate("first");
        first.until_leading().await;
        let mut second = server.candidate("second");
        pass(60 * SECOND).await;

        let cut = Instant::now();
        first.link(Link::Down);
        first.leads.wait_for(|leads| !leads).await.unwrap();
        let stopped = cut.elapsed();
        assert!(!second.leads());
        let lost = first.task.await.unwrap().unwrap_err();
        assert_eq!(lost.to_string(), "leadership lost: lease system/operator could not be renewed for 10s");

        second.until_leading().await;
        let started = cut.elapsed();
        assert!(stopped <= 10 * SECOND, "stopped after {stopped:?}");
        assert!(started >= stopped + 3 * SECOND, "stopped after {stopped:?}, the other started after {started:?}");
        assert!(started <= 17 * SECOND, "started after {started:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_attempt_that_hangs_costs_nothing() {
        let server = Server::default();
        let mut first = server.candidate("first");
        first.until_leading().await;
        first.link(Link::Down);
        pass(6 * SECOND).await;
        first.link(Link::Up);
        pass(60 * SECOND).await;
        assert!(first.leads() && !first.task.is_finished());
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_that_see_it_expire_at_once_one_gets_it() {
        let server = Server::default();
        server.write(held("dead"));
        let candidates = [server.candidate("a"), server.candidate("b"), server.candidate("c")];
        pass(14 * SECOND).await;
        assert_eq!(candidates.iter().filter(|candidate| candidate.leads()).count(), 0);
        pass(60 * SECOND).await;
        assert_eq!(candidates.iter().filter(|candidate| candidate.leads()).count(), 1);
        assert!(server.0.lock().unwrap().conflicts > 0, "they did not race");
    }

    #[tokio::test(start_paused = true)]
    async fn the_remote_clock_does_not_matter() {
        // A holder that is alive, with a clock that is years behind and moves.
        let server = Server::default();
        let follower = server.candidate("follower");
        for tick in 0..100 {
            let renewed = MicroTime(jiff::Timestamp::from_second(tick).unwrap());
            server.write(LeaseSpec { renew_time: Some(renewed), ..held("behind") });
            pass(2 * SECOND).await;
            assert!(!follower.leads(), "took a lease that was being renewed");
        }
        // A holder that is dead, with a clock that was years ahead.
        let renewed = MicroTime("2999-01-01T00:00:00Z".parse().unwrap());
        server.write(LeaseSpec { renew_time: Some(renewed), ..held("ahead") });
        pass(18 * SECOND).await;
        assert!(follower.leads(), "a dead holder's clock kept its lease alive");
    }

    #[tokio::test(start_paused = true)]
    async fn the_same_pod_takes_its_own_lease_at_once() {
        let server = Server::default();
        server.write(held("pod-0"));
        let mut restarted = server.candidate("pod-0");
        assert_eq!(restarted.until_leading().await, Duration::ZERO);
        assert_eq!(server.spec().lease_transitions, Some(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_leader_whose_lease_names_another_steps_down() {
        let server = Server::default();
        let mut leader = server.candidate("leader");
        leader.until_leading().await;
        let mut lease = server.spec();
        lease.holder_identity = Some("usurper".to_owned());
        server.write(lease);
        let lost = leader.task.await.unwrap().unwrap_err();
        assert_eq!(lost.to_string(), "leadership lost: lease system/operator is held by usurper");
        assert!(!*leader.leads.borrow());
        assert_eq!(server.spec().holder_identity.as_deref(), Some("usurper"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deleted_lease_is_made_again() {
        let server = Server::default();
        let mut leader = server.candidate("leader");
        leader.until_leading().await;
        server.0.lock().unwrap().lease = None;
        pass(60 * SECOND).await;
        assert!(leader.leads());
        assert_eq!(server.spec().holder_identity.as_deref(), Some("leader"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_won_without_knowing_is_given_up_too() {
        let server = Server::default();
        let candidate = server.candidate("candidate");
        candidate.link(Link::MuteAfterWrites);
        pass(SECOND).await;
        assert_eq!(server.spec().holder_identity.as_deref(), Some("candidate"));
        assert!(!candidate.leads());
        candidate.shutdown.cancel();
        candidate.link(Link::Up);
        candidate.task.await.unwrap().unwrap();
        assert_eq!(server.spec().holder_identity, None);
    }

    #[tokio::test(start_paused = true)]
    async fn labels_of_others_on_the_lease_stay() {
        let server = Server::default();
        let labelled: Lease = serde_json::from_value(json!({"metadata": {"labels": {"team": "ml"}}})).unwrap();
        server.0.lock().unwrap().put(labelled);
        let mut leader = server.candidate("leader");
        leader.until_leading().await;
        pass(10 * SECOND).await;
        let lease = server.0.lock().unwrap().lease.clone().unwrap();
        assert_eq!(lease.metadata.labels.unwrap()["team"], "ml");
        assert_eq!(lease.spec.unwrap().holder_identity.as_deref(), Some("leader"));
    }
}
