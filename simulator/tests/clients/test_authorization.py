"""azure-mgmt-authorization and azure-mgmt-msi: roles, their assignments, identities and federated credentials."""

import uuid

from azure.core.exceptions import ResourceNotFoundError
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.authorization.v2022_04_01 import models as m
from azure.mgmt.msi import ManagedServiceIdentityClient
from azure.mgmt.msi import models as msi
from azure.mgmt.resource.resources import ResourceManagementClient

import lab

SCOPE = f"/subscriptions/{lab.SUBSCRIPTION}/resourceGroups/{lab.GROUP}"
READER = "acdd72a7-3385-48ef-bd42-f606fba81ae7"


class Authorization(lab.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = cls.simulator.client(AuthorizationManagementClient)

    def role_id(self, guid):
        return f"/subscriptions/{lab.SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{guid}"

    def test_roles_are_found_by_name(self):
        found = list(self.client.role_definitions.list(SCOPE, filter="roleName eq 'Reader'"))
        self.assertEqual([(r.name, r.role_name) for r in found], [(READER, "Reader")])
        self.assertEqual(found[0].permissions[0].actions, ["*/read"])

    def test_an_own_role(self):
        name = str(uuid.uuid4())
        wanted = m.RoleDefinition(
            role_name="Approver of tests",
            role_type="CustomRole",
            permissions=[m.Permission(actions=["Microsoft.Storage/*/read"], not_actions=[])],
            assignable_scopes=[SCOPE],
        )
        made = self.client.role_definitions.create_or_update(SCOPE, name, wanted)
        self.assertEqual((made.name, made.role_type), (name, "CustomRole"))
        self.assertEqual(self.client.role_definitions.get(SCOPE, name).assignable_scopes, [SCOPE])
        self.client.role_definitions.delete(SCOPE, name)
        with self.assertRaises(ResourceNotFoundError):
            self.client.role_definitions.get(SCOPE, name)

    def test_an_assignment_gives_and_takes_access(self):
        guest = self.simulator.credential(client=lab.GUEST)
        groups = self.simulator.client(ResourceManagementClient, guest).resource_groups
        with self.refused(403, "AuthorizationFailed"):
            groups.get(lab.GROUP)
        name = str(uuid.uuid4())
        wanted = m.RoleAssignmentCreateParameters(
            role_definition_id=self.role_id(READER),
            principal_id=lab.GUEST_PRINCIPAL,
            principal_type="ServicePrincipal",
        )
        assignments = self.client.role_assignments
        made = assignments.create(SCOPE, name, wanted)
        self.assertEqual((made.scope, made.principal_type), (SCOPE, "ServicePrincipal"))
        self.assertEqual(groups.get(lab.GROUP).name, lab.GROUP)
        with self.refused(409, "RoleAssignmentExists"):
            assignments.create(SCOPE, str(uuid.uuid4()), wanted)
        found = assignments.list_for_scope(SCOPE, filter=f"principalId eq '{lab.GUEST_PRINCIPAL}'")
        self.assertEqual([a.name for a in found], [name])
        self.assertEqual(assignments.delete(SCOPE, name).name, name)
        with self.refused(403, "AuthorizationFailed"):
            groups.get(lab.GROUP)

    def test_a_condition_stays_with_its_assignment(self):
        name = str(uuid.uuid4())
        condition = "((!(ActionMatches{'Microsoft.Authorization/roleAssignments/write'})))"
        wanted = m.RoleAssignmentCreateParameters(
            role_definition_id=self.role_id(READER),
            principal_id=str(uuid.uuid4()),
            principal_type="ServicePrincipal",
            condition=condition,
            condition_version="2.0",
        )
        self.client.role_assignments.create(SCOPE, name, wanted)
        kept = self.client.role_assignments.get(SCOPE, name)
        self.assertEqual((kept.condition, kept.condition_version), (condition, "2.0"))

    def test_permissions_of_the_caller(self):
        found = list(self.client.permissions.list_for_resource_group(lab.GROUP))
        self.assertEqual(found[0].actions, ["*"])


class ManagedIdentities(lab.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = cls.simulator.client(ManagedServiceIdentityClient)

    def test_an_identity_from_its_making_to_its_end(self):
        identities = self.client.user_assigned_identities
        made = identities.create_or_update(lab.GROUP, "id1", msi.Identity(location=lab.REGION))
        self.assertEqual(made.tenant_id, lab.TENANT)
        again = identities.create_or_update(lab.GROUP, "id1", msi.Identity(location=lab.REGION))
        self.assertEqual((again.principal_id, again.client_id), (made.principal_id, made.client_id))
        tagged = identities.update(lab.GROUP, "id1", msi.IdentityUpdate(tags={"a": "1"}))
        self.assertEqual(tagged.tags, {"a": "1"})
        self.assertIn("id1", [i.name for i in identities.list_by_resource_group(lab.GROUP)])
        identities.delete(lab.GROUP, "id1")
        with self.assertRaises(ResourceNotFoundError):
            identities.get(lab.GROUP, "id1")

    def test_federated_credentials(self):
        self.client.user_assigned_identities.create_or_update(lab.GROUP, "id2", msi.Identity(location=lab.REGION))
        credentials = self.client.federated_identity_credentials
        for number in range(3):
            wanted = msi.FederatedIdentityCredential(
                issuer="https://cluster.example/", subject=f"system:serviceaccount:ns:sa{number}",
                audiences=["api://AzureADTokenExchange"],
            )  # fmt: skip
            credentials.create_or_update(lab.GROUP, "id2", f"fc{number}", wanted)
        self.assertEqual({c.name for c in credentials.list(lab.GROUP, "id2")}, {"fc0", "fc1", "fc2"})
        self.assertEqual(credentials.get(lab.GROUP, "id2", "fc1").subject, "system:serviceaccount:ns:sa1")
        credentials.delete(lab.GROUP, "id2", "fc1")
        with self.assertRaises(ResourceNotFoundError):
            credentials.get(lab.GROUP, "id2", "fc1")
