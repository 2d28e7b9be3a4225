//! Keeps the network security of Azure Machine Learning workspaces as declared in Kubernetes objects.

pub mod azure;
pub mod effects;
