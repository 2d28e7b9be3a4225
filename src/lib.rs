//! Keeps the network security of Azure Machine Learning workspaces as declared in Kubernetes objects.

#[allow(unreachable_pub)] // kube's schema derive emits helper items of that kind
pub mod api;
pub mod azure;
pub mod controllers;
pub mod effects;
pub mod operator;
pub mod plan;
pub mod runtime;
pub mod telemetry;
