//! What every controller shares. The unstable parts of kube's runtime are used in [`streams`] and [`driver`] only.

pub mod attempts;
pub mod board;
pub mod calm;
pub mod claims;
pub mod connections;
pub mod context;
pub mod driver;
pub mod endings;
pub mod events;
pub mod guard;
pub mod indexes;
pub mod kind;
pub mod kube_client;
pub mod lane;
pub mod lease;
pub mod ledger;
pub mod pace;
pub mod requesters;
pub mod role_ledger;
pub mod shutdown;
pub mod station;
pub mod status;
pub mod streams;
pub mod views;
pub mod writes;
