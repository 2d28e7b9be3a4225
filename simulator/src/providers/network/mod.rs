//! Microsoft.Network: virtual networks and what lies in them, private endpoints, private DNS.

mod address;
mod children;
mod common;
mod endpoint_addresses;
mod endpoints;
mod interfaces;
mod peerings;
mod private_dns;
mod public_addresses;
mod route_tables;
mod security_groups;
mod service_endpoint_policies;
mod subnets;
mod usages;
mod users;
mod virtual_networks;
mod zone_groups;

pub(crate) use endpoint_addresses::refresh as refresh_endpoints;
pub(crate) use endpoints::{PUT as ENDPOINT_CREATION, target_of};
pub(crate) use interfaces::at as interfaces_at;
pub(crate) use peerings::in_sight;
pub(crate) use private_dns::lookup::{Lookup, look_up, zone_for};
pub(crate) use virtual_networks::{dns_servers, holds};

use super::targets;
use crate::call::Monitor;
use crate::routes::{Provider, Route, child, connectable, connection_list, link_resources, patchable, row, tracked};

/// The versions of the recordings, of the specification, of azure-mgmt-network 33.1.0 and of azure-cli 2.91.0.
const VERSIONS: &[&str] = &[
    "2020-11-01",
    "2021-05-01",
    "2022-01-01",
    "2023-09-01",
    "2023-11-01",
    "2024-03-01",
    "2024-05-01",
    "2024-07-01",
    "2025-01-01",
    "2025-05-01",
    "2025-07-01",
    "2025-09-01",
    "2026-01-01",
    "2026-03-01",
];

macro_rules! network {
    ($tail:literal) => {
        concat!("/subscriptions/{}/resourceGroups/{}/providers/Microsoft.Network/virtualNetworks/{}/", $tail)
    };
}

const ROUTES: &[Route] = &[
    row("GET", network!("usages"), VERSIONS, usages::list),
    row("GET", network!("CheckIPAddressAvailability"), VERSIONS, usages::check),
    // Twenty seconds while it runs, as recorded of private endpoints.
    row("GET", "/subscriptions/{}/providers/Microsoft.Network/locations/{}/operations/{}", VERSIONS, |call| {
        call.monitor(Monitor { running: 200, retry_after: Some(20), percent: false })
    }),
    row("GET", "/subscriptions/{}/providers/Microsoft.Network/locations/{}/operationResults/{}", VERSIONS, |call| {
        call.operation_result(Some(10))
    }),
];

pub(crate) const PROVIDER: Provider = Provider {
    namespace: "Microsoft.Network",
    source: "OpenAPI 2024-05-01, OpenAPI privatedns 2024-06-01, recordings of private endpoints (2024-03-01), virtual \
             networks, security groups, interfaces (2020-11-01), private DNS zones (2018-09-01) and links (2020-06-01)",
    missing: &[
        "NAT gateways, load balancers, application security groups: what refers to them is not resolved",
        "Load balancers, application gateways, firewalls, network watchers, network profiles, public address prefixes, \
         gateways and all else of the provider that no private endpoint needs",
        "Service tags, the types that endpoints can lead to",
        "Effective routes and rules of network interfaces; their IP configurations and the default security rules as \
         resources of their own",
        "Records that virtual machines register by themselves",
        "Private endpoints with IPv6 addresses",
        "What application gateways and private link services do: they are kept as they were sent, with their private \
         endpoint connections; nobody's connection is approved by a service's `autoApproval`",
    ],
    types: &[
        virtual_networks::TYPE,
        subnets::TYPE,
        peerings::TYPE,
        security_groups::TYPE,
        security_groups::RULE_TYPE,
        service_endpoint_policies::TYPE,
        service_endpoint_policies::DEFINITION_TYPE,
        route_tables::TYPE,
        route_tables::ROUTE_TYPE,
        public_addresses::TYPE,
        interfaces::TYPE,
        endpoints::TYPE,
        zone_groups::TYPE,
        targets::GATEWAY,
        targets::LINK_SERVICE,
        private_dns::zones::TYPE,
        private_dns::links::TYPE,
        private_dns::records::A,
        private_dns::records::AAAA,
        private_dns::records::CNAME,
        private_dns::records::MX,
        private_dns::records::PTR,
        private_dns::records::SOA,
        private_dns::records::SRV,
        private_dns::records::TXT,
    ],
    routes: &[
        tracked!("Microsoft.Network/virtualNetworks", VERSIONS),
        patchable!("Microsoft.Network/virtualNetworks", VERSIONS),
        child!("Microsoft.Network/virtualNetworks/{}/subnets", VERSIONS),
        child!("Microsoft.Network/virtualNetworks/{}/virtualNetworkPeerings", VERSIONS),
        tracked!("Microsoft.Network/networkSecurityGroups", VERSIONS),
        patchable!("Microsoft.Network/networkSecurityGroups", VERSIONS),
        child!("Microsoft.Network/networkSecurityGroups/{}/securityRules", VERSIONS),
        tracked!("Microsoft.Network/serviceEndpointPolicies", VERSIONS),
        patchable!("Microsoft.Network/serviceEndpointPolicies", VERSIONS),
        child!("Microsoft.Network/serviceEndpointPolicies/{}/serviceEndpointPolicyDefinitions", VERSIONS),
        tracked!("Microsoft.Network/routeTables", VERSIONS),
        patchable!("Microsoft.Network/routeTables", VERSIONS),
        child!("Microsoft.Network/routeTables/{}/routes", VERSIONS),
        tracked!("Microsoft.Network/publicIPAddresses", VERSIONS),
        patchable!("Microsoft.Network/publicIPAddresses", VERSIONS),
        tracked!("Microsoft.Network/networkInterfaces", VERSIONS),
        patchable!("Microsoft.Network/networkInterfaces", VERSIONS),
        tracked!("Microsoft.Network/privateEndpoints", VERSIONS),
        child!("Microsoft.Network/privateEndpoints/{}/privateDnsZoneGroups", VERSIONS),
        tracked!("Microsoft.Network/applicationGateways", VERSIONS),
        connectable!("Microsoft.Network/applicationGateways", VERSIONS),
        connection_list!("Microsoft.Network/applicationGateways", VERSIONS),
        link_resources!("Microsoft.Network/applicationGateways", VERSIONS),
        tracked!("Microsoft.Network/privateLinkServices", VERSIONS),
        connectable!("Microsoft.Network/privateLinkServices", VERSIONS),
        connection_list!("Microsoft.Network/privateLinkServices", VERSIONS),
        tracked!("Microsoft.Network/privateDnsZones", private_dns::VERSIONS),
        patchable!("Microsoft.Network/privateDnsZones", private_dns::VERSIONS),
        child!("Microsoft.Network/privateDnsZones/{}/virtualNetworkLinks", private_dns::VERSIONS),
        patchable!("Microsoft.Network/privateDnsZones/{}/virtualNetworkLinks", private_dns::VERSIONS),
        private_dns::records::ROUTES,
        private_dns::ROUTES,
        ROUTES,
    ],
};
