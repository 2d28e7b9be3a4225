"""azure-identity: every way in which a service signs in."""

import os
import tempfile
import unittest.mock

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ManagedIdentityCredential, WorkloadIdentityCredential
from azure.mgmt.resource.resources import ResourceManagementClient

import lab


HEADER = "only the host knows"


class Identity(lab.TestCase):
    settings = {"identityHeader": HEADER}

    def groups(self, credential):
        client = self.simulator.client(ResourceManagementClient, credential)
        return [group.name for group in client.resource_groups.list()]

    def test_client_secret(self):
        self.assertEqual(self.groups(self.simulator.credential()), ["rg1"])

    def test_wrong_secret(self):
        with self.assertRaises(ClientAuthenticationError) as context:
            self.simulator.credential(secret="wrong").get_token(lab.SCOPE)
        self.assertIn("AADSTS7000215", str(context.exception))

    def test_unknown_application(self):
        with self.assertRaises(ClientAuthenticationError) as context:
            self.simulator.credential(client="99999999-9999-9999-9999-999999999999").get_token(lab.SCOPE)
        self.assertIn("AADSTS700016", str(context.exception))

    def test_a_principal_without_roles_is_refused_in_azures_words(self):
        credential = self.simulator.credential(client=lab.GUEST)
        client = self.simulator.client(ResourceManagementClient, credential)
        with self.refused(403, "AuthorizationFailed") as errors:
            client.resource_groups.get("rg1")
        self.assertIn(
            f"with object id '{lab.GUEST_PRINCIPAL}' does not have authorization to perform action "
            "'Microsoft.Resources/subscriptions/resourceGroups/read' over scope",
            errors[0].error.message,
        )

    def test_managed_identity_by_the_metadata_service(self):
        host = {"AZURE_POD_IDENTITY_AUTHORITY_HOST": self.simulator.endpoints["imds"]}
        with unittest.mock.patch.dict(os.environ, host):
            self.assertEqual(self.groups(ManagedIdentityCredential()), ["rg1"])

    def test_managed_identity_by_the_identity_endpoint(self):
        given = {
            "IDENTITY_ENDPOINT": self.simulator.endpoints["imds"] + "/msi/token",
            "IDENTITY_HEADER": HEADER,
        }
        with unittest.mock.patch.dict(os.environ, given):
            self.assertEqual(self.groups(ManagedIdentityCredential()), ["rg1"])

    def test_workload_identity(self):
        with tempfile.NamedTemporaryFile("w", suffix=".jwt") as file:
            file.write("a-token-of-the-cluster")
            file.flush()
            credential = WorkloadIdentityCredential(
                tenant_id=lab.TENANT,
                client_id=lab.CLIENT,
                token_file_path=file.name,
                authority=self.simulator.base,
                disable_instance_discovery=True,
            )
            self.assertEqual(self.groups(credential), ["rg1"])
