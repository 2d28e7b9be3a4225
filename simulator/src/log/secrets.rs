//! Secrets in bodies, which the log does not keep.

use axum::body::Bytes;
use serde_json::Value;

/// What stands in the place of a secret.
const REDACTED: &str = "REDACTED";

/// Members that open something, in lower case; whatever texts stand in them (OpenAPI files of Sql, Storage, Synapse and
/// MachineLearningServices: servers, listKeys, workspaces, connections, endpoints).
const SECRETS: &[&str] = &[
    "accesskey",
    "accountkey",
    "administratorloginpassword",
    "adminuserpassword",
    "appinsightsinstrumentationkey",
    "clientsecret",
    "connectionstring",
    "credentials",
    "keyvalue",
    "password",
    "passwords",
    "primaryaccesskey",
    "primarykey",
    "secondaryaccesskey",
    "secondarykey",
    "secret",
    "serviceprincipalkey",
    "sqladministratorloginpassword",
    "userstoragekey",
];

/// What tells that a `value` beside it is a key of a storage account.
const KEY_NAME: &str = "keyname";

/// What tells that everything beside it is secret, as in the credentials of a datastore.
const SECRETS_TYPE: &str = "secretstype";

/// What tells that the credentials that it stands in name their own secrets.
const CREDENTIALS_TYPE: &str = "credentialstype";

/// The `type` of a secret of a linked service, which is the `value` beside it.
const SECURE_STRING: &str = "securestring";

/// The body without its secrets; `None` if it has none, which is cheap to see.
pub(super) fn redacted(body: &Bytes) -> Option<Bytes> {
    let lower = String::from_utf8_lossy(body).to_ascii_lowercase();
    if !SECRETS.iter().chain([&KEY_NAME, &SECRETS_TYPE, &SECURE_STRING]).any(|name| lower.contains(name)) {
        return None;
    }
    let Ok(mut value) = serde_json::from_slice(body) else {
        // Whatever it is, it speaks of secrets.
        return Some(Bytes::from_static(REDACTED.as_bytes()));
    };
    if !redact(&mut value) {
        return None;
    }
    serde_json::to_vec(&value).ok().map(Bytes::from)
}

/// Whether there was anything to redact.
fn redact(value: &mut Value) -> bool {
    let mut found = false;
    match value {
        Value::Object(members) => {
            let has = |wanted: &str| members.keys().any(|name| name.eq_ignore_ascii_case(wanted));
            let (all, secure) = (has(SECRETS_TYPE), members.values().any(is_secure_string));
            let value_too = has(KEY_NAME) || secure;
            for (name, value) in members {
                let named = |wanted: &str| name.eq_ignore_ascii_case(wanted);
                let secret = SECRETS.iter().any(|secret| named(secret) && !speaks_for_itself(value))
                    || value_too && named("value")
                    || all && !named(SECRETS_TYPE);
                found |= if secret { blacken(value) } else { redact(value) };
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| found |= redact(item)),
        _ => {}
    }
    found
}

fn is_secure_string(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(SECURE_STRING))
}

/// Whether a value tells itself what of it is secret.
fn speaks_for_itself(value: &Value) -> bool {
    value.as_object().is_some_and(|members| {
        members.keys().any(|name| name.eq_ignore_ascii_case(CREDENTIALS_TYPE)) || members.values().any(is_secure_string)
    })
}

/// Every text in a value.
fn blacken(value: &mut Value) -> bool {
    let mut found = false;
    match value {
        Value::String(text) => {
            REDACTED.clone_into(text);
            found = true;
        }
        Value::Object(members) => members.values_mut().for_each(|member| found |= blacken(member)),
        Value::Array(items) => items.iter_mut().for_each(|item| found |= blacken(item)),
        _ => {}
    }
    found
}

#[cfg(test)]
mod tests {
    use super::redacted;
    use axum::body::Bytes;

    #[test]
    fn secrets_go_and_the_rest_stays_as_it_was() {
        for (body, kept) in [
            (r#"{"a":{"Password":"x","b":1}}"#, Some(r#"{"a":{"Password":"REDACTED","b":1}}"#)),
            (r#"[{"keyName":"key1","value":"x"}]"#, Some(r#"[{"keyName":"key1","value":"REDACTED"}]"#)),
            (r#"{"credentials":{"sas":["x"],"n":1}}"#, Some(r#"{"credentials":{"n":1,"sas":["REDACTED"]}}"#)),
            (
                r#"{"credentials":{"credentialsType":"Sas","secrets":{"secretsType":"Sas","sasToken":"x"}}}"#,
                Some(
                    r#"{"credentials":{"credentialsType":"Sas","secrets":{"sasToken":"REDACTED","secretsType":"Sas"}}}"#,
                ),
            ),
            (r#"{"secretsType":"AccountKey","key":"x"}"#, Some(r#"{"key":"REDACTED","secretsType":"AccountKey"}"#)),
            (
                r#"{"servicePrincipalKey":{"type":"SecureString","value":"x"}}"#,
                Some(r#"{"servicePrincipalKey":{"type":"SecureString","value":"REDACTED"}}"#),
            ),
            (
                r#"{"a":{"type":"SecureString","value":"x"}}"#,
                Some(r#"{"a":{"type":"SecureString","value":"REDACTED"}}"#),
            ),
            (r#"{"value": [{"name":"x"}]}"#, None),
            (r#"{"note":"a password"}"#, None),
            ("password=x", Some("REDACTED")),
        ] {
            let expected = kept.map(|kept| Bytes::from_static(kept.as_bytes()));
            assert_eq!(redacted(&Bytes::from_static(body.as_bytes())), expected, "{body}");
        }
    }
}
