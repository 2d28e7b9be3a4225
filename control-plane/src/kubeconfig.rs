//! Kubeconfig files, complete in themselves: nothing in them points at another file.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::certificates::Identity;

/// How a client proves who it is.
pub(crate) enum Credential<'a> {
    /// By certificate.
    Certificate(&'a Identity),
    /// By bearer token.
    Token(&'a str),
}

/// A kubeconfig in YAML for one server, user and context.
pub(crate) fn render(url: &str, authority: &str, credential: &Credential<'_>) -> String {
    let user = match credential {
        Credential::Certificate(identity) => format!(
            "client-certificate-data: {}\n    client-key-data: {}",
            STANDARD.encode(&identity.certificate),
            STANDARD.encode(&identity.key)
        ),
        Credential::Token(token) => format!("token: {token}"),
    };
    format!(
        "apiVersion: v1
kind: Config
current-context: control-plane
clusters:
- name: control-plane
  cluster:
    server: {url}
    certificate-authority-data: {authority}
users:
- name: user
  user:
    {user}
contexts:
- name: control-plane
  context:
    cluster: control-plane
    user: user
",
        authority = STANDARD.encode(authority),
    )
}
