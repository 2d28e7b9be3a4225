//! Somebody else's issuer of tokens, such as a Kubernetes cluster, and what a forger makes of tokens.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

static KEY: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::generate(KeySize::Rsa2048).unwrap());

pub(crate) const KID: &str = "cluster-key";

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(crate) fn encode(part: &Value) -> String {
    URL_SAFE_NO_PAD.encode(part.to_string())
}

/// The claims of a token.
pub(crate) fn claims(token: &str) -> Value {
    part(token, 1)
}

/// The header of a token.
pub(crate) fn header(token: &str) -> Value {
    part(token, 0)
}

fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

/// The issuer's keys.
pub(crate) fn jwks() -> Value {
    let public = KEY.public_key();
    let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let n = number(public.modulus().big_endian_without_leading_zero());
    let e = number(public.exponent().big_endian_without_leading_zero());
    json!({ "keys": [{ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": KID, "n": n, "e": e }] })
}

/// A token of the issuer, under the key's name or another.
pub(crate) fn sign(kid: &str, claims: &Value) -> String {
    let signed = format!("{}.{}", encode(&json!({ "alg": "RS256", "typ": "JWT", "kid": kid })), encode(claims));
    let mut signature = vec![0; KEY.public_modulus_len()];
    KEY.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Whether one of the keys of a JWKS made the signature, as any verifier would find.
pub(crate) fn verifies(jwks: &Value, token: &str) -> bool {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let number = |text: &Value| URL_SAFE_NO_PAD.decode(text.as_str().unwrap()).unwrap();
    let named = header(token)["kid"].clone();
    jwks["keys"].as_array().unwrap().iter().filter(|key| key["kid"] == named).any(|key| {
        let key = RsaPublicKeyComponents { n: number(&key["n"]), e: number(&key["e"]) };
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        key.verify(&RSA_PKCS1_2048_8192_SHA256, signed.as_bytes(), &signature).is_ok()
    })
}
