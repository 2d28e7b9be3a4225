//! The HTTP server for the kubelet and for Prometheus.
//!
//! `/healthz` says that the process answers at all, `/readyz` that it has seen the cluster, `/metrics` what it has counted.
//! All three are plain reads of memory: a probe must not fail because Azure or the API server is slow.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::Metrics;

/// Whether the operator has seen the cluster. It does not say that it leads: a follower with full caches is ready, else a
/// rolling update would wait for ever for a second leader. Clones share one answer, which is no until it is set.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// The caches are filled. There is no way back: watches that break later are mended by the process itself, and an
    /// operator nobody sends traffic to gains nothing from being unready.
    pub fn set_ready(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether [`set_ready`](Self::set_ready) has been called.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// Serves the three pages on `listener` until `shutdown`, then lets open requests finish.
///
/// # Errors
/// The listener broke.
pub async fn serve(
    listener: TcpListener,
    metrics: Metrics,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> io::Result<()> {
    axum::serve(listener, router(metrics, readiness)).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

/// The three pages.
pub fn router(metrics: Metrics, readiness: Readiness) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready).with_state(readiness))
        .route("/metrics", get(page).with_state(metrics))
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, &'static str) {
    if readiness.is_ready() {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the caches are not filled yet\n")
    }
}

async fn page(State(metrics): State<Metrics>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match metrics.encode() {
        Ok(page) => ([(CONTENT_TYPE, OPEN_METRICS)], page).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Running {
        url: String,
        metrics: Metrics,
        readiness: Readiness,
        shutdown: CancellationToken,
        server: tokio::task::JoinHandle<io::Result<()>>,
    }

    async fn start() -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (metrics, readiness, shutdown) = (Metrics::new(), Readiness::default(), CancellationToken::new());
        let server = tokio::spawn(serve(listener, metrics.clone(), readiness.clone(), shutdown.clone()));
        Running { url, metrics, readiness, shutdown, server }
    }

    impl Running {
        async fn get(&self, path: &str) -> reqwest::Response {
            reqwest::get(format!("{}{path}", self.url)).await.unwrap()
        }
    }

    #[tokio::test]
    async fn ready_only_once_the_caches_are_filled_but_healthy_all_along() {
        let running = start().await;
        assert_eq!(running.get("/healthz").await.status(), 200);
        assert_eq!(running.get("/readyz").await.status(), 503);

        running.readiness.set_ready();

        assert_eq!(running.get("/readyz").await.status(), 200);
        assert_eq!(running.get("/healthz").await.status(), 200);
    }

    #[tokio::test]
    async fn what_was_counted_can_be_scraped() {
        let running = start().await;
        running.metrics.drifted("AmlWorkspace");

        let answer = running.get("/metrics").await;

        assert_eq!(answer.status(), 200);
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
        assert!(answer.text().await.unwrap().contains(r#"aml_operator_drift_total{kind="AmlWorkspace"} 1"#));
    }

    #[tokio::test]
    async fn it_ends_when_told_to() {
        let running = start().await;
        assert_eq!(running.get("/healthz").await.status(), 200);
        running.shutdown.cancel();
        running.server.await.unwrap().unwrap();
        assert!(reqwest::get(format!("{}/healthz", running.url)).await.is_err());
    }
}
