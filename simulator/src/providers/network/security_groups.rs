//! Network security groups and their rules.

use serde_json::{Value, json};

use crate::call::Style;
use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{Proposal, ResourceType};
use crate::world::World;

use super::children::Children;
use super::common::{BASE, CHILD, delete, free, invalid, properties, put, resource_guid, without_empty_tags};
use super::users;

const GROUP: &str = "Microsoft.Network/networkSecurityGroups";
const RULE: &str = "Microsoft.Network/networkSecurityGroups/securityRules";

const RULES: Children = Children { list: "securityRules", kind: RULE, shape };

const NAMES: &[&str] = &[
    "securityRules",
    "defaultSecurityRules",
    "flushConnection",
    "description",
    "protocol",
    "sourcePortRange",
    "sourcePortRanges",
    "destinationPortRange",
    "destinationPortRanges",
    "sourceAddressPrefix",
    "sourceAddressPrefixes",
    "destinationAddressPrefix",
    "destinationAddressPrefixes",
    "sourceApplicationSecurityGroups",
    "destinationApplicationSecurityGroups",
    "access",
    "priority",
    "direction",
];

const WRITABLE: &[&str] = &[
    "description",
    "protocol",
    "sourcePortRange",
    "sourcePortRanges",
    "destinationPortRange",
    "destinationPortRanges",
    "sourceAddressPrefix",
    "sourceAddressPrefixes",
    "destinationAddressPrefix",
    "destinationAddressPrefixes",
    "sourceApplicationSecurityGroups",
    "destinationApplicationSecurityGroups",
    "access",
    "priority",
    "direction",
];

/// Lists that a rule shows although they are empty (recording).
const LISTS: &[&str] =
    &["sourcePortRanges", "destinationPortRanges", "sourceAddressPrefixes", "destinationAddressPrefixes"];

/// Name, description, source, destination, access, priority, direction: as recorded.
const DEFAULTS: &[(&str, &str, &str, &str, &str, u32, &str)] = &[
    (
        "AllowVnetInBound",
        "Allow inbound traffic from all VMs in VNET",
        "VirtualNetwork",
        "VirtualNetwork",
        "Allow",
        65000,
        "Inbound",
    ),
    (
        "AllowAzureLoadBalancerInBound",
        "Allow inbound traffic from azure load balancer",
        "AzureLoadBalancer",
        "*",
        "Allow",
        65001,
        "Inbound",
    ),
    ("DenyAllInBound", "Deny all inbound traffic", "*", "*", "Deny", 65500, "Inbound"),
    (
        "AllowVnetOutBound",
        "Allow outbound traffic from all VMs to all VMs in VNET",
        "VirtualNetwork",
        "VirtualNetwork",
        "Allow",
        65000,
        "Outbound",
    ),
    (
        "AllowInternetOutBound",
        "Allow outbound traffic from all VMs to Internet",
        "*",
        "Internet",
        "Allow",
        65001,
        "Outbound",
    ),
    ("DenyAllOutBound", "Deny all outbound traffic", "*", "*", "Deny", 65500, "Outbound"),
];

pub(super) const TYPE: ResourceType = ResourceType {
    kind: GROUP,
    accept,
    stored: |world, key| RULES.stored(world, key),
    removable,
    render,
    names: NAMES,
    create: put("networkSecurityGroupPut", Style::network_create(1)),
    update: put("networkSecurityGroupPut", Style::network_update(1)),
    delete: delete("networkSecurityGroupDelete", 10),
    ..BASE
};

pub(super) const RULE_TYPE: ResourceType = ResourceType {
    kind: RULE,
    accept: accept_rule,
    stored: Children::touch_parent,
    removable: |world, document| free(world, document["id"].as_str().unwrap_or_default()),
    removed: |world, document| Children::touch_parent(world, document["id"].as_str().unwrap_or_default()),
    names: NAMES,
    create: put("securityRulePut", Style::network_create(1)),
    update: put("securityRulePut", Style::network_update(1)),
    delete: delete("securityRuleDelete", 10),
    ..CHILD
};

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    free(world, proposal.id)?;
    let mut stored = properties(
        world,
        proposal,
        &["flushConnection"],
        &["securityRules", "defaultSecurityRules", "networkInterfaces", "subnets", "flowLogs", "resourceGuid"],
    )?;
    let rules = RULES.accept(world, proposal)?;
    for (index, rule) in rules.iter().enumerate() {
        distinct(rule, rules.iter().take(index))?;
    }
    stored.insert(RULES.list.into(), json!(rules));
    stored.insert("resourceGuid".into(), resource_guid(world, proposal));
    Ok(json!({ "properties": stored }))
}

/// Judges a rule by itself (OpenAPI Network 2024-05-01).
fn shape(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let mut stored = properties(world, proposal, WRITABLE, &[])?;
    let name = ids::name(proposal.id);
    for (member, values) in [
        ("protocol", &["Tcp", "Udp", "Icmp", "Esp", "*", "Ah"][..]),
        ("access", &["Allow", "Deny"]),
        ("direction", &["Inbound", "Outbound"]),
    ] {
        let given = stored.get(member).and_then(Value::as_str).unwrap_or_default();
        // Values compare without case; they are stored as the specification spells them.
        let Some(value) = values.iter().find(|value| value.eq_ignore_ascii_case(given)) else {
            return Err(invalid(format!("Security rule {name}: '{given}' is not a value of {member}.")));
        };
        stored.insert(member.into(), json!(value));
    }
    let priority = stored.get("priority").and_then(Value::as_u64).unwrap_or_default();
    if !(100..=4096).contains(&priority) {
        // Chosen: code and sentence for a priority out of the specification's bounds.
        let message = format!("Security rule {name} has invalid Priority. Allowed values are from 100 to 4096.");
        return Err(ArmError::new(400, "SecurityRuleInvalidPriority", message));
    }
    for list in LISTS {
        stored.entry(*list).or_insert_with(|| json!([]));
    }
    Ok(json!({ "properties": stored }))
}

/// Two rules of one direction must differ in priority (specification). Chosen: code and sentence if they do not.
fn distinct<'a>(rule: &Value, others: impl IntoIterator<Item = &'a Value>) -> Result<(), ArmError> {
    let place = |rule: &Value| (rule["properties"]["priority"].clone(), rule["properties"]["direction"].clone());
    let Some(other) = others.into_iter().find(|other| place(other) == place(rule)) else { return Ok(()) };
    let message = format!(
        "Security rule {} conflicts with rule {}. Rules cannot have the same Priority and Direction.",
        rule["name"].as_str().unwrap_or_default(),
        other["name"].as_str().unwrap_or_default()
    );
    Err(ArmError::new(400, "SecurityRuleConflict", message))
}

fn accept_rule(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    free(world, proposal.id)?;
    let mut rule = shape(world, proposal)?;
    rule["name"] = json!(ids::name(proposal.id));
    let parent = ids::parent(proposal.id);
    let others = world
        .children(&parent, RULE)
        .filter(|other| other["id"].as_str().is_none_or(|id| ids::key(id) != ids::key(proposal.id)));
    distinct(&rule, others)?;
    Ok(rule)
}

/// Chosen: code and sentence for a group that is in use, as users quote them.
fn removable(world: &World, document: &Value) -> Result<(), ArmError> {
    let id = document["id"].as_str().unwrap_or_default();
    free(world, id)?;
    let mut users = users::subnets_with(world, "networkSecurityGroup", id);
    users.extend(users::interfaces_with_group(world, id));
    if users.is_empty() {
        return Ok(());
    }
    let message = format!(
        "Network security group {id} cannot be deleted because it is in use by the following resources: {}. In order to \
         delete the Network security group, remove the association with the resource(s).",
        users.join(", ")
    );
    Err(ArmError::new(400, "InUseNetworkSecurityGroupCannotBeDeleted", message))
}

fn render(world: &World, document: Value) -> Value {
    let mut group = without_empty_tags(document);
    let id = group["id"].as_str().unwrap_or_default().to_owned();
    let state = group["properties"]["provisioningState"].clone();
    let default = |(name, description, from, to, access, priority, direction): &(_, _, _, _, _, _, _)| {
        json!({
            "name": name, "id": format!("{id}/defaultSecurityRules/{name}"), "etag": group["etag"],
            "type": format!("{GROUP}/defaultSecurityRules"),
            "properties": {
                "provisioningState": state, "description": description, "protocol": "*", "sourcePortRange": "*",
                "destinationPortRange": "*", "sourceAddressPrefix": from, "destinationAddressPrefix": to,
                "access": access, "priority": priority, "direction": direction, "sourcePortRanges": [],
                "destinationPortRanges": [], "sourceAddressPrefixes": [], "destinationAddressPrefixes": [],
            }
        })
    };
    let defaults: Value = DEFAULTS.iter().map(default).collect();
    let rules = RULES.render(world, &group);
    let subnets = users::subnets_with(world, "networkSecurityGroup", &id);
    let interfaces = users::interfaces_with_group(world, &id);
    let properties = &mut group["properties"];
    properties["defaultSecurityRules"] = defaults;
    properties[RULES.list] = rules;
    for (member, users) in [("subnets", subnets), ("networkInterfaces", interfaces)] {
        if !users.is_empty() {
            properties[member] = users.iter().map(|id| json!({ "id": id })).collect();
        }
    }
    group
}
