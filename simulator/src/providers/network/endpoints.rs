//! Private endpoints, the asking side of a connection.

use serde_json::{Map, Value, json};

use crate::call::Style;
use crate::connections::{self, Request};
use crate::error::ArmError;
use crate::ids;
use crate::operations::State;
use crate::resource_type::{Proposal, ResourceType, Write};
use crate::settings::SubnetUse;
use crate::world::World;

use super::common::{BASE, free, id_of, invalid, linked, properties, resource_guid, without_empty_tags};
use super::endpoint_addresses::{addresses, members, members_of};
use super::{interfaces, zone_groups};

const ENDPOINT: &str = "Microsoft.Network/privateEndpoints";
const AUTOMATIC: &str = "privateLinkServiceConnections";
const MANUAL: &str = "manualPrivateLinkServiceConnections";
const INTERFACE_NAME: &str = "customNetworkInterfaceName";
/// The kind of the operation that makes an endpoint.
pub(crate) const PUT: &str = "privateEndpointPut";

const WRITABLE: &[&str] =
    &["subnet", AUTOMATIC, MANUAL, "applicationSecurityGroups", "ipConfigurations", INTERFACE_NAME, "ipVersionType"];

const READ_ONLY: &[&str] =
    &["networkInterfaces", "customDnsConfigs", "resourceGuid", "isIPv6EnabledPrivateEndpoint", "billingSku"];

pub(super) const TYPE: ResourceType = ResourceType {
    kind: ENDPOINT,
    accept,
    stored,
    removable: |world, document| free(world, document["id"].as_str().unwrap_or_default()),
    removed,
    render,
    names: &[
        "subnet",
        AUTOMATIC,
        MANUAL,
        "privateLinkServiceId",
        "groupIds",
        "requestMessage",
        "privateLinkServiceConnectionState",
        "applicationSecurityGroups",
        "ipConfigurations",
        INTERFACE_NAME,
        "groupId",
        "memberName",
        "privateIPAddress",
        "customDnsConfigs",
        "networkInterfaces",
        "ipVersionType",
    ],
    create: Write {
        kind: PUT,
        seconds: |times| times.private_endpoint,
        busy: "Updating",
        style: Style::network_create(10),
    },
    // As recorded: done when it is answered, and with a status URL all the same.
    update: Write {
        kind: "privateEndpointUpdate",
        seconds: |_| 0.0,
        busy: "Succeeded",
        style: Style { announces_done: true, ..Style::network_update(10) },
    },
    delete: Write {
        kind: "privateEndpointDelete",
        seconds: |times| times.private_endpoint_delete,
        busy: "Deleting",
        style: Style::network_delete(10),
    },
    patch: None,
    ..BASE
};

/// The one connection of an endpoint.
#[derive(PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) target: String,
    pub(super) groups: Vec<String>,
    message: String,
    manual: bool,
}

pub(super) fn wanted(body: &Value) -> Result<Wanted, ArmError> {
    let items = |name: &str| body["properties"][name].as_array().cloned().unwrap_or_default();
    let (automatic, manual) = (items(AUTOMATIC), items(MANUAL));
    let (item, manual) = match (automatic.as_slice(), manual.as_slice()) {
        ([one], []) => (one, false),
        ([], [one]) => (one, true),
        _ => return Err(invalid(format!("Exactly one connection must be stated, in {AUTOMATIC} or in {MANUAL}."))),
    };
    let properties = &item["properties"];
    let target = properties["privateLinkServiceId"].as_str().unwrap_or_default().to_owned();
    let groups: Vec<String> =
        properties["groupIds"].as_array().into_iter().flatten().filter_map(|g| g.as_str().map(str::to_owned)).collect();
    if item["name"].as_str().is_none_or(str::is_empty) || ids::resource_type(&target).is_none() {
        return Err(invalid("The connection lacks a name or a privateLinkServiceId."));
    }
    if let Some(group) = groups.iter().find(|group| !connections::has_group(&target, group)) {
        let message = format!("The group id '{group}' is not supported by '{target}'.");
        // Chosen: code and sentence for a group that the target does not have.
        return Err(ArmError::new(400, "InvalidGroupId", message));
    }
    let message = properties["requestMessage"].as_str().unwrap_or_default().to_owned();
    // The bound is the specification's.
    if message.chars().count() > 140 {
        return Err(invalid("requestMessage is longer than 140 characters."));
    }
    Ok(Wanted { target, groups, message, manual })
}

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    free(world, proposal.id)?;
    let mut stored = properties(world, proposal, WRITABLE, READ_ONLY)?;
    let subnet_id = id_of(&proposal.body["properties"]["subnet"]).map(str::to_owned);
    let subnet_id = subnet_id.ok_or_else(|| invalid("The private endpoint has no subnet."))?;
    let wanted = wanted(proposal.body)?;
    let target = world.connectable(&wanted.target)?;
    let subnet = interfaces::subnet_for(world, proposal, &subnet_id)?;
    if !wanted.manual {
        let kind = ids::resource_type(&wanted.target).unwrap_or_default();
        linked(world, proposal, &format!("{kind}/PrivateEndpointConnectionsApproval/action"), &wanted.target)?;
    }
    match proposal.existing {
        Some(existing) => unchanged(existing, &wanted, &subnet_id, &proposal.body["properties"][INTERFACE_NAME])?,
        // The interface is made when the endpoint is stored; here it is only asked whether it can be.
        None => {
            usable(world, subnet)?;
            addresses(world, proposal.id, proposal.body, subnet, &members(world, target, &wanted)).map(drop)?;
        }
    }
    stored.insert("subnet".into(), json!({ "id": subnet_id }));
    for list in [AUTOMATIC, MANUAL, "ipConfigurations"] {
        stored.entry(list).or_insert_with(|| json!([]));
    }
    let named = proposal.existing.map(|existing| existing["properties"][INTERFACE_NAME].clone());
    stored.entry(INTERFACE_NAME).or_insert(named.unwrap_or_else(|| json!("")));
    stored.insert("isIPv6EnabledPrivateEndpoint".into(), json!(false));
    stored.insert("resourceGuid".into(), resource_guid(world, proposal));
    let document = json!({ "id": proposal.id, "properties": stored });
    let interface = interface_id(&document);
    if proposal.existing.is_none() && world.resources.contains_key(&ids::key(&interface)) {
        // Chosen: code and sentence. An interface that is somebody's does not become the endpoint's.
        let message = format!("Network interface {interface} of private endpoint {} exists already.", proposal.id);
        return Err(ArmError::new(400, "PrivateEndpointNetworkInterfaceNameInUse", message));
    }
    Ok(document)
}

/// Whether an endpoint can lie in a subnet; the settings say. Chosen: the sentences, and the code for a delegated one.
fn usable(world: &World, subnet: &Value) -> Result<(), ArmError> {
    let id = subnet["id"].as_str().unwrap_or_default();
    let (settings, properties) = (&world.settings, &subnet["properties"]);
    let refuse = |code: &str, why: &str| {
        Err(ArmError::new(400, code, format!("Private endpoint cannot be created in subnet {id} since {why}.")))
    };
    if settings.endpoint_network_policies == SubnetUse::Refuse
        && properties["privateEndpointNetworkPolicies"] == "Enabled"
    {
        let code = "PrivateEndpointCannotBeCreatedInSubnetThatHasNetworkPoliciesEnabled";
        return refuse(code, "it has private endpoint network policies enabled");
    }
    let is_delegated = properties["delegations"].as_array().is_some_and(|delegations| !delegations.is_empty());
    if settings.delegated_subnets == SubnetUse::Refuse && is_delegated {
        return refuse("PrivateEndpointCannotBeCreatedInDelegatedSubnet", "it is delegated");
    }
    Ok(())
}

/// Chosen: what an endpoint connects, and where it lies, is settled when it is made; only the rest can be changed.
fn unchanged(existing: &Value, wanted: &Wanted, subnet: &str, asked: &Value) -> Result<(), ArmError> {
    let named = &existing["properties"][INTERFACE_NAME];
    let before = self::wanted(existing)?;
    let same = |left: &str, right: &str| ids::key(left) == ids::key(right);
    let changed = if !same(&before.target, &wanted.target) || before.manual != wanted.manual {
        "privateLinkServiceId"
    } else if before.groups != wanted.groups {
        "groupIds"
    } else if !same(id_of(&existing["properties"]["subnet"]).unwrap_or_default(), subnet) {
        "subnet"
    } else if asked.as_str().is_some_and(|asked| !same(asked, named.as_str().unwrap_or_default())) {
        INTERFACE_NAME
    } else {
        return Ok(());
    };
    let message = format!("Changing property '{changed}' of a private endpoint is not allowed.");
    Err(ArmError::new(400, "PropertyChangeNotAllowed", message))
}

/// What an endpoint leads to.
pub(crate) fn target_of(world: &World, endpoint: &str) -> Option<String> {
    wanted(world.resources.get(&ids::key(endpoint))?).ok().map(|wanted| wanted.target)
}

/// The id of an endpoint's interface.
pub(super) fn interface_id(endpoint: &Value) -> String {
    let id = endpoint["id"].as_str().unwrap_or_default();
    let group = ids::list_scope(id);
    let custom = endpoint["properties"][INTERFACE_NAME].as_str().filter(|name| !name.is_empty());
    let guid = endpoint["properties"]["resourceGuid"].as_str().unwrap_or_default();
    let name = custom.map_or_else(|| format!("{}.nic.{}", ids::name(id), ids::guid(&["nic", id, guid])), str::to_owned);
    format!("{group}/providers/{}/{name}", interfaces::TYPE.kind)
}

/// Makes the interface and raises the connection on the target; an endpoint that has its interface has both already.
fn stored(world: &mut World, key: &str) {
    let Some(endpoint) = world.resources.get(key).cloned() else { return };
    let (id, interface) = (endpoint["id"].as_str().unwrap_or_default(), interface_id(&endpoint));
    let Ok(wanted) = wanted(&endpoint) else { return };
    if world.resources.contains_key(&ids::key(&interface)) {
        return;
    }
    let description = if wanted.manual { wanted.message.as_str() } else { "Auto-Approved" };
    world.connect(Request {
        target: &wanted.target,
        endpoint: id,
        groups: wanted.groups.clone(),
        approved: !wanted.manual,
        description,
        rule: None,
    });
    let subnet_id = id_of(&endpoint["properties"]["subnet"]).unwrap_or_default();
    let Ok(subnet) = world.resource(subnet_id) else { return };
    let members = members_of(world, &endpoint);
    if let Ok(addresses) = addresses(world, id, &endpoint, subnet, &members) {
        interfaces::of_endpoint(world, &interface, &endpoint, subnet_id, &addresses);
    }
}

/// Takes the endpoint's connection off its target, and its interface away.
fn removed(world: &mut World, document: &Value) {
    let key = ids::key(document["id"].as_str().unwrap_or_default());
    let theirs = |endpoint: &str| ids::key(endpoint) == key;
    let gone: Vec<String> =
        world.connections.iter().filter(|(_, c)| theirs(&c.endpoint)).map(|(id, _)| id.clone()).collect();
    gone.iter().for_each(|connection| world.disconnect(connection));
    if interface(world, document).is_some() {
        world.remove(&ids::key(&interface_id(document)));
    }
}

/// The interface of an endpoint; not somebody else's of the same name.
pub(super) fn interface<'a>(world: &'a World, endpoint: &Value) -> Option<&'a Value> {
    let found = world.resources.get(&ids::key(&interface_id(endpoint)));
    let own = ids::key(endpoint["id"].as_str().unwrap_or_default());
    found.filter(|found| id_of(&found["properties"]["privateEndpoint"]).is_some_and(|theirs| ids::key(theirs) == own))
}

/// An endpoint as GET shows it: the state of its connection is what the target says at this moment.
fn render(world: &World, document: Value) -> Value {
    let mut endpoint = without_empty_tags(document);
    let id = endpoint["id"].as_str().unwrap_or_default().to_owned();
    let tag = endpoint["etag"].clone();
    let is_new = matches!(world.operations.latest(&ids::key(&id)), Some((PUT, State::Running)));
    let interface_id = interface_id(&endpoint);
    let names = interface(world, &endpoint).filter(|_| !is_new).map(dns_configs).unwrap_or_default();
    let hidden = world.settings.zone_group_empties_dns_configs && zone_groups::has_any(world, &id);
    let Some(properties) = endpoint["properties"].as_object_mut() else { return endpoint };
    properties.insert("networkInterfaces".into(), json!([{ "id": interface_id }]));
    properties.insert("customDnsConfigs".into(), json!(if hidden { Vec::new() } else { names }));
    for list in [AUTOMATIC, MANUAL] {
        let items = properties.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for item in items {
            render_connection(world, &id, list, item, is_new);
            item["etag"] = tag.clone();
        }
    }
    endpoint
}

/// Every name with its address, as the interface has them.
fn dns_configs(interface: &Value) -> Vec<Value> {
    let items = interface["properties"]["ipConfigurations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let names = |item: &Value| {
        let (address, hosts) = (
            item["properties"]["privateIPAddress"].clone(),
            item["properties"]["privateLinkConnectionProperties"]["fqdns"].as_array().cloned().unwrap_or_default(),
        );
        hosts.into_iter().map(move |host| json!({ "fqdn": host, "ipAddresses": [address] })).collect::<Vec<_>>()
    };
    items.iter().flat_map(names).collect()
}

fn render_connection(world: &World, endpoint: &str, list: &str, item: &mut Value, is_new: bool) {
    let name = item["name"].as_str().unwrap_or_default().to_owned();
    let target = item["properties"]["privateLinkServiceId"].as_str().unwrap_or_default().to_owned();
    let (status, description) = match world.connection_of(endpoint, &target) {
        // The first answer spells it so, the later ones with a hyphen (recording).
        Some(connection) if is_new && connection.description == "Auto-Approved" => ("Approved", "Auto Approved"),
        Some(connection) => (connection.status.as_str(), connection.description.as_str()),
        // What the target has deleted, the asking side sees as disconnected.
        None => ("Disconnected", "The connection was removed by the target."),
    };
    let state = json!({ "status": status, "description": description, "actionsRequired": "None" });
    let Some(item) = item.as_object_mut() else { return };
    item.insert("id".into(), json!(format!("{endpoint}/{list}/{name}")));
    item.insert("type".into(), json!(format!("{ENDPOINT}/{list}")));
    let properties = item.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    properties["provisioningState"] = json!("Succeeded");
    properties["privateLinkServiceConnectionState"] = state;
}
