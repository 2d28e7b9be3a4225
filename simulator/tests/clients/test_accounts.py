"""azure-mgmt-storage, -keyvault, -containerregistry, -sql: the accounts and their network fields."""

from azure.core.exceptions import ResourceNotFoundError
from azure.mgmt.containerregistry import ContainerRegistryManagementClient
from azure.mgmt.containerregistry import models as registry
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.keyvault import models as vault
from azure.mgmt.sql import SqlManagementClient
from azure.mgmt.sql import models as sql
from azure.mgmt.storage import StorageManagementClient
from azure.mgmt.storage import models as storage

import lab


class Storage(lab.TestCase):
    def test_an_account_from_its_making_to_its_end(self):
        accounts = self.simulator.client(StorageManagementClient).storage_accounts
        parameters = storage.StorageAccountCreateParameters(
            location=lab.REGION,
            kind="StorageV2",
            sku=storage.Sku(name="Standard_LRS"),
            public_network_access="Enabled",
            network_rule_set=storage.NetworkRuleSet(
                default_action="Deny", ip_rules=[storage.IPRule(ip_address_or_range="203.0.113.7")]
            ),
        )
        made = accounts.begin_create(lab.GROUP, "made1", parameters).result()
        self.assertEqual((made.provisioning_state, made.network_rule_set.default_action), ("Succeeded", "Deny"))
        self.assertEqual(made.primary_endpoints.blob, "https://made1.blob.core.windows.net/")
        update = storage.StorageAccountUpdateParameters(public_network_access="Disabled")
        changed = accounts.update(lab.GROUP, "made1", update)
        self.assertEqual((changed.public_network_access, changed.network_rule_set.default_action), ("Disabled", "Deny"))
        self.assertEqual(accounts.get_properties(lab.GROUP, "made1").public_network_access, "Disabled")
        self.assertEqual({a.name for a in accounts.list_by_resource_group(lab.GROUP)}, {"amlstore1", "made1"})
        self.assertEqual({a.name for a in accounts.list()}, {"amlstore1", "made1"})
        accounts.delete(lab.GROUP, "made1")
        with self.assertRaises(ResourceNotFoundError) as context:
            accounts.get_properties(lab.GROUP, "made1")
        self.assertEqual(context.exception.error.code, "ResourceNotFound")

    def test_link_resources(self):
        links = self.simulator.client(StorageManagementClient).private_link_resources
        found = {r.group_id: r.required_zone_names for r in links.list_by_storage_account(lab.GROUP, "amlstore1").value}
        self.assertEqual(found["dfs"], ["privatelink.dfs.core.windows.net"])
        self.assertLessEqual({"blob", "table", "queue", "file", "web", "dfs"}, set(found))


class KeyVault(lab.TestCase):
    def test_a_vault_from_its_making_to_its_end(self):
        vaults = self.simulator.client(KeyVaultManagementClient).vaults
        parameters = vault.VaultCreateOrUpdateParameters(
            location=lab.REGION,
            properties=vault.VaultProperties(
                tenant_id=lab.TENANT,
                sku=vault.Sku(family="A", name="standard"),
                enable_rbac_authorization=True,
                network_acls=vault.NetworkRuleSet(default_action="Deny", bypass="AzureServices"),
            ),
        )
        made = vaults.begin_create_or_update(lab.GROUP, "made-kv", parameters).result()
        self.assertEqual(made.properties.provisioning_state, "Succeeded")
        self.assertEqual(made.properties.vault_uri, "https://made-kv.vault.azure.net/")
        patch = vault.VaultPatchParameters(properties=vault.VaultPatchProperties(public_network_access="Disabled"))
        changed = vaults.update(lab.GROUP, "made-kv", patch)
        self.assertEqual(changed.properties.public_network_access, "Disabled")
        self.assertEqual(changed.properties.network_acls.default_action, "Deny")
        self.assertEqual({v.name for v in vaults.list_by_resource_group(lab.GROUP)}, {"amlkv1", "made-kv"})
        vaults.delete(lab.GROUP, "made-kv")
        with self.assertRaises(ResourceNotFoundError):
            vaults.get(lab.GROUP, "made-kv")
        # A deleted vault keeps its name until it is purged.
        self.assertEqual(vaults.get_deleted("made-kv", lab.REGION).name, "made-kv")
        vaults.begin_purge_deleted("made-kv", lab.REGION).result()
        with self.assertRaises(ResourceNotFoundError):
            vaults.get_deleted("made-kv", lab.REGION)

    def test_link_resources(self):
        links = self.simulator.client(KeyVaultManagementClient).private_link_resources
        found = links.list_by_vault(lab.GROUP, "amlkv1").value
        self.assertEqual([(r.group_id, r.required_zone_names) for r in found],
                         [("vault", ["privatelink.vaultcore.azure.net"])])  # fmt: skip


class ContainerRegistry(lab.TestCase):
    def test_a_registry_from_its_making_to_its_end(self):
        registries = self.simulator.client(ContainerRegistryManagementClient).registries
        wanted = registry.Registry(
            location=lab.REGION,
            sku=registry.Sku(name="Premium"),
            properties=registry.RegistryProperties(network_rule_set=registry.NetworkRuleSet(default_action="Deny")),
        )
        made = registries.begin_create(lab.GROUP, "made1acr", wanted).result()
        self.assertEqual(made.properties.login_server, "made1acr.azurecr.io")
        update = registry.RegistryUpdateParameters(
            properties=registry.RegistryPropertiesUpdateParameters(public_network_access="Disabled")
        )
        changed = registries.begin_update(lab.GROUP, "made1acr", update).result()
        self.assertEqual(changed.properties.public_network_access, "Disabled")
        self.assertEqual({r.name for r in registries.list_by_resource_group(lab.GROUP)}, {"amlacr1", "made1acr"})
        registries.begin_delete(lab.GROUP, "made1acr").result()
        with self.assertRaises(ResourceNotFoundError):
            registries.get(lab.GROUP, "made1acr")

    def test_link_resources(self):
        registries = self.simulator.client(ContainerRegistryManagementClient).registries
        found = list(registries.list_private_link_resources(lab.GROUP, "amlacr1"))
        self.assertEqual([r.properties.group_id for r in found], ["registry"])
        self.assertIn("privatelink.azurecr.io", found[0].properties.required_zone_names)


class Sql(lab.TestCase):
    def test_a_server_from_its_making_to_its_end(self):
        servers = self.simulator.client(SqlManagementClient).servers
        wanted = sql.Server(
            location=lab.REGION,
            administrator_login="boss",
            administrator_login_password="Not-a-secret-1",
            public_network_access="Enabled",
        )
        made = servers.begin_create_or_update(lab.GROUP, "made1sql", wanted).result()
        self.assertEqual(made.fully_qualified_domain_name, "made1sql.database.windows.net")
        self.assertIsNone(made.administrator_login_password)
        changed = servers.begin_update(lab.GROUP, "made1sql", sql.ServerUpdate(public_network_access="Disabled"))
        self.assertEqual(changed.result().public_network_access, "Disabled")
        self.assertEqual({s.name for s in servers.list_by_resource_group(lab.GROUP)}, {"amlsql1", "made1sql"})
        servers.begin_delete(lab.GROUP, "made1sql").result()
        with self.assertRaises(ResourceNotFoundError):
            servers.get(lab.GROUP, "made1sql")

    def test_link_resources(self):
        links = self.simulator.client(SqlManagementClient).private_link_resources
        found = list(links.list_by_server(lab.GROUP, "amlsql1"))
        self.assertEqual([r.properties.group_id for r in found], ["sqlServer"])
        self.assertEqual(links.get(lab.GROUP, "amlsql1", "sqlServer").properties.group_id, "sqlServer")
