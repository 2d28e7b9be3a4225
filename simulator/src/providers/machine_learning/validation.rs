//! What AML accepts as an outbound rule.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Value, json};

use crate::call::Call;
use crate::clouds::Cloud;
use crate::connections;
use crate::error::ArmError;
use crate::ids;
use crate::settings::ApproverMissing;
use crate::world::World;

use super::endpoints::{self, NO_APPROVER};
use super::isolation::Isolation;
use super::network;
use super::rules::{Category, Rule};

/// `^[a-zA-Z0-9][a-zA-Z0-9_-]{2,32}$`, for workspaces and rules alike.
pub(super) fn name_is_valid(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (3..=33).contains(&name.len()) && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(inner)
}

/// Reads one rule. Read-only members are ignored.
pub(super) fn rule(world: &World, workspace: &str, name: &str, body: &Value) -> Result<Rule, ArmError> {
    let refuse = |message: String| Err(ArmError::validation(message));
    if !name_is_valid(name) {
        return refuse(format!("'{name}' is not a valid outbound rule name."));
    }
    match body["category"].as_str() {
        None | Some("UserDefined") => {}
        Some(other) => return refuse(format!("Outbound rule '{name}': rules of category {other} cannot be set.")),
    }
    // The discriminator is compared with its case.
    let kind = body["type"].as_str().unwrap_or_default();
    let isolation = world.networks.get(workspace).map(|network| network.isolation).unwrap_or_default();
    match (kind, isolation) {
        (_, Isolation::Disabled) => {
            return refuse("Outbound rules need a managed network whose isolation mode is not Disabled.".into());
        }
        ("PrivateEndpoint", _) | ("FQDN" | "ServiceTag", Isolation::AllowOnlyApprovedOutbound) => {}
        ("FQDN" | "ServiceTag", Isolation::AllowInternetOutbound) => {
            return refuse(
                "Only \"PrivateEndpoint\" outbound rules are supported when managed network isolation mode is \
                 AllowInternetOutbound"
                    .into(),
            );
        }
        _ => return refuse(format!("Outbound rule '{name}': '{kind}' is not an outbound rule type.")),
    }
    let destination = &body["destination"];
    let destination = match kind {
        "FQDN" => fqdn(world.settings.cloud, name, destination)?,
        "ServiceTag" => service_tag(name, destination)?,
        _ => endpoint(world, workspace, name, destination)?,
    };
    let fqdns = Some(&body["fqdns"]).filter(|fqdns| fqdns.is_array()).cloned();
    Ok(Rule::user_defined(name, kind, destination, fqdns.filter(|_| kind == "PrivateEndpoint")))
}

fn host_is_valid(host: &str) -> bool {
    let host = host.strip_prefix("*.").unwrap_or(host);
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    host.len() <= 253 && host.contains('.') && host.split('.').all(label)
}

/// Names under which Azure Storage answers; FQDN rules may not reach it.
const STORAGE_HOSTS: &[&str] = &[
    ".blob.core.windows.net",
    ".dfs.core.windows.net",
    ".file.core.windows.net",
    ".queue.core.windows.net",
    ".table.core.windows.net",
];

/// The one that may: VS Code needs it (Microsoft's rule sets by scenario).
const STORAGE_EXCEPTION: &str = "vscode.blob.core.windows.net";

fn fqdn(cloud: Cloud, name: &str, destination: &Value) -> Result<Value, ArmError> {
    let text = destination.as_str().unwrap_or_default();
    for host in text.split(',').map(str::trim) {
        if !host_is_valid(host) {
            return Err(ArmError::validation(format!("Outbound rule '{name}': '{host}' is not a valid FQDN.")));
        }
        let dotted = format!(".{}", host.to_ascii_lowercase());
        if host.eq_ignore_ascii_case(STORAGE_EXCEPTION) {
            continue;
        }
        if STORAGE_HOSTS.iter().any(|suffix| dotted.ends_with(&cloud.spell(suffix))) {
            let message =
                format!("Outbound rule '{name}': Azure Storage cannot be reached by FQDN, use a private endpoint.");
            return Err(ArmError::validation(message));
        }
    }
    Ok(json!(text))
}

/// An address or a block of addresses.
fn is_block(text: &str) -> bool {
    let (address, bits) = text.split_once('/').unwrap_or((text, "0"));
    address.parse::<IpAddr>().is_ok() && bits.parse::<u8>().is_ok_and(|bits| bits <= 128)
}

fn service_tag(name: &str, destination: &Value) -> Result<Value, ArmError> {
    let refuse = |message: &str| Err(ArmError::validation(format!("Outbound rule '{name}': {message}")));
    let text = |member: &str| destination[member].as_str().unwrap_or_default();
    let prefixes = destination["addressPrefixes"].as_array().cloned().unwrap_or_default();
    if text("serviceTag").is_empty() && prefixes.is_empty() {
        return refuse("a service tag or address prefixes are needed.");
    }
    if !["TCP", "UDP", "ICMP", "*"].contains(&text("protocol")) {
        return refuse("the protocol must be TCP, UDP, ICMP or *.");
    }
    let port = |port: &str| port.trim().parse::<u16>().ok();
    let range = |range: &str| match range.split_once('-') {
        Some((from, to)) => port(from).is_some() && port(from) <= port(to),
        None => port(range).is_some() || range.trim() == "*",
    };
    if prefixes.iter().any(|prefix| !prefix.as_str().is_some_and(is_block)) {
        return refuse("the address prefixes are not valid.");
    }
    if !text("portRanges").split(',').all(range) {
        return refuse("the port ranges are not valid.");
    }
    let action = destination["action"].as_str().unwrap_or("Allow");
    if !["Allow", "Deny"].contains(&action) {
        return refuse("the action must be Allow or Deny.");
    }
    Ok(json!({
        "serviceTag": text("serviceTag"), "protocol": text("protocol"), "portRanges": text("portRanges"),
        "action": action, "addressPrefixes": prefixes,
    }))
}

fn endpoint(world: &World, workspace: &str, name: &str, destination: &Value) -> Result<Value, ArmError> {
    let refuse = |message: String| Err(ArmError::validation(format!("Outbound rule '{name}': {message}")));
    let target = destination["serviceResourceId"].as_str().unwrap_or_default();
    let group = destination["subresourceTarget"].as_str().unwrap_or_default();
    if ids::resource_type(target).is_none() || group.is_empty() {
        return refuse("serviceResourceId and subresourceTarget are needed.".into());
    }
    // Chosen: a target that does not exist is refused at once.
    if !world.resources.contains_key(&ids::key(target)) {
        return refuse(format!("the resource '{target}' was not found."));
    }
    if !endpoints::same_tenant(world, workspace, target) {
        return refuse(format!("the resource '{target}' is in another tenant."));
    }
    if !connections::has_group(target, group) || (network::is_workspace(target) && group != "amlworkspace") {
        return refuse(format!("'{group}' is not a sub-resource of '{target}'."));
    }
    let spark = destination["sparkEnabled"].as_bool().unwrap_or(false);
    Ok(json!({ "serviceResourceId": target, "subresourceTarget": group, "sparkEnabled": spark }))
}

/// Checks that the rules fit together with those that stay.
pub(super) fn set(world: &World, workspace: &str, upserts: &[Rule], removals: &[String]) -> Result<(), ArmError> {
    let mut after: BTreeMap<String, Rule> = world.visible_rules(workspace);
    after.retain(|key, _| !removals.contains(key));
    after.extend(upserts.iter().map(|rule| (rule.key(), rule.clone())));
    for rule in upserts {
        let Some(wanted) = rule.endpoint_key() else { continue };
        let double =
            after.values().find(|other| other.key() != rule.key() && other.endpoint_key().as_ref() == Some(&wanted));
        if let Some(double) = double {
            return Err(ArmError::validation(format!(
                "Outbound rule '{}': the rule '{}' already has this private endpoint destination.",
                rule.name, double.name
            )));
        }
    }
    Ok(())
}

/// Refuses rules on whose targets the workspace may not approve, if the settings say so.
pub(super) fn approver(world: &World, workspace: &str, upserts: &[Rule]) -> Result<(), ArmError> {
    if world.settings.approver_missing != ApproverMissing::Refuse {
        return Ok(());
    }
    for (target, _) in upserts.iter().filter_map(Rule::endpoint_destination) {
        if !world.can_approve(workspace, &target) {
            return Err(ArmError::validation(NO_APPROVER));
        }
    }
    Ok(())
}

/// At creation the identity does not exist yet, so the caller's right counts (recording of azure-ai-ml, 2024); and a
/// workspace can only be reached by its own network after it exists (Microsoft's page on managed networks).
pub(super) fn at_creation(call: &Call<'_>, workspace: &str, upserts: &[Rule]) -> Result<(), ArmError> {
    for (target, _) in upserts.iter().filter_map(Rule::endpoint_destination) {
        if ids::key(&target) == workspace {
            return Err(ArmError::validation("A rule can lead to the workspace only after the workspace was created."));
        }
        if call.world.settings.approver_missing != ApproverMissing::Refuse {
            continue;
        }
        let kind = ids::resource_type(&target).unwrap_or_default();
        let action = format!("{kind}/privateEndpointConnectionsApproval/action");
        let caller = call.world.may(&call.caller.object_id, &action, &target);
        if !caller && !call.world.can_approve(workspace, &target) {
            let message =
                format!("User does not have permission to approve private link connections to resource: {target}");
            return Err(ArmError::new(400, "UserError", message));
        }
    }
    Ok(())
}

/// Whether a rule is the user's own.
pub(super) fn is_users(rule: &Rule) -> bool {
    rule.category == Category::UserDefined
}
