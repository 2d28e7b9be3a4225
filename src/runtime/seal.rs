//! Fingerprints of secrets. They are made with a key of the installation's own, so that whoever reads one, in Azure or in a status,
//! cannot even try out what it may stand for.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use tokio::sync::OnceCell;
use uuid::Uuid;

use crate::plan::names::fingerprint;

/// The Secret in the operator's namespace, part of any backup. Lost, it is made anew, and every credential is sent once more.
const NAME: &str = "aml-ledger-seal";
/// The key in it.
const KEY: &str = "key";

/// Why there is no fingerprint.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// Kubernetes does not answer, or refuses.
    #[error("Secret {NAME} in the operator's namespace: {0}")]
    Kube(#[from] kube::Error),
    /// The Secret holds no key.
    #[error("Secret {NAME} in the operator's namespace holds no {KEY}; delete it, and it is made anew")]
    Damaged,
}

/// The installation's key.
pub struct Seal {
    secrets: Api<Secret>,
    key: OnceCell<String>,
}

impl Seal {
    /// The key in `namespace`, which is read when it is first needed, or made.
    pub fn new(client: kube::Client, namespace: &str) -> Self {
        Self { secrets: Api::namespaced(client, namespace), key: OnceCell::new() }
    }

    /// What `parts`, of which some are secret, are recognised by.
    ///
    /// # Errors
    /// If the key can be neither read nor made.
    pub async fn fingerprint(&self, parts: &[&str]) -> Result<String, SealError> {
        let key = self.key.get_or_try_init(|| self.open()).await?;
        let mut all = vec![key.as_str()];
        all.extend_from_slice(parts);
        Ok(fingerprint(&all))
    }

    async fn open(&self) -> Result<String, SealError> {
        if let Some(secret) = self.secrets.get_opt(NAME).await? {
            return read(&secret);
        }
        // 244 random bits of the system's.
        let key = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let secret = Secret {
            metadata: ObjectMeta { name: Some(NAME.into()), ..ObjectMeta::default() },
            data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(key.clone().into_bytes()))])),
            ..Secret::default()
        };
        match self.secrets.create(&PostParams::default(), &secret).await {
            Ok(_) => Ok(key),
            // Another operator of this namespace was faster.
            Err(kube::Error::Api(status)) if status.code == 409 => read(&self.secrets.get(NAME).await?),
            Err(error) => Err(error.into()),
        }
    }
}

fn read(secret: &Secret) -> Result<String, SealError> {
    let key =
        secret.data.as_ref().and_then(|data| data.get(KEY)).map(|key| String::from_utf8_lossy(&key.0).into_owned());
    key.filter(|key| !key.is_empty()).ok_or(SealError::Damaged)
}
