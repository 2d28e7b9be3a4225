//! The handle by which a program or a test runs a simulator inside itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;
use crate::control;
use crate::fault::Fault;
use crate::log::{Exchange, RequestEntry};
use crate::pipeline::Shared;
use crate::providers::machine_learning::{self, ImageBuild};
use crate::reachability::{Reach, Resolution, UnknownPlace};
use crate::seed::{Seed, SeedError};
use crate::server::Service;
use crate::settings::Settings;
use crate::tls::{self, TlsError};

/// Why a simulator did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is not on loopback, and the simulator serves nobody else.
    #[error("{0} is not a loopback address")]
    NotLoopback(SocketAddr),
    /// A listener could not be opened.
    #[error("cannot listen: {0}")]
    Listen(#[from] std::io::Error),
    /// See [`TlsError`].
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// See [`SeedError`].
    #[error(transparent)]
    Seed(#[from] SeedError),
}

/// A running simulator. It stops when this is dropped.
pub struct Simulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    imds_address: SocketAddr,
    ca_pem: String,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Simulator {
    /// Starts a simulator in the current tokio runtime, on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(seed: Seed, settings: Settings) -> Result<Self, StartError> {
        Self::start_on(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), seed, settings).await
    }

    /// Starts a simulator on a given loopback address.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start_on(listen: SocketAddr, seed: Seed, settings: Settings) -> Result<Self, StartError> {
        if !listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(listen));
        }
        let (config, ca_pem) = tls::make()?;
        let shared = Arc::new(Shared::start(seed, settings)?);
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let listener = TcpListener::bind(listen).await?;
        let imds = TcpListener::bind(SocketAddr::from((listen.ip(), 0))).await?;
        let (address, imds_address) = (listener.local_addr()?, imds.local_addr()?);
        let service = Service {
            shared: shared.clone(),
            tls: Some(TlsAcceptor::from(config)),
            stop: stop.clone(),
            tasks: tasks.clone(),
        };
        tasks.spawn(service.clone().run(listener));
        tasks.spawn(Service { tls: None, ..service }.run(imds));
        Ok(Self { shared, address, imds_address, ca_pem, stop, tasks })
    }

    /// `https://127.0.0.1:{port}`: ARM, the token authority, the metadata service and the control interface.
    pub fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    /// `http://127.0.0.1:{port}`: the metadata service without TLS.
    pub fn imds_endpoint(&self) -> String {
        format!("http://{}", self.imds_address)
    }

    /// The certificate of the authority that signed the simulator's own, in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The ARM requests so far.
    pub fn requests(&self) -> Vec<RequestEntry> {
        self.requests_since(0)
    }

    /// The ARM requests after the one with this sequence number.
    pub fn requests_since(&self, seq: u64) -> Vec<RequestEntry> {
        self.shared.log().since(seq)
    }

    /// The newest exchanges with ARM, whole; as many as [`Settings::log_megabytes`] holds.
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.shared.log().exchanges().cloned().collect()
    }

    /// Forgets the requests so far; sequence numbers go on.
    pub fn clear_requests(&self) {
        self.shared.log().clear();
    }

    /// Changes settings.
    pub fn settings(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.shared.world().settings.clone();
        change(&mut settings);
        control::apply_settings(&self.shared, settings);
    }

    /// Adds to the fault plan.
    pub fn add_fault(&self, fault: Fault) {
        self.shared.world().faults.add(fault);
    }

    /// Empties the fault plan.
    pub fn clear_faults(&self) {
        self.shared.world().faults.clear();
    }

    /// The clock on which operations take their time.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Where a host name leads from inside the managed network of a Synapse workspace, in the form of the control interface;
    /// nothing if there is no such workspace.
    pub fn resolve_from_synapse(&self, workspace: &str, name: &str) -> Option<Value> {
        self.shared.world().resolve_from_synapse(workspace, name)
    }

    /// Every ARM object, in a stable order and without times.
    pub fn state_json(&self) -> Value {
        self.shared.world().dump()
    }

    /// What a host name is at some place: the id of a virtual network or subnet, `internet`, or a public IPv4 address.
    ///
    /// # Errors
    /// See [`UnknownPlace`].
    pub fn resolve(&self, from: &str, name: &str) -> Result<Resolution, UnknownPlace> {
        self.shared.world().resolve(from, name)
    }

    /// Whether a client gets through to a host name. It is at a place as for [`Self::resolve`], or is a resource that
    /// calls by itself, as a workspace does for its studio.
    ///
    /// # Errors
    /// See [`UnknownPlace`].
    pub fn reach(&self, from: &str, name: &str) -> Result<Reach, UnknownPlace> {
        self.shared.world().reach(from, name)
    }

    /// [`Self::reach`] of every host name of a resource.
    ///
    /// # Errors
    /// See [`UnknownPlace`]; the resource must be there too.
    pub fn reach_all(&self, from: &str, resource: &str) -> Result<Vec<Reach>, UnknownPlace> {
        self.shared.world().reach_all(from, resource)
    }

    /// Every host name of a resource.
    ///
    /// # Errors
    /// See [`UnknownPlace`].
    pub fn host_names(&self, resource: &str) -> Result<Vec<String>, UnknownPlace> {
        self.shared.world().host_names(resource)
    }

    /// Builds an image for a workspace, as the first job or deployment with packages of its own does; a workspace without a
    /// registry gets one by it.
    ///
    /// # Errors
    /// There is no such workspace.
    pub fn build_image(&self, workspace: &str) -> Result<ImageBuild, UnknownPlace> {
        machine_learning::build_image(&mut self.shared.world(), workspace).map_err(|_| UnknownPlace::new(workspace))
    }

    /// Adds objects.
    ///
    /// # Errors
    /// See [`SeedError`]; what came before the faulty object stays.
    pub fn seed(&self, seed: Seed) -> Result<(), SeedError> {
        self.shared.world().add(seed)
    }

    /// Puts everything back to how it was at the start: objects, settings, clock and chance. There are no faults, no
    /// tokens and no requests any more; the requests' numbers go on.
    ///
    /// # Errors
    /// See [`SeedError`]; what could be started can be started again.
    pub fn reset(&self) -> Result<(), SeedError> {
        self.shared.reset()
    }

    /// Makes every token handed out so far invalid.
    pub fn revoke_tokens(&self) {
        self.shared.world().directory.revoke_all();
    }

    /// Stops, and waits until nothing of it runs any more.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
