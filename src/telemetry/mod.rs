//! What the operator says about itself: logs, metrics and health.

mod connections;
mod logs;
mod metrics;
mod posture;
mod server;

pub use connections::ConnectionsOnTarget;
pub use logs::{AUDIT, LogFormat, LogsError, init as init_logs};
pub use metrics::{AzureAnswer, Metrics, ObjectCount, ReconcileResult, ThrottleKind};
pub use posture::PostureCounts;
pub use server::{Readiness, router, serve};
