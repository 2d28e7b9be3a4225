"""Approving, rejecting and deleting private endpoint connections, with each provider's own client and dialect."""

from azure.ai.ml._restclient.arm_ml_service import MachineLearningServicesMgmtClient
from azure.ai.ml._restclient.arm_ml_service import models as ml
from azure.core.exceptions import ResourceNotFoundError
from azure.mgmt.containerregistry import ContainerRegistryManagementClient
from azure.mgmt.containerregistry import models as registry
from azure.mgmt.keyvault import KeyVaultManagementClient
from azure.mgmt.keyvault import models as vault
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient as OlderClient
from azure.mgmt.machinelearningservices import models as older
from azure.mgmt.network import NetworkManagementClient
from azure.mgmt.network import models as network
from azure.mgmt.sql import SqlManagementClient
from azure.mgmt.sql import models as sql
from azure.mgmt.storage import StorageManagementClient
from azure.mgmt.storage import models as storage

import lab

WORKSPACE = lab.resource_id("Microsoft.MachineLearningServices/workspaces", "ws-connected")


class Target:
    """A target's connections through its own client, all alike to the tests."""

    def __init__(self, target, group, operations, kind, names):
        self.target, self.group, self.operations, self.kind = target, group, operations, kind
        self.names = dict(zip(("list", "put", "delete"), names))
        self.where = (lab.GROUP, target.split("/")[-1])

    def list(self):
        return list(getattr(self.operations, self.names["list"])(*self.where))

    def get(self, name):
        return self.operations.get(*self.where, name)

    def put(self, name, status, description):
        done = getattr(self.operations, self.names["put"])(*self.where, name, self.kind(status, description))
        return done.result() if hasattr(done, "result") else done

    def delete(self, name):
        done = getattr(self.operations, self.names["delete"])(*self.where, name)
        return done.result() if hasattr(done, "result") else done


def state_of(connection):
    return getattr(connection, "properties", connection).private_link_service_connection_state


class Connections(lab.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        client = cls.simulator.client
        cls.network = client(NetworkManagementClient)
        subnet = network.Subnet(address_prefix="10.0.9.0/24")
        cls.subnet = cls.network.subnets.begin_create_or_update(lab.GROUP, "vnet1", "asking", subnet).result()

    def endpoint(self, name, target, group, manual):
        asked = network.PrivateLinkServiceConnection(
            name="asked", private_link_service_id=target, group_ids=[group], request_message="for a test"
        )
        which = "manual_private_link_service_connections" if manual else "private_link_service_connections"
        endpoint = network.PrivateEndpoint(
            location=lab.REGION, subnet=network.Subnet(id=self.subnet.id), **{which: [asked]}
        )
        self.network.private_endpoints.begin_create_or_update(lab.GROUP, name, endpoint).result()

    def endpoint_state(self, name):
        endpoint = self.network.private_endpoints.get(lab.GROUP, name)
        asked = endpoint.manual_private_link_service_connections or endpoint.private_link_service_connections
        return asked[0].private_link_service_connection_state.status

    def of_endpoint(self, target, name):
        """The one connection that an endpoint raised on a target."""
        id_of = lambda c: getattr(c, "properties", c).private_endpoint.id  # noqa: E731
        found = [c for c in target.list() if id_of(c).endswith("/privateEndpoints/" + name)]
        self.assertEqual(len(found), 1)
        return found[0]

    def life(self, target, prefix):
        """Automatic approval, then a manual one approved, another rejected, and the end of all."""
        self.endpoint(prefix + "-auto", target.target, target.group, manual=False)
        self.assertEqual(state_of(self.of_endpoint(target, prefix + "-auto")).status, "Approved")

        for name, decision in [("-yes", "Approved"), ("-no", "Rejected")]:
            self.endpoint(prefix + name, target.target, target.group, manual=True)
            pending = self.of_endpoint(target, prefix + name)
            self.assertEqual((state_of(pending).status, state_of(pending).description), ("Pending", "for a test"))
            target.put(pending.name, decision, "decided by a test")
            decided = target.get(pending.name)
            self.assertEqual(
                (state_of(decided).status, state_of(decided).description), (decision, "decided by a test")
            )
            # The SDKs send no endpoint along; the connection must still know its own.
            self.assertEqual(self.of_endpoint(target, prefix + name).name, pending.name)
            self.assertEqual(self.endpoint_state(prefix + name), decision)

        name = self.of_endpoint(target, prefix + "-yes").name
        target.delete(name)
        with self.assertRaises(ResourceNotFoundError):
            target.get(name)
        self.assertEqual(self.endpoint_state(prefix + "-yes"), "Disconnected")
        self.assertEqual(len(target.list()), 2)

    def test_storage(self):
        client = self.simulator.client(StorageManagementClient)

        def body(status, description):
            state = storage.PrivateLinkServiceConnectionState(status=status, description=description)
            return storage.PrivateEndpointConnection(private_link_service_connection_state=state)

        names = ("list", "put", "delete")
        self.life(Target(lab.STORAGE, "blob", client.private_endpoint_connections, body, names), "st")

    def test_key_vault(self):
        client = self.simulator.client(KeyVaultManagementClient)

        def body(status, description):
            state = vault.PrivateLinkServiceConnectionState(status=status, description=description)
            return vault.PrivateEndpointConnection(
                properties=vault.PrivateEndpointConnectionProperties(private_link_service_connection_state=state)
            )

        names = ("list_by_resource", "put", "begin_delete")
        self.life(Target(lab.VAULT, "vault", client.private_endpoint_connections, body, names), "kv")

    def test_container_registry(self):
        client = self.simulator.client(ContainerRegistryManagementClient)

        def body(status, description):
            state = registry.PrivateLinkServiceConnectionState(status=status, description=description)
            return registry.PrivateEndpointConnection(
                properties=registry.PrivateEndpointConnectionProperties(private_link_service_connection_state=state)
            )

        names = ("list", "begin_create_or_update", "begin_delete")
        self.life(Target(lab.REGISTRY, "registry", client.private_endpoint_connections, body, names), "acr")

    def sql_target(self):
        client = self.simulator.client(SqlManagementClient)

        def body(status, description):
            state = sql.PrivateLinkServiceConnectionStateProperty(status=status, description=description)
            return sql.PrivateEndpointConnection(private_link_service_connection_state=state)

        names = ("list_by_server", "begin_create_or_update", "begin_delete")
        return Target(lab.SQL, "sqlServer", client.private_endpoint_connections, body, names)

    def test_sql(self):
        target = self.sql_target()
        self.life(target, "sql")
        # SQL decides once: what is not pending any more cannot be approved again.
        name = self.of_endpoint(target, "sql-auto").name
        with self.refused(400, "PrivateEndpointConnectionStatusNotPending"):
            target.put(name, "Approved", "again")

    def workspace(self):
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

    def test_workspace(self):
        client = self.workspace()

        def body(status, description):
            state = ml.PrivateLinkServiceConnectionState(status=status, description=description)
            return ml.PrivateEndpointConnection(
                location=lab.REGION,
                properties=ml.PrivateEndpointConnectionProperties(private_link_service_connection_state=state),
            )

        names = ("list", "create_or_update", "delete")
        self.life(Target(WORKSPACE, "amlworkspace", client.private_endpoint_connections, body, names), "ml")

    def test_workspace_by_the_older_client(self):
        self.workspace()
        client = self.simulator.client(OlderClient)
        self.endpoint("older", WORKSPACE, "amlworkspace", manual=True)
        # This client cannot list connections: the workspace carries them.
        listed = client.workspaces.get(lab.GROUP, WORKSPACE.split("/")[-1]).private_endpoint_connections
        name = [c.name for c in listed if c.private_link_service_connection_state.status == "Pending"][0]
        state = older.PrivateLinkServiceConnectionState(status="Approved", description="old but good")
        body = older.PrivateEndpointConnection(private_link_service_connection_state=state)
        where = (lab.GROUP, WORKSPACE.split("/")[-1], name)
        client.private_endpoint_connections.put(*where, body)
        approved = client.private_endpoint_connections.get(*where)
        self.assertEqual(approved.private_link_service_connection_state.status, "Approved")
        client.private_endpoint_connections.begin_delete(*where).result()
        with self.assertRaises(ResourceNotFoundError):
            client.private_endpoint_connections.get(*where)
