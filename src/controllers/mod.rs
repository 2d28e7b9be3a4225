//! The controllers: each observes, asks `plan`, applies and reports.

pub mod approval;
pub mod attached;
pub mod compute;
pub mod connection;
pub mod datastore;
pub mod decision;
pub mod online_endpoint;
pub mod outbound_rule;
pub mod removals;
pub mod synapse_link;
pub mod vnet_attachment;
pub mod workspace;
