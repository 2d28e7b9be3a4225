//! Whether a Secret agrees to be used for a datastore. Without that, whoever may write datastores could have the operator send any
//! Secret of the namespace to a datastore of their own, and read it there.

use std::collections::BTreeMap;

use crate::api::datastore::{SECRET_DATASTORE, SECRET_WORKSPACE};
use crate::plan::outcome::{Reason, Verdict};
use crate::plan::rules::ObjectKey;

/// What gives the operator the rights on a Secret that it lacks.
pub const HOW_TO_ALLOW: &str = "a platform administrator can allow it with the chart's datastoreCredentials, or with a Role and RoleBinding \
                                of their own in this namespace that let the operator's service account get, list and watch that Secret";

/// Sees that a Secret with these `annotations` names the object `datastore` and the workspace of the object `workspace`.
///
/// # Errors
/// With the verdict to report if it does not.
pub fn consents(
    secret: &str,
    annotations: &BTreeMap<String, String>,
    datastore: &ObjectKey,
    workspace: &ObjectKey,
) -> Result<(), Verdict> {
    let said = |name: &str| annotations.get(name).map(String::as_str).unwrap_or_default();
    let full = format!("{}/{}", workspace.namespace, workspace.name);
    let own = workspace.namespace == datastore.namespace && said(SECRET_WORKSPACE) == workspace.name;
    if (own || said(SECRET_WORKSPACE) == full) && said(SECRET_DATASTORE) == datastore.name {
        return Ok(());
    }
    let wanted = if workspace.namespace == datastore.namespace { &workspace.name } else { &full };
    Err(Verdict::new(
        Reason::CredentialMissing,
        format!(
            "Secret {secret} does not agree to be used here, so it is not. Whoever owns it annotates it with {SECRET_WORKSPACE}: {wanted} \
             and {SECRET_DATASTORE}: {}",
            datastore.name
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_used_where_it_says_so_and_nowhere_else() {
        let key = |namespace: &str, name: &str| ObjectKey { namespace: namespace.into(), name: name.into() };
        let lake = key("team", "lake");
        for (workspace, says, datastore, want) in [
            (key("team", "fraud"), Some("fraud"), Some("lake"), true),
            (key("team", "fraud"), Some("team/fraud"), Some("lake"), true),
            (key("shared", "fraud"), Some("shared/fraud"), Some("lake"), true),
            (key("shared", "fraud"), Some("fraud"), Some("lake"), false),
            (key("team", "fraud"), Some("risk"), Some("lake"), false),
            (key("team", "fraud"), Some("fraud"), Some("pond"), false),
            (key("team", "fraud"), Some("fraud"), None, false),
            (key("team", "fraud"), None, Some("lake"), false),
            (key("team", "fraud"), Some(""), Some(""), false),
        ] {
            let said = [(SECRET_WORKSPACE, says), (SECRET_DATASTORE, datastore)];
            let said = said.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
            let found = consents("s", &said.collect(), &lake, &workspace);
            assert_eq!(found.is_ok(), want, "{workspace:?} {says:?} {datastore:?}");
        }
        let refused = consents("s", &BTreeMap::new(), &lake, &key("shared", "fraud")).unwrap_err();
        assert!(refused.message.contains("aml-operator.io/workspace: shared/fraud"), "{}", refused.message);
    }
}
