//! Keeps the network security of Azure Machine Learning workspaces as declared in Kubernetes objects.

pub mod effects;
pub mod runtime;
pub mod telemetry;
