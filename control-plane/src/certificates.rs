//! The certificates and keys of one control plane: made at start, valid for nothing else, gone with its folder.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use crate::Error;

/// A certificate and its private key, both PEM.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// All that one control plane needs.
#[derive(Debug)]
pub(crate) struct Certificates {
    /// The authority that signed all the others, PEM.
    pub(crate) authority: String,
    /// kube-apiserver's own, for `127.0.0.1` and `localhost`.
    pub(crate) server: Identity,
    /// A client in the group `system:masters`: may do everything.
    pub(crate) admin: Identity,
    /// The client kube-controller-manager starts from.
    pub(crate) controller_manager: Identity,
    /// Signs service account tokens.
    service_accounts: KeyPair,
}

impl Certificates {
    /// Makes a new set.
    pub(crate) fn generate() -> Result<Self, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.distinguished_name.push(DnType::CommonName, "control-plane");
        let key = KeyPair::generate()?;
        let authority = params.self_signed(&key)?.pem();
        let issuer = Issuer::new(params, key);

        let names = ["127.0.0.1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"];
        let mut server = CertificateParams::new(names.map(str::to_owned))?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.distinguished_name.push(DnType::CommonName, "kube-apiserver");

        Ok(Self {
            authority,
            server: sign(server, &issuer)?,
            admin: sign(client("admin", Some("system:masters")), &issuer)?,
            // The user name that Kubernetes' own role binding for it expects.
            controller_manager: sign(client("system:kube-controller-manager", None), &issuer)?,
            service_accounts: KeyPair::generate()?,
        })
    }

    /// Writes what kube-apiserver and kube-controller-manager read from files.
    pub(crate) fn write(&self, folder: &Path) -> Result<Files, Error> {
        let write = |name: &str, content: &str| {
            let path = folder.join(name);
            fs::write(&path, content).map_err(|source| Error::file(&path, source)).map(|()| path)
        };
        Ok(Files {
            authority: write("ca.crt", &self.authority)?,
            server_certificate: write("server.crt", &self.server.certificate)?,
            server_key: write("server.key", &self.server.key)?,
            service_account_key: write("service-account.key", &self.service_accounts.serialize_pem())?,
            service_account_public_key: write("service-account.pub", &self.service_accounts.public_key_pem())?,
        })
    }
}

/// Where [`Certificates::write`] put them.
#[derive(Debug)]
pub(crate) struct Files {
    pub(crate) authority: PathBuf,
    pub(crate) server_certificate: PathBuf,
    pub(crate) server_key: PathBuf,
    pub(crate) service_account_key: PathBuf,
    /// kube-apiserver does not take the public half from the private one in this encoding (PKCS #8).
    pub(crate) service_account_public_key: PathBuf,
}

fn client(user: &str, group: Option<&str>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    // Kubernetes takes the user from the common name and the groups from the organizations (docs: "Authenticating,
    // X.509 client certificates").
    params.distinguished_name.push(DnType::CommonName, user);
    if let Some(group) = group {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params
}

fn sign(params: CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Result<Identity, rcgen::Error> {
    let key = KeyPair::generate()?;
    let certificate = params.signed_by(&key, issuer)?.pem();
    Ok(Identity { certificate, key: key.serialize_pem() })
}
