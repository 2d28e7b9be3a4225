"""azure-mgmt-network: networks, subnets, security groups, route tables, private endpoints and their interfaces."""

from azure.core.exceptions import ResourceNotFoundError
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.network import models as m
from azure.mgmt.privatedns import PrivateDnsManagementClient
from azure.mgmt.privatedns.models import PrivateZone

import lab


class Network(lab.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = cls.simulator.client(NetworkManagementClient)

    def network(self, name, prefix="10.1.0.0/16"):
        network = m.VirtualNetwork(
            location=lab.REGION, address_space=m.AddressSpace(address_prefixes=[prefix])
        )
        return self.client.virtual_networks.begin_create_or_update(lab.GROUP, name, network).result()

    def subnet(self, network, name="default", prefix="10.1.0.0/24", **fields):
        subnet = m.Subnet(address_prefix=prefix, **fields)
        return self.client.subnets.begin_create_or_update(lab.GROUP, network, name, subnet).result()

    def endpoint(self, name, subnet, target, group, manual=False):
        connection = m.PrivateLinkServiceConnection(
            name="asked", private_link_service_id=target, group_ids=[group], request_message="please"
        )
        which = "manual_private_link_service_connections" if manual else "private_link_service_connections"
        endpoint = m.PrivateEndpoint(location=lab.REGION, subnet=m.Subnet(id=subnet.id), **{which: [connection]})
        return self.client.private_endpoints.begin_create_or_update(lab.GROUP, name, endpoint).result()

    def test_a_network_and_its_subnets(self):
        network = self.network("vnet-a")
        self.assertEqual(network.provisioning_state, "Succeeded")
        self.assertTrue(network.etag.startswith('W/"'), network.etag)
        subnet = self.subnet("vnet-a", "one")
        self.assertEqual(subnet.private_endpoint_network_policies, "Disabled")
        self.subnet("vnet-a", "two", "10.1.1.0/24")
        self.assertEqual({s.name for s in self.client.subnets.list(lab.GROUP, "vnet-a")}, {"one", "two"})
        network = self.client.virtual_networks.get(lab.GROUP, "vnet-a")
        self.assertEqual({s.name for s in network.subnets}, {"one", "two"})
        tagged = self.client.virtual_networks.update_tags(lab.GROUP, "vnet-a", m.TagsObject(tags={"a": "1"}))
        self.assertEqual(tagged.tags, {"a": "1"})
        self.client.subnets.begin_delete(lab.GROUP, "vnet-a", "two").result()
        self.assertEqual([s.name for s in self.client.subnets.list(lab.GROUP, "vnet-a")], ["one"])
        self.client.virtual_networks.begin_delete(lab.GROUP, "vnet-a").result()
        with self.assertRaises(ResourceNotFoundError) as context:
            self.client.virtual_networks.get(lab.GROUP, "vnet-a")
        self.assertEqual(context.exception.error.code, "ResourceNotFound")

    def test_lists_of_networks_come_in_pages(self):
        names = {f"listed{number}" for number in range(5)}
        for name in names:
            self.network(name)
        pages = [[n.name for n in page] for page in self.client.virtual_networks.list(lab.GROUP).by_page()]
        self.assertGreater(len(pages), 2)
        self.assertLessEqual(names, {name for page in pages for name in page})
        self.assertLessEqual(names, {n.name for n in self.client.virtual_networks.list_all()})

    def test_a_security_group_and_its_rules(self):
        group = m.NetworkSecurityGroup(location=lab.REGION)
        group = self.client.network_security_groups.begin_create_or_update(lab.GROUP, "nsg", group).result()
        self.assertEqual(len(group.default_security_rules), 6)
        rule = m.SecurityRule(
            protocol="Tcp", access="Deny", direction="Outbound", priority=100, source_address_prefix="*",
            source_port_range="*", destination_address_prefix="Internet", destination_port_range="443",
        )  # fmt: skip
        rule = self.client.security_rules.begin_create_or_update(lab.GROUP, "nsg", "no-internet", rule).result()
        self.assertEqual((rule.provisioning_state, rule.priority), ("Succeeded", 100))
        self.assertEqual([r.name for r in self.client.security_rules.list(lab.GROUP, "nsg")], ["no-internet"])
        self.network("vnet-nsg")
        self.subnet("vnet-nsg", network_security_group=m.NetworkSecurityGroup(id=group.id))
        group = self.client.network_security_groups.get(lab.GROUP, "nsg")
        self.assertEqual([s.id.split("/")[-1] for s in group.subnets], ["default"])
        with self.refused(400, "InUseNetworkSecurityGroupCannotBeDeleted"):
            self.client.network_security_groups.begin_delete(lab.GROUP, "nsg").result()
        self.subnet("vnet-nsg")
        self.client.security_rules.begin_delete(lab.GROUP, "nsg", "no-internet").result()
        self.client.network_security_groups.begin_delete(lab.GROUP, "nsg").result()
        self.assertNotIn("nsg", [g.name for g in self.client.network_security_groups.list(lab.GROUP)])

    def test_a_route_table_and_its_routes(self):
        table = self.client.route_tables.begin_create_or_update(
            lab.GROUP, "routes", m.RouteTable(location=lab.REGION, disable_bgp_route_propagation=True)
        ).result()
        self.assertTrue(table.disable_bgp_route_propagation)
        route = m.Route(address_prefix="0.0.0.0/0", next_hop_type="VirtualAppliance", next_hop_ip_address="10.1.0.9")
        self.client.routes.begin_create_or_update(lab.GROUP, "routes", "out", route).result()
        table = self.client.route_tables.get(lab.GROUP, "routes")
        self.assertEqual([(r.name, r.next_hop_ip_address) for r in table.routes], [("out", "10.1.0.9")])
        self.network("vnet-routes")
        subnet = self.subnet("vnet-routes", route_table=m.RouteTable(id=table.id))
        self.assertEqual(subnet.route_table.id, table.id)
        self.subnet("vnet-routes")
        self.client.routes.begin_delete(lab.GROUP, "routes", "out").result()
        self.client.route_tables.begin_delete(lab.GROUP, "routes").result()

    def test_a_private_endpoint_its_interface_and_its_names(self):
        self.network("vnet-pe")
        subnet = self.subnet("vnet-pe")
        endpoint = self.endpoint("pe", subnet, lab.STORAGE, "blob")
        self.assertEqual(endpoint.provisioning_state, "Succeeded")
        state = endpoint.private_link_service_connections[0].private_link_service_connection_state
        self.assertEqual(state.status, "Approved")
        name = endpoint.network_interfaces[0].id.split("/")[-1]
        self.assertTrue(name.startswith("pe.nic."), name)
        interface = self.client.network_interfaces.get(lab.GROUP, name)
        self.assertEqual(interface.private_endpoint.id, endpoint.id)
        configuration = interface.ip_configurations[0]
        self.assertEqual(configuration.private_ip_address, "10.1.0.4")
        properties = configuration.private_link_connection_properties
        self.assertEqual((properties.group_id, properties.fqdns), ("blob", ["amlstore1.blob.core.windows.net"]))
        # The endpoint's own interface is nobody's to delete.
        with self.refused(400, "CannotDeleteNetworkInterfaceManagedByPrivateEndpoint") as _:
            self.client.network_interfaces.begin_delete(lab.GROUP, name).result()

        zones = self.simulator.client(PrivateDnsManagementClient).private_zones
        zone = zones.begin_create_or_update(
            lab.GROUP, "privatelink.blob.core.windows.net", PrivateZone(location="global")
        ).result()
        group = m.PrivateDnsZoneGroup(
            private_dns_zone_configs=[m.PrivateDnsZoneConfig(name="blob", private_dns_zone_id=zone.id)]
        )
        groups = self.client.private_dns_zone_groups
        group = groups.begin_create_or_update(lab.GROUP, "pe", "default", group).result()
        records = group.private_dns_zone_configs[0].record_sets
        self.assertEqual([(r.record_set_name, r.ip_addresses) for r in records], [("amlstore1", ["10.1.0.4"])])
        sets = self.simulator.client(PrivateDnsManagementClient).record_sets
        record = sets.get(lab.GROUP, "privatelink.blob.core.windows.net", "A", "amlstore1")
        self.assertEqual([a.ipv4_address for a in record.a_records], ["10.1.0.4"])
        self.assertEqual([g.name for g in groups.list("pe", lab.GROUP)], ["default"])
        groups.begin_delete(lab.GROUP, "pe", "default").result()
        with self.assertRaises(ResourceNotFoundError):
            sets.get(lab.GROUP, "privatelink.blob.core.windows.net", "A", "amlstore1")

        self.client.private_endpoints.begin_delete(lab.GROUP, "pe").result()
        with self.assertRaises(ResourceNotFoundError):
            self.client.network_interfaces.get(lab.GROUP, name)

    def test_a_manual_connection_waits(self):
        self.network("vnet-manual", "10.2.0.0/16")
        subnet = self.subnet("vnet-manual", prefix="10.2.0.0/24")
        endpoint = self.endpoint("pe-manual", subnet, lab.STORAGE, "dfs", manual=True)
        connection = endpoint.manual_private_link_service_connections[0]
        self.assertEqual(connection.private_link_service_connection_state.status, "Pending")
        self.assertIn("pe-manual", [e.name for e in self.client.private_endpoints.list(lab.GROUP)])
        self.assertIn("pe-manual", [e.name for e in self.client.private_endpoints.list_by_subscription()])

    def test_a_subnet_in_use_stays(self):
        self.network("vnet-used", "10.3.0.0/16")
        subnet = self.subnet("vnet-used", prefix="10.3.0.0/24")
        self.endpoint("pe-used", subnet, lab.VAULT, "vault")
        with self.refused(400, "InUseSubnetCannotBeDeleted"):
            self.client.subnets.begin_delete(lab.GROUP, "vnet-used", "default").result()
