"""Synapse: azure-mgmt-synapse for workspaces and pools, azure-synapse-managedprivateendpoints and azure-synapse-artifacts
for the data plane of a workspace."""

from azure.ai.ml._restclient.arm_ml_service import MachineLearningServicesMgmtClient
from azure.ai.ml._restclient.arm_ml_service import models as ml
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.synapse import SynapseManagementClient
from azure.mgmt.synapse import models as m
from azure.synapse.artifacts import ArtifactsClient
from azure.synapse.artifacts.models import AzureMLServiceLinkedService, IntegrationRuntimeReference, SecureString
from azure.synapse.managedprivateendpoints import VnetClient
from azure.synapse.managedprivateendpoints.models import ManagedPrivateEndpointProperties

import lab

WORKSPACE = lab.resource_id("Microsoft.MachineLearningServices/workspaces", "aml-for-synapse")


class Synapse(lab.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = cls.simulator.client(SynapseManagementClient)
        cls.made = cls.make("synws1")

    @classmethod
    def make(cls, name):
        workspace = m.Workspace(
            location=lab.REGION,
            identity=m.ManagedIdentity(type="SystemAssigned"),
            default_data_lake_storage=m.DataLakeStorageAccountDetails(
                account_url="https://amlstore1.dfs.core.windows.net", filesystem="synapse"
            ),
            sql_administrator_login="sqladmin",
            sql_administrator_login_password="not-a-secret",
            managed_virtual_network="default",
            managed_virtual_network_settings=m.ManagedVirtualNetworkSettings(prevent_data_exfiltration=False),
        )
        return cls.client.workspaces.begin_create_or_update(lab.GROUP, name, workspace).result()

    def data(self, kind, workspace="synws1", credential=None, **options):
        """A client of a workspace's data plane, whose scope it knows itself."""
        endpoint = f"{self.simulator.base}/synapse/{workspace}"
        credential = credential or self.simulator.credential()
        return kind(credential, endpoint, polling_interval=1, retry_total=0, **options)

    def machine_learning(self):
        client = self.simulator.client(MachineLearningServicesMgmtClient, api_version="2025-12-01")
        workspace = ml.Workspace(
            location=lab.REGION,
            identity=ml.ManagedServiceIdentity(type="SystemAssigned"),
            properties=ml.WorkspaceProperties(
                storage_account=lab.STORAGE, key_vault=lab.VAULT, application_insights=lab.INSIGHTS
            ),
        )
        client.workspaces.begin_create_or_update(lab.GROUP, WORKSPACE.split("/")[-1], workspace).result()
        return client

    def test_workspaces(self):
        made = self.made
        self.assertEqual((made.provisioning_state, made.managed_virtual_network), ("Succeeded", "default"))
        self.assertEqual(made.connectivity_endpoints["dev"], "https://synws1.dev.azuresynapse.net")
        self.assertTrue(made.workspace_uid and made.identity.principal_id)
        self.make("synws2")
        names = {workspace.name for workspace in self.client.workspaces.list_by_resource_group(lab.GROUP)}
        self.assertLessEqual({"synws1", "synws2"}, names)
        patch = m.WorkspacePatchInfo(tags={"team": "a"}, public_network_access="Disabled")
        changed = self.client.workspaces.begin_update(lab.GROUP, "synws2", patch).result()
        self.assertEqual((changed.public_network_access, changed.tags), ("Disabled", {"team": "a"}))
        self.client.workspaces.begin_delete(lab.GROUP, "synws2").result()
        with self.assertRaises(ResourceNotFoundError):
            self.client.workspaces.get(lab.GROUP, "synws2")

    def test_spark_pools(self):
        pool = m.BigDataPoolResourceInfo(
            location=lab.REGION,
            spark_version="3.4",
            node_size="Small",
            node_size_family="MemoryOptimized",
            auto_scale=m.AutoScaleProperties(enabled=True, min_node_count=3, max_node_count=3),
            auto_pause=m.AutoPauseProperties(enabled=True, delay_in_minutes=5),
        )
        pools = self.client.big_data_pools
        made = pools.begin_create_or_update(lab.GROUP, "synws1", "small", pool).result()
        self.assertEqual((made.provisioning_state, made.node_size), ("Succeeded", "Small"))
        self.assertEqual([p.name for p in pools.list_by_workspace(lab.GROUP, "synws1")], ["small"])
        pools.begin_delete(lab.GROUP, "synws1", "small").result()
        self.assertEqual(list(pools.list_by_workspace(lab.GROUP, "synws1")), [])

    def test_a_managed_endpoint_is_approved_on_the_other_side(self):
        aml = self.machine_learning()
        for version in ("2020-12-01", "2021-06-01-preview"):
            with self.subTest(version):
                endpoints = self.data(VnetClient, api_version=version).managed_private_endpoints
                name = "aml-" + version
                properties = ManagedPrivateEndpointProperties(
                    private_link_resource_id=WORKSPACE, group_id="amlworkspace"
                )
                endpoints.create(name, properties=properties)
                for _ in range(1000):
                    made = endpoints.get(name)
                    if made.properties.provisioning_state != "Provisioning":
                        break
                self.assertEqual(made.properties.provisioning_state, "Succeeded")
                self.assertEqual(made.properties.connection_state.status, "Pending")
                operations = aml.private_endpoint_connections
                where = (lab.GROUP, WORKSPACE.split("/")[-1])
                found = [
                    c for c in operations.list(*where)
                    if c.properties.private_endpoint.id.endswith("/privateEndpoints/synws1." + name)
                ]  # fmt: skip
                self.assertEqual(len(found), 1)
                state = ml.PrivateLinkServiceConnectionState(status="Approved", description="by a test")
                body = ml.PrivateEndpointConnection(
                    properties=ml.PrivateEndpointConnectionProperties(private_link_service_connection_state=state)
                )
                operations.create_or_update(*where, found[0].name, body)
                approved = endpoints.get(name).properties.connection_state
                self.assertEqual((approved.status, approved.description), ("Approved", "by a test"))
                self.assertIn(name, {e.name for e in endpoints.list()})
                endpoints.delete(name)
                for _ in range(1000):
                    try:
                        endpoints.get(name)
                    except ResourceNotFoundError:
                        break
                self.assertNotIn(name, {e.name for e in endpoints.list()})

    def test_linked_services(self):
        services = self.data(ArtifactsClient).linked_service
        service = AzureMLServiceLinkedService(
            subscription_id=lab.SUBSCRIPTION,
            resource_group_name=lab.GROUP,
            ml_workspace_name="aml1",
            authentication="MSI",
            connect_via=IntegrationRuntimeReference(
                type="IntegrationRuntimeReference", reference_name="AutoResolveIntegrationRuntime"
            ),
        )
        made = services.begin_create_or_update_linked_service("aml", service).result()
        self.assertEqual((made.name, made.properties.ml_workspace_name), ("aml", "aml1"))
        self.assertIsInstance(made.properties, AzureMLServiceLinkedService)
        self.assertEqual(services.get_linked_service("aml").etag, made.etag)
        service.service_principal_key = SecureString(value="not-a-secret")
        with self.assertRaises(HttpResponseError) as context:
            services.begin_create_or_update_linked_service("aml", service, if_match="another")
        self.assertEqual(context.exception.status_code, 412)
        changed = services.begin_create_or_update_linked_service("aml", service, if_match=made.etag).result()
        self.assertEqual(changed.properties.service_principal_key.value, "**********")
        names = {service.name for service in services.get_linked_services_by_workspace()}
        self.assertEqual(names, {"aml", "synws1-WorkspaceDefaultSqlServer", "synws1-WorkspaceDefaultStorage"})
        services.begin_delete_linked_service("aml").result()
        with self.assertRaises(ResourceNotFoundError):
            services.get_linked_service("aml")

    def test_a_stranger_and_a_token_for_arm_are_refused(self):
        stranger = self.simulator.credential(lab.GUEST)
        with self.assertRaises(HttpResponseError) as context:
            list(self.data(VnetClient, credential=stranger).managed_private_endpoints.list())
        self.assertEqual(context.exception.status_code, 403)
        with self.assertRaises(HttpResponseError) as context:
            list(self.data(ArtifactsClient, credential_scopes=[lab.SCOPE]).linked_service.get_linked_services_by_workspace())
        self.assertEqual(context.exception.status_code, 401)
