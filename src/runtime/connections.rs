//! The clients behind the AzureConnections: one each, made and checked by the connection's own controller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::indexes::Indexes;
use crate::api::AzureConnection;
use crate::api::common::ManagementPolicy;
use crate::api::condition::{ConditionStatus, READY, find};
use crate::api::connection::{AzureConnectionSpec, AzureConnectionStatus};
use crate::azure::client::Client;
use crate::plan::{Reason, Verdict};

/// Whom and where a client speaks as: uid, tenant, cloud and credential of its connection. Another value is another identity, which
/// must never write in this one's name.
pub fn identity(connection: &AzureConnection) -> String {
    let AzureConnectionSpec { tenant_id, cloud, custom_cloud, credential, .. } = &connection.spec;
    serde_json::json!([connection.metadata.uid, tenant_id, cloud, custom_cloud, credential]).to_string()
}

/// What a client was made from: another value means another client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The connection's [`identity`].
    identity: String,
    /// A hash of the secret, empty if there is none.
    secret: String,
}

impl Origin {
    /// A client of `connection` with the secret of this hash.
    pub fn of(connection: &AzureConnection, secret: String) -> Self {
        Self { identity: identity(connection), secret }
    }
}

/// A client, and what it was made from.
#[derive(Clone)]
struct Entry {
    origin: Origin,
    client: Client,
}

/// All clients, by the connection's name.
#[derive(Clone, Default)]
pub struct Clients(Arc<Mutex<HashMap<String, Entry>>>);

impl Clients {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client of `name`, if it was made from `origin`.
    pub fn made_from(&self, name: &str, origin: &Origin) -> Option<Client> {
        self.lock().get(name).filter(|entry| entry.origin == *origin).map(|entry| entry.client.clone())
    }

    /// Puts a client in place; true if it is another one than before.
    pub fn put(&self, name: &str, origin: Origin, client: Client) -> bool {
        let before = self.lock().insert(name.to_owned(), Entry { origin: origin.clone(), client });
        before.is_none_or(|before| before.origin != origin)
    }

    /// Takes a client out of use; true if there was one.
    pub fn remove(&self, name: &str) -> bool {
        self.lock().remove(name).is_some()
    }

    /// The client of `name`, if it speaks as `identity`.
    fn speaking_as(&self, name: &str, identity: &str) -> Option<Client> {
        self.lock().get(name).filter(|entry| entry.origin.identity == identity).map(|entry| entry.client.clone())
    }
}

/// A connection that an object may use.
#[derive(Clone)]
pub struct Connected {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: Option<String>,
    /// Its client.
    pub client: Client,
    /// Its spec, for the fence.
    pub spec: AzureConnectionSpec,
    /// It is being deleted: deletions only.
    pub deleting: bool,
}

impl Connected {
    /// Finds the connection `name`.
    ///
    /// # Errors
    /// With the verdict to report if it is missing, unreadable or without a working credential.
    pub fn find(indexes: &Indexes, clients: &Clients, name: &str) -> Result<Self, Verdict> {
        let Some(object) = indexes.connection(name) else {
            return Err(Verdict::new(
                Reason::ConnectionMissing,
                format!("there is no AzureConnection {name:?}; a platform administrator can create it"),
            ));
        };
        let Ok(connection) = &object.0 else {
            return Err(Verdict::new(
                Reason::ConnectionNotReady,
                format!("AzureConnection {name:?} cannot be understood; see its status"),
            ));
        };
        let Some(client) = clients.speaking_as(name, &identity(connection)) else {
            let current =
                |status: &&AzureConnectionStatus| status.observed_generation == connection.metadata.generation;
            let judged = connection.status.as_ref().filter(current).and_then(|status| find(&status.conditions, READY));
            if judged.is_none_or(|ready| ready.status == ConditionStatus::True) {
                // Nobody has looked at this credential yet, in this process or at all: its controller will tell.
                return Err(Verdict::new(Reason::Pending, format!("AzureConnection {name:?} is being checked")));
            }
            return Err(Verdict::new(
                Reason::ConnectionNotReady,
                format!("AzureConnection {name:?} is not ready; see its status"),
            ));
        };
        Ok(Self {
            name: name.to_owned(),
            uid: connection.metadata.uid.clone(),
            client,
            spec: connection.spec.clone(),
            deleting: connection.metadata.deletion_timestamp.is_some(),
        })
    }

    /// Why nothing new may be written, if so: the connection's own policy is a ceiling for all below it.
    pub fn holds_writes(&self) -> Option<Verdict> {
        let why = if self.deleting {
            (Reason::ConnectionDeleting, "is being deleted and serves deletions only")
        } else if self.spec.suspend {
            (Reason::ConnectionSuspended, "is suspended, so nothing new is started")
        } else if self.is_read_only() {
            (Reason::ConnectionSuspended, "has managementPolicy: Observe, so nothing is written")
        } else {
            return None;
        };
        Some(Verdict::new(why.0, format!("AzureConnection {:?} {}", self.name, why.1)))
    }

    /// True if the connection only reads.
    pub fn is_read_only(&self) -> bool {
        self.spec.management_policy == Some(ManagementPolicy::Observe)
    }
}

#[cfg(test)]
mod tests {
    use kube::core::PartialObjectMeta;
    use kube::runtime::{reflector, watcher};
    use serde_json::{Value, json};

    use super::*;
    use crate::azure::client::ClientConfig;
    use crate::azure::cloud::Cloud;
    use crate::azure::credential::CredentialSource;
    use crate::runtime::guarded::Guarded;

    fn connection(changed: &[(&str, Value)]) -> AzureConnection {
        let mut object = json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "AzureConnection",
            "metadata": {"name": "prod", "uid": "1", "generation": 1},
            "spec": {
                "tenantId": "00000000-0000-0000-0000-000000000001", "cloud": "Public",
                "credential": {"managedIdentity": {}},
            },
            "status": {"observedGeneration": 1, "conditions": [{
                "type": "Ready", "status": "True", "reason": "Available", "message": "",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }]},
        });
        for (path, value) in changed {
            *object.pointer_mut(path).unwrap() = value.clone();
        }
        serde_json::from_value(object).unwrap()
    }

    fn client() -> Client {
        Client::new(ClientConfig {
            cloud: Cloud::Public,
            tenant_id: "00000000-0000-0000-0000-000000000001".into(),
            credential: CredentialSource::ManagedIdentity { client_id: None },
            seam: Default::default(),
            throttle: crate::azure::throttle::Throttle::new(Default::default()),
            pace: Default::default(),
            transport: Default::default(),
            hook: None,
        })
        .unwrap()
    }

    /// What finding `prod` comes to while it looks like `shown`.
    fn found(clients: &Clients, shown: AzureConnection) -> Result<(), Reason> {
        let (connections, mut writer) = reflector::store::<Guarded<AzureConnection>>();
        writer.apply_watcher_event(&watcher::Event::Apply(Guarded(Ok(shown))));
        let (workspaces, rules, approvals) = (reflector::store().0, reflector::store().0, reflector::store().0);
        let namespaces = reflector::store::<PartialObjectMeta<k8s_openapi::api::core::v1::Namespace>>().0;
        let decisions = reflector::store().0;
        let stations = crate::operator::unwatched_stations();
        let indexes = Indexes::new(connections, workspaces, rules, approvals, decisions, stations, namespaces);
        Connected::find(&indexes, clients, "prod").map(|_| ()).map_err(|verdict| verdict.reason)
    }

    #[tokio::test]
    async fn a_client_serves_only_the_identity_it_was_made_for() {
        let clients = Clients::default();
        assert!(clients.put("prod", Origin::of(&connection(&[]), String::new()), client()));
        let generation = ("/metadata/generation", json!(2));
        let observed = ("/status/observedGeneration", json!(2));
        let refused = ("/status/conditions/0/status", json!("False"));
        let other = ("/spec/credential", json!({"managedIdentity": {"clientId": "another"}}));
        for (what, changed, expected) in [
            ("as it was made", vec![], Ok(())),
            ("its credential gives no token any more", vec![refused.clone()], Ok(())),
            ("another credential, not looked at yet", vec![generation.clone(), other.clone()], Err(Reason::Pending)),
            (
                "the verdict is on the credential before",
                vec![generation.clone(), other.clone(), refused.clone()],
                Err(Reason::Pending),
            ),
            (
                "another credential that gives no token",
                vec![generation, observed, other, refused],
                Err(Reason::ConnectionNotReady),
            ),
            ("made again", vec![("/metadata/uid", json!("2"))], Err(Reason::Pending)),
            ("another tenant", vec![("/spec/tenantId", json!("2"))], Err(Reason::Pending)),
            ("another cloud", vec![("/spec/cloud", json!("China"))], Err(Reason::Pending)),
        ] {
            assert_eq!(found(&clients, connection(&changed)), expected, "{what}");
        }
        assert!(clients.remove("prod"));
        assert_eq!(found(&clients, connection(&[])), Err(Reason::Pending));
    }

    #[tokio::test]
    async fn only_another_origin_is_news() {
        let clients = Clients::default();
        let origin = |secret: &str| Origin::of(&connection(&[]), secret.to_owned());
        assert!(clients.put("prod", origin("a"), client()));
        assert!(!clients.put("prod", origin("a"), client()));
        assert!(clients.made_from("prod", &origin("b")).is_none(), "a rotated secret takes a new client");
        assert!(clients.put("prod", origin("b"), client()));
    }
}
