//! Container registries.

use serde_json::{Value, json};

use crate::api::common::{Acknowledgement, Door, acknowledged};
use crate::api::workspace::{CreateContainerRegistry, RegistrySku};
use crate::azure::container_registry::Registry;
use crate::plan::difference::{Comparison, Difference, Mend};
use crate::plan::outcome::{Reason, Verdict};

use super::declared::Posture;
use super::entries::List;
use super::firewall::{DEFAULT_ACTION, Firewall, PUBLIC_ACCESS, Style};

/// A registry's firewall: addresses only (specification 2023-07-01).
pub(super) const STYLE: Style =
    Style { member: "networkRuleSet", lists: &[List::Addresses], acts: true, bypass: Some("networkRuleBypassOptions") };
/// The field that says what it costs.
const SKU: &str = "sku.name";

pub(super) fn firewall(registry: &Registry) -> Firewall<'_> {
    let shown = &registry.properties;
    let rules = shown.network_rule_set.clone().unwrap_or_default();
    let bypass = shown.network_rule_bypass_options.as_deref();
    Firewall { style: STYLE, access: shown.public_network_access.as_deref(), rules, bypass }
}

fn sku(registry: &Registry) -> Option<RegistrySku> {
    RegistrySku::parse(registry.sku.as_ref()?.name.as_deref()?)
}

/// The SKU that `posture` needs: only a Premium registry has private endpoints or network rules (Microsoft: "Configure public IP network
/// rules").
pub(super) fn needed(posture: &Posture) -> Option<RegistrySku> {
    posture.denies().then_some(RegistrySku::Premium)
}

/// Where it is not of the SKU that it shall be: the one it is created with, else one that `posture` can be had with.
pub(super) fn compare_sku(
    registry: &Registry,
    create: Option<&CreateContainerRegistry>,
    posture: &Posture,
    found: &mut Comparison,
) {
    let declared = create.map(|create| create.sku.unwrap_or_default());
    let wanted = declared.or_else(|| needed(posture));
    let shown = sku(registry);
    if let (Some(wanted), Some(shown)) = (wanted, shown)
        && wanted != shown
    {
        let patch = Mend::Patch(json!({ "sku": { "name": wanted.as_str() } }));
        found.note(SKU, Some(shown.as_str()), wanted.as_str(), patch);
    }
}

/// Where a registry of ours is not as safe as it was created.
pub(super) fn compare(registry: &Registry, found: &mut Comparison) {
    let shown = &registry.properties;
    let off = |name: &str| Mend::Patch(json!({ "properties": { name: false } }));
    let admin = off("adminUserEnabled");
    found.switch("properties.adminUserEnabled", shown.admin_user_enabled, Some(false), admin);
    let anonymous = off("anonymousPullEnabled");
    found.switch("properties.anonymousPullEnabled", shown.anonymous_pull_enabled, Some(false), anonymous);
}

/// The door of a dearer SKU, through which also goes all of a posture that only that SKU has: half of it could be more open than the whole.
///
/// # Errors
/// With the verdict that asks for the word.
pub(super) fn door(
    registry: &Registry,
    difference: &Difference,
    posture: &Posture,
    acknowledge: &[Acknowledgement],
) -> Result<(), Verdict> {
    let Some(shown) = sku(registry) else { return Ok(()) };
    let wanted = if difference.field == SKU {
        difference.wanted.as_deref().and_then(RegistrySku::parse)
    } else {
        needed(posture).filter(|_| is_of_firewall(difference))
    };
    let Some(wanted) = wanted.filter(|wanted| *wanted > shown) else { return Ok(()) };
    if acknowledged(acknowledge, Door::RegistrySku, wanted.as_str()) {
        return Ok(());
    }
    Err(Verdict::new(
        Reason::AcknowledgementRequired,
        format!(
            "it is {}, and only a Premium registry can have private endpoints or network rules; an upgrade to {} costs more. If \
             that is meant, acknowledge {{door: RegistrySku, value: {}}}; else set network.access: Public without ipRules",
            shown.as_str(),
            wanted.as_str(),
            wanted.as_str()
        ),
    ))
}

/// True if the difference is one of whom the registry lets in.
fn is_of_firewall(difference: &Difference) -> bool {
    difference.field == PUBLIC_ACCESS
        || difference.field.ends_with(DEFAULT_ACTION)
        || difference.field.ends_with(List::Addresses.member())
}

/// The body of the creating PUT, with the firewall's `properties` in it.
pub(super) fn creation(create: &CreateContainerRegistry, mut properties: Value) -> Value {
    let sku = create.sku.unwrap_or_default();
    if sku < RegistrySku::Premium
        && let Some(properties) = properties.as_object_mut()
    {
        // What only Premium has is not even named.
        properties.remove(STYLE.member);
        properties.remove("networkRuleBypassOptions");
    }
    properties["adminUserEnabled"] = false.into();
    json!({ "sku": { "name": sku.as_str() }, "properties": properties })
}
