//! The seam every effect passes: each write to ARM and each write to Kubernetes calls [`Seam::reach`] right before it goes
//! out and right after its answer is known. In production nobody watches. A test counts the effects of a scenario and then
//! drops the operator at each of them in turn, which is how the claim "killed anywhere, the end is the same" is checked.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

/// The system an effect changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum System {
    /// Azure Resource Manager.
    Arm,
    /// The Kubernetes API server.
    Kubernetes,
}

/// Where in the life of an effect the seam is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    /// Nothing has been sent.
    Before,
    /// The answer has arrived, nothing has been made of it yet.
    After,
}

/// One write, as it is about to go out or has just been answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Effect {
    /// Which system is written to.
    pub system: System,
    /// The HTTP method: `PUT`, `PATCH`, `POST` or `DELETE`.
    pub method: String,
    /// The request's path, without host and query.
    pub path: String,
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} {}", self.system, self.method, self.path)
    }
}

/// Watches effects. A future that never resolves stops the operator at that effect.
pub trait Observer: Send + Sync {
    /// Called at `moment` of `effect`; the effect goes on when the future resolves.
    fn reach<'a>(&'a self, moment: Moment, effect: &'a Effect) -> BoxFuture<'a, ()>;
}

/// The handle that clients carry; by default nobody watches.
#[derive(Clone, Default)]
pub struct Seam(Option<Arc<dyn Observer>>);

impl Seam {
    /// A seam that `observer` watches.
    pub fn watched(observer: Arc<dyn Observer>) -> Self {
        Self(Some(observer))
    }

    /// Passes the seam at `moment` of `effect`.
    pub async fn reach(&self, moment: Moment, effect: &Effect) {
        if let Some(observer) = &self.0 {
            observer.reach(moment, effect).await;
        }
    }
}

impl fmt::Debug for Seam {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Seam(watched)" } else { "Seam" })
    }
}
