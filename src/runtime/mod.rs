//! What every controller shares.

pub mod kube_client;
pub mod lease;
pub mod shutdown;
