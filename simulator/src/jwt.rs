//! JSON web tokens signed with RS256, which is what Entra signs and accepts: making, reading and checking them.
//!
//! One algorithm only, decided by the caller and never by the token, so that a token cannot choose how it is checked.

use std::sync::LazyLock;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// The process has no signing key, because the system gave no random numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no signing key could be made")]
pub(crate) struct NoKey;

/// Made at the first token and shared by all simulators of a process: making one takes some hundred milliseconds,
/// and tests start many simulators. What keeps those apart is the key's name, which each chooses for itself.
static KEY: LazyLock<Result<SigningKey, Unspecified>> = LazyLock::new(SigningKey::generate);

struct SigningKey {
    pair: KeyPair,
    modulus: String,
    exponent: String,
}

impl SigningKey {
    fn generate() -> Result<Self, Unspecified> {
        let pair = KeyPair::generate(KeySize::Rsa2048)?;
        let public = pair.public_key();
        let encode = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
        let modulus = encode(public.modulus().big_endian_without_leading_zero());
        let exponent = encode(public.exponent().big_endian_without_leading_zero());
        Ok(Self { pair, modulus, exponent })
    }
}

fn key() -> Result<&'static SigningKey, NoKey> {
    KEY.as_ref().map_err(|_| NoKey)
}

/// The process's public key as JWKS lists it, under the name `kid`.
pub(crate) fn public_jwk(kid: &str) -> Result<Value, NoKey> {
    let key = key()?;
    Ok(json!({ "kty": "RSA", "use": "sig", "kid": kid, "alg": "RS256", "n": key.modulus, "e": key.exponent }))
}

/// A token with these claims, signed with the process's key under the name `kid`.
pub(crate) fn sign(kid: &str, claims: &Value) -> Result<String, NoKey> {
    let pair = &key()?.pair;
    let header = json!({ "typ": "JWT", "alg": "RS256", "kid": kid });
    let encode = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let signed = format!("{}.{}", encode(&header), encode(claims));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).map_err(|_| NoKey)?;
    Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

/// What a token's header says.
#[derive(Debug, Deserialize)]
pub(crate) struct Header {
    pub(crate) alg: String,
    #[serde(default)]
    pub(crate) kid: Option<String>,
}

/// `aud`: one name or several (RFC 7519, 4.1.3).
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// The claims that decide whether a token is accepted. Times are seconds since the Unix epoch.
#[derive(Debug, Deserialize)]
pub(crate) struct Claims {
    pub(crate) iss: String,
    #[serde(default)]
    pub(crate) sub: String,
    aud: Audience,
    pub(crate) exp: i64,
    #[serde(default)]
    pub(crate) nbf: Option<i64>,
    #[serde(default)]
    pub(crate) tid: Option<String>,
    #[serde(default)]
    pub(crate) oid: Option<String>,
}

impl Claims {
    /// Whom the token is for.
    pub(crate) fn audiences(&self) -> &[String] {
        match &self.aud {
            Audience::One(name) => std::slice::from_ref(name),
            Audience::Many(names) => names,
        }
    }
}

/// A token taken apart, of which nothing is believed yet.
#[derive(Debug)]
pub(crate) struct Unverified<'a> {
    pub(crate) header: Header,
    pub(crate) claims: Claims,
    signed: &'a str,
    signature: &'a str,
}

fn part<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

impl<'a> Unverified<'a> {
    /// Takes a token apart; `None` if it is not a JSON web token with the claims that every one has to have.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        Some(Self { header: part(header)?, claims: part(claims)?, signed, signature })
    }

    /// Whether the process's own key signed it under the name `kid`.
    pub(crate) fn signed_by_process(&self, kid: &str) -> Result<bool, NoKey> {
        if self.header.kid.as_deref() != Some(kid) {
            return Ok(false);
        }
        let jwk = public_jwk(kid)?;
        Ok(PublicKey::from_jwk(&jwk).is_some_and(|key| key.verifies(self)))
    }
}

/// A key of a registered issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PublicKey {
    kid: Option<String>,
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl PublicKey {
    /// Reads one entry of a JWKS; `None` if it is not an RSA key for signatures.
    pub(crate) fn from_jwk(jwk: &Value) -> Option<Self> {
        let number = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str()?).ok();
        let for_signatures = jwk["use"].as_str().is_none_or(|purpose| purpose == "sig");
        let rsa = jwk["kty"] == "RSA" && jwk["alg"].as_str().is_none_or(|algorithm| algorithm == "RS256");
        (for_signatures && rsa).then_some(())?;
        Some(Self { kid: jwk["kid"].as_str().map(str::to_owned), modulus: number("n")?, exponent: number("e")? })
    }

    /// Whether this key made the token's signature.
    pub(crate) fn verifies(&self, token: &Unverified<'_>) -> bool {
        // A token that names a key means that key; one that names none may be any key's.
        let named = token.header.kid.as_ref().is_none_or(|kid| self.kid.as_ref().is_none_or(|own| own == kid));
        let Ok(signature) = URL_SAFE_NO_PAD.decode(token.signature) else { return false };
        let components = RsaPublicKeyComponents { n: &self.modulus, e: &self.exponent };
        named
            && token.header.alg == "RS256"
            && components.verify(&RSA_PKCS1_2048_8192_SHA256, token.signed.as_bytes(), &signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Value {
        json!({ "iss": "https://issuer", "sub": "me", "aud": ["one", "two"], "exp": 10 })
    }

    #[test]
    fn a_signature_is_good_for_its_own_text_and_key_only() {
        let token = sign("k", &claims()).unwrap();
        let read = Unverified::parse(&token).unwrap();
        assert_eq!(read.claims.audiences(), ["one", "two"]);
        assert!(read.signed_by_process("k").unwrap());
        assert!(!read.signed_by_process("other").unwrap());

        let (_, signature) = token.rsplit_once('.').unwrap();
        let header = token.split('.').next().unwrap();
        let mut changed = claims();
        changed["sub"] = json!("somebody else");
        let forged = format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(changed.to_string()));
        assert!(!Unverified::parse(&forged).unwrap().signed_by_process("k").unwrap());
    }

    #[test]
    fn a_token_does_not_choose_how_it_is_checked() {
        let token = sign("k", &claims()).unwrap();
        let body = token.split('.').nth(1).unwrap();
        for algorithm in ["none", "None", "HS256", "RS512"] {
            let header = URL_SAFE_NO_PAD.encode(json!({ "alg": algorithm, "kid": "k" }).to_string());
            for signature in ["", token.rsplit('.').next().unwrap()] {
                let token = format!("{header}.{body}.{signature}");
                assert!(!Unverified::parse(&token).unwrap().signed_by_process("k").unwrap(), "{algorithm}");
            }
        }
    }

    #[test]
    fn what_is_no_token_is_not_read() {
        for text in ["", "a", "a.b", "a.b.c", "..", "e30.e30.", "e30.e30.x"] {
            assert!(Unverified::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn keys_for_other_purposes_are_left_out() {
        let good = public_jwk("k").unwrap();
        assert!(PublicKey::from_jwk(&good).is_some());
        for (name, value) in [("kty", "EC"), ("use", "enc"), ("alg", "RS512"), ("n", "*")] {
            let mut jwk = good.clone();
            jwk[name] = json!(value);
            assert_eq!(PublicKey::from_jwk(&jwk), None, "{name}");
        }
    }
}
