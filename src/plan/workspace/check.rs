//! What can be refused before Azure is asked anything.

use crate::api::common::DeletionPolicy;
use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::api::workspace::{AmlWorkspaceSpec, Encryption, WorkspaceKind};
use crate::plan::effective::Effective;
use crate::plan::fence::Fence;
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::resources;

use super::tags;

/// Refuses what no grant allows, and what cannot be meant. `hub` is the hub of a project.
///
/// # Errors
/// With the verdict to report.
pub fn check(spec: &AmlWorkspaceSpec, hub: Option<&ArmId>, id: &ArmId, fence: &Fence<'_>) -> Result<(), Verdict> {
    fence.allows_reading(id)?;
    let effective = Effective::of(spec);
    if spec.kind() != WorkspaceKind::Project {
        // A project lives in its hub's network, whose object answers for it.
        fence.allows_isolation(id, effective.isolation_mode())?;
    }
    fence.allows_public_access(id, effective.public_network_access)?;
    let encryption = spec.encryption.iter().flat_map(|encryption| {
        let vault = ("encryption.keyVault", encryption.key_vault.resource_id.as_str());
        let reader = encryption.user_assigned_identity.as_deref();
        std::iter::once(vault).chain(reader.map(|id| ("encryption.userAssignedIdentity", id)))
    });
    let identities =
        spec.identity.user_assigned_identities.iter().map(|id| ("identity.userAssignedIdentities", id.as_str()));
    resources::check(spec, id, fence)?;
    for (field, resource) in identities.chain(encryption) {
        let resource =
            ArmId::parse(resource).map_err(|error| Verdict::new(Reason::Invalid, format!("{field}: {error}")))?;
        fence.allows(Verb::Reach, &resource)?;
    }
    if let Some(hub) = hub {
        fence.allows(Verb::Reach, hub)?;
    }
    spec.encryption.as_ref().map_or(Ok(()), of_that_vault)?;
    if tags::listed(spec).chars().count() > tags::VALUE_LIMIT {
        let message = format!(
            "tags: their names, with a comma between them, must have at most {} characters together, since Azure keeps the list of \
             them in a tag of its own",
            tags::VALUE_LIMIT
        );
        return Err(Verdict::new(Reason::Invalid, message));
    }
    if spec.deletion_policy == Some(DeletionPolicy::Delete) {
        fence.allows(Verb::Delete, id)?;
    }
    Ok(())
}

/// The key must lie in the vault that the fence was asked about: a vault's host name begins with its own name.
fn of_that_vault(encryption: &Encryption) -> Result<(), Verdict> {
    let vault = encryption.key_vault.resource_id.rsplit('/').next().unwrap_or_default();
    let host = encryption.key_identifier.strip_prefix("https://").unwrap_or_default();
    let label = host.split('.').next().unwrap_or_default();
    if !vault.is_empty() && label.eq_ignore_ascii_case(vault) {
        return Ok(());
    }
    Err(Verdict::new(
        Reason::Invalid,
        format!(
            "encryption.keyIdentifier: must be a key of the vault {vault}, https://{vault}.…/keys/<name>/<version>"
        ),
    ))
}
