//! What there is before the first request, and what can be added later.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::body;
use crate::condition::Condition;
use crate::connections::Request;
use crate::directory::{Principal, PrincipalType};
use crate::error::ArmError;
use crate::federation::FederatedCredential;
use crate::ids;
use crate::providers::machine_learning::{self, WORKSPACE};
use crate::rbac::{Limit, Made, Permission, RoleAssignment, RoleDefinition};
use crate::resource_type;
use crate::world::{Subscription, World};

/// Objects of the simulated cloud. JSON and YAML use camelCase names; every list may be left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Seed {
    /// Tenant ids; those of principals and subscriptions need not be repeated here.
    pub tenants: Vec<String>,
    /// Issuers whose tokens stand for principals with federated credentials.
    pub token_issuers: Vec<SeedIssuer>,
    /// Applications and managed identities that can get tokens.
    pub service_principals: Vec<SeedPrincipal>,
    /// Subscriptions.
    pub subscriptions: Vec<SeedSubscription>,
    /// Resource groups.
    pub resource_groups: Vec<SeedGroup>,
    /// Resources of any type.
    pub resources: Vec<SeedResource>,
    /// Private endpoint connections that strangers have raised on resources.
    pub connections: Vec<SeedConnection>,
    /// Custom roles; the built-in ones are there.
    pub role_definitions: Vec<SeedRole>,
    /// Role assignments.
    pub role_assignments: Vec<SeedAssignment>,
    /// What Azure Policy denies.
    pub policies: Vec<SeedPolicy>,
}

/// A policy that denies writes. Another one with its name and scope takes its place; one without types denies nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedPolicy {
    /// The name of its assignment.
    pub name: String,
    /// What it is called; left out, its name.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Where it is assigned: a subscription, a resource group or a resource.
    pub scope: String,
    /// The types of resources that it is about.
    #[serde(default)]
    pub types: Vec<String>,
    /// A member of these, as `properties.publicNetworkAccess`; left out, every write is denied.
    #[serde(default)]
    pub field: Option<String>,
    /// The values that the member may have; whatever does not state one of them is denied.
    #[serde(default)]
    pub allowed: Vec<Value>,
}

/// A principal that can get tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedPrincipal {
    /// Its tenant.
    pub tenant_id: String,
    /// The application id.
    pub client_id: String,
    /// The object id, to which roles are assigned.
    pub object_id: String,
    /// Its client secret.
    #[serde(default)]
    pub secret: Option<String>,
    /// Its kind; left out, a service principal.
    #[serde(default, rename = "type")]
    pub principal_type: PrincipalType,
    /// Texts that are accepted as client assertions as they are: workload identity for tests without an issuer.
    #[serde(default)]
    pub federated_assertions: Vec<String>,
    /// Tokens of registered issuers that are accepted as client assertions (workload identity).
    #[serde(default)]
    pub federated_credentials: Vec<SeedFederatedCredential>,
    /// Whether the metadata service hands out its tokens.
    #[serde(default)]
    pub managed_identity: bool,
    /// The id of the resource that a managed identity is, by which it can be asked for.
    #[serde(default)]
    pub resource_id: Option<String>,
}

/// An issuer of tokens, for example a Kubernetes cluster.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedIssuer {
    /// Its name, as its tokens have it in `iss`.
    pub issuer: String,
    /// Its keys: a JWKS, `{"keys": […]}`. RSA keys only, as for Entra.
    pub jwks: Value,
}

/// Which tokens of an issuer stand for a principal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedFederatedCredential {
    /// The issuer, spelled as in `iss`.
    pub issuer: String,
    /// The subject, spelled as in `sub`.
    pub subject: String,
    /// The audiences; left out, `api://AzureADTokenExchange`.
    #[serde(default = "token_exchange")]
    pub audiences: Vec<String>,
}

fn token_exchange() -> Vec<String> {
    vec!["api://AzureADTokenExchange".into()]
}

/// A subscription.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedSubscription {
    /// The subscription id.
    pub subscription_id: String,
    /// The tenant it trusts.
    pub tenant_id: String,
}

/// A resource group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedGroup {
    /// Its subscription.
    pub subscription_id: String,
    /// Its name.
    pub name: String,
    /// Its region.
    pub location: String,
}

/// A resource. A workspace gets everything that the service adds; with `properties.managedNetwork.status.status:
/// Active` its network is built.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedResource {
    /// The whole id; name and type follow from it.
    pub id: String,
    /// Its region.
    #[serde(default)]
    pub location: String,
    /// Its kind.
    #[serde(default)]
    pub kind: Option<String>,
    /// Its SKU.
    #[serde(default)]
    pub sku: Option<Value>,
    /// Its identity.
    #[serde(default)]
    pub identity: Option<Value>,
    /// Its tags.
    #[serde(default)]
    pub tags: Map<String, Value>,
    /// Its properties.
    #[serde(default)]
    pub properties: Map<String, Value>,
}

impl SeedResource {
    /// A resource without properties.
    pub fn new(id: impl Into<String>, location: impl Into<String>) -> Self {
        Self { id: id.into(), location: location.into(), ..Self::default() }
    }

    /// With one more property.
    pub fn property(mut self, name: &str, value: Value) -> Self {
        self.properties.insert(name.to_owned(), value);
        self
    }

    /// Its id, and its other members as a body has them. They are moved, not copied: there may be thousands.
    fn into_members(self) -> (String, Map<String, Value>) {
        let Self { id, location, kind, sku, identity, tags, properties } = self;
        let always = [("location", location.into()), ("tags", tags.into()), ("properties", properties.into())];
        let stated = [("kind", kind.map(Value::from)), ("sku", sku), ("identity", identity)];
        let stated = stated.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let members = always.into_iter().chain(stated).map(|(name, value): (&str, Value)| (name.to_owned(), value));
        (id, members.collect())
    }
}

/// A connection on a target, raised by an endpoint that need not exist in the simulator.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedConnection {
    /// The id of the target.
    pub target: String,
    /// The id of the asking endpoint.
    pub private_endpoint_id: String,
    /// `Pending`, `Approved`, `Rejected` or `Disconnected`; left out, `Pending`.
    #[serde(default)]
    pub status: Option<String>,
    /// The requester's message.
    #[serde(default)]
    pub description: String,
    /// Sub-resources.
    #[serde(default)]
    pub group_ids: Vec<String>,
    /// How long it has been there, in hours.
    #[serde(default)]
    pub raised_hours_ago: f64,
    /// Its name on the target, where it takes the place of any other; left out, the service names it.
    #[serde(default)]
    pub name: Option<String>,
}

/// A custom role.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedRole {
    /// Its guid.
    pub name: String,
    /// Its display name.
    pub role_name: String,
    /// What it allows; `*` is a wildcard.
    pub actions: Vec<String>,
    /// What it does not allow after all.
    #[serde(default)]
    pub not_actions: Vec<String>,
}

/// A role assignment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SeedAssignment {
    /// `/` or any id.
    pub scope: String,
    /// The guid, id or display name of the role.
    pub role: String,
    /// The object id of who gets it.
    pub principal_id: String,
    /// What limits it, in version 2.0 of the conditions' language.
    #[serde(default)]
    pub condition: Option<String>,
}

/// Why a seed cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// A role that is neither built in nor in the seed.
    #[error("role '{0}' is not known")]
    UnknownRole(String),
    /// A condition that cannot be understood.
    #[error("condition of a role assignment: {0}")]
    BadCondition(String),
    /// An issuer without a usable key.
    #[error("issuer '{0}' has no RSA key")]
    NoIssuerKey(String),
    /// Something refers to a resource that is not there.
    #[error("resource '{0}' is not known")]
    UnknownResource(String),
    /// An id that names no resource.
    #[error("'{0}' is not a resource id")]
    BadId(String),
    /// A member of a resource that is of another type than its name stands for.
    #[error("'{member}' of '{id}' is of another type")]
    Misshapen {
        /// The id of the resource.
        id: String,
        /// The member.
        member: String,
    },
    /// What ARM would say to a PUT of this workspace.
    #[error("workspace '{id}': {message}")]
    Workspace {
        /// Its id.
        id: String,
        /// ARM's message.
        message: String,
    },
    /// It could not be written down or read again for a reset.
    #[error("cannot keep the seed: {0}")]
    Keep(#[source] serde_json::Error),
}

impl World {
    /// Adds the objects of a seed.
    pub(crate) fn add(&mut self, seed: Seed) -> Result<(), SeedError> {
        seed.tenants.iter().for_each(|tenant| self.directory.add_tenant(tenant));
        for SeedIssuer { issuer, jwks } in seed.token_issuers {
            if !self.directory.issuers.register(&issuer, &jwks) {
                return Err(SeedError::NoIssuerKey(issuer));
            }
        }
        for principal in seed.service_principals {
            let federated = principal.federated_credentials.into_iter();
            let federated = federated.map(|credential| FederatedCredential {
                issuer: credential.issuer,
                subject: credential.subject,
                audiences: credential.audiences,
            });
            self.directory.add_principal(Principal {
                tenant: principal.tenant_id,
                client_id: principal.client_id,
                object_id: principal.object_id,
                secret: principal.secret,
                assertions: principal.federated_assertions,
                kind: principal.principal_type,
                federated: federated.collect(),
                managed_identity: principal.managed_identity,
                resource_id: principal.resource_id,
                known_at: self.now,
            });
        }
        for subscription in seed.subscriptions {
            self.directory.add_tenant(&subscription.tenant_id);
            let key = ids::key(&subscription.subscription_id);
            let subscription = Subscription { id: subscription.subscription_id, tenant: subscription.tenant_id };
            self.subscriptions.insert(key, subscription);
        }
        for group in seed.resource_groups {
            let id = format!("/subscriptions/{}/resourceGroups/{}", group.subscription_id, group.name);
            let document = json!({
                "id": id, "name": group.name, "type": "Microsoft.Resources/resourceGroups",
                "location": group.location, "tags": {}, "properties": { "provisioningState": "Succeeded" },
            });
            self.groups.insert(ids::key(&id), document);
        }
        for role in seed.role_definitions {
            let definition = RoleDefinition {
                id: role.name.clone(),
                role_name: role.role_name,
                description: String::new(),
                built_in: false,
                permissions: vec![Permission::new(role.actions, role.not_actions, Vec::new(), Vec::new())],
                assignable_scopes: vec!["/".into()],
                made: Some(self.made()),
            };
            self.roles.definitions.insert(ids::key(&role.name), definition);
        }
        // Roles first: what a workspace's rules become depends on them.
        for assignment in seed.role_assignments {
            self.add_assignment(&assignment)?;
        }
        // Workspaces refer to what is there; private endpoints may lead to workspaces.
        let order = |resource: &SeedResource| match ids::resource_type(&resource.id).unwrap_or_default() {
            kind if kind.eq_ignore_ascii_case(WORKSPACE) => 1,
            kind if kind.to_ascii_lowercase().starts_with("microsoft.network/privateendpoints") => 2,
            _ => 0,
        };
        let mut resources = seed.resources;
        resources.sort_by_key(order);
        for resource in resources {
            if order(&resource) == 1 {
                self.add_workspace(resource)?;
            } else {
                self.add_resource(resource)?;
            }
        }
        for connection in seed.connections {
            self.add_connection(&connection)?;
        }
        for policy in seed.policies {
            self.policies.insert(ids::key(&format!("{}/{}", policy.scope, policy.name)), policy);
        }
        Ok(())
    }

    fn add_assignment(&mut self, assignment: &SeedAssignment) -> Result<(), SeedError> {
        let role = self.roles.definition(&assignment.role).map(|role| role.id.clone());
        let role = role.ok_or_else(|| SeedError::UnknownRole(assignment.role.clone()))?;
        let scope = assignment.scope.trim_end_matches('/').to_owned();
        let name = ids::guid(&["assignment", &scope, &role, &assignment.principal_id]);
        let id = format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}");
        let kind = self.directory.principal(&assignment.principal_id).map(|p| p.kind).unwrap_or_default();
        let limit = assignment.condition.as_ref().map(|text| {
            let condition = Condition::parse(text).map_err(|error| SeedError::BadCondition(error.to_string()))?;
            Ok(Limit { text: text.clone(), condition: Arc::new(condition) })
        });
        self.roles.assign(RoleAssignment {
            id,
            scope,
            role,
            principal_id: assignment.principal_id.clone(),
            principal_type: kind.name().into(),
            limit: limit.transpose()?,
            description: None,
            made: self.made(),
            effective_at: self.now,
        });
        Ok(())
    }

    fn made(&self) -> Made {
        // The service always shows who it was (recording of role assignments).
        let administrator = Some(ids::guid(&["administrator"]).to_string());
        Made {
            created_on: self.now,
            updated_on: self.now,
            created_by: administrator.clone(),
            updated_by: administrator,
        }
    }

    fn add_resource(&mut self, resource: SeedResource) -> Result<(), SeedError> {
        let spelled = ids::resource_type(&resource.id).ok_or_else(|| SeedError::BadId(resource.id.clone()))?;
        let known = resource_type::find(&spelled);
        let kind = known.map_or(spelled, |kind| kind.kind.to_owned());
        let (id, document) = resource.into_members();
        let mut document = Value::Object(document);
        let key = ids::key(&id);
        // Of types that are not served nothing is read.
        if let Some(member) = body::misshapen(&document).filter(|_| known.is_some()) {
            return Err(SeedError::Misshapen { id, member: member.to_owned() });
        }
        document["name"] = ids::name(&id).into();
        document["type"] = kind.into();
        document["id"] = id.into();
        self.resources.insert(key.clone(), document);
        if let Some(kind) = known {
            self.renew_etag(&key);
            (kind.stored)(self, &key);
            (kind.seeded)(self, &key);
        }
        Ok(())
    }

    fn add_workspace(&mut self, resource: SeedResource) -> Result<(), SeedError> {
        let (id, body) = resource.into_members();
        let body = Value::Object(body);
        let failed = |error: ArmError| SeedError::Workspace { id: id.clone(), message: error.message };
        if let Some(member) = body::misshapen(&body) {
            return Err(SeedError::Misshapen { id, member: member.to_owned() });
        }
        machine_learning::create_workspace(self, &id, &body).map_err(failed)?;
        machine_learning::seed_network(self, &id, &body).map_err(failed)
    }

    fn add_connection(&mut self, seed: &SeedConnection) -> Result<(), SeedError> {
        let target = self.resources.get(&ids::key(&seed.target)).and_then(|target| target["id"].as_str());
        let target = target.map(str::to_owned).ok_or_else(|| SeedError::UnknownResource(seed.target.clone()))?;
        let key = self.connect(Request {
            target: &target,
            endpoint: &seed.private_endpoint_id,
            groups: seed.group_ids.clone(),
            approved: false,
            description: &seed.description,
            rule: None,
        });
        if let Some(connection) = self.connections.get_mut(&key) {
            connection.raised_at = connection.raised_at.saturating_sub((seed.raised_hours_ago * 3_600_000.0) as i64);
            if let Some(status) = &seed.status {
                connection.status.clone_from(status);
                connection.towards.clone_from(status);
            }
        }
        if let Some(name) = &seed.name
            && let Some(mut connection) = self.connections.remove(&key)
        {
            connection.id = format!("{target}/privateEndpointConnections/{name}");
            self.connections.insert(ids::key(&connection.id), connection);
        }
        Ok(())
    }
}
