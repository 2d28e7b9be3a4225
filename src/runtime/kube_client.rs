//! The operator's connection to the Kubernetes API server: who it says it is, how long a call may take, and the seam that
//! every write passes.

use std::time::Duration;

use http::header::{HeaderValue, USER_AGENT};
use http::{Method, Request, Response};
use kube::client::{Body, ClientBuilder};
use kube::{Client, Config};

use crate::effects::{Effect, Moment, Seam, System};
use crate::telemetry::Metrics;

/// What the API server sees in its audit log as `userAgent`.
const AGENT: &str = concat!("aml-operator/", env!("CARGO_PKG_VERSION"));

/// A call got no complete answer in time. It arrives as [`kube::Error::Service`]. A write may or may not have taken effect.
#[derive(Debug, thiserror::Error)]
#[error("no answer from the API server to {method} {path} within {limit:?}")]
pub struct TimedOut {
    /// The request's method.
    pub method: Method,
    /// The request's path, without query.
    pub path: String,
    /// How long was waited.
    pub limit: Duration,
}

/// Builds the client every part of the operator uses.
///
/// `limit` bounds each call up to its last byte, of a watch the time to its first answer only. `seam` is passed before
/// each write is sent and after its answer has arrived, except by writes to leases and events: those are the operator's
/// heartbeat and its voice, not effects, and come at times that no scenario can count.
///
/// kube's own retries are turned off: fifteen of them, honouring `Retry-After`, can hold a call for minutes
/// (`kube-client`, `client/retry.rs`), and each would be one more write behind the seam's back. Whoever calls decides.
///
/// # Errors
/// The configuration's certificates, keys or proxy cannot be used.
pub fn client(mut config: Config, limit: Duration, seam: Seam, metrics: Metrics) -> Result<Client, kube::Error> {
    config.default_retry = false;
    config.headers.push((USER_AGENT, HeaderValue::from_static(AGENT)));
    let bare = ClientBuilder::try_from(config)?.build();
    Ok(guarded(bare, Guard { limit, seam, metrics }))
}

/// What is done around every call.
#[derive(Clone)]
struct Guard {
    limit: Duration,
    seam: Seam,
    metrics: Metrics,
}

/// Wraps `bare`. A client around a client rather than a layer in its stack: kube's stack is not `Clone`, and the seam has to
/// be passed before the inner service is so much as called.
fn guarded(bare: Client, guard: Guard) -> Client {
    let namespace = bare.default_namespace().to_owned();
    let valid_until = *bare.valid_until();
    let service = tower::service_fn(move |request| {
        let (bare, guard) = (bare.clone(), guard.clone());
        async move { guard.pass(&bare, request).await }
    });
    Client::new(service, namespace).with_valid_until(valid_until)
}

impl Guard {
    async fn pass(&self, bare: &Client, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let effect = effect(request.method(), request.uri().path());
        if let Some(effect) = &effect {
            self.seam.reach(Moment::Before, effect).await;
        }
        let method = request.method().clone();
        let answer = self.send(bare, request).await;
        self.metrics.kubernetes_request(&method, answer.as_ref().ok().map(Response::status));
        let answer = answer?;
        if let Some(effect) = &effect {
            self.seam.reach(Moment::After, effect).await;
        }
        Ok(answer)
    }

    /// Sends and waits, for no longer than the limit. The seam is outside: an observer that holds a call must not be taken
    /// for a slow server.
    async fn send(&self, bare: &Client, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let timed_out =
            TimedOut { method: request.method().clone(), path: request.uri().path().to_owned(), limit: self.limit };
        let endless = is_watch(&request);
        let exchange = async {
            let (head, body) = bare.send(request).await?.into_parts();
            // kube reads the whole body of anything but a watch anyway; reading it here puts it under the limit too.
            let body = if endless { body } else { Body::from(body.collect_bytes().await?) };
            Ok(Response::from_parts(head, body))
        };
        match tokio::time::timeout(self.limit, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(kube::Error::Service(timed_out.into())),
        }
    }
}

/// Whether the answer is a stream that ends when the server likes. kube puts `watch=true` on those alone.
fn is_watch(request: &Request<Body>) -> bool {
    request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"))
}

/// The effect a request has on the cluster, if it is one that the seam is about.
fn effect(method: &Method, path: &str) -> Option<Effect> {
    let writes = [Method::POST, Method::PUT, Method::PATCH, Method::DELETE].contains(method);
    let heartbeat_or_voice = matches!(resource(path), Some("leases" | "events"));
    (writes && !heartbeat_or_voice).then(|| Effect {
        system: System::Kubernetes,
        method: method.to_string(),
        path: path.to_owned(),
    })
}

/// The resource type in an API path: `/api/{version}/…` or `/apis/{group}/{version}/…`, then optionally
/// `namespaces/{namespace}/`, then the resource (Kubernetes API concepts, "Resource URIs").
fn resource(path: &str) -> Option<&str> {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let before_resource = match segments.next()? {
        "api" => 1,
        "apis" => 2,
        _ => return None,
    };
    let mut rest = segments.skip(before_resource);
    match (rest.next()?, rest.next(), rest.next()) {
        ("namespaces", Some(_), Some(resource)) => Some(resource),
        (resource, _, _) => Some(resource),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future::BoxFuture;
    use k8s_openapi::api::core::v1::{ConfigMap, Event};
    use kube::Api;
    use kube::api::{DeleteParams, ListParams, PostParams, WatchParams};
    use std::sync::{Arc, Mutex};

    use crate::effects::Observer;

    type Log = Arc<Mutex<Vec<String>>>;

    struct Recorder(Log);

    impl Observer for Recorder {
        fn reach<'a>(&'a self, moment: Moment, effect: &'a Effect) -> BoxFuture<'a, ()> {
            self.0.lock().unwrap().push(format!("{moment:?} {effect}"));
            Box::pin(std::future::ready(()))
        }
    }

    /// Stops at `Before` for ever.
    struct Wall;

    impl Observer for Wall {
        fn reach<'a>(&'a self, _: Moment, _: &'a Effect) -> BoxFuture<'a, ()> {
            Box::pin(std::future::pending())
        }
    }

    /// A server that answers every request with `status` and an empty object, and logs that it was asked.
    fn server(log: &Log, status: u16) -> Client {
        let log = log.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            log.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
            let body = if status < 400 {
                serde_json::json!({"metadata": {}, "items": []})
            } else {
                serde_json::json!({"kind": "Status", "status": "Failure", "code": status, "reason": "Conflict"})
            };
            let body = Body::from(serde_json::to_vec(&body).unwrap());
            std::future::ready(Response::builder().status(status).body(body))
        });
        Client::new(service, "home")
    }

    fn guard(seam: Seam) -> Guard {
        Guard { limit: Duration::from_secs(10), seam, metrics: Metrics::new() }
    }

    fn config_map(name: &str) -> ConfigMap {
        serde_json::from_value(serde_json::json!({"metadata": {"name": name}})).unwrap()
    }

    #[tokio::test]
    async fn a_write_passes_the_seam_on_both_sides_of_the_wire() {
        let log = Log::default();
        let seam = Seam::watched(Arc::new(Recorder(log.clone())));
        let maps: Api<ConfigMap> = Api::default_namespaced(guarded(server(&log, 200), guard(seam)));

        maps.create(&PostParams::default(), &config_map("a")).await.unwrap();
        maps.list(&ListParams::default()).await.unwrap();

        let path = "/api/v1/namespaces/home/configmaps";
        assert_eq!(
            *log.lock().unwrap(),
            [
                format!("Before Kubernetes POST {path}"),
                format!("POST {path}"),
                format!("After Kubernetes POST {path}"),
                format!("GET {path}"),
            ]
        );
    }

    #[tokio::test]
    async fn a_refusal_is_an_answer_too() {
        let log = Log::default();
        let seam = Seam::watched(Arc::new(Recorder(log.clone())));
        let maps: Api<ConfigMap> = Api::default_namespaced(guarded(server(&log, 409), guard(seam)));

        let error = maps.create(&PostParams::default(), &config_map("a")).await.unwrap_err();

        assert!(matches!(error, kube::Error::Api(status) if status.is_conflict()));
        assert!(log.lock().unwrap()[2].starts_with("After"), "{log:?}");
    }

    #[tokio::test]
    async fn events_do_not_pass_the_seam() {
        let log = Log::default();
        let seam = Seam::watched(Arc::new(Recorder(log.clone())));
        let events: Api<Event> = Api::default_namespaced(guarded(server(&log, 200), guard(seam)));
        let event = serde_json::json!({"metadata": {"name": "e"}, "involvedObject": {}});

        events.create(&PostParams::default(), &serde_json::from_value(event).unwrap()).await.unwrap();

        assert_eq!(*log.lock().unwrap(), ["POST /api/v1/namespaces/home/events"]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_operator_stopped_before_a_write_never_sends_it() {
        let log = Log::default();
        let maps: Api<ConfigMap> =
            Api::default_namespaced(guarded(server(&log, 200), guard(Seam::watched(Arc::new(Wall)))));

        let parameters = DeleteParams::default();
        let held = tokio::time::timeout(Duration::from_secs(3600), maps.delete("a", &parameters)).await;

        assert!(held.is_err(), "the limit of a call must not free it from the seam");
        assert!(log.lock().unwrap().is_empty(), "{log:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_given_up_on() {
        let silent = Client::new(
            tower::service_fn(|_: Request<Body>| std::future::pending::<Result<Response<Body>, kube::Error>>()),
            "home",
        );
        let guard = guard(Seam::default());
        let metrics = guard.metrics.clone();
        let maps: Api<ConfigMap> = Api::default_namespaced(guarded(silent, guard));

        let error = maps.get("a").await.unwrap_err();

        let kube::Error::Service(cause) = error else { panic!("{error:?}") };
        assert_eq!(
            cause.to_string(),
            "no answer from the API server to GET /api/v1/namespaces/home/configmaps/a within 10s"
        );
        assert!(metrics.encode().unwrap().contains(r#"rest_client_requests_total{method="GET",code="<error>"} 1"#));
    }

    /// A server whose head comes at once and whose body never does.
    fn stalling() -> Client {
        let service = tower::service_fn(|_: Request<Body>| async {
            Ok::<_, std::io::Error>(Response::new(axum::body::Body::from_stream(futures::stream::pending::<
                Result<Vec<u8>, std::io::Error>,
            >())))
        });
        Client::new(service, "home")
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_counts_but_a_quiet_watch_may_go_on() {
        let maps: Api<ConfigMap> = Api::default_namespaced(guarded(stalling(), guard(Seam::default())));

        let got = tokio::time::timeout(Duration::from_secs(60), maps.get("a")).await;
        assert!(matches!(got, Ok(Err(kube::Error::Service(_)))), "{got:?}");

        use futures::TryStreamExt;
        let parameters = WatchParams::default();
        let mut watch = std::pin::pin!(maps.watch(&parameters, "0").await.unwrap());
        let quiet = tokio::time::timeout(Duration::from_secs(200), watch.try_next()).await;
        assert!(quiet.is_err(), "a watch without events was cut off: {quiet:?}");
    }

    #[test]
    fn the_resource_is_found_in_every_form_of_path() {
        for (path, expected) in [
            ("/api/v1/namespaces/n/events", Some("events")),
            ("/apis/events.k8s.io/v1/namespaces/n/events/e", Some("events")),
            ("/apis/coordination.k8s.io/v1/namespaces/n/leases/l", Some("leases")),
            ("/apis/aml-operator.io/v1alpha1/namespaces/leases/amlworkspaces/events", Some("amlworkspaces")),
            ("/apis/aml-operator.io/v1alpha1/azureconnections/leases/status", Some("azureconnections")),
            ("/api/v1/namespaces/events", Some("namespaces")),
            ("/api/v1/namespaces", Some("namespaces")),
            ("/version", None),
        ] {
            assert_eq!(resource(path), expected, "{path}");
        }
    }

    #[tokio::test]
    async fn the_client_says_who_it_is_and_does_not_retry() {
        use axum::{Router, extract::State};
        use http::{HeaderMap, StatusCode};
        let seen: Log = Log::default();
        let app = Router::new()
            .fallback(|State(seen): State<Log>, headers: HeaderMap| async move {
                seen.lock().unwrap().push(headers["user-agent"].to_str().unwrap().to_owned());
                StatusCode::SERVICE_UNAVAILABLE
            })
            .with_state(seen.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let config = Config::new(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });

        let client = client(config, Duration::from_secs(10), Seam::default(), Metrics::new()).unwrap();
        client.apiserver_version().await.unwrap_err();

        assert_eq!(*seen.lock().unwrap(), [AGENT]);
    }
}
