//! The listeners: HTTPS for everything, plain HTTP for the instance metadata service.

mod body;
mod cut;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Response, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::ArmError;
use crate::http::{Rendered, Reply, Request};
use crate::managed_identity;
use crate::pipeline::Shared;
use crate::server::body::Unreadable;
use crate::server::cut::Cut;

/// How long a connection may take to say what it wants, be it by TLS. Chosen: long for a busy machine, short
/// for somebody who says nothing.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection may stay without a whole request head. Chosen: longer than clients keep idle connections (a
/// minute and a half in the common ones), so that they are the ones who close.
const IDLE: Duration = Duration::from_secs(120);

/// How long the body of a request may take. Chosen: a minute, in which even a slow link carries the largest body.
const BODY_TIME: Duration = Duration::from_secs(60);

/// How many connections there may be at once; who comes later is turned away. Chosen: more than the tests of one team
/// open, fewer than the files a process may usually have.
const CONNECTIONS: usize = 4_096;

/// How long nothing is accepted after that has failed: it fails when there are no file descriptors left, and would fail
/// again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Ends a connection without an answer: hyper closes it when the service fails.
#[derive(Debug, thiserror::Error)]
#[error("this connection is dropped")]
struct Dropped;

/// What a listener serves.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) shared: Arc<Shared>,
    /// Without TLS only the metadata service answers.
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) stop: CancellationToken,
    pub(crate) tasks: TaskTracker,
}

impl Service {
    /// Accepts connections until the simulator stops.
    pub(crate) async fn run(self, listener: TcpListener) {
        self.serve(listener, CONNECTIONS).await;
    }

    /// [`Self::run`] with so many connections at once.
    async fn serve(self, listener: TcpListener, connections: usize) {
        let places = Arc::new(Semaphore::new(connections));
        while let Some(accepted) = self.stop.run_until_cancelled(listener.accept()).await {
            let Ok((stream, peer)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let Ok(place) = places.clone().try_acquire_owned() else { continue };
            // It is only a matter of speed.
            let _ = stream.set_nodelay(true);
            let service = self.clone();
            self.tasks.spawn(async move {
                let _place = place;
                let stop = service.stop.clone();
                let _ = stop
                    .run_until_cancelled(async move {
                        match service.tls.clone() {
                            Some(tls) => {
                                if let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await {
                                    service.connection(stream, peer).await;
                                }
                            }
                            None => service.connection(stream, peer).await,
                        }
                    })
                    .await;
            });
        }
    }

    async fn connection(self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, peer: SocketAddr) {
        let handle = service_fn(move |request| {
            let service = self.clone();
            async move { service.answer(request, peer).await }
        });
        // How a connection ends is the client's business.
        let _ = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE)
            .serve_connection(TokioIo::new(stream), handle)
            .await;
    }

    async fn answer(&self, request: hyper::Request<Incoming>, peer: SocketAddr) -> Result<Response<Body>, Dropped> {
        let (parts, body) = request.into_parts();
        let body = match timeout(BODY_TIME, body::read(body)).await.map_err(|_| Dropped)? {
            Ok(body) => body,
            Err(Unreadable::Broken) => return Err(Dropped),
            Err(Unreadable::TooLarge) => {
                let message = format!("The request content size exceeds the maximum size of {} bytes.", body::LIMIT);
                // Chosen: status, code and sentence for a body over the limit.
                let error = ArmError::new(413, "RequestContentTooLarge", message);
                return Ok(response(Reply::from(error).render(), false));
            }
        };
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
        let request = Request {
            method: parts.method.as_str().to_owned(),
            path: decoded(parts.uri.path()),
            raw_query: parts.uri.query().unwrap_or_default().to_owned(),
            base: format!("{scheme}://{host}"),
            headers: parts.headers,
            body,
            from_loopback: peer.ip().is_loopback(),
        };
        let head = request.method == "HEAD";
        let reply = if self.tls.is_none() && !managed_identity::serves(&request.path) {
            Some(Reply::empty(404).render())
        } else {
            self.shared.answer(request).await
        };
        reply.map(|reply| response(reply, head)).ok_or(Dropped)
    }
}

/// Undoes percent-encoding; what is not valid stays as it is.
fn decoded(path: &str) -> String {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let hex = tail.get(..2).filter(|_| first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = &tail[2..];
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn response(reply: Rendered, head: bool) -> Response<Body> {
    let body = match reply.announced {
        _ if head => Body::empty(),
        Some(_) => Body::new(Cut::new(reply.body)),
        None => Body::from(reply.body),
    };
    let mut response = Response::new(body);
    *response.status_mut() =
        axum::http::StatusCode::from_u16(reply.status).unwrap_or(axum::http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if let Some(kind) = reply.content_type {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    if let Some(announced) = reply.announced {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(announced));
    }
    for (name, value) in reply.headers {
        let name = axum::http::HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            headers.append(name, value);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::seed::Seed;
    use crate::settings::Settings;

    /// The start of the answer to a request that the metadata service does not know; nothing if there is none.
    async fn ask(stream: &mut TcpStream) -> String {
        // Who has been turned away may find that out while sending.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let mut start = [0; 12];
        let read = stream.read_exact(&mut start).await;
        read.map(|_| String::from_utf8_lossy(&start).into_owned()).unwrap_or_default()
    }

    #[tokio::test]
    async fn who_finds_no_place_is_turned_away_and_places_become_free_again() {
        let shared = Arc::new(Shared::start(Seed::default(), Settings::default()).unwrap());
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = Service { shared, tls: None, stop: stop.clone(), tasks: tasks.clone() };
        tasks.spawn(service.serve(listener, 2));
        let connect = || async { TcpStream::connect(address).await.unwrap() };

        let (mut first, mut second) = (connect().await, connect().await);
        assert_eq!(ask(&mut first).await, "HTTP/1.1 404");
        assert_eq!(ask(&mut connect().await).await, "", "both places are taken");
        assert_eq!(ask(&mut second).await, "HTTP/1.1 404", "it concerns only who came too late");
        drop(first);
        let mut tries = 0;
        while ask(&mut connect().await).await.is_empty() {
            tries += 1;
            assert!(tries < 1000, "the place stays taken");
        }
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    }
}
