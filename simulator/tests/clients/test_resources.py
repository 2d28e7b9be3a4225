"""azure-mgmt-resource: subscriptions, groups, providers, resources, locks."""

from azure.core.exceptions import ResourceNotFoundError
from azure.mgmt.resource.locks import ManagementLockClient
from azure.mgmt.resource.locks.models import ManagementLockObject
from azure.mgmt.resource.resources import ResourceManagementClient
from azure.mgmt.resource.resources.models import ResourceGroup, ResourceGroupPatchable
from azure.mgmt.resource.subscriptions import SubscriptionClient

import lab


class Resources(lab.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = cls.simulator.client(ResourceManagementClient)

    def test_subscriptions(self):
        client = SubscriptionClient(
            self.simulator.credential(), base_url=self.simulator.base, credential_scopes=[lab.SCOPE]
        )
        self.assertEqual([s.subscription_id for s in client.subscriptions.list()], [lab.SUBSCRIPTION])
        subscription = client.subscriptions.get(lab.SUBSCRIPTION)
        self.assertEqual((subscription.state, subscription.tenant_id), ("Enabled", lab.TENANT))

    def test_a_group_from_its_making_to_its_end(self):
        groups = self.client.resource_groups
        made = groups.create_or_update("made", ResourceGroup(location="westeurope", tags={"a": "1"}))
        self.assertEqual(made.properties.provisioning_state, "Succeeded")
        self.assertTrue(groups.check_existence("made"))
        changed = groups.update("made", ResourceGroupPatchable(tags={"b": "2"}))
        self.assertEqual((changed.location, changed.tags), ("westeurope", {"b": "2"}))
        groups.begin_delete("made").result()
        self.assertFalse(groups.check_existence("made"))
        with self.assertRaises(ResourceNotFoundError) as context:
            groups.get("made")
        self.assertEqual(context.exception.error.code, "ResourceGroupNotFound")

    def test_lists_come_in_pages(self):
        for number in range(5):
            self.client.resource_groups.create_or_update(f"page{number}", ResourceGroup(location="westeurope"))
        pages = [[group.name for group in page] for page in self.client.resource_groups.list().by_page()]
        self.assertGreater(len(pages), 2)
        self.assertLessEqual({f"page{number}" for number in range(5)}, {name for page in pages for name in page})

    def test_resources_of_a_group_by_type(self):
        kind = "Microsoft.Storage/storageAccounts"
        found = self.client.resources.list_by_resource_group("rg1", filter=f"resourceType eq '{kind}'")
        self.assertEqual([(item.name, item.type) for item in found], [("amlstore1", kind)])

    def test_providers_say_how_they_are_registered(self):
        provider = self.client.providers.get("Microsoft.MachineLearningServices")
        self.assertEqual(provider.registration_state, "Registered")
        kinds = {kind.resource_type: kind for kind in provider.resource_types}
        self.assertIn("2025-12-01", kinds["workspaces"].api_versions)
        self.assertIn("Microsoft.Network", {provider.namespace for provider in self.client.providers.list()})

    def test_a_lock_holds(self):
        groups = self.client.resource_groups
        groups.create_or_update("locked", ResourceGroup(location="westeurope"))
        locks = self.simulator.client(ManagementLockClient).management_locks
        locks.create_or_update_at_resource_group_level("locked", "keep", ManagementLockObject(level="CanNotDelete"))
        with self.refused(409, "ScopeLocked"):
            groups.begin_delete("locked").result()
        locks.delete_at_resource_group_level("locked", "keep")
        groups.begin_delete("locked").result()
        self.assertFalse(groups.check_existence("locked"))
