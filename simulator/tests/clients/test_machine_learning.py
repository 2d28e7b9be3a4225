"""azure-ai-ml's generated client at 2025-12-01: workspaces, their managed network and its rules, computes, datastores,
online endpoints."""

import uuid

from azure.ai.ml._restclient.arm_ml_service import MachineLearningServicesMgmtClient
from azure.ai.ml._restclient.arm_ml_service import models as m
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.authorization.v2022_04_01.models import RoleAssignmentCreateParameters

import lab

# Azure AI Enterprise Network Connection Approver.
APPROVER = "b556d68e-0be0-4f35-a333-ad7ee1ce17ea"
OTHER = lab.resource_id("Microsoft.Sql/servers", "amlsql1")


def pe_rule(target=lab.STORAGE, group="blob", **fields):
    destination = m.PrivateEndpointDestination(service_resource_id=target, subresource_target=group, **fields)
    return m.PrivateEndpointOutboundRule(category="UserDefined", destination=destination)


def fqdn_rule(host):
    return m.FqdnOutboundRule(category="UserDefined", destination=host)


def tag_rule(tag, ports="443"):
    destination = m.ServiceTagDestination(service_tag=tag, protocol="TCP", port_ranges=ports, action="Allow")
    return m.ServiceTagOutboundRule(category="UserDefined", destination=destination)


class MachineLearning(lab.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = cls.simulator.client(MachineLearningServicesMgmtClient, api_version="2025-12-01")

    def make(self, name, isolation="AllowOnlyApprovedOutbound", rules=None, **fields):
        workspace = m.Workspace(
            location=lab.REGION,
            identity=m.ManagedServiceIdentity(type="SystemAssigned"),
            sku=m.Sku(name="Basic", tier="Basic"),
            properties=m.WorkspaceProperties(
                storage_account=lab.STORAGE,
                key_vault=lab.VAULT,
                application_insights=lab.INSIGHTS,
                container_registry=lab.REGISTRY,
                managed_network=m.ManagedNetworkSettings(isolation_mode=isolation, outbound_rules=rules),
                **fields,
            ),
        )
        return self.client.workspaces.begin_create_or_update(lab.GROUP, name, workspace).result()

    def rule(self, workspace, name, rule):
        operations = self.client.managed_network_settings_rule
        body = m.OutboundRuleBasicResource(properties=rule)
        return operations.begin_create_or_update(lab.GROUP, workspace, name, body).result()

    def let_approve(self, workspace, target):
        """Gives the workspace's identity the role that its private-endpoint rules need on their target."""
        assignments = self.simulator.client(AuthorizationManagementClient).role_assignments
        role = f"/subscriptions/{lab.SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{APPROVER}"
        wanted = RoleAssignmentCreateParameters(
            role_definition_id=role, principal_id=workspace.identity.principal_id, principal_type="ServicePrincipal"
        )
        assignments.create(target, str(uuid.uuid4()), wanted)

    def rules(self, workspace):
        return {rule.name: rule.properties for rule in self.client.managed_network_settings_rule.list(lab.GROUP, workspace)}

    def provision(self, workspace):
        options = m.ManagedNetworkProvisionOptions(include_spark=False)
        operations = self.client.managed_network_provisions
        return operations.begin_provision_managed_network(lab.GROUP, workspace, options).result()

    def test_a_workspace_from_its_making_to_its_end(self):
        made = self.make("ws1", public_network_access="Disabled")
        self.assertEqual(made.properties.provisioning_state, "Succeeded")
        self.assertEqual(made.properties.public_network_access, "Disabled")
        self.assertTrue(made.identity.principal_id)
        patch = m.WorkspaceUpdateParameters(
            properties=m.WorkspacePropertiesUpdateParameters(public_network_access="Enabled", description="changed")
        )
        changed = self.client.workspaces.begin_update(lab.GROUP, "ws1", patch).result()
        self.assertEqual(
            (changed.properties.public_network_access, changed.properties.description), ("Enabled", "changed")
        )
        self.assertIn("ws1", [w.name for w in self.client.workspaces.list_by_resource_group(lab.GROUP)])
        self.assertIn("ws1", [w.name for w in self.client.workspaces.list_by_subscription()])
        self.client.workspaces.begin_delete(lab.GROUP, "ws1", force_to_purge=True).result()
        with self.assertRaises(ResourceNotFoundError) as context:
            self.client.workspaces.get(lab.GROUP, "ws1")
        self.assertEqual(context.exception.error.code, "ResourceNotFound")

    def test_a_deleted_workspace_keeps_its_name_until_it_is_purged(self):
        self.make("ws-soft")
        self.client.workspaces.begin_delete(lab.GROUP, "ws-soft").result()
        with self.assertRaises(HttpResponseError) as context:
            self.make("ws-soft")
        self.assertIn("deleted", context.exception.message.lower())
        self.client.workspaces.begin_delete(lab.GROUP, "ws-soft", force_to_purge=True).result()
        self.make("ws-soft")

    def test_rules_wait_for_the_network_and_take_effect_with_it(self):
        workspace = self.make("ws-net", rules={"from-start": fqdn_rule("conda.anaconda.org")})
        with self.assertRaises(HttpResponseError) as context:
            self.rule("ws-net", "to-sql", pe_rule(OTHER, "sqlServer"))
        self.assertIn("permission", context.exception.message)
        self.let_approve(workspace, OTHER)
        self.rule("ws-net", "to-sql", pe_rule(OTHER, "sqlServer"))
        self.rule("ws-net", "to-adf", tag_rule("DataFactory"))
        self.rule("ws-net", "to-pypi", fqdn_rule("*.pypi.org"))
        found = self.rules("ws-net")
        for name in ("from-start", "to-sql", "to-adf", "to-pypi"):
            self.assertEqual(found[name].status, "Inactive", name)
        self.assertEqual(self.provision("ws-net").status, "Active")
        found = self.rules("ws-net")
        for name in ("from-start", "to-sql", "to-adf", "to-pypi"):
            self.assertEqual(found[name].status, "Active", name)
        self.assertIn("Required", {rule.category for rule in found.values()})
        one = self.client.managed_network_settings_rule.get(lab.GROUP, "ws-net", "to-adf")
        self.assertEqual(one.properties.destination.service_tag, "DataFactory")
        self.client.managed_network_settings_rule.begin_delete(lab.GROUP, "ws-net", "to-adf").result()
        self.assertNotIn("to-adf", self.rules("ws-net"))
        with self.assertRaises(ResourceNotFoundError):
            self.client.managed_network_settings_rule.get(lab.GROUP, "ws-net", "to-adf")
        network = self.client.workspaces.get(lab.GROUP, "ws-net").properties.managed_network
        self.assertEqual((network.status.status, network.isolation_mode), ("Active", "AllowOnlyApprovedOutbound"))

    def test_link_resources(self):
        self.make("ws-links")
        found = list(self.client.private_link_resources.list(lab.GROUP, "ws-links"))
        self.assertEqual([r.properties.group_id for r in found], ["amlworkspace"])
        self.assertLessEqual(
            {"privatelink.api.azureml.ms", "privatelink.notebooks.azure.net"},
            set(found[0].properties.required_zone_names),
        )

    def test_diagnose(self):
        self.make("ws-diagnose")
        found = self.client.workspaces.begin_diagnose(lab.GROUP, "ws-diagnose", m.DiagnoseWorkspaceParameters())
        self.assertIsNotNone(found.result())

    def test_computes(self):
        self.make("ws-compute")
        cluster = m.ComputeResource(
            location=lab.REGION,
            properties=m.AmlCompute(
                properties=m.AmlComputeProperties(
                    vm_size="Standard_DS3_v2",
                    enable_node_public_ip=False,
                    scale_settings=m.ScaleSettings(min_node_count=0, max_node_count=2),
                )
            ),
        )
        made = self.client.compute.begin_create_or_update(lab.GROUP, "ws-compute", "cpu", cluster).result()
        self.assertEqual(made.properties.provisioning_state, "Succeeded")
        self.assertFalse(made.properties.properties.enable_node_public_ip)
        self.assertEqual([c.name for c in self.client.compute.list(lab.GROUP, "ws-compute")], ["cpu"])
        self.assertEqual(self.client.compute.get(lab.GROUP, "ws-compute", "cpu").name, "cpu")
        self.client.compute.begin_delete(
            lab.GROUP, "ws-compute", "cpu", underlying_resource_action="Delete"
        ).result()
        self.assertEqual(list(self.client.compute.list(lab.GROUP, "ws-compute")), [])

    def test_an_instance_is_stopped_and_started(self):
        self.make("ws-instance")
        body = m.ComputeResource(
            location=lab.REGION,
            properties=m.ComputeInstance(
                disable_local_auth=True,
                properties=m.ComputeInstanceProperties(
                    vm_size="Standard_DS3_v2",
                    application_sharing_policy="Personal",
                    idle_time_before_shutdown="PT30M",
                    enable_node_public_ip=False,
                ),
            ),
        )
        compute = self.client.compute
        made = compute.begin_create_or_update(lab.GROUP, "ws-instance", "ci1", body).result()
        own = made.properties.properties
        self.assertEqual((own.state, own.ssh_settings.ssh_public_access), ("Running", "Disabled"))
        self.assertTrue(made.properties.disable_local_auth)
        for action, state in [("begin_stop", "Stopped"), ("begin_start", "Running"), ("begin_restart", "Running")]:
            getattr(compute, action)(lab.GROUP, "ws-instance", "ci1").result()
            self.assertEqual(compute.get(lab.GROUP, "ws-instance", "ci1").properties.properties.state, state)
        body.properties.properties.vm_size = "Standard_E4s_v3"
        with self.refused(400, "ValidationError"):
            compute.begin_create_or_update(lab.GROUP, "ws-instance", "ci1", body)

    def test_datastores(self):
        self.make("ws-data")
        stores = self.client.datastores
        names = {store.name for store in stores.list(lab.GROUP, "ws-data")}
        self.assertIn("workspaceblobstore", names)
        identity = m.AzureDataLakeGen2Datastore(
            account_name="amlstore1", filesystem="lake", credentials=m.NoneDatastoreCredentials()
        )
        made = stores.create_or_update(lab.GROUP, "ws-data", "lake", m.Datastore(properties=identity))
        self.assertEqual((made.properties.filesystem, made.properties.credentials.credentials_type), ("lake", "None"))
        with_key = m.AzureBlobDatastore(
            account_name="amlstore1",
            container_name="data",
            credentials=m.AccountKeyDatastoreCredentials(secrets=m.AccountKeyDatastoreSecrets(key="not-a-secret")),
        )
        stores.create_or_update(lab.GROUP, "ws-data", "blob", m.Datastore(properties=with_key))
        shown = stores.get(lab.GROUP, "ws-data", "blob").properties.credentials
        self.assertEqual((shown.credentials_type, shown.secrets), ("AccountKey", None))
        self.assertEqual(stores.list_secrets(lab.GROUP, "ws-data", "blob").key, "not-a-secret")
        with_key.container_name = "other"
        with self.refused(400, "ValidationError"):
            stores.create_or_update(lab.GROUP, "ws-data", "blob", m.Datastore(properties=with_key))
        stores.delete(lab.GROUP, "ws-data", "blob")
        with self.assertRaises(ResourceNotFoundError):
            stores.get(lab.GROUP, "ws-data", "blob")

    def test_online_endpoints(self):
        self.make("ws-online")
        self.provision("ws-online")
        endpoints, deployments = self.client.online_endpoints, self.client.online_deployments
        where = (lab.GROUP, "ws-online", "score")

        def endpoint(access, traffic=None):
            properties = m.OnlineEndpointProperties(auth_mode="Key", public_network_access=access, traffic=traffic)
            return m.OnlineEndpoint(location=lab.REGION, properties=properties)

        made = endpoints.begin_create_or_update(*where, endpoint("Disabled")).result()
        self.assertEqual(made.properties.provisioning_state, "Succeeded")
        self.assertEqual(made.properties.public_network_access, "Disabled")
        deployment = m.OnlineDeployment(
            location=lab.REGION,
            properties=m.ManagedOnlineDeployment(instance_type="Standard_DS3_v2", model="azureml:m:1"),
        )
        blue = deployments.begin_create_or_update(*where, "blue", deployment).result()
        self.assertEqual(blue.properties.egress_public_network_access, "Enabled")
        changed = endpoints.begin_create_or_update(*where, endpoint("Enabled", {"blue": 100})).result()
        self.assertEqual((changed.properties.public_network_access, changed.properties.traffic), ("Enabled", {"blue": 100}))
        patch = m.PartialMinimalTrackedResourceWithIdentity(tags={"team": "a"})
        endpoints.begin_update(*where, patch).result()
        self.assertEqual(endpoints.get(*where).tags, {"team": "a"})
        self.assertTrue(endpoints.list_keys(*where).primary_key)
        self.assertEqual([d.name for d in deployments.list(*where)], ["blue"])
        endpoints.begin_delete(*where).result()
        with self.assertRaises(ResourceNotFoundError):
            endpoints.get(*where)

    def test_a_failed_operation_is_an_error_with_azures_reason(self):
        self.make("ws-fail")
        fault = {
            "method": "PUT", "path": "outboundRules/bad", "times": 1,
            "action": {"kind": "failOperation", "code": "UserError", "message": "No such destination."},
        }  # fmt: skip
        self.simulator.control("POST", "faults", fault)
        with self.assertRaises(HttpResponseError) as context:
            self.rule("ws-fail", "bad", fqdn_rule("example.org"))
        self.assertIn("No such destination.", str(context.exception))
        self.assertNotIn("bad", self.rules("ws-fail"))
