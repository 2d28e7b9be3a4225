//! What each kind's objects are found by.

use std::borrow::Cow;

use kube::{Resource, ResourceExt};

use super::guarded::Guarded;
use super::indexes::{policy_key, workspace_id, workspace_key};
use super::kind::Kind;
use super::station::workspace_of;
use crate::api::common::ObjectRef;
use crate::api::ids::ArmId;
use crate::api::{
    AmlCompute, AmlDatastore, AmlOnlineEndpoint, AmlWorkspace, ApprovalDecision, AzureConnection, OutboundRule,
    PrivateEndpointApproval, SynapseLink, VnetAttachment,
};
use crate::plan::resources;
use crate::plan::rules::ObjectKey;
use crate::plan::targets::Targets;

/// Something that objects are found by. ARM ids are given by their key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Term<'a> {
    /// Objects in this namespace.
    Namespace(Cow<'a, str>),
    /// Objects that are being deleted.
    Going,
    /// Objects that cannot be read: they may stand for anything.
    Unreadable,
    /// Workspaces and policies that use this AzureConnection.
    Connection(Cow<'a, str>),
    /// Workspaces that declare this resource.
    Declares(String),
    /// Workspaces that declare this user-assigned identity, in small letters.
    Identity(String),
    /// Workspaces that are made of this resource.
    MadeOf(String),
    /// Projects of this hub.
    Hub(ObjectKey),
    /// Rules of this workspace, and what attaches to it.
    Workspace(ObjectKey),
    /// Rules that lead to this resource.
    Destination(String),
    /// Policies on exactly this resource.
    Target(String),
    /// Policies on all of this collection.
    Group(String),
    /// Policies on something in this collection, or on all of it.
    Around(String),
    /// Policies that link to this VnetAttachment.
    Attachment(ObjectKey),
    /// Policies that link to this SynapseLink.
    Link(ObjectKey),
    /// Decisions for this policy.
    Policy(ObjectKey),
    /// The object with this uid.
    Uid(Cow<'a, str>),
}

/// A kind whose objects are found by terms.
pub trait Terms: Kind {
    /// What `self` is found by, beside what every object is.
    fn terms(&self) -> Vec<Term<'_>>;
}

/// What `object` is found by.
pub fn terms_of<K: Terms>(object: &Guarded<K>) -> Vec<Term<'_>> {
    let meta = object.meta();
    let mut terms = match &object.0 {
        Ok(readable) => readable.terms(),
        Err(_) => vec![Term::Unreadable],
    };
    terms.extend(meta.namespace.as_deref().map(|namespace| Term::Namespace(namespace.into())));
    terms.extend(meta.uid.as_deref().map(|uid| Term::Uid(uid.into())));
    terms.extend(meta.deletion_timestamp.as_ref().map(|_| Term::Going));
    terms
}

impl Terms for AzureConnection {
    fn terms(&self) -> Vec<Term<'_>> {
        Vec::new()
    }
}

impl Terms for AmlWorkspace {
    fn terms(&self) -> Vec<Term<'_>> {
        let mut terms = vec![Term::Connection(self.spec.connection_ref.name.as_str().into())];
        if let Ok(id) = workspace_id(self) {
            let parts = resources::ids(&self.spec, &id).filter_map(|(_, part)| ArmId::parse(&part).ok());
            terms.extend(parts.map(|part| Term::MadeOf(part.key())));
            terms.push(Term::Declares(id.key()));
        }
        terms.extend(self.spec.user_assigned_identities().map(|id| Term::Identity(id.to_ascii_lowercase())));
        let hub = self.spec.hub.as_ref().and_then(|hub| hub.workspace_ref.as_ref());
        terms.extend(hub.map(|hub| {
            let namespace = hub.namespace.clone().or_else(|| self.namespace()).unwrap_or_default();
            Term::Hub(ObjectKey { namespace, name: hub.name.clone() })
        }));
        terms
    }
}

impl Terms for OutboundRule {
    fn terms(&self) -> Vec<Term<'_>> {
        let mut terms = vec![Term::Workspace(workspace_key(self))];
        let target = self.spec.private_endpoint.as_ref().and_then(|to| ArmId::parse(&to.resource_id).ok());
        terms.extend(target.map(|target| Term::Destination(target.key())));
        terms
    }
}

impl Terms for PrivateEndpointApproval {
    fn terms(&self) -> Vec<Term<'_>> {
        let mut terms = vec![Term::Connection(self.spec.connection_ref.name.as_str().into())];
        if let Ok(targets) = Targets::of(&self.spec.target) {
            let around = targets.collection();
            terms.push(match &targets {
                Targets::One(target) => Term::Target(target.key()),
                Targets::Group { .. } => Term::Group(around.clone()),
            });
            terms.push(Term::Around(around));
        }
        let named = |link: &ObjectRef| {
            let namespace = link.namespace.clone().or_else(|| self.namespace()).unwrap_or_default();
            ObjectKey { namespace, name: link.name.clone() }
        };
        for entry in &self.spec.allow {
            terms.extend(entry.vnet_attachment_ref.as_ref().map(|link| Term::Attachment(named(link))));
            terms.extend(entry.synapse_link_ref.as_ref().map(|link| Term::Link(named(link))));
        }
        terms
    }
}

impl Terms for ApprovalDecision {
    fn terms(&self) -> Vec<Term<'_>> {
        vec![Term::Policy(policy_key(self))]
    }
}

macro_rules! attached {
    ($($kind:ty),+) => {
        $(impl Terms for $kind {
            fn terms(&self) -> Vec<Term<'_>> {
                vec![Term::Workspace(workspace_of(self))]
            }
        })+
    };
}

attached!(AmlCompute, AmlDatastore, AmlOnlineEndpoint, SynapseLink, VnetAttachment);
