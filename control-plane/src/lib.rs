//! A real Kubernetes control plane on loopback, for tests and demonstrations.
//!
//! etcd, kube-apiserver and kube-controller-manager of pinned versions, with a certificate authority of their own and
//! role-based access control on: what works against it works against a cluster, as far as no node is needed.
//!
//! ```no_run
//! # async fn f() -> Result<(), control_plane::Error> {
//! let cluster = control_plane::ControlPlane::start().await?;
//! println!("{}", cluster.kubectl(&["get", "namespaces"]).await?);
//! # Ok(()) }
//! ```

mod certificates;
mod cluster;
mod error;
mod guard;
mod kubeconfig;
mod programs;
pub mod tools;

pub use cluster::ControlPlane;
pub use error::Error;
pub use guard::{Guard, Process};
