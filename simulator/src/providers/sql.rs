//! Microsoft.Sql: servers as targets of private endpoints, with their firewall. Databases are not here.

use serde_json::{Value, json};

use super::network_rules::{self, SubnetFault};
use crate::body;
use crate::call::{Answer, Call, Shown, Style};
use crate::error::ArmError;
use crate::ids;
use crate::resource_type::{Patch, Proposal, ResourceType, Write, at_once};
use crate::routes::{
    Provider, Route, child, connectable, connection_list, link_resource, link_resources, patchable, row, tracked,
};
use crate::world::World;

const KIND: &str = "Microsoft.Sql/servers";

/// 2018-06-01-preview is what azure-cli uses to approve connections.
const VERSIONS: &[&str] = &["2018-06-01-preview", "2021-11-01", "2023-08-01", "2025-01-01"];

macro_rules! in_location {
    ($tail:literal) => {
        concat!("/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Sql/locations/{}/", $tail, "/{}")
    };
}

macro_rules! url {
    ($tail:literal) => {
        concat!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Sql/locations/{location}/",
            $tail,
            "/{id}"
        )
    };
}

const ROUTES: &[Route] = &[
    row("GET", in_location!("serverAzureAsyncOperation"), VERSIONS, status),
    row("GET", in_location!("serverOperationResults"), VERSIONS, result),
    row("GET", in_location!("privateEndpointConnectionAzureAsyncOperation"), VERSIONS, status),
    row("GET", in_location!("privateEndpointConnectionOperationResults"), VERSIONS, result),
];

/// 202 without a body (client of 2025-01-01). Chosen: both URLs and their paths.
const STYLE: Style = Style {
    running: 202,
    done: 200,
    body: Shown::Nothing,
    status_url: Some((url!("serverAzureAsyncOperation"), "")),
    location_url: Some((url!("serverOperationResults"), "")),
    retry_after: Some(15),
    ..Style::at_once(200)
};

const UPDATE: Write =
    Write { kind: "sqlServerUpdate", seconds: |times| times.sql_server, busy: "Updating", style: STYLE };

const SERVER: ResourceType = ResourceType {
    kind: KIND,
    accept,
    render,
    names: &[
        "administratorLogin",
        "administratorLoginPassword",
        "administrators",
        "minimalTlsVersion",
        "publicNetworkAccess",
        "restrictOutboundNetworkAccess",
        "version",
    ],
    shows_state: false,
    create: Write { kind: "sqlServerCreate", style: Style { done: 201, ..STYLE }, ..UPDATE },
    update: UPDATE,
    patch: Some((Patch::Merge, UPDATE)),
    delete: Write { kind: "sqlServerDelete", ..UPDATE },
    ..ResourceType::DEFAULT
};

const FIREWALL_RULE: ResourceType = ResourceType {
    kind: "Microsoft.Sql/servers/firewallRules",
    accept: firewall_rule,
    names: &["startIpAddress", "endIpAddress"],
    tracked: false,
    shows_state: false,
    update: at_once("update", 200),
    ..ResourceType::DEFAULT
};

const NETWORK_RULE: ResourceType = ResourceType {
    kind: "Microsoft.Sql/servers/virtualNetworkRules",
    accept: network_rule,
    names: &["virtualNetworkSubnetId", "ignoreMissingVnetServiceEndpoint"],
    tracked: false,
    shows_state: false,
    ..ResourceType::DEFAULT
};

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.Sql",
    source: "OpenAPI 2021-11-01 of private endpoint connections; the server itself: chosen, from its client's models",
    missing: &["Databases, auditing, Entra administrators as a resource, outbound and IPv6 firewall rules"],
    types: &[SERVER, FIREWALL_RULE, NETWORK_RULE],
    routes: &[
        tracked!("Microsoft.Sql/servers", VERSIONS),
        patchable!("Microsoft.Sql/servers", VERSIONS),
        child!("Microsoft.Sql/servers/{}/firewallRules", VERSIONS),
        child!("Microsoft.Sql/servers/{}/virtualNetworkRules", VERSIONS),
        connectable!("Microsoft.Sql/servers", VERSIONS),
        connection_list!("Microsoft.Sql/servers", VERSIONS),
        link_resources!("Microsoft.Sql/servers", VERSIONS),
        link_resource!("Microsoft.Sql/servers", VERSIONS),
        ROUTES,
    ],
};

fn status(call: &mut Call<'_>) -> Answer {
    call.operation_status(Some(15))
}

fn result(call: &mut Call<'_>) -> Answer {
    call.operation_result(Some(15))
}

fn accept(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let name = ids::name(proposal.id);
    let fits = (1..=63).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !name.starts_with('-')
        && !name.ends_with('-');
    if !fits {
        // Chosen: `InvalidServerName` and its sentence; the rule for names is documented.
        return Err(ArmError::new(400, "InvalidServerName", format!("'{name}' is not a valid name of a server.")));
    }
    if world.name_taken(KIND, proposal.id, name) {
        let message = format!("The name '{name}' already exists. Choose a different name.");
        // Chosen: code and sentence for a name that another server has.
        return Err(ArmError::new(409, "NameAlreadyExists", message));
    }
    let mut document = body::members(proposal.body, &["identity", "properties"]);
    if !document["properties"].is_object() {
        document["properties"] = json!({});
    }
    let properties = &mut document["properties"];
    for (what, allowed) in [
        ("publicNetworkAccess", ["Enabled", "Disabled"].as_slice()),
        ("restrictOutboundNetworkAccess", &["Enabled", "Disabled"]),
        ("minimalTlsVersion", &["None", "1.0", "1.1", "1.2", "1.3"]),
    ] {
        if !properties[what].as_str().map_or(properties[what].is_null(), |value| allowed.contains(&value)) {
            return Err(ArmError::bad_request(format!("'{what}' is not valid.")));
        }
    }
    // What is there keeps its administrator; a new server needs one.
    if let Some(login) = proposal.existing.map(|old| &old["properties"]["administratorLogin"]).filter(|l| l.is_string())
    {
        if properties["administratorLogin"].is_null() {
            properties["administratorLogin"] = login.clone();
        }
    } else if proposal.existing.is_none()
        && properties["administratorLogin"].is_null()
        && properties["administrators"].is_null()
    {
        return Err(ArmError::bad_request("A server needs administratorLogin or administrators."));
    }
    if let Some(members) = properties.as_object_mut() {
        // Never stored, so never shown.
        members.remove("administratorLoginPassword");
    }
    document["kind"] = json!("v12.0");
    Ok(document)
}

fn render(world: &World, document: Value) -> Value {
    let mut server = document;
    let id = server["id"].as_str().unwrap_or_default();
    let host = format!("{}.database.windows.net", ids::name(id).to_ascii_lowercase());
    let mut shown = json!({
        "version": "12.0",
        "state": "Ready",
        "fullyQualifiedDomainName": world.settings.cloud.spell(&host),
        "publicNetworkAccess": "Enabled",
        "restrictOutboundNetworkAccess": "Disabled",
        "minimalTlsVersion": "1.2",
        "privateEndpointConnections": world.render_connections(id),
    });
    body::merge(&mut shown, &server["properties"], &["privateEndpointConnections"]);
    server["properties"] = shown;
    server
}

fn firewall_rule(_: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let address = |name: &str| {
        let text = proposal.body["properties"][name].as_str().unwrap_or_default();
        text.parse::<std::net::Ipv4Addr>()
            .map_err(|_| ArmError::bad_request(format!("'{name}' is not an IPv4 address.")))
    };
    let (start, end) = (address("startIpAddress")?, address("endIpAddress")?);
    if start > end {
        return Err(ArmError::bad_request("startIpAddress is greater than endIpAddress."));
    }
    Ok(json!({ "properties": { "startIpAddress": start.to_string(), "endIpAddress": end.to_string() } }))
}

fn network_rule(world: &World, proposal: &Proposal<'_>) -> Result<Value, ArmError> {
    let properties = &proposal.body["properties"];
    let subnet = properties["virtualNetworkSubnetId"].as_str().unwrap_or_default();
    let ignore = properties["ignoreMissingVnetServiceEndpoint"] == true;
    match network_rules::check_subnet(world, subnet, "Microsoft.Sql") {
        Err(SubnetFault::BadId) => {
            return Err(ArmError::bad_request("virtualNetworkSubnetId is not the id of a subnet."));
        }
        // Chosen: code and sentence for a subnet that cannot be let in, after those of Storage.
        Err(SubnetFault::Refused(why)) if !ignore => {
            return Err(ArmError::new(400, "VirtualNetworkRuleBadRequest", why));
        }
        _ => {}
    }
    Ok(json!({ "properties": {
        "virtualNetworkSubnetId": subnet, "ignoreMissingVnetServiceEndpoint": ignore, "state": "Ready",
    } }))
}
