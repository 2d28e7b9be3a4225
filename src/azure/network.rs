//! Microsoft.Network: what the operator reads of virtual networks, private endpoints and private DNS.
//!
//! Answers are read leniently: unknown members are ignored and every field may be missing or null.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The version every request for networks and private endpoints names.
pub const API_VERSION: &str = "2024-05-01";
/// The version every request for private DNS names.
pub const DNS_API_VERSION: &str = "2024-06-01";
/// The type of a private endpoint.
pub const PRIVATE_ENDPOINTS: &str = "Microsoft.Network/privateEndpoints";
/// The type of a private DNS zone.
pub const PRIVATE_ZONES: &str = "Microsoft.Network/privateDnsZones";
/// Addresses that Azure keeps for itself in every subnet.
const RESERVED: u128 = 5;

/// A reference to a resource.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Reference {
    /// Its ARM id.
    pub id: Option<String>,
}

/// A virtual network as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct VirtualNetwork {
    /// Region.
    pub location: Option<String>,
    /// Everything else.
    pub properties: VirtualNetworkProperties,
}

/// What a virtual network has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct VirtualNetworkProperties {
    /// Its subnets.
    pub subnets: Option<Vec<Subnet>>,
}

/// A subnet as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Subnet {
    /// Its ARM id.
    pub id: Option<String>,
    /// Everything else.
    pub properties: SubnetProperties,
}

/// What a subnet has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct SubnetProperties {
    /// Its one prefix.
    pub address_prefix: Option<String>,
    /// Or its prefixes.
    pub address_prefixes: Option<Vec<String>>,
    /// `Enabled`, `Disabled`, `NetworkSecurityGroupEnabled`, `RouteTableEnabled`.
    pub private_endpoint_network_policies: Option<String>,
    /// Services that it is delegated to.
    pub delegations: Option<Vec<Value>>,
    /// Private endpoints in it.
    pub private_endpoints: Option<Vec<Reference>>,
    /// Addresses in use.
    pub ip_configurations: Option<Vec<Reference>>,
    /// Its security group.
    pub network_security_group: Option<Reference>,
    /// Its service endpoints.
    pub service_endpoints: Option<Vec<ServiceEndpoint>>,
    /// Policies on them.
    pub service_endpoint_policies: Option<Vec<Reference>>,
}

/// A service endpoint of a subnet.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ServiceEndpoint {
    /// For example `Microsoft.Storage`.
    pub service: Option<String>,
}

impl Subnet {
    /// All its prefixes that can be read.
    pub fn prefixes(&self) -> Vec<IpNet> {
        let own = &self.properties;
        let all = own.address_prefix.iter().chain(own.address_prefixes.iter().flatten());
        let mut prefixes: Vec<IpNet> = all.filter_map(|prefix| prefix.parse().ok()).collect();
        prefixes.dedup();
        prefixes
    }

    /// True if private endpoints lie in it and nothing else does: every address in use belongs to the interface of one of them, which is
    /// named after it.
    pub fn has_endpoints_only(&self) -> bool {
        let last = |id: &str| id.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        let endpoints = self.properties.private_endpoints.iter().flatten();
        let endpoints: Vec<String> = endpoints.filter_map(|one| one.id.as_deref().map(last)).collect();
        let mut addresses = self.properties.ip_configurations.iter().flatten().filter_map(|one| one.id.as_deref());
        let of_endpoint = |id: &str| {
            // …/networkInterfaces/{interface}/ipConfigurations/{name}
            let interface = id.rsplit('/').nth(2).unwrap_or_default().to_ascii_lowercase();
            let named = |endpoint: &String| {
                interface.strip_prefix(endpoint.as_str()).is_some_and(|rest| rest.starts_with(['.', '-']))
            };
            id.to_ascii_lowercase().contains("/networkinterfaces/") && endpoints.iter().any(named)
        };
        !endpoints.is_empty() && addresses.all(of_endpoint)
    }

    /// How many addresses nobody has.
    pub fn room(&self) -> u128 {
        let size = |prefix: &IpNet| {
            let bits = u32::from(prefix.max_prefix_len() - prefix.prefix_len());
            1_u128.checked_shl(bits).unwrap_or(u128::MAX).saturating_sub(RESERVED)
        };
        let all = self.prefixes().iter().map(size).fold(0_u128, u128::saturating_add);
        let used = self.properties.ip_configurations.as_ref().map_or(0, Vec::len);
        all.saturating_sub(u128::try_from(used).unwrap_or(u128::MAX))
    }
}

impl VirtualNetwork {
    /// Its subnets.
    pub fn subnets(&self) -> impl Iterator<Item = &Subnet> {
        self.properties.subnets.iter().flatten()
    }

    /// Ids of all private endpoints in it.
    pub fn endpoints(&self) -> impl Iterator<Item = &str> {
        self.subnets()
            .filter_map(|subnet| subnet.properties.private_endpoints.as_ref())
            .flatten()
            .filter_map(|endpoint| endpoint.id.as_deref())
    }
}

/// A private endpoint as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PrivateEndpoint {
    /// Region.
    pub location: Option<String>,
    /// Tags.
    pub tags: Option<BTreeMap<String, String>>,
    /// Changes whenever the endpoint does.
    pub etag: Option<String>,
    /// Everything else.
    pub properties: PrivateEndpointProperties,
}

/// What a private endpoint has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PrivateEndpointProperties {
    /// `Succeeded`, `Updating`, `Deleting`, `Failed`.
    pub provisioning_state: Option<String>,
    /// Where it lies.
    pub subnet: Option<Reference>,
    /// Connections that the caller's own rights approved.
    pub private_link_service_connections: Option<Vec<LinkConnection>>,
    /// Connections that somebody else approves.
    pub manual_private_link_service_connections: Option<Vec<LinkConnection>>,
    /// Names and addresses, as long as no zone group writes them (nobody documents that; not relied on).
    pub custom_dns_configs: Option<Vec<DnsConfig>>,
}

/// The connection of an endpoint.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LinkConnection {
    /// Everything.
    pub properties: LinkConnectionProperties,
}

/// What the connection of an endpoint has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinkConnectionProperties {
    /// Where it leads.
    pub private_link_service_id: Option<String>,
    /// For which sub-resources.
    pub group_ids: Option<Vec<String>>,
    /// How it stands.
    pub private_link_service_connection_state: Option<LinkState>,
}

/// How a connection stands.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LinkState {
    /// `Pending`, `Approved`, `Rejected`, `Disconnected`.
    pub status: Option<String>,
    /// Words of whoever decided.
    pub description: Option<String>,
}

/// A name and its addresses.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct DnsConfig {
    /// The public host name.
    pub fqdn: Option<String>,
    /// The private addresses.
    pub ip_addresses: Option<Vec<String>>,
}

impl PrivateEndpoint {
    fn connection(&self) -> Option<&LinkConnectionProperties> {
        let own = &self.properties;
        let manual = own.manual_private_link_service_connections.iter().flatten();
        let all = manual.chain(own.private_link_service_connections.iter().flatten());
        all.map(|connection| &connection.properties).next()
    }

    /// Where it leads.
    pub fn target(&self) -> Option<&str> {
        self.connection()?.private_link_service_id.as_deref()
    }

    /// True if it leads to the sub-resource `group` of `target`, and to nothing else.
    pub fn leads_to(&self, target: &str, group: &str) -> bool {
        let groups = self.connection().and_then(|connection| connection.group_ids.as_ref());
        self.target().is_some_and(|id| id.eq_ignore_ascii_case(target))
            && groups.is_some_and(|groups| matches!(groups.as_slice(), [one] if one.eq_ignore_ascii_case(group)))
    }

    /// How its connection stands; `Pending` as long as ARM does not say.
    pub fn state(&self) -> &str {
        let state = self.connection().and_then(|connection| connection.private_link_service_connection_state.as_ref());
        state.and_then(|state| state.status.as_deref()).unwrap_or("Pending")
    }

    /// What whoever decided says.
    pub fn words(&self) -> &str {
        let state = self.connection().and_then(|connection| connection.private_link_service_connection_state.as_ref());
        state.and_then(|state| state.description.as_deref()).unwrap_or_default()
    }

    /// True if traffic may flow.
    pub fn is_approved(&self) -> bool {
        self.state().eq_ignore_ascii_case("Approved")
    }

    /// The subnet it lies in.
    pub fn subnet(&self) -> Option<&str> {
        self.properties.subnet.as_ref()?.id.as_deref()
    }

    /// The value of the tag `name`.
    pub fn tag(&self, name: &str) -> Option<&str> {
        tag(self.tags.as_ref(), name)
    }

    /// True while ARM makes, changes or deletes it.
    pub fn is_moving(&self) -> bool {
        is_moving(self.properties.provisioning_state.as_deref())
    }

    /// True if its creation failed.
    pub fn has_failed(&self) -> bool {
        self.properties.provisioning_state.as_deref().is_some_and(|state| state.eq_ignore_ascii_case("Failed"))
    }
}

/// The value of the tag `name`; names compare without regard to case (Azure's tagging rules).
fn tag<'a>(tags: Option<&'a BTreeMap<String, String>>, name: &str) -> Option<&'a str> {
    tags?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// True if `state` says that ARM is at work; a missing one means `Succeeded` (ARM RPC, async-api-reference).
fn is_moving(state: Option<&str>) -> bool {
    let at_rest = ["succeeded", "failed", "canceled"];
    state.is_some_and(|state| !at_rest.contains(&state.to_ascii_lowercase().as_str()))
}

/// A network interface, as far as its endpoint's names and addresses go.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct NetworkInterface {
    /// Everything.
    pub properties: NetworkInterfaceProperties,
}

/// What a network interface has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct NetworkInterfaceProperties {
    /// Its addresses.
    pub ip_configurations: Option<Vec<IpConfiguration>>,
}

/// One address of an interface.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct IpConfiguration {
    /// Everything.
    pub properties: IpConfigurationProperties,
}

/// What an address has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct IpConfigurationProperties {
    /// The address.
    #[serde(rename = "privateIPAddress")]
    pub private_ip_address: Option<String>,
    /// What it is for.
    pub private_link_connection_properties: Option<MemberProperties>,
}

/// What an address of a private endpoint is for.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct MemberProperties {
    /// The public host names.
    pub fqdns: Option<Vec<String>>,
}

impl NetworkInterface {
    /// Every public host name with its private address, as ARM states them. What is no host name or no address is left out.
    pub fn names(&self) -> Vec<(String, IpAddr)> {
        let all = self.properties.ip_configurations.iter().flatten().map(|configuration| &configuration.properties);
        let of = |configuration: &'_ IpConfigurationProperties| {
            let address: Option<IpAddr> =
                configuration.private_ip_address.as_deref().and_then(|text| text.parse().ok());
            let member = configuration.private_link_connection_properties.as_ref();
            let names = member.and_then(|member| member.fqdns.clone()).unwrap_or_default();
            let named = names.into_iter().filter(|name| is_host(name));
            named.filter_map(|name| Some((name.to_ascii_lowercase(), address?))).collect::<Vec<_>>()
        };
        all.flat_map(of).collect()
    }
}

/// True if `name` is a host name, with `*` for its first label at the most.
pub fn is_host(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
    };
    let rest = name.strip_prefix("*.").unwrap_or(name);
    name.len() <= 253 && rest.contains('.') && rest.split('.').all(label)
}

/// A DNS zone group as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ZoneGroup {
    /// Everything.
    pub properties: ZoneGroupProperties,
}

/// What a zone group has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ZoneGroupProperties {
    /// `Succeeded`, `Updating`, `Deleting`, `Failed`.
    pub provisioning_state: Option<String>,
    /// Its zones.
    pub private_dns_zone_configs: Option<Vec<ZoneConfig>>,
}

/// One zone of a group.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ZoneConfig {
    /// Everything.
    pub properties: ZoneConfigProperties,
}

/// What a zone of a group has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ZoneConfigProperties {
    /// ARM id of the zone.
    pub private_dns_zone_id: Option<String>,
}

impl ZoneGroup {
    /// Ids of its zones.
    pub fn zones(&self) -> impl Iterator<Item = &str> {
        let configs = self.properties.private_dns_zone_configs.iter().flatten();
        configs.filter_map(|config| config.properties.private_dns_zone_id.as_deref())
    }

    /// True while ARM works on it.
    pub fn is_moving(&self) -> bool {
        is_moving(self.properties.provisioning_state.as_deref())
    }
}

/// A private DNS zone as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct PrivateZone {
    /// Tags.
    pub tags: Option<BTreeMap<String, String>>,
    /// Changes whenever the zone does.
    pub etag: Option<String>,
    /// Everything else.
    pub properties: PrivateZoneProperties,
}

/// What a zone has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PrivateZoneProperties {
    /// How many record sets it has; the one of its authority counts.
    pub number_of_record_sets: Option<u64>,
    /// How many networks it is linked to.
    pub number_of_virtual_network_links: Option<u64>,
    /// `Succeeded` and others.
    pub provisioning_state: Option<String>,
}

impl PrivateZone {
    /// The value of the tag `name`.
    pub fn tag(&self, name: &str) -> Option<&str> {
        tag(self.tags.as_ref(), name)
    }

    /// True if nothing is in it and no network is linked to it.
    pub fn is_unused(&self) -> bool {
        let own = &self.properties;
        own.number_of_record_sets == Some(1) && own.number_of_virtual_network_links == Some(0)
    }
}

/// A link of a zone to a network, as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ZoneLink {
    /// Name.
    pub name: Option<String>,
    /// Tags.
    pub tags: Option<BTreeMap<String, String>>,
    /// Everything else.
    pub properties: ZoneLinkProperties,
}

/// What a link has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ZoneLinkProperties {
    /// The network.
    pub virtual_network: Option<Reference>,
    /// `Default` or `NxDomainRedirect`.
    pub resolution_policy: Option<String>,
    /// `Succeeded` and others.
    pub provisioning_state: Option<String>,
}

impl ZoneLink {
    /// The value of the tag `name`.
    pub fn tag(&self, name: &str) -> Option<&str> {
        tag(self.tags.as_ref(), name)
    }

    /// True if it leads to the network `id`.
    pub fn leads_to(&self, id: &str) -> bool {
        let network = self.properties.virtual_network.as_ref().and_then(|network| network.id.as_deref());
        network.is_some_and(|network| network.eq_ignore_ascii_case(id))
    }

    /// True if the network asks the public DNS for names that the zone does not hold.
    pub fn asks_the_public_dns(&self) -> bool {
        self.properties
            .resolution_policy
            .as_deref()
            .is_some_and(|policy| policy.eq_ignore_ascii_case("NxDomainRedirect"))
    }

    /// True while ARM works on it.
    pub fn is_moving(&self) -> bool {
        is_moving(self.properties.provisioning_state.as_deref())
    }
}

/// The addresses of a record set, as ARM shows it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RecordSet {
    /// Everything.
    pub properties: RecordSetProperties,
}

/// What a record set has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RecordSetProperties {
    /// Its addresses.
    pub a_records: Option<Vec<ARecord>>,
}

/// One address of a record set.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ARecord {
    /// The address.
    pub ipv4_address: Option<Ipv4Addr>,
}

impl RecordSet {
    /// Its addresses.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let records = self.properties.a_records.iter().flatten();
        records.filter_map(|record| record.ipv4_address.map(IpAddr::V4)).collect()
    }
}

/// What a target says of one of its sub-resources.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct LinkResource {
    /// Everything.
    pub properties: LinkResourceProperties,
}

/// What a sub-resource has.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LinkResourceProperties {
    /// Its name.
    pub group_id: Option<String>,
    /// What takes an address each.
    pub required_members: Option<Vec<String>>,
    /// The zones that answer for it; several providers say none.
    pub required_zone_names: Option<Vec<String>>,
}

/// Reads an answer of this provider.
///
/// # Errors
/// If it is none.
pub fn read<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_room_of_a_subnet_is_what_azure_and_others_leave() {
        let subnet = |prefixes: Value, used: usize| -> Subnet {
            let used: Vec<Value> = (0..used).map(|n| json!({"id": format!("/{n}")})).collect();
            read(json!({"id": "/s", "properties": {"addressPrefixes": prefixes, "ipConfigurations": used}})).unwrap()
        };
        assert_eq!(subnet(json!(["10.0.0.0/29"]), 0).room(), 3);
        assert_eq!(subnet(json!(["10.0.0.0/29"]), 3).room(), 0);
        assert_eq!(subnet(json!(["10.0.0.0/29", "10.0.1.0/28"]), 4).room(), 10);
        assert_eq!(subnet(json!(["nonsense"]), 4).room(), 0);
        assert!(subnet(json!(["::/0"]), 0).room() > 1_000_000);
    }

    #[test]
    fn names_come_from_the_interface_and_only_names() {
        let interface: NetworkInterface = read(json!({"properties": {"ipConfigurations": [
            {"properties": {"privateIPAddress": "10.0.0.4", "privateLinkConnectionProperties": {"fqdns": ["Lake.blob.core.windows.net", "a\nb.c", "x"]}}},
            {"properties": {"privateIPAddress": "no address", "privateLinkConnectionProperties": {"fqdns": ["a.b.c"]}}},
            {"properties": {"privateIPAddress": "10.0.0.5", "privateLinkConnectionProperties": null}},
            {"properties": {"privateIPAddress": "10.0.0.6", "privateLinkConnectionProperties": {"fqdns": ["*.westeurope.inference.ml.azure.com"]}}},
        ]}}))
        .unwrap();
        let names: Vec<String> = interface.names().iter().map(|(name, address)| format!("{name} {address}")).collect();
        assert_eq!(names, ["lake.blob.core.windows.net 10.0.0.4", "*.westeurope.inference.ml.azure.com 10.0.0.6"]);
    }

    #[test]
    fn an_endpoint_says_where_it_leads_and_how_it_stands() {
        let endpoint: PrivateEndpoint = read(json!({"properties": {"manualPrivateLinkServiceConnections": [{"properties": {
            "privateLinkServiceId": "/X", "groupIds": ["blob"], "privateLinkServiceConnectionState": {"status": "approved"}}}]}}))
        .unwrap();
        assert!(endpoint.leads_to("/x", "BLOB") && !endpoint.leads_to("/x", "dfs") && endpoint.is_approved());
        assert_eq!(PrivateEndpoint::default().state(), "Pending");
    }
}
