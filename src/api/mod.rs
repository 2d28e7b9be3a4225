//! What users write: one file a kind, and the vocabulary the kinds share. Nothing here talks to anything.

pub mod approval;
pub mod common;
pub mod compute;
pub mod condition;
pub mod connection;
pub mod datastore;
pub mod decision;
pub mod expression;
pub mod ids;
pub mod online_endpoint;
pub mod operation;
pub mod outbound_rule;
pub mod synapse_link;
pub mod vnet_attachment;
pub mod workspace;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub use approval::PrivateEndpointApproval;
pub use compute::AmlCompute;
pub use connection::AzureConnection;
pub use datastore::AmlDatastore;
pub use decision::ApprovalDecision;
pub use online_endpoint::AmlOnlineEndpoint;
pub use outbound_rule::OutboundRule;
pub use synapse_link::SynapseLink;
pub use vnet_attachment::VnetAttachment;
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
/// The Azure tag on what was created for a workspace that lists marks of the addresses, subnets and resource instances which its
/// object declares, so that one taken out of the declaration can be told from a stranger's even after every status is lost.
pub const ENTRIES_TAG: &str = "aml-operator.io-entries";

/// The definitions of all kinds, in the order they are printed and installed.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    vec![
        AzureConnection::crd(),
        AmlWorkspace::crd(),
        OutboundRule::crd(),
        PrivateEndpointApproval::crd(),
        ApprovalDecision::crd(),
        VnetAttachment::crd(),
        SynapseLink::crd(),
        AmlCompute::crd(),
        AmlDatastore::crd(),
        AmlOnlineEndpoint::crd(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn formats(value: &Value, found: &mut Vec<String>) {
        if let (Some(format), Some(_)) = (value.get("format").and_then(Value::as_str), value.get("type")) {
            found.push(format.to_owned());
        }
        let within: Vec<&Value> = match value {
            Value::Object(members) => members.values().collect(),
            Value::Array(items) => items.iter().collect(),
            _ => Vec::new(),
        };
        within.into_iter().for_each(|value| formats(value, found));
    }

    #[test]
    fn kubernetes_knows_every_format_and_warns_of_none() {
        let mut found = Vec::new();
        formats(&serde_json::to_value(definitions()).unwrap(), &mut found);
        assert!(found.contains(&"int32".to_owned()), "{found:?}");
        let unknown: Vec<_> =
            found.iter().filter(|is| !["int32", "int64", "date-time"].contains(&is.as_str())).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn fields_of_one_type_are_explained_each_in_its_own_words() {
        let policy = serde_json::to_value(PrivateEndpointApproval::crd()).unwrap();
        let field = |name: &str| {
            let path = format!("/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/{name}/description");
            policy.pointer(&path).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        assert!(field("onDelete").contains("this object is deleted"), "{}", field("onDelete"));
        assert!(field("onExpiry").contains("`expiresAt` has passed"), "{}", field("onExpiry"));
    }
}
