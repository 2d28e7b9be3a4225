//! ARM resource ids: taking them apart, comparing them. ARM compares names and paths case-insensitively (ARM RPC,
//! common-api-details), so every map in the simulator is keyed by [`key`].

/// The form of an id under which two spellings of one resource are equal.
pub(crate) fn key(id: &str) -> String {
    id.trim_end_matches('/').to_ascii_lowercase()
}

/// The segment after `/{label}/`, in the caller's spelling.
fn after<'a>(id: &'a str, label: &str) -> Option<&'a str> {
    let mut segments = id.split('/');
    segments.by_ref().find(|segment| segment.eq_ignore_ascii_case(label))?;
    segments.next().filter(|segment| !segment.is_empty())
}

/// The subscription an id lies in.
pub(crate) fn subscription(id: &str) -> Option<&str> {
    after(id, "subscriptions")
}

/// The resource group an id lies in.
pub(crate) fn resource_group(id: &str) -> Option<&str> {
    after(id, "resourceGroups")
}

/// The last segment.
pub(crate) fn name(id: &str) -> &str {
    id.trim_end_matches('/').rsplit('/').next().unwrap_or_default()
}

/// The operation that a status URL names: the guid at its end, which some providers put a word before.
pub(crate) fn operation(path: &str) -> Option<uuid::Uuid> {
    let name = name(path);
    let guid = name.len().checked_sub(36).and_then(|at| name.get(at..))?;
    uuid::Uuid::parse_str(guid).ok()
}

/// What follows the last `/providers/`: `Microsoft.Storage/storageAccounts/lake`.
pub(crate) fn provider_path(id: &str) -> Option<&str> {
    let at = id.to_ascii_lowercase().rfind("/providers/")?;
    id.get(at + "/providers/".len()..)
}

/// The scope of a list of top-level resources: what stands before the last `/providers/`.
pub(crate) fn list_scope(path: &str) -> &str {
    let at = path.to_ascii_lowercase().rfind("/providers/").unwrap_or(path.len());
    path.get(..at).unwrap_or(path)
}

/// `Microsoft.Storage/storageAccounts` of a resource id, in the caller's spelling.
pub(crate) fn resource_type(id: &str) -> Option<String> {
    let mut segments = provider_path(id)?.split('/');
    let mut kind = segments.next()?.to_owned();
    while let Some(part) = segments.next() {
        kind.push('/');
        kind.push_str(part);
        segments.next()?;
    }
    Some(kind)
}

/// The type that a path is about, be it a resource, a list or an action: for messages.
pub(crate) fn path_type(path: &str) -> String {
    let mut segments = provider_path(path).unwrap_or_default().split('/');
    let namespace = segments.next().unwrap_or_default().to_owned();
    segments.step_by(2).fold(namespace, |kind, part| kind + "/" + part)
}

/// The resource that a child belongs to: the id without its last type and name.
pub(crate) fn parent(id: &str) -> String {
    let count = id.trim_matches('/').split('/').count();
    ancestor(id, count.saturating_sub(2))
}

/// The first `count` segments of an id: `/subscriptions/s/resourceGroups/g/providers/n/t/name` has eight.
pub(crate) fn ancestor(id: &str, count: usize) -> String {
    id.trim_start_matches('/').split('/').take(count).fold(String::new(), |mut all, segment| {
        all.push('/');
        all.push_str(segment);
        all
    })
}

/// Whether `scope` is `id` or above it, by whole segments.
pub(crate) fn contains(scope: &str, id: &str) -> bool {
    let (scope, id) = (key(scope), key(id));
    scope.is_empty() || id == scope || id.strip_prefix(&scope).is_some_and(|rest| rest.starts_with('/'))
}

/// Matches `text` against a pattern in which `*` stands for any run of characters, as role definitions write their
/// actions. Case counts for nothing there: both come lower-cased, because it is asked several times with each request.
pub(crate) fn wildcard_lower(pattern: &str, text: &str) -> bool {
    let Some((first, pattern)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut parts = pattern.split('*').peekable();
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// A guid that is the same in every run for the same words, so that the end states of two runs can be compared.
pub(crate) fn guid(words: &[&str]) -> uuid::Uuid {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, words.join("\n").to_ascii_lowercase().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_match_as_role_definitions_mean_them() {
        for (pattern, text, expected) in [
            ("*", "Microsoft.Storage/storageAccounts/read", true),
            ("*/read", "Microsoft.Storage/storageAccounts/read", true),
            ("*/read", "Microsoft.Storage/storageAccounts/write", false),
            (
                "Microsoft.Storage/*/privateEndpointConnectionsApproval/action",
                "microsoft.storage/storageAccounts/PrivateEndpointConnectionsApproval/action",
                true,
            ),
            ("Microsoft.Storage/storageAccounts/read", "Microsoft.Storage/storageAccounts/readX", false),
        ] {
            assert_eq!(wildcard_lower(&key(pattern), &key(text)), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn scopes_contain_by_whole_segments() {
        assert!(contains("/", "/subscriptions/a"));
        assert!(contains("/subscriptions/A", "/subscriptions/a/resourceGroups/g"));
        assert!(!contains("/subscriptions/a/resourceGroups/g", "/subscriptions/a/resourceGroups/g2"));
    }

    #[test]
    fn types_come_from_the_last_provider() {
        let id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/lake/privateEndpointConnections/c";
        assert_eq!(resource_type(id).as_deref(), Some("Microsoft.Storage/storageAccounts/privateEndpointConnections"));
        assert_eq!(
            ancestor(id, 8),
            "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/lake"
        );
    }
}
