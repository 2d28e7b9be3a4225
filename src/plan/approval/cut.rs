//! Which approved connections a policy cuts off.
//!
//! A rejection of a pending request can be asked for again; a line that is cut stops whoever works over it. So here only what is
//! known to hold counts: neither a sub-resource nor a requester that ARM does not state cuts anything, although both reject what is
//! pending. And each line needs a word of its own (the door `RejectApproved`), bound to the endpoint that loses it.

use crate::api::ids::ArmId;
use crate::azure::private_link::{Connection, Dialect};

use super::matching::{Facts, Truth, denies};
use super::{Policy, Rule};

/// A connection that a policy cuts off once somebody agrees.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut<'a> {
    /// The connection.
    pub connection: &'a Connection,
    /// The entry that says so.
    pub rule: Rule,
    /// What has to be acknowledged: the id of the endpoint that is cut off, in lower case.
    pub value: String,
}

/// The approved `connections` that entries of `policy` with `appliesTo: Approved` reject, by name.
pub fn cut_off<'a>(
    policy: &Policy,
    connections: impl IntoIterator<Item = &'a Connection>,
    dialect: &Dialect,
) -> Vec<Cut<'a>> {
    let mut cuts: Vec<Cut<'a>> = Vec::new();
    for connection in connections.into_iter().filter(|connection| connection.is_approved()) {
        let facts = Facts::of(connection, dialect);
        let Some(value) = facts.private_endpoint().map(ArmId::key) else { continue };
        let mut entries = policy.reject.iter().enumerate().filter(|(_, entry)| entry.applies_to_approved());
        let found = entries.find(|(_, entry)| denies(entry, &facts, &policy.own_subscriptions) == Truth::Yes);
        if let Some((index, entry)) = found {
            cuts.push(Cut { connection, rule: policy.rule("reject", index, entry.name.as_ref()), value });
        }
    }
    cuts.sort_by(|a, b| a.connection.name.cmp(&b.connection.name));
    cuts
}
