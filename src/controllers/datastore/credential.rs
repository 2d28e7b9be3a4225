//! The credential of a datastore: read from its Secret when that is new, and when it is sent. In between only its fingerprint is kept.

use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use kube::{Api, ResourceExt};

use crate::api::AmlDatastore;
use crate::api::datastore::{CREDENTIAL_SECRET, CredentialKind};
use crate::api::ids::ArmId;
use crate::azure::credential::Secret as Confidential;
use crate::plan::datastore::{HOW_TO_ALLOW, consents};
use crate::plan::{Reason, Verdict};
use crate::runtime::context::Context;
use crate::runtime::indexes::key_of;
use crate::runtime::station::workspace_of;

/// What is remembered of a Secret whose content was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// Name, uid and version: another value is another content.
    version: [String; 3],
    /// What the credential is recognised by.
    pub(super) fingerprint: String,
}

fn missing(message: String) -> Verdict {
    Verdict::new(Reason::CredentialMissing, message)
}

/// What to say of a Secret that Kubernetes does not give.
fn unread(name: &str, error: &kube::Error) -> Verdict {
    let message = format!("Secret {name} cannot be read: {error}; {HOW_TO_ALLOW}");
    Verdict::new(Reason::CredentialNotReadable, message)
}

fn absent(name: &str) -> Verdict {
    missing(format!("there is no Secret {name} in this namespace; create it, of the type {CREDENTIAL_SECRET}"))
}

/// The fingerprint of the credential that `object` declares in the Secret `name`. While the Secret is as `known`, its content is not
/// read.
///
/// # Errors
/// With the verdict to report if the credential cannot be used.
pub(super) async fn look(
    context: &Context,
    object: &AmlDatastore,
    id: &ArmId,
    (kind, name): (CredentialKind, &str),
    known: &mut Option<Known>,
) -> Result<String, Verdict> {
    let namespace = object.namespace().unwrap_or_default();
    // Metadata only: a Secret that does not agree is not even read.
    let secrets: Api<PartialObjectMeta<Secret>> = Api::namespaced(context.kube.clone(), &namespace);
    let shown = secrets.get_opt(name).await.map_err(|error| unread(name, &error))?.ok_or_else(|| absent(name))?;
    consents(name, shown.annotations(), &key_of(object), &workspace_of(object))?;
    let version = version(name, &shown);
    if let Some(known) = known.as_ref().filter(|known| known.version == version) {
        return Ok(known.fingerprint.clone());
    }
    let (fingerprint, _) = read(context, object, id, (kind, name)).await?;
    *known = Some(Known { version, fingerprint: fingerprint.clone() });
    Ok(fingerprint)
}

fn version(name: &str, secret: &PartialObjectMeta<Secret>) -> [String; 3] {
    [name.to_owned(), secret.uid().unwrap_or_default(), secret.resource_version().unwrap_or_default()]
}

/// The credential itself, with its fingerprint.
///
/// # Errors
/// With the verdict to report if it cannot be used.
pub(super) async fn read(
    context: &Context,
    object: &AmlDatastore,
    id: &ArmId,
    (kind, name): (CredentialKind, &str),
) -> Result<(String, Confidential), Verdict> {
    let namespace = object.namespace().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(context.kube.clone(), &namespace);
    let secret = secrets.get_opt(name).await.map_err(|error| unread(name, &error))?.ok_or_else(|| absent(name))?;
    consents(name, secret.annotations(), &key_of(object), &workspace_of(object))?;
    let type_ = secret.type_.as_deref().unwrap_or_default();
    if type_ != CREDENTIAL_SECRET {
        return Err(missing(format!(
            "Secret {name} is of the type {type_:?}, and only those of the type {CREDENTIAL_SECRET} are used; the type of a Secret cannot \
             change, so create it anew"
        )));
    }
    let key = kind.data_key();
    let value = secret.data.as_ref().and_then(|data| data.get(key));
    let text = value.and_then(|value| std::str::from_utf8(&value.0).ok()).map(str::trim);
    let text = text.filter(|text| !text.is_empty()).ok_or_else(|| {
        missing(format!(
            "Secret {name} has no text under {key}, where a credential of the type {} stands",
            kind.as_str()
        ))
    })?;
    // Of the datastore and not of this object: after a restore from a backup objects have other uids, and nothing has to be sent again.
    let parts = [context.installation.as_str(), &id.key(), kind.as_str(), text];
    let fingerprint = context.seal.fingerprint(&parts).await;
    let fingerprint = fingerprint.map_err(|error| Verdict::new(Reason::CredentialNotReadable, error.to_string()))?;
    Ok((fingerprint, Confidential::new(text.to_owned())))
}
