//! What the shared parts need to know of a kind.

use std::fmt::Debug;

use kube::Resource;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::api::condition::Condition;
use crate::api::{
    AmlCompute, AmlDatastore, AmlOnlineEndpoint, AmlWorkspace, ApprovalDecision, AzureConnection, OutboundRule,
    PrivateEndpointApproval, SynapseLink, VnetAttachment,
};

/// A kind of this group.
pub trait Kind:
    Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Serialize + Send + Sync + 'static
{
    /// Its status.
    type Status: Clone + Default + PartialEq + Serialize + Send + Sync + 'static;
    /// Its name, for metrics and messages.
    const NAME: &'static str;

    /// The status as it was read.
    fn status(&self) -> Option<&Self::Status>;
    /// Replaces the status of this copy.
    fn set_status(&mut self, status: Self::Status);
    /// The conditions in a status.
    fn conditions(status: &Self::Status) -> &[Condition];
    /// Writes what every status has.
    fn settle(status: &mut Self::Status, generation: Option<i64>, token: Option<String>, conditions: Vec<Condition>);
}

macro_rules! kind {
    ($kind:ident, $status:ty) => {
        impl Kind for $kind {
            type Status = $status;
            const NAME: &'static str = stringify!($kind);

            fn status(&self) -> Option<&Self::Status> {
                self.status.as_ref()
            }

            fn set_status(&mut self, status: Self::Status) {
                self.status = Some(status);
            }

            fn conditions(status: &Self::Status) -> &[Condition] {
                &status.conditions
            }

            fn settle(
                status: &mut Self::Status,
                generation: Option<i64>,
                token: Option<String>,
                conditions: Vec<Condition>,
            ) {
                status.observed_generation = generation;
                status.last_handled_reconcile_at = token;
                status.conditions = conditions;
            }
        }
    };
}

kind!(AzureConnection, crate::api::connection::AzureConnectionStatus);
kind!(AmlWorkspace, crate::api::workspace::AmlWorkspaceStatus);
kind!(OutboundRule, crate::api::outbound_rule::OutboundRuleStatus);
kind!(PrivateEndpointApproval, crate::api::approval::PrivateEndpointApprovalStatus);
kind!(ApprovalDecision, crate::api::decision::ApprovalDecisionStatus);
kind!(AmlCompute, crate::api::compute::AmlComputeStatus);
kind!(AmlDatastore, crate::api::datastore::AmlDatastoreStatus);
kind!(AmlOnlineEndpoint, crate::api::online_endpoint::AmlOnlineEndpointStatus);
kind!(SynapseLink, crate::api::synapse_link::SynapseLinkStatus);
kind!(VnetAttachment, crate::api::vnet_attachment::VnetAttachmentStatus);
