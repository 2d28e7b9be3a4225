//! `AzureConnection`: makes the client, checks the credential, and stays for as long as it is used.

use std::sync::Arc;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};
use sha2::{Digest, Sha256};
use url::Url;

use crate::api::AzureConnection;
use crate::api::connection::{AzureConnectionSpec, CloudName};
use crate::azure::client::{Client, ClientConfig};
use crate::azure::cloud::{Cloud, CustomCloud, SYNAPSE_AUDIENCE, SynapseEndpoint};
use crate::azure::credential::{CredentialSource, Secret as Confidential};
use crate::plan::breaker::Breaker;
use crate::plan::roles::Entry;
use crate::plan::rules::ObjectKey;
use crate::plan::{Reason, Verdict};
use crate::runtime::connections::Origin;
use crate::runtime::context::Context;
use crate::runtime::driver::{Error, Outcome};
use crate::runtime::indexes::{Indexes, key_of};
use crate::runtime::ledger::LedgerError;
use crate::runtime::lookup::Index;
use crate::runtime::status::Basis;
use crate::runtime::terms::{Term, Terms};

use super::removals::breaker;

/// Looks at one connection.
///
/// # Errors
/// If Kubernetes does not take what is reported.
pub async fn reconcile(context: Arc<Context>, mut connection: AzureConnection) -> Result<Outcome, Error> {
    let name = connection.name_any();
    let users = context.indexes.users_of(&name);
    let deleting = connection.metadata.deletion_timestamp.is_some();
    // What cannot be read may use any connection, and without one nobody could take back what it stands for.
    let unreadable = if deleting { unreadable(&context.indexes) } else { Vec::new() };
    if deleting {
        let (abandoned, lent) = (Context::abandoned(&connection), lent(&context, &name).await);
        let note = match &lent {
            _ if !abandoned => "nothing uses the connection any more".to_owned(),
            Ok(lent) if lent.is_empty() => {
                "abandoned by annotation; nothing that was assigned through it is left".to_owned()
            }
            Ok(lent) => format!("abandoned by annotation; what was assigned through it stays in Azure: {}", few(lent)),
            Err(error) => format!("abandoned by annotation; what was assigned through it cannot be told: {error}"),
        };
        let unused = users.is_empty() && unreadable.is_empty();
        if abandoned || unused && lent?.is_empty() {
            context.clients.remove(&name);
            context.release(&connection, &note).await?;
            return Ok(Outcome::Done);
        }
    }
    let mut status = connection.status.clone().unwrap_or_default();
    if !deleting {
        context.status.hold(&mut connection).await?;
    }
    let checked = check(&context, &name, &connection).await;
    status.users = i64::try_from(users.len()).ok();
    status.mass_change = None;
    let verdict = match (checked, breaker(&context, &name, &connection.spec)) {
        (Ok(()), Breaker::Open { hash, waiting }) => {
            let verdict = Verdict::new(
                Reason::MassChangeToAcknowledge,
                format!(
                    "{waiting} removals at once wait, in case they are a mistake such as a pruned folder. If they are meant, \
                     acknowledge {{door: MassChange, value: {hash}}} here; if not, restore the objects' manifests"
                ),
            );
            status.mass_change = Some(hash);
            verdict
        }
        (Ok(()), Breaker::Closed) if deleting => {
            Verdict::new(Reason::InUse, in_use(&users, &unreadable, &lent(&context, &name).await?))
        }
        (Ok(()), Breaker::Closed) => Verdict::new(Reason::Available, "the credential works"),
        (Err(verdict), _) => verdict,
    };
    context.report(&mut connection, status, &verdict, Vec::new(), Basis::Version).await?;
    Ok(Outcome::Reported(verdict))
}

type Named = (&'static str, ObjectKey);

/// Everything that may use any connection, because it cannot be read.
fn unreadable(indexes: &Indexes) -> Vec<Named> {
    fn of<K: Terms>(index: &Index<K>) -> impl Iterator<Item = Named> + use<K> {
        index.find(&Term::Unreadable).into_iter().map(|object| (K::NAME, key_of(object.as_ref())))
    }
    of(&indexes.workspaces).chain(of(&indexes.rules)).chain(of(&indexes.approvals)).collect()
}

/// What was assigned through the connection `name` and has to be taken back through it, each as it is named to people; also Secrets
/// of the ledger that cannot be read, since they may name it.
async fn lent(context: &Context, name: &str) -> Result<Vec<String>, LedgerError> {
    let all = context.role_ledger.all().await?;
    let damaged = all.damaged.iter().map(|secret| format!("perhaps some that the damaged Secret {secret} tells of"));
    Ok(all.lent_through(name).map(Entry::words).chain(damaged).collect())
}

/// The first few of `all`, and how many more there are.
fn few(all: &[String]) -> String {
    let more = all.len().saturating_sub(5);
    all.iter().take(5).cloned().collect::<Vec<_>>().join(", ")
        + &if more == 0 { String::new() } else { format!(" and {more} more") }
}

/// Why a connection that is being deleted stays.
fn in_use(users: &[Named], unreadable: &[Named], lent: &[String]) -> String {
    let list = |objects: &[Named]| {
        let all: Vec<String> =
            objects.iter().map(|(kind, key)| format!("{kind} {}/{}", key.namespace, key.name)).collect();
        few(&all)
    };
    let mut why = Vec::new();
    if !users.is_empty() {
        why.push(format!("still used by {}; delete those first", list(users)));
    }
    if !unreadable.is_empty() {
        why.push(format!(
            "perhaps used by {}, which cannot be understood; correct or delete those first",
            list(unreadable)
        ));
    }
    if !lent.is_empty() {
        why.push(format!("roles that were assigned through it are still out and are taken back first: {}", few(lent)));
    }
    format!("{}. Until then the connection serves deletions only", why.join(". Also "))
}

/// Makes the client if there is none for this spec and secret, and sees that it gets a token.
async fn check(context: &Context, name: &str, connection: &AzureConnection) -> Result<(), Verdict> {
    let (credential, secret_hash) = credential(context, &connection.spec).await?;
    let origin = Origin::of(connection, secret_hash);
    let known = context.clients.made_from(name, &origin);
    let client = match known {
        Some(client) => client,
        None => make(context, &connection.spec, credential)?,
    };
    client.token_check().await.map_err(|error| {
        let code = error.code.as_deref().unwrap_or("no code");
        Verdict::new(
            Reason::ConnectionNotReady,
            format!("Entra gives no token ({code}): {}. Check tenantId and credential", error.message),
        )
    })?;
    if context.clients.put(name, origin, client) {
        context.tell_users_of(name);
    }
    Ok(())
}

/// The credential, and a hash of the secret in it, if there is one.
async fn credential(context: &Context, spec: &AzureConnectionSpec) -> Result<(CredentialSource, String), Verdict> {
    let invalid = |message: String| Verdict::new(Reason::ConnectionNotReady, message);
    if let Some(identity) = &spec.credential.workload_identity {
        let source = CredentialSource::WorkloadIdentity { client_id: identity.client_id.clone(), token_file: None };
        return Ok((source, String::new()));
    }
    if let Some(identity) = &spec.credential.managed_identity {
        return Ok((CredentialSource::ManagedIdentity { client_id: identity.client_id.clone() }, String::new()));
    }
    let Some(reference) = &spec.credential.client_secret else {
        return Err(Verdict::new(
            Reason::Invalid,
            "credential: give exactly one of workloadIdentity, managedIdentity, clientSecret",
        ));
    };
    let secrets: Api<Secret> = Api::namespaced(context.kube.clone(), &context.namespace);
    let (name, key) = (&reference.secret_ref.name, &reference.secret_ref.key);
    let secret = secrets.get_opt(name).await.map_err(|error| invalid(format!("Secret {name}: {error}")))?;
    let secret = secret.ok_or_else(|| {
        invalid(format!("there is no Secret {name:?} in the operator's namespace {:?}", context.namespace))
    })?;
    let value = secret.data.as_ref().and_then(|data| data.get(key));
    let value = value.ok_or_else(|| invalid(format!("Secret {name:?} has no key {key:?}")))?;
    let text =
        std::str::from_utf8(&value.0).map_err(|_| invalid(format!("key {key:?} of Secret {name:?} is no text")))?;
    let hash = Sha256::digest(&value.0).iter().map(|byte| format!("{byte:02x}")).collect();
    let secret = Confidential::new(text.trim().to_owned());
    Ok((CredentialSource::ClientSecret { client_id: reference.client_id.clone(), secret }, hash))
}

fn make(context: &Context, spec: &AzureConnectionSpec, credential: CredentialSource) -> Result<Client, Verdict> {
    let invalid = |message: String| Verdict::new(Reason::Invalid, message);
    let url =
        |field: &str, text: &str| Url::parse(text).map_err(|error| invalid(format!("customCloud.{field}: {error}")));
    let cloud = match (spec.cloud, &spec.custom_cloud) {
        (CloudName::Public, _) => Cloud::Public,
        (CloudName::UsGovernment, _) => Cloud::UsGovernment,
        (CloudName::China, _) => Cloud::China,
        (CloudName::Custom, Some(custom)) => Cloud::Custom(Box::new(CustomCloud {
            resource_manager: url("resourceManagerEndpoint", &custom.resource_manager_endpoint)?,
            audience: custom
                .resource_manager_audience
                .clone()
                .unwrap_or_else(|| custom.resource_manager_endpoint.trim_end_matches('/').to_owned()),
            authority: url("authorityHost", &custom.authority_host)?,
            ca_bundle: custom.ca_bundle.clone(),
            synapse: custom.synapse_endpoint_template.as_ref().map(|template| SynapseEndpoint {
                template: template.clone(),
                audience: custom.synapse_audience.clone().unwrap_or_else(|| SYNAPSE_AUDIENCE.to_owned()),
            }),
        })),
        (CloudName::Custom, None) => return Err(invalid("customCloud: give it with cloud: Custom".into())),
    };
    let parts = &context.azure;
    Client::new(ClientConfig {
        cloud,
        tenant_id: spec.tenant_id.clone(),
        credential,
        seam: parts.seam.clone(),
        throttle: parts.throttle.clone(),
        pace: parts.pace,
        transport: parts.transport.clone(),
        hook: parts.hook.clone(),
    })
    .map_err(|error| invalid(error.to_string()))
}
