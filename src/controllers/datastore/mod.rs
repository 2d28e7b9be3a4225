//! `AmlDatastore`: where a workspace reads from. What it shares with other kinds is in [`super::attached`].

mod credential;
mod watch;

use std::sync::Arc;

use async_trait::async_trait;
use kube::ResourceExt;
use serde_json::Value;

use self::credential::Known;
use self::watch::Watch;
use super::attached::{Attached, Exit, Filled, Scene, fields};
use crate::api::AmlDatastore;
use crate::api::common::DeletionPolicy;
use crate::api::condition::{READY, find as condition};
use crate::api::datastore::{AmlDatastoreStatus, CredentialKind, DatastoreCredential};
use crate::api::ids::ArmId;
use crate::azure::client::{Client, Priority};
use crate::azure::datastore::{API_VERSION, Datastore};
use crate::azure::storage;
use crate::plan::attached::{Decided, Farewell, Policies, Site};
use crate::plan::datastore::{
    CREDENTIAL_FOLLOWED, Coming, Credential, DatastoreInput, Observed, REACHABLE, check, farewell, place, plan,
    stand_in,
};
use crate::plan::step::Request;
use crate::plan::{Reason, Verdict};
use crate::runtime::context::Context;
use crate::runtime::indexes::key_of;
use crate::runtime::station::workspace_of;

/// What a datastore's turns remember of its credential.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    known: Option<Known>,
    watch: Option<Arc<Watch>>,
}

/// The datastore's ARM id.
fn id_of(object: &AmlDatastore, workspace: &ArmId) -> Result<ArmId, Verdict> {
    let own = object.metadata.name.clone().unwrap_or_default();
    let name = object.spec.azure_name.clone().unwrap_or(own);
    workspace.child("datastores", &name).map_err(|error| Verdict::new(Reason::Invalid, error.to_string()))
}

async fn find(client: &Client, id: &ArmId, priority: Priority) -> Result<Option<Datastore>, Verdict> {
    let found = client.find(id.as_str(), API_VERSION, priority).await;
    let Some(found) = found.map_err(|error| Verdict::of_error("reading the datastore", &error))? else {
        return Ok(None);
    };
    let unreadable = |error| {
        Verdict::new(Reason::AzureRefused, format!("what Azure shows of the datastore cannot be read: {error}"))
    };
    Datastore::read(found).map(Some).map_err(unreadable)
}

async fn account(client: &Client, id: &ArmId, priority: Priority) -> Result<Option<storage::Account>, Verdict> {
    let found = client.find(id.as_str(), storage::API_VERSION, priority).await;
    let Some(found) = found.map_err(|error| Verdict::of_error("reading the storage account", &error))? else {
        return Ok(None);
    };
    let unreadable =
        |error| Verdict::new(Reason::AzureRefused, format!("what Azure shows of {id} cannot be read: {error}"));
    storage::Account::read(found).map(Some).map_err(unreadable)
}

fn declared(object: &AmlDatastore) -> Option<(CredentialKind, &str)> {
    let (kind, secret) = object.spec.credential.as_ref().and_then(DatastoreCredential::kind)?;
    Some((kind, &secret.name))
}

/// Reads what the plan has to know of the credential, and sees that its Secret is watched.
async fn credential(
    scene: &Scene<'_>,
    object: &AmlDatastore,
    id: &ArmId,
    extra: &mut Extra,
) -> Option<Result<Credential, Verdict>> {
    let Some((kind, name)) = declared(object) else {
        *extra = Extra::default();
        return None;
    };
    let context = scene.context;
    let namespace = object.namespace().unwrap_or_default();
    let (ask, key) = (AmlDatastore::station(context).asker(), key_of(object));
    let changed = move || ask.ask(&key);
    let watch = match extra.watch.take().filter(|watch| watch.is_of(name)) {
        Some(watch) => {
            watch.renew(&context.kube, &namespace, context.now(), context.pace.resync, changed);
            watch
        }
        None => Arc::new(Watch::begin(&context.kube, &namespace, name, context.now(), changed)),
    };
    let followed = watch.sees();
    extra.watch = Some(watch);
    let looked = credential::look(context, object, id, (kind, name), &mut extra.known).await;
    Some(looked.map(|fingerprint| Credential { secret: name.to_owned(), fingerprint, followed }))
}

/// The OutboundRule of this workspace that is to lead where `object` reads.
fn coming(context: &Context, object: &AmlDatastore) -> Option<Coming> {
    let (place, account) = place(&object.spec).ok()?;
    let rules = context.indexes.rules_of(&workspace_of(object));
    let rule = rules.into_iter().find(|rule| {
        rule.spec.private_endpoint.as_ref().is_some_and(|endpoint| {
            endpoint.resource_id.eq_ignore_ascii_case(account.as_str())
                && endpoint.subresource.eq_ignore_ascii_case(place.subresource)
        })
    })?;
    let ready = rule.status.as_ref().and_then(|status| condition(&status.conditions, READY));
    let reason = ready.map_or("nothing yet", |ready| ready.reason.as_str()).to_owned();
    let key = key_of(&rule);
    Some(Coming { name: format!("{}/{}", key.namespace, key.name), reason })
}

#[async_trait]
impl Attached for AmlDatastore {
    type Observed = Observed;
    type Extra = Extra;
    const PART_OF_WORKSPACE: bool = true;
    const NOUN: &'static str = "the datastore";
    const CONDITIONS: &'static [&'static str] = &[REACHABLE, CREDENTIAL_FOLLOWED];

    fn policies(&self) -> Policies<'_> {
        let spec = &self.spec;
        Policies {
            workspace_ref: &spec.workspace_ref,
            management: spec.management_policy.unwrap_or_default(),
            deletion: spec.deletion_policy.unwrap_or(DeletionPolicy::Delete),
            adoption: spec.adoption.unwrap_or_default(),
            suspend: spec.suspend,
            acknowledge: &spec.acknowledge,
        }
    }

    fields!(AmlDatastoreStatus, datastores);

    fn azure_version(_: &str) -> &'static str {
        API_VERSION
    }

    fn resource(&self, workspace: &ArmId) -> Result<Option<ArmId>, Verdict> {
        id_of(self, workspace).map(Some)
    }

    fn check(&self, site: &Site<'_>) -> Result<(), Verdict> {
        check(&self.spec, site, &id_of(self, site.id)?)
    }

    async fn observe(&self, scene: &Scene<'_>, extra: &mut Extra) -> Result<Observed, Verdict> {
        // Below a workspace that is not there nothing can be.
        if scene.site.view.workspace.is_none() {
            return Ok(Observed::default());
        }
        let id = id_of(self, scene.site.id)?;
        let (_, account_id) = place(&self.spec)?;
        let client = &scene.connected.client;
        let (datastore, account, credential) = tokio::join!(
            find(client, &id, scene.priority),
            account(client, &account_id, scene.priority),
            credential(scene, self, &id, extra),
        );
        let coming = coming(scene.context, self);
        Ok(Observed { datastore: datastore?, account: account?, credential, coming })
    }

    fn plan(&self, site: &Site<'_>, observed: &Observed, _: &Extra) -> Decided<AmlDatastoreStatus> {
        match id_of(self, site.id) {
            Ok(id) => plan(DatastoreInput { site, id: &id, spec: &self.spec, policies: self.policies(), observed }),
            Err(verdict) => Decided::stopped(AmlDatastoreStatus::default(), verdict),
        }
    }

    fn owner_tag(observed: &Observed) -> Option<&str> {
        observed.datastore.as_ref()?.tag(crate::api::OWNER_TAG)
    }

    async fn fill(&self, scene: &Scene<'_>, request: &Request) -> Result<Option<Filled>, Verdict> {
        let Some(mut body) = request.body.clone() else { return Ok(None) };
        let Some((fingerprint, place)) = stand_in(&mut body) else { return Ok(None) };
        let Some(credential) = declared(self) else { return Ok(None) };
        // Read once more: what was decided on is sent, or nothing.
        let id = id_of(self, scene.site.id)?;
        let (now, secret) = credential::read(scene.context, self, &id, credential).await?;
        if now != fingerprint {
            let message = format!("Secret {} has changed meanwhile; it is looked at again", credential.1);
            return Err(Verdict::new(Reason::Pending, message));
        }
        *place = Value::from(secret.secret());
        Ok(Some(Filled::new(body, secret)))
    }

    async fn farewell(&self, exit: &Exit<'_>, _: &mut Extra) -> Result<Farewell, Verdict> {
        let Some((_, workspace)) = exit.workspace else {
            return Ok(Farewell::Release("its workspace is gone, and the datastore with it".into()));
        };
        let id = id_of(self, workspace)?;
        let observed = find(&exit.connected.client, &id, Priority::Urgent).await?;
        Ok(farewell(exit.owner, &id, observed.as_ref()))
    }
}
