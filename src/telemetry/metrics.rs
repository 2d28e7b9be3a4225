//! Every number the operator publishes, by name, in one place.
//!
//! The names users' dashboards already know are kept: `controller_runtime_*` and `rest_client_requests_total` are those of
//! Go's controller-runtime and client-go. No label carries the name of an object, and a label whose values come from
//! outside takes only so many of them (see [`Vocabulary`]): the number of time series stays bounded whatever happens.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use http::{Method, StatusCode};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use super::connections::{ConnectionGauges, ConnectionsOnTarget};
use super::posture::{PostureCounts, PostureGauges};

/// `N` labels, names and values.
pub(super) type Labels<const N: usize> = [(&'static str, Cow<'static, str>); N];
/// Counters told apart by `N` labels.
type Counters<const N: usize> = Family<Labels<N>, Counter>;
/// Gauges told apart by `N` labels.
pub(super) type Gauges<const N: usize> = Family<Labels<N>, Gauge>;
/// Histograms told apart by one label.
type Histograms = Family<Labels<1>, Histogram, Buckets>;

/// Seconds. A reconcile is a handful of requests, each from a millisecond (a cache) to a minute (ARM at its worst).
const SECONDS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0];

/// How a reconcile ended, in the words of controller-runtime's `result` label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReconcileResult {
    /// Nothing is left to do.
    Success,
    /// It is to be looked at again at once.
    Requeue,
    /// It waits, for Azure or for a person, and is looked at again later.
    RequeueAfter,
    /// It failed. This also counts as an error.
    Error,
}

impl ReconcileResult {
    const fn label(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Requeue => "requeue",
            Self::RequeueAfter => "requeue_after",
            Self::Error => "error",
        }
    }
}

/// ARM's three kinds of quota per subscription and principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThrottleKind {
    /// GET and HEAD.
    Reads,
    /// PUT, PATCH and POST.
    Writes,
    /// DELETE.
    Deletes,
}

impl ThrottleKind {
    const fn label(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::Deletes => "deletes",
        }
    }
}

/// One exchange with ARM, or the attempt.
#[derive(Clone, Copy, Debug)]
pub struct AzureAnswer<'a> {
    /// The resource provider's namespace, as in `Microsoft.Network`; its case does not matter.
    pub provider: &'a str,
    /// The request's method.
    pub method: &'a Method,
    /// The answer's status; `None` when there was no answer.
    pub status: Option<StatusCode>,
    /// The code of the error in the answer, if it named one.
    pub code: Option<&'a str>,
    /// From sending to the end of the answer.
    pub elapsed: Duration,
}

/// How many objects there are of a kind with a Ready condition (`True`, `False`, or `Unknown` where nothing was said yet).
pub type ObjectCount = (&'static str, &'static str, usize);

/// Counts all objects.
type Census = Box<dyn Fn() -> Vec<ObjectCount> + Send + Sync>;

/// The operator's metrics. Clones share one set.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    reconciles: Counters<2>,
    reconcile_errors: Counters<1>,
    reconcile_time: Histograms,
    azure_requests: Counters<4>,
    azure_time: Histograms,
    azure_remaining: Gauges<2>,
    azure_paused: Gauges<2>,
    kubernetes_requests: Counters<2>,
    leader: Gauge,
    operations: Counters<1>,
    drift: Counters<1>,
    approvals: Counters<1>,
    connections: ConnectionGauges,
    posture: PostureGauges,
    status_writes: Counters<1>,
    objects: Gauges<2>,
    census: OnceLock<Census>,
    providers: Vocabulary,
    codes: Vocabulary,
    subscriptions: Vocabulary,
}

impl Metrics {
    /// A new set in which nothing has been counted.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::default();
        let r = &mut registry;
        r.register("aml_operator_build", "The running build", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
        let inner = Inner {
            reconciles: add(
                r,
                "controller_runtime_reconcile",
                "Reconciles by controller and result.",
                Family::default(),
            ),
            reconcile_errors: add(r, "controller_runtime_reconcile_errors", "Failed reconciles.", Family::default()),
            reconcile_time: add(
                r,
                "controller_runtime_reconcile_time_seconds",
                "How long reconciles take.",
                histograms(),
            ),
            azure_requests: add(
                r,
                "azure_requests",
                "Requests to Azure Resource Manager by outcome.",
                Family::default(),
            ),
            azure_time: add(
                r,
                "azure_request_seconds",
                "How long Azure Resource Manager takes to answer.",
                histograms(),
            ),
            azure_remaining: add(
                r,
                "azure_throttle_remaining",
                "Requests Azure Resource Manager would still accept at once.",
                Family::default(),
            ),
            azure_paused: add(
                r,
                "azure_throttle_paused_until_seconds",
                "Unix time until which Azure Resource Manager asked for no more such requests; 0 if it never did.",
                Family::default(),
            ),
            kubernetes_requests: add(
                r,
                "rest_client_requests",
                "Requests to the Kubernetes API server by method and code.",
                Family::default(),
            ),
            leader: add(r, "aml_operator_leader", "1 in the replica that leads, 0 in the others.", Gauge::default()),
            operations: add(
                r,
                "aml_operator_operations_started",
                "Long-running Azure operations begun.",
                Family::default(),
            ),
            drift: add(
                r,
                "aml_operator_drift",
                "Times Azure was found to differ from what is declared.",
                Family::default(),
            ),
            approvals: add(
                r,
                "aml_operator_approvals",
                "Decisions about private endpoint connections.",
                Family::default(),
            ),
            connections: ConnectionGauges::registered(r),
            posture: PostureGauges::registered(r),
            status_writes: add(r, "aml_operator_status_writes", "Writes of an object's status.", Family::default()),
            objects: add(r, "aml_operator_objects", "Objects by kind and Ready condition.", Family::default()),
            census: OnceLock::new(),
            providers: Vocabulary::of(40),
            codes: Vocabulary::of(150),
            subscriptions: Vocabulary::of(200),
            registry,
        };
        Self(Arc::new(inner))
    }

    /// A reconcile of `controller` ended with `result` after `elapsed`.
    pub fn reconciled(&self, controller: &'static str, result: ReconcileResult, elapsed: Duration) {
        let controller = || ("controller", Cow::from(controller));
        self.0.reconciles.get_or_create(&[controller(), ("result", result.label().into())]).inc();
        // Touched by successes as well: a rate over a series that first appears at its first error misses that error.
        self.0.reconcile_errors.get_or_create(&[controller()]).inc_by(u64::from(result == ReconcileResult::Error));
        self.0.reconcile_time.get_or_create(&[controller()]).observe(elapsed.as_secs_f64());
    }

    /// ARM answered, or did not.
    pub fn azure_request(&self, answer: AzureAnswer<'_>) {
        let inner = &self.0;
        let method = || ("method", method_label(answer.method));
        inner.azure_time.get_or_create(&[method()]).observe(answer.elapsed.as_secs_f64());
        let provider = inner.providers.admit(&answer.provider.to_ascii_lowercase());
        let code = answer.code.map_or(Cow::Borrowed(""), |code| inner.codes.admit(code));
        let class = ("status_class", status_class(answer.status).into());
        inner.azure_requests.get_or_create(&[("provider", provider), method(), class, ("code", code)]).inc();
    }

    /// `remaining` requests of `kind` are left in `subscription`, or outside of any; `paused_until`: ARM asked for none before.
    pub fn throttle_level(
        &self,
        subscription: Option<&str>,
        kind: ThrottleKind,
        remaining: u32,
        paused_until: Option<SystemTime>,
    ) {
        let subscription = self.0.subscriptions.admit(&subscription.unwrap_or("none").to_ascii_lowercase());
        let labels = [("subscription", subscription), ("kind", kind.label().into())];
        self.0.azure_remaining.get_or_create(&labels).set(remaining.into());
        // A pause that is over stays as a time in the past; without any there is a 0, so that the series exists before the first.
        let paused = self.0.azure_paused.get_or_create(&labels);
        if let Some(until) = paused_until.and_then(|until| until.duration_since(SystemTime::UNIX_EPOCH).ok()) {
            paused.set(i64::try_from(until.as_secs()).unwrap_or(i64::MAX));
        }
    }

    /// The Kubernetes API server answered with `status`, or did not answer.
    pub fn kubernetes_request(&self, request: &Method, status: Option<StatusCode>) {
        // client-go writes "<error>" where there is no answer.
        let code = status.map_or("<error>".into(), |status| status.as_str().to_owned().into());
        self.0.kubernetes_requests.get_or_create(&[("method", method_label(request)), ("code", code)]).inc();
    }

    /// Whether this replica leads.
    pub fn leading(&self, leads: bool) {
        self.0.leader.set(leads.into());
    }

    /// A long-running operation has been begun; `verb` says which.
    pub fn operation_started(&self, verb: &'static str) {
        self.0.operations.get_or_create(&[("verb", verb.into())]).inc();
    }

    /// Azure was found to differ from what an object of `kind` declares.
    pub fn drifted(&self, kind: &'static str) {
        self.0.drift.get_or_create(&[("kind", kind.into())]).inc();
    }

    /// A connection has been decided about.
    pub fn decided(&self, decision: &'static str) {
        self.0.approvals.get_or_create(&[("decision", decision.into())]).inc();
    }

    /// What `target` shows of private endpoint connections; `None` once no policy looks at it any more.
    pub fn connections(&self, target: &str, shown: Option<ConnectionsOnTarget>) {
        self.0.connections.seen(target, shown);
    }

    /// What was found at `workspace`; `None` once nobody looks at it any more.
    pub fn posture(&self, workspace: &str, counts: Option<PostureCounts>) {
        self.0.posture.seen(workspace, counts);
    }

    /// The status of an object of `kind` has been written.
    pub fn status_written(&self, kind: &'static str) {
        self.0.status_writes.get_or_create(&[("kind", kind.into())]).inc();
    }

    /// Has `census` count the objects each time somebody asks for the metrics. The first one counts for the life of the process.
    pub fn count_objects_by(&self, census: impl Fn() -> Vec<ObjectCount> + Send + Sync + 'static) {
        drop(self.0.census.set(Box::new(census)));
    }

    /// Everything counted so far as OpenMetrics 1.0 text.
    ///
    /// # Errors
    /// A metric could not be written down.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        for (kind, ready, count) in self.0.census.get().map(|census| census()).unwrap_or_default() {
            let labels = [("kind", kind.into()), ("ready", ready.into())];
            self.0.objects.get_or_create(&labels).set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        let mut page = String::new();
        text::encode(&mut page, &self.0.registry)?;
        Ok(page)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// Registers `metric`, of which the registry keeps one handle and the caller the other.
pub(super) fn add<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    // The encoder ends the help with a full stop of its own.
    registry.register(name, help.trim_end_matches('.'), metric.clone());
    metric
}

/// Makes histograms with [`SECONDS`].
#[derive(Clone, Copy, Debug)]
struct Buckets;

impl MetricConstructor<Histogram> for Buckets {
    fn new_metric(&self) -> Histogram {
        Histogram::new(SECONDS)
    }
}

fn histograms() -> Histograms {
    Family::new_with_constructor(Buckets)
}

fn method_label(method: &Method) -> Cow<'static, str> {
    const KNOWN: [Method; 6] = [Method::GET, Method::HEAD, Method::PUT, Method::PATCH, Method::POST, Method::DELETE];
    if KNOWN.contains(method) { method.as_str().to_owned().into() } else { Vocabulary::OTHER.into() }
}

fn status_class(status: Option<StatusCode>) -> &'static str {
    match status.map(|status| status.as_u16() / 100) {
        None => "none",
        Some(1) => "1xx",
        Some(2) => "2xx",
        Some(3) => "3xx",
        Some(4) => "4xx",
        Some(5) => "5xx",
        Some(_) => Vocabulary::OTHER,
    }
}

/// The values of a label that come from outside. The first so many words are kept, all later ones are one: a service that
/// makes up a new error code for each answer must not fill the memory of this process and of whoever scrapes it.
struct Vocabulary {
    words: Mutex<BTreeSet<String>>,
    limit: usize,
}

impl Vocabulary {
    /// What stands for every word that is not taken.
    const OTHER: &'static str = "other";
    /// Longer than any provider's namespace, error code or id.
    const LONGEST: usize = 80;

    const fn of(limit: usize) -> Self {
        Self { words: Mutex::new(BTreeSet::new()), limit }
    }

    fn admit(&self, word: &str) -> Cow<'static, str> {
        // A poisoned lock is taken all the same: the set is whole after every statement.
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let known = words.contains(word);
        if known || (words.len() < self.limit && Self::is_word(word)) {
            if !known {
                words.insert(word.to_owned());
            }
            word.to_owned().into()
        } else {
            Self::OTHER.into()
        }
    }

    fn is_word(word: &str) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        (1..=Self::LONGEST).contains(&word.len()) && word.bytes().all(plain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(metrics: &Metrics, line: &str) {
        let page = metrics.encode().unwrap();
        assert!(page.lines().any(|found| found == line), "no line {line:?} in\n{page}");
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn reconciles_are_counted_under_the_names_dashboards_know() {
        let metrics = Metrics::new();
        metrics.reconciled("AmlWorkspace", ReconcileResult::Success, SECOND / 4);
        metrics.reconciled("AmlWorkspace", ReconcileResult::Success, SECOND / 4);
        has(&metrics, r#"controller_runtime_reconcile_errors_total{controller="AmlWorkspace"} 0"#);
        metrics.reconciled("AmlWorkspace", ReconcileResult::Error, SECOND);
        metrics.reconciled("AmlOutboundRule", ReconcileResult::RequeueAfter, SECOND);

        has(&metrics, r#"controller_runtime_reconcile_total{controller="AmlWorkspace",result="success"} 2"#);
        has(&metrics, r#"controller_runtime_reconcile_total{controller="AmlWorkspace",result="error"} 1"#);
        has(&metrics, r#"controller_runtime_reconcile_total{controller="AmlOutboundRule",result="requeue_after"} 1"#);
        has(&metrics, r#"controller_runtime_reconcile_errors_total{controller="AmlWorkspace"} 1"#);
        has(&metrics, r#"controller_runtime_reconcile_time_seconds_sum{controller="AmlWorkspace"} 1.5"#);
        has(&metrics, r#"controller_runtime_reconcile_time_seconds_bucket{le="0.25",controller="AmlWorkspace"} 2"#);
    }

    #[test]
    fn azure_requests_are_told_apart_by_outcome() {
        let metrics = Metrics::new();
        let answer = AzureAnswer {
            provider: "Microsoft.Network",
            method: &Method::PUT,
            status: Some(StatusCode::CONFLICT),
            code: Some("AnotherOperationInProgress"),
            elapsed: SECOND,
        };
        metrics.azure_request(answer);
        metrics.azure_request(AzureAnswer { provider: "MICROSOFT.NETWORK", ..answer });
        metrics.azure_request(AzureAnswer { status: None, code: None, ..answer });
        metrics.throttle_level(Some("S1"), ThrottleKind::Writes, 199, None);
        let paused = SystemTime::UNIX_EPOCH + 1000 * SECOND;
        metrics.throttle_level(Some("s1"), ThrottleKind::Writes, 12, Some(paused));
        metrics.throttle_level(None, ThrottleKind::Reads, 250, None);

        has(
            &metrics,
            r#"azure_requests_total{provider="microsoft.network",method="PUT",status_class="4xx",code="AnotherOperationInProgress"} 2"#,
        );
        has(
            &metrics,
            r#"azure_requests_total{provider="microsoft.network",method="PUT",status_class="none",code=""} 1"#,
        );
        has(&metrics, r#"azure_request_seconds_count{method="PUT"} 3"#);
        has(&metrics, r#"azure_throttle_remaining{subscription="s1",kind="writes"} 12"#);
        has(&metrics, r#"azure_throttle_paused_until_seconds{subscription="s1",kind="writes"} 1000"#);
        has(&metrics, r#"azure_throttle_remaining{subscription="none",kind="reads"} 250"#);
        has(&metrics, r#"azure_throttle_paused_until_seconds{subscription="none",kind="reads"} 0"#);
    }

    #[test]
    fn everything_else_appears_as_it_was_recorded() {
        let metrics = Metrics::new();
        has(&metrics, "aml_operator_leader 0");
        metrics.leading(true);
        metrics.operation_started("Provision");
        metrics.drifted("AmlWorkspace");
        metrics.decided("Approved");
        metrics.status_written("AmlWorkspace");
        metrics.count_objects_by(|| vec![("AmlWorkspace", "True", 2)]);
        metrics.kubernetes_request(&Method::PATCH, Some(StatusCode::CONFLICT));

        has(&metrics, "aml_operator_leader 1");
        has(&metrics, r#"aml_operator_operations_started_total{verb="Provision"} 1"#);
        has(&metrics, r#"aml_operator_drift_total{kind="AmlWorkspace"} 1"#);
        has(&metrics, r#"aml_operator_approvals_total{decision="Approved"} 1"#);
        has(&metrics, r#"aml_operator_status_writes_total{kind="AmlWorkspace"} 1"#);
        has(&metrics, r#"aml_operator_objects{kind="AmlWorkspace",ready="True"} 2"#);
        has(&metrics, r#"rest_client_requests_total{method="PATCH",code="409"} 1"#);
        has(&metrics, &format!(r#"aml_operator_build_info{{version="{}"}} 1"#, env!("CARGO_PKG_VERSION")));
        has(&metrics, "# HELP aml_operator_leader 1 in the replica that leads, 0 in the others.");
        has(&metrics, "# EOF");
    }

    #[test]
    fn connections_are_summed_over_targets_and_forgotten_with_them() {
        let metrics = Metrics::new();
        let shown = |pending: usize, since| ConnectionsOnTarget {
            by_state: [("pending".to_owned(), pending), ("Timeout".to_owned(), 1)].into(),
            oldest_pending: Some(since),
        };
        metrics.connections("a", Some(shown(2, 1000)));
        metrics.connections("b", Some(shown(3, 900)));
        has(&metrics, r#"aml_private_endpoint_connections{state="Pending"} 5"#);
        has(&metrics, r#"aml_private_endpoint_connections{state="Other"} 2"#);
        has(&metrics, "aml_private_endpoint_connections_oldest_pending_timestamp_seconds 900");
        metrics.connections("b", None);
        has(&metrics, r#"aml_private_endpoint_connections{state="Pending"} 2"#);
        has(&metrics, "aml_private_endpoint_connections_oldest_pending_timestamp_seconds 1000");
        metrics.connections("a", None);
        has(&metrics, r#"aml_private_endpoint_connections{state="Pending"} 0"#);
        has(&metrics, "aml_private_endpoint_connections_oldest_pending_timestamp_seconds 0");
    }

    #[test]
    fn posture_is_summed_over_workspaces_and_forgotten_with_them() {
        use crate::api::workspace::{Check, FindingState};
        let metrics = Metrics::new();
        let counts = |failed: usize| Some([((Check::StorageSharedKeys, FindingState::Fail), failed)].into());
        metrics.posture("a", counts(1));
        metrics.posture("b", counts(2));
        has(&metrics, r#"aml_operator_posture{check="StorageSharedKeys",state="Fail"} 3"#);
        has(&metrics, r#"aml_operator_posture{check="WorkspacePublicAccess",state="Fail"} 0"#);
        metrics.posture("b", None);
        has(&metrics, r#"aml_operator_posture{check="StorageSharedKeys",state="Fail"} 1"#);
    }

    #[test]
    fn clones_share_their_numbers() {
        let metrics = Metrics::new();
        metrics.clone().leading(true);
        has(&metrics, "aml_operator_leader 1");
    }

    #[test]
    fn a_server_that_makes_up_codes_cannot_make_up_series() {
        let metrics = Metrics::new();
        let count = |code: &str| {
            metrics.azure_request(AzureAnswer {
                provider: "Microsoft.Network",
                method: &Method::GET,
                status: Some(StatusCode::BAD_REQUEST),
                code: Some(code),
                elapsed: SECOND,
            });
        };
        for number in 0..10_000 {
            count(&format!("Code{number}"));
        }
        count("Code0");
        let page = metrics.encode().unwrap();
        assert_eq!(page.lines().filter(|line| line.starts_with("azure_requests_total{")).count(), 151);
        assert!(page.contains(r#"code="Code0"} 2"#), "a word once taken stays");
        assert!(page.contains(r#"code="other"} 9850"#));
    }

    #[test]
    fn only_words_are_taken_for_labels() {
        let vocabulary = Vocabulary::of(10);
        for odd in ["", "two words", "line\nbreak", "quote\"", &"x".repeat(81)] {
            assert_eq!(vocabulary.admit(odd), "other", "{odd:?}");
        }
        assert_eq!(vocabulary.admit("Microsoft.Network"), "Microsoft.Network");
    }
}
