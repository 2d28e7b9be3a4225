//! Whether an entry of a policy holds for a connection, by what ARM states of it.

use wildmatch::WildMatchPattern;

use crate::api::approval::{AllowEntry, DenyEntry, EndpointMatch};
use crate::api::ids::ArmId;
use crate::azure::private_link::{Connection, Dialect, Stated};

use super::Linked;

/// What is known about a statement. What ARM does not say is unknown, and unknown never allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    Yes,
    /// It does not.
    No,
    /// ARM does not say.
    Unknown,
}

impl Truth {
    pub(super) fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::Yes, Self::Yes) => Self::Yes,
        }
    }
}

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}

/// What ARM states of one connection.
pub(super) struct Facts {
    /// The connection's name on the target, which ARM gives.
    connection: String,
    /// The endpoint that asks, if its id can be read.
    pub(super) endpoint: Option<ArmId>,
    /// It is one that a managed network will raise: its id is not known before it is there.
    managed: bool,
    pub(super) sub_resources: Stated,
}

impl Facts {
    pub(super) fn of(connection: &Connection, dialect: &Dialect) -> Self {
        Self {
            connection: connection.name.clone(),
            endpoint: ArmId::parse(&connection.endpoint).ok(),
            managed: false,
            sub_resources: connection.sub_resources(dialect),
        }
    }

    /// What is known of the endpoint that a workspace's managed network will raise for a rule.
    pub(super) fn of_rule(sub_resource: Option<&str>) -> Self {
        let sub_resources = sub_resource.map_or(Stated::No, |group| Stated::Groups(vec![group.to_owned()]));
        Self { connection: String::new(), endpoint: None, managed: true, sub_resources }
    }

    /// The private endpoint that asks. What is none is nothing that a policy can mean.
    pub(super) fn private_endpoint(&self) -> Option<&ArmId> {
        self.endpoint.as_ref().filter(|id| id.is("Microsoft.Network/privateEndpoints"))
    }
}

pub(super) fn is_own(subscription: &str, own_subscriptions: &[String]) -> bool {
    own_subscriptions.iter().any(|own| own.eq_ignore_ascii_case(subscription))
}

/// Whether the endpoint that asks is the one that `wanted` describes.
fn is_endpoint(wanted: &EndpointMatch, facts: &Facts, own_subscriptions: &[String]) -> Truth {
    if facts.managed {
        return is_managed(wanted, own_subscriptions);
    }
    // Without an id that can be read nothing is known of who asks.
    let Some(endpoint) = facts.private_endpoint() else { return Truth::Unknown };
    if let Some(id) = &wanted.id {
        return ArmId::parse(id).is_ok_and(|id| id == *endpoint).into();
    }
    let is_own = |id: &str| is_own(id, own_subscriptions);
    let side = wanted.own_subscription.is_none_or(|own| own == is_own(endpoint.subscription()));
    let subscription = match &wanted.subscription_id {
        None => Truth::Yes,
        Some(id) if !id.eq_ignore_ascii_case(endpoint.subscription()) => Truth::No,
        // In subscriptions of others, managed networks' among them, names are chosen by whoever asks: that it lies there says
        // nothing of who it is.
        Some(id) if is_own(id) => Truth::Yes,
        Some(_) => Truth::Unknown,
    };
    let same = |wanted: &Option<String>, is: &str| wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(is));
    let pattern = wanted
        .name_pattern
        .as_deref()
        .is_none_or(|pattern| WildMatchPattern::<'*', '?'>::new_case_insensitive(pattern).matches(endpoint.name()));
    let names =
        same(&wanted.resource_group, endpoint.resource_group()) && same(&wanted.name, endpoint.name()) && pattern;
    Truth::from(side).and(subscription).and(names.into())
}

/// Whether the endpoint that a managed network will raise is the one that `wanted` describes. It will lie in a subscription of
/// Microsoft's, so in none of the own ones; in which, in which group and under which name, nobody says before it is there.
fn is_managed(wanted: &EndpointMatch, own_subscriptions: &[String]) -> Truth {
    let lies_in = |subscription: &str| if is_own(subscription, own_subscriptions) { Truth::No } else { Truth::Unknown };
    if let Some(id) = &wanted.id {
        return ArmId::parse(id).map_or(Truth::No, |id| lies_in(id.subscription()));
    }
    let side = Truth::from(wanted.own_subscription != Some(true));
    let named = wanted.resource_group.is_some() || wanted.name.is_some() || wanted.name_pattern.is_some();
    let subscription = wanted.subscription_id.as_deref().map_or(Truth::Yes, lies_in);
    side.and(subscription).and(if named { Truth::Unknown } else { Truth::Yes })
}

/// Whether the connection is for `wanted`: for nothing else (`every`), or for one of them at least.
fn is_for(wanted: &[String], facts: &Facts, every: bool) -> Truth {
    if wanted.is_empty() {
        return Truth::Yes;
    }
    let Stated::Groups(groups) = &facts.sub_resources else { return Truth::Unknown };
    let listed = |group: &String| wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case(group));
    if every { groups.iter().all(listed) } else { groups.iter().any(listed) }.into()
}

/// Whether what `entry` states in its fields holds; what its expression says comes on top.
/// `linked` are the endpoints of the object that it links to.
pub(super) fn names(entry: &AllowEntry, linked: &[Linked], facts: &Facts, own_subscriptions: &[String]) -> Truth {
    if entry.vnet_attachment_ref.is_some() || entry.synapse_link_ref.is_some() {
        // By the full id, or not at all: whoever can make an endpoint under the id of an attachment's may as well change the network. Of a
        // link's endpoint the very connection is known.
        let is_linked = facts.private_endpoint().is_some_and(|endpoint| {
            linked.iter().filter(|linked| linked.endpoint == *endpoint).any(|linked| {
                linked.connection.as_ref().is_none_or(|name| name.eq_ignore_ascii_case(&facts.connection))
            })
        });
        return Truth::from(is_linked).and(is_for(&entry.sub_resources, facts, true));
    }
    // Own subscriptions alone name nobody.
    // A workspace's own connections cannot be told from others': it approves them itself, or nobody does.
    let Some(wanted) = &entry.private_endpoint else { return Truth::No };
    let named = wanted.id.is_some() || wanted.subscription_id.is_some();
    let endpoint = is_endpoint(wanted, facts, own_subscriptions);
    Truth::from(named).and(endpoint).and(is_for(&entry.sub_resources, facts, true))
}

/// Whether all that `entry` states holds.
pub(super) fn denies(entry: &DenyEntry, facts: &Facts, own_subscriptions: &[String]) -> Truth {
    let wanted = entry.private_endpoint.as_ref();
    let endpoint = wanted.map_or(Truth::Yes, |wanted| is_endpoint(wanted, facts, own_subscriptions));
    endpoint.and(is_for(&entry.sub_resources, facts, false))
}
