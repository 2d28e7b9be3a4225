//! An Azure Resource Manager that runs on loopback.
//!
//! It serves the token endpoint, the instance metadata service and the resource providers that drive the network
//! security of Azure Machine Learning workspaces, so that a client can be tried and tested without a subscription.
//! Everything that takes time takes simulated time, and every behaviour that no source decides is a switch in
//! [`Settings`]. See the crate's README for the seed file, the settings and the control interface.

mod bearer;
mod body;
mod built_in_roles;
mod call;
mod clock;
mod cloud_metadata;
mod clouds;
mod condition;
mod connections;
mod control;
mod dice;
mod directory;
mod entra;
mod error;
mod fault;
mod federation;
mod http;
mod ids;
mod jwt;
mod log;
mod managed_identity;
mod operations;
mod pipeline;
mod providers;
mod rbac;
mod reachability;
mod resource_type;
mod routes;
mod seed;
mod seed_check;
pub mod served;
mod server;
mod settings;
mod simulator;
mod throttle;
mod tls;
mod world;
mod worlds;

pub use clock::Clock;
pub use clouds::Cloud;
pub use directory::PrincipalType;
pub use fault::{BadPattern, Fault, FaultAction, FaultError, FaultMoment, Pattern};
pub use log::{Exchange, Headers, RequestEntry};
pub use providers::machine_learning::ImageBuild;
pub use reachability::{Answer, Reach, Resolution, UnknownPlace, Way};
pub use seed::{
    Seed, SeedAssignment, SeedConnection, SeedError, SeedFederatedCredential, SeedGroup, SeedIssuer, SeedPolicy,
    SeedPrincipal, SeedResource, SeedRole, SeedSubscription,
};
pub use seed_check::SeedProblem;
pub use settings::{
    ApproverMissing, Bucket, Buckets, ConcurrentAccountWrites, ConcurrentWrites, Leniency, OperationSeconds,
    ParallelApprovals, ParallelNetworkWrites, RejectedConnections, RuleMapPatch, SecondApproval, Settings, SubnetUse,
    UnknownNetworkProperties, ZoneGroupRecords,
};
pub use simulator::{Simulator, StartError};
pub use tls::TlsError;
pub use worlds::{ReadyWorld, WORLDS};
