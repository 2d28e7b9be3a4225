//! Resources that several workspaces of the cluster share: nobody loses another's entries, and the stricter posture wins.

use std::collections::BTreeSet;

use crate::api::ids::ArmId;
use crate::api::workspace::Access;

use super::declared::Posture;
use super::entries::Entry;

/// Another workspace that declares how the same resource shall be reached, and may.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// Namespace and name of its object.
    pub name: String,
    /// Its ARM id.
    pub workspace: ArmId,
    /// What it declares.
    pub posture: Posture,
}

/// What the other workspaces of the cluster declare of one resource.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Peers {
    /// One that closes the public address.
    pub(super) closing: Option<String>,
    /// One that lets in only whom an entry names.
    pub(super) denying: Option<String>,
    /// One that keeps out the services that Azure trusts.
    pub(super) untrusting: Option<String>,
    /// All entries that they declare.
    pub(super) entries: BTreeSet<Entry>,
}

/// The entry that lets `workspace` in by a resource instance rule.
pub(super) fn instance(tenant: &str, workspace: &ArmId) -> Entry {
    Entry::Instance { tenant: tenant.to_ascii_lowercase(), id: workspace.key() }
}

impl Peers {
    /// What `peers` come to, in the tenant that they are in.
    pub fn of(peers: impl IntoIterator<Item = Peer>, tenant: &str) -> Self {
        let mut all = Self::default();
        for Peer { name, workspace, posture } in peers {
            all.entries.extend(posture.addresses.iter().cloned().map(Entry::Address));
            all.entries.extend(posture.subnets.iter().cloned().map(Entry::Subnet));
            if posture.trust_workspace {
                all.entries.insert(instance(tenant, &workspace));
            }
            if !posture.manage {
                continue;
            }
            let note = |place: &mut Option<String>, strict: bool| {
                if strict && place.is_none() {
                    *place = Some(name.clone());
                }
            };
            note(&mut all.closing, posture.access == Access::PrivateEndpoint);
            note(&mut all.denying, posture.denies());
            note(&mut all.untrusting, posture.trusted_services == Some(false));
        }
        all
    }
}
