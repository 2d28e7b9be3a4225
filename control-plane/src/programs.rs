//! The command lines of the three programs, and why each option is there.

use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::Command;

use crate::certificates::Files;
use crate::tools::Tools;

/// The controllers that an operator's objects need. Those of workloads (deployments, nodes, volumes, …) would have
/// nothing to do without nodes, and cost memory and start-up time.
const CONTROLLERS: &[&str] = &[
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
    "validatingadmissionpolicy-status-controller",
];

/// Ports on 127.0.0.1 that were free a moment ago. Another program may take one before ours does; whoever starts the
/// programs tries again then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// etcd, for clients.
    pub(crate) etcd: u16,
    /// etcd, for members it does not have.
    pub(crate) etcd_peer: u16,
    /// kube-apiserver, TLS.
    pub(crate) api: u16,
}

impl Ports {
    /// Asks the system for them. All are held until all are known, so they differ.
    pub(crate) fn find() -> std::io::Result<Self> {
        let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        let (etcd, etcd_peer, api) = (bind()?, bind()?, bind()?);
        Ok(Self {
            etcd: etcd.local_addr()?.port(),
            etcd_peer: etcd_peer.local_addr()?.port(),
            api: api.local_addr()?.port(),
        })
    }
}

pub(crate) fn etcd(tools: &Tools, folder: &Path, ports: Ports) -> Command {
    let client = format!("http://127.0.0.1:{}", ports.etcd);
    let peer = format!("http://127.0.0.1:{}", ports.etcd_peer);
    let mut command = Command::new(&tools.etcd);
    command
        .arg(format!("--data-dir={}", folder.join("etcd").display()))
        .arg(format!("--listen-client-urls={client}"))
        .arg(format!("--advertise-client-urls={client}"))
        .arg(format!("--listen-peer-urls={peer}"))
        .arg(format!("--initial-advertise-peer-urls={peer}"))
        .arg(format!("--initial-cluster=default={peer}"))
        // The data need not survive the machine, and each write is faster without.
        .arg("--unsafe-no-fsync")
        .arg("--log-level=warn");
    command
}

pub(crate) fn api_server(tools: &Tools, files: &Files, folder: &Path, ports: Ports) -> Command {
    let mut command = Command::new(&tools.kube_apiserver);
    command
        .arg(format!("--etcd-servers=http://127.0.0.1:{}", ports.etcd))
        .arg("--bind-address=127.0.0.1")
        .arg("--advertise-address=127.0.0.1")
        // Loopback is no valid endpoint of the service `kubernetes`, and nobody here would use it.
        .arg("--endpoint-reconciler-type=none")
        .arg(format!("--secure-port={}", ports.api))
        .arg(format!("--cert-dir={}", folder.display()))
        .arg(format!("--tls-cert-file={}", files.server_certificate.display()))
        .arg(format!("--tls-private-key-file={}", files.server_key.display()))
        .arg(format!("--client-ca-file={}", files.authority.display()))
        .arg("--authorization-mode=RBAC")
        .arg("--service-cluster-ip-range=10.0.0.0/24")
        .arg("--service-account-issuer=https://kubernetes.default.svc.cluster.local")
        .arg(format!("--service-account-key-file={}", files.service_account_public_key.display()))
        .arg(format!("--service-account-signing-key-file={}", files.service_account_key.display()))
        .arg("--profiling=false");
    command
}

pub(crate) fn controller_manager(tools: &Tools, files: &Files, kubeconfig: &Path) -> Command {
    let mut command = Command::new(&tools.kube_controller_manager);
    command
        .arg(format!("--kubeconfig={}", kubeconfig.display()))
        .arg(format!("--controllers={}", CONTROLLERS.join(",")))
        // With role-based access control each controller has rights of its own; the manager has next to none.
        .arg("--use-service-account-credentials")
        .arg(format!("--service-account-private-key-file={}", files.service_account_key.display()))
        .arg(format!("--root-ca-file={}", files.authority.display()))
        .arg("--leader-elect=false")
        // It serves nobody: no port.
        .arg("--secure-port=0");
    command
}
