//! A server on loopback that speaks TLS for the well-known hosts and answers what a test says.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::response::Response;
use axum::serve::Listener;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::server::TlsStream;

use super::client::{Client, ClientConfig};
use super::cloud::Cloud;
use super::credential::{CredentialSource, Secret};
use super::throttle::{Throttle, ThrottlePace};
use super::transport::{HttpPace, Transport};
use crate::effects::Seam;

pub(super) const SECRET: &str = "pa55word-of-the-test";
const HOSTS: [&str; 5] = [
    "management.azure.com",
    "login.microsoftonline.com",
    "ws1.dev.azuresynapse.net",
    "ws2.dev.azuresynapse.net",
    "evil.test",
];

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) host: String,
    pub(super) target: String,
    pub(super) authorization: Option<String>,
    pub(super) headers: axum::http::HeaderMap,
    pub(super) body: Bytes,
}

/// What to answer.
pub(super) enum Reply {
    Json(u16, Vec<(&'static str, String)>, Value),
    Text(u16, String),
    /// A head, and then a connection that breaks.
    Broken(u16),
}

pub(super) fn ok(body: Value) -> Reply {
    Reply::Json(200, vec![], body)
}

pub(super) fn arm_error(status: u16, code: &str, message: &str) -> Reply {
    Reply::Json(status, vec![("x-ms-request-id", "req-1".into())], json!({"error": {"code": code, "message": message}}))
}

pub(super) fn token_answer(token: &str) -> Reply {
    ok(json!({"token_type": "Bearer", "expires_in": 3600, "ext_expires_in": 3600, "access_token": token}))
}

pub(super) struct Server {
    address: SocketAddr,
    ca: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// Answers ARM's requests by `script`, and token requests with `token-1`, `token-2`, ….
    pub(super) async fn start(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let issued = std::sync::atomic::AtomicU32::new(0);
        Self::start_raw(move |seen| {
            if seen.target.ends_with("/oauth2/v2.0/token") && seen.host == "login.microsoftonline.com" {
                let number = issued.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1;
                return token_answer(&format!("token-{number}"));
            }
            script(seen)
        })
        .await
    }

    /// Answers everything by `script`.
    pub(super) async fn start_raw(script: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        // Another test may have installed it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let issued = rcgen::generate_simple_self_signed(HOSTS.map(String::from)).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der()));
        let config = ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![issued.cert.der().clone()], key)
            .unwrap();
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = tcp.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, script) = (Arc::clone(&seen), Arc::new(script));
        let app =
            Router::new().fallback(move |request: Request| answer(request, Arc::clone(&log), Arc::clone(&script)));
        tokio::spawn(async move {
            axum::serve(Tls { tcp, acceptor: TlsAcceptor::from(Arc::new(config)) }, app).await.unwrap();
        });
        Self { address, ca: issued.cert.pem(), seen }
    }

    pub(super) fn transport(&self) -> Transport {
        Transport {
            hosts: HOSTS.map(|host| (host.to_owned(), self.address)).to_vec(),
            ca_bundle: Some(self.ca.clone()),
            metadata: None,
        }
    }

    pub(super) fn config(&self) -> ClientConfig {
        ClientConfig {
            cloud: Cloud::Public,
            tenant_id: "11111111-1111-1111-1111-111111111111".into(),
            credential: CredentialSource::ClientSecret { client_id: "app".into(), secret: Secret::new(SECRET) },
            seam: Seam::default(),
            throttle: Throttle::new(ThrottlePace::default()),
            pace: HttpPace::default(),
            transport: self.transport(),
            hook: None,
        }
    }

    pub(super) fn client(&self) -> Client {
        Client::new(self.config()).unwrap()
    }

    /// All requests but those for tokens.
    pub(super) fn calls(&self) -> Vec<Seen> {
        self.all().into_iter().filter(|seen| !seen.target.ends_with("/token")).collect()
    }

    pub(super) fn all(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The log itself, for an observer.
    pub(super) fn log(&self) -> Arc<Mutex<Vec<Seen>>> {
        Arc::clone(&self.seen)
    }
}

async fn answer<S: Fn(&Seen) -> Reply>(request: Request, log: Arc<Mutex<Vec<Seen>>>, script: Arc<S>) -> Response {
    let (head, body) = request.into_parts();
    let text = |name: &str| head.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let seen = Seen {
        method: head.method.to_string(),
        host: text("host").unwrap_or_default(),
        target: head.uri.to_string(),
        authorization: text("authorization"),
        headers: head.headers.clone(),
        body: axum::body::to_bytes(body, usize::MAX).await.unwrap(),
    };
    log.lock().unwrap().push(seen.clone());
    match script(&seen) {
        Reply::Json(status, headers, body) => {
            let mut builder = Response::builder().status(status).header("content-type", "application/json");
            for (name, value) in headers {
                builder = builder.header(name, value);
            }
            let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
            builder.body(body).unwrap()
        }
        Reply::Text(status, text) => Response::builder().status(status).body(Body::from(text)).unwrap(),
        Reply::Broken(status) => {
            let broken = futures::stream::iter([
                Ok(Bytes::from_static(b"{\"half\":")),
                Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
            ]);
            Response::builder().status(status).body(Body::from_stream(broken)).unwrap()
        }
    }
}

struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let (stream, address) = self.tcp.accept().await.unwrap();
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}
