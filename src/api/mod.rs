//! What users write: one file a kind, and the vocabulary the kinds share. Nothing here talks to anything.

pub mod approval;
pub mod common;
pub mod condition;
pub mod connection;
pub mod decision;
pub mod ids;
pub mod operation;
pub mod outbound_rule;
pub mod workspace;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub use approval::PrivateEndpointApproval;
pub use connection::AzureConnection;
pub use decision::ApprovalDecision;
pub use outbound_rule::OutboundRule;
pub use workspace::AmlWorkspace;

/// The API group of every kind.
pub const GROUP: &str = "aml-operator.io";
/// The finalizer that keeps an object until what it stands for in Azure is settled.
pub const FINALIZER: &str = "aml-operator.io/finalizer";
/// The annotation whose change asks for a reconcile now; its value is echoed in `status.lastHandledReconcileAt`.
pub const RECONCILE_AT: &str = "aml-operator.io/reconcile-at";
/// The annotation that lets go of an object that is being deleted, whatever is left in Azure. Its value is the object's uid,
/// so that a copied manifest never carries it to another object by accident.
pub const ABANDON: &str = "aml-operator.io/abandon";
/// The Azure tag that names the object a resource belongs to.
pub const OWNER_TAG: &str = "aml-operator.io-owner";
/// The Azure tag beside it that lists which other tags the object has declared, so that one taken out of the declaration can be told
/// from a stranger's even after every status is lost. Azure allows 256 characters.
pub const TAGS_TAG: &str = "aml-operator.io-tags";

/// The definitions of all kinds, in the order they are printed and installed.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![
        AzureConnection::crd(),
        AmlWorkspace::crd(),
        OutboundRule::crd(),
        PrivateEndpointApproval::crd(),
        ApprovalDecision::crd(),
    ]
}
