"""azure-mgmt-privatedns: zones, links, record sets, and what their ETags protect."""

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.mgmt.privatedns import PrivateDnsManagementClient
from azure.mgmt.privatedns import models as m

import lab

ZONE = "privatelink.vaultcore.azure.net"
NETWORK = lab.resource_id("Microsoft.Network/virtualNetworks", "vnet1")


class Dns(lab.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = cls.simulator.client(PrivateDnsManagementClient)
        zone = m.PrivateZone(location="global")
        cls.zone = cls.client.private_zones.begin_create_or_update(lab.GROUP, ZONE, zone).result()

    def record(self, name, address, **conditions):
        record = m.RecordSet(ttl=10, a_records=[m.ARecord(ipv4_address=address)])
        return self.client.record_sets.create_or_update(lab.GROUP, ZONE, "A", name, record, **conditions)

    def test_a_zone_has_its_soa_record(self):
        self.assertEqual((self.zone.location, self.zone.provisioning_state), ("global", "Succeeded"))
        self.assertEqual([r.name for r in self.client.record_sets.list_by_type(lab.GROUP, ZONE, "SOA")], ["@"])

    def test_zones_are_listed_and_deleted(self):
        name = "privatelink.api.azureml.ms"
        self.client.private_zones.begin_create_or_update(lab.GROUP, name, m.PrivateZone(location="global")).result()
        self.assertIn(name, [zone.name for zone in self.client.private_zones.list_by_resource_group(lab.GROUP)])
        self.assertIn(name, [zone.name for zone in self.client.private_zones.list()])
        self.client.private_zones.begin_delete(lab.GROUP, name).result()
        with self.assertRaises(ResourceNotFoundError):
            self.client.private_zones.get(lab.GROUP, name)

    def test_a_link_holds_its_zone(self):
        name = "privatelink.azurecr.io"
        self.client.private_zones.begin_create_or_update(lab.GROUP, name, m.PrivateZone(location="global")).result()
        link = m.VirtualNetworkLink(
            location="global", virtual_network=m.SubResource(id=NETWORK), registration_enabled=False
        )
        links = self.client.virtual_network_links
        link = links.begin_create_or_update(lab.GROUP, name, "hub", link).result()
        self.assertEqual((link.virtual_network_link_state, link.provisioning_state), ("Completed", "Succeeded"))
        self.assertEqual(self.client.private_zones.get(lab.GROUP, name).number_of_virtual_network_links, 1)
        with self.refused(409, "CannotDeleteResource"):
            self.client.private_zones.begin_delete(lab.GROUP, name).result()
        links.begin_delete(lab.GROUP, name, "hub").result()
        self.assertEqual(list(links.list(lab.GROUP, name)), [])
        self.client.private_zones.begin_delete(lab.GROUP, name).result()

    def test_record_sets(self):
        record = self.record("kv", "10.0.0.4")
        self.assertEqual(record.fqdn, f"kv.{ZONE}.")
        self.assertIn("kv", [r.name for r in self.client.record_sets.list(lab.GROUP, ZONE)])
        self.client.record_sets.delete(lab.GROUP, ZONE, "A", "kv")
        with self.assertRaises(ResourceNotFoundError):
            self.client.record_sets.get(lab.GROUP, ZONE, "A", "kv")

    def test_an_etag_protects_a_record_set(self):
        first = self.record("etag", "10.0.0.4")
        second = self.record("etag", "10.0.0.5", etag=first.etag, match_condition=MatchConditions.IfNotModified)
        self.assertNotEqual(first.etag, second.etag)
        with self.assertRaises(ResourceModifiedError) as context:
            self.record("etag", "10.0.0.6", etag=first.etag, match_condition=MatchConditions.IfNotModified)
        self.assertEqual(context.exception.status_code, 412)
        with self.assertRaises(ResourceModifiedError):
            self.client.record_sets.delete(
                lab.GROUP, ZONE, "A", "etag", etag=first.etag, match_condition=MatchConditions.IfNotModified
            )
        kept = self.client.record_sets.get(lab.GROUP, ZONE, "A", "etag")
        self.assertEqual([a.ipv4_address for a in kept.a_records], ["10.0.0.5"])

    def test_a_record_set_is_not_made_twice_against_the_clients_will(self):
        self.record("once", "10.0.0.4", match_condition=MatchConditions.IfMissing)
        with self.assertRaises((ResourceExistsError, ResourceModifiedError)) as context:
            self.record("once", "10.0.0.5", match_condition=MatchConditions.IfMissing)
        self.assertEqual(context.exception.status_code, 412)
