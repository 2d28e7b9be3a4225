//! The clients behind the AzureConnections: one each, made and checked by the connection's own controller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::indexes::Indexes;
use crate::api::common::ManagementPolicy;
use crate::api::condition::{ConditionStatus, READY, find};
use crate::api::connection::AzureConnectionSpec;
use crate::azure::client::Client;
use crate::plan::{Reason, Verdict};

/// A client, and what it was made from.
#[derive(Clone)]
struct Entry {
    /// Uid, spec and secret of the connection: another value means another client.
    source: String,
    client: Client,
}

/// All clients, by the connection's name.
#[derive(Clone, Default)]
pub struct Clients(Arc<Mutex<HashMap<String, Entry>>>);

impl Clients {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client of `name`, if it was made from `source`.
    pub fn made_from(&self, name: &str, source: &str) -> Option<Client> {
        self.lock().get(name).filter(|entry| entry.source == source).map(|entry| entry.client.clone())
    }

    /// Puts a client in place; true if it is another one than before.
    pub fn put(&self, name: &str, source: String, client: Client) -> bool {
        let fresh = self.lock().get(name).is_none_or(|entry| entry.source != source);
        self.lock().insert(name.to_owned(), Entry { source, client });
        fresh
    }

    /// Takes a client out of use; true if there was one.
    pub fn remove(&self, name: &str) -> bool {
        self.lock().remove(name).is_some()
    }

    fn get(&self, name: &str) -> Option<Client> {
        self.lock().get(name).map(|entry| entry.client.clone())
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
        let Some(client) = clients.get(name) else {
            let judged = connection.status.as_ref().and_then(|status| find(&status.conditions, READY));
            if judged.is_none_or(|ready| ready.status == ConditionStatus::True) {
                // Nobody has looked at the credential yet, in this process or at all: its controller will tell.
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
