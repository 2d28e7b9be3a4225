//! What can be refused before Azure is asked anything.

use crate::api::connection::Verb;
use crate::api::ids::ArmId;
use crate::api::workspace::{AmlWorkspaceSpec, PublicNetworkAccess};
use crate::plan::fence::Fence;
use crate::plan::outcome::{Reason, Verdict};

use super::declared::{Created, Openness, declared};
use super::registry;

/// Refuses what no grant allows, and what cannot be meant, of all that workspace `id` is made of.
///
/// # Errors
/// With the verdict to report.
pub fn check(spec: &AmlWorkspaceSpec, id: &ArmId, fence: &Fence<'_>) -> Result<(), Verdict> {
    for resource in declared(spec, id) {
        let field = resource.field.as_str();
        let invalid = |message: String| Verdict::new(Reason::Invalid, format!("associatedResources.{field}{message}"));
        let named = ArmId::parse(&resource.id).map_err(|error| invalid(format!(": {error}")))?;
        fence.allows(Verb::Reach, &named)?;
        let Some(posture) = &resource.posture else { continue };
        if let Some(fault) = posture.fault() {
            return Err(invalid(format!(".network: {fault}")));
        }
        for subnet in &posture.subnets {
            let subnet = ArmId::parse(subnet).map_err(|error| invalid(format!(".network.subnets: {error}")))?;
            fence.allows(Verb::Reach, &subnet)?;
        }
        if posture.manage && posture.openness() > Openness::Closed {
            fence.allows_public_access(&named, PublicNetworkAccess::Enabled)?;
        }
        if let Some(Created::Registry(create)) = &resource.created
            && let Some(needed) = registry::needed(posture).filter(|needed| create.sku.unwrap_or_default() < *needed)
        {
            let sku = create.sku.unwrap_or_default().as_str();
            return Err(invalid(format!(
                ".create.sku: a {sku} registry cannot have private endpoints or network rules; leave it out or set {}, or set \
                 network.access: Public without ipRules",
                needed.as_str()
            )));
        }
    }
    Ok(())
}
