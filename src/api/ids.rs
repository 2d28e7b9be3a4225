//! ARM ids and scopes, parsed once. ARM compares both without regard to case (ARM RPC, common-api-details).

use std::fmt;

/// A full ARM resource id below a resource group.
///
/// Invariant: every segment is non-empty and made of characters that need no escaping in a URL path, so the id can be sent as a path as it is.
#[derive(Clone, Debug)]
pub struct ArmId {
    text: String,
    subscription: String,
    group: String,
    provider: String,
    /// Pairs of type and name, outermost first; never empty.
    path: Vec<(String, String)>,
}

/// Why a text is no ARM id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no ARM resource id: expected /subscriptions/<id>/resourceGroups/<group>/providers/<namespace>/<type>/<name>"
)]
pub struct NoArmId {
    text: String,
}

impl ArmId {
    /// Reads an id as a user writes it.
    ///
    /// # Errors
    /// If it is not of the form of a resource in a resource group, or holds characters that no Azure name holds.
    pub fn parse(text: &str) -> Result<Self, NoArmId> {
        Self::read(text).ok_or_else(|| NoArmId { text: text.chars().take(200).collect() })
    }

    fn read(text: &str) -> Option<Self> {
        let segments = segments(text)?;
        let [subscriptions, subscription, groups, group, providers, provider, rest @ ..] = segments.as_slice() else {
            return None;
        };
        let keywords = subscriptions.eq_ignore_ascii_case("subscriptions")
            && groups.eq_ignore_ascii_case("resourceGroups")
            && providers.eq_ignore_ascii_case("providers");
        if !keywords || rest.is_empty() || !rest.len().is_multiple_of(2) || uuid::Uuid::try_parse(subscription).is_err()
        {
            return None;
        }
        Some(Self {
            text: format!("/{}", segments.join("/")),
            subscription: (*subscription).to_owned(),
            group: (*group).to_owned(),
            provider: (*provider).to_owned(),
            path: rest.chunks_exact(2).map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect(),
        })
    }

    /// The id of a resource, built from its parts.
    ///
    /// # Errors
    /// As [`ArmId::parse`].
    pub fn of(subscription: &str, group: &str, type_: &str, name: &str) -> Result<Self, NoArmId> {
        Self::parse(&format!("/subscriptions/{subscription}/resourceGroups/{group}/providers/{type_}/{name}"))
    }

    /// The id as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The id in lower case: equal keys are the same resource.
    pub fn key(&self) -> String {
        self.text.to_ascii_lowercase()
    }

    /// The subscription's id.
    pub fn subscription(&self) -> &str {
        &self.subscription
    }

    /// The resource group's name.
    pub fn resource_group(&self) -> &str {
        &self.group
    }

    /// The full type, for example `Microsoft.Storage/storageAccounts`.
    pub fn type_(&self) -> String {
        let types: Vec<&str> = self.path.iter().map(|(type_, _)| type_.as_str()).collect();
        format!("{}/{}", self.provider, types.join("/"))
    }

    /// The last segment: the resource's own name.
    pub fn name(&self) -> &str {
        self.path.last().map_or("", |(_, name)| name)
    }

    /// True if the resource is of `type_`.
    pub fn is(&self, type_: &str) -> bool {
        self.type_().eq_ignore_ascii_case(type_)
    }

    /// The id of the resource that this one is a part of.
    ///
    /// # Errors
    /// If it is part of none.
    pub fn parent(&self) -> Result<Self, NoArmId> {
        let end = self.text.rmatch_indices('/').nth(1).map_or(0, |(at, _)| at);
        Self::parse(&self.text[..end])
    }

    /// The id of a child resource.
    ///
    /// # Errors
    /// If `name` holds characters that no Azure name holds.
    pub fn child(&self, type_: &str, name: &str) -> Result<Self, NoArmId> {
        Self::parse(&format!("{}/{type_}/{name}", self.text))
    }
}

impl AsRef<str> for ArmId {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl PartialEq for ArmId {
    fn eq(&self, other: &Self) -> bool {
        self.text.eq_ignore_ascii_case(&other.text)
    }
}

impl Eq for ArmId {}

impl fmt::Display for ArmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The segments of a path that starts with a slash; `None` if one is empty, relative, or would need escaping.
///
/// Azure's resource-group names may hold parentheses and dots (naming rules of Microsoft.Resources); nothing may hold a
/// percent sign, a question mark, a hash or white space, which would change where a request goes.
fn segments(text: &str) -> Option<Vec<&str>> {
    let segments: Vec<&str> = text.strip_prefix('/')?.trim_end_matches('/').split('/').collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._()@".contains(c);
    segments
        .iter()
        .all(|segment| !segment.is_empty() && *segment != "." && *segment != ".." && segment.chars().all(plain))
        .then_some(segments)
}

/// True if `scope`, a path of whole segments in which `*` stands for one segment, covers `id`.
pub fn covers(scope: &str, id: &ArmId) -> bool {
    let Some(scope) = scope.strip_prefix('/').map(|rest| rest.trim_end_matches('/')) else { return false };
    let scope: Vec<&str> = scope.split('/').collect();
    let id: Vec<&str> = id.as_str().trim_start_matches('/').split('/').collect();
    scope.len() <= id.len()
        && scope.iter().zip(&id).all(|(want, is)| !want.is_empty() && (*want == "*" || want.eq_ignore_ascii_case(is)))
}

/// True if `scope`, as for [`covers`], covers `path` or lies below it, so that some ids below `path` are covered.
pub fn meets(scope: &str, path: &str) -> bool {
    let (Some(scope), Some(path)) = (scope.strip_prefix('/'), path.strip_prefix('/')) else { return false };
    let (scope, path) = (scope.trim_end_matches('/'), path.trim_end_matches('/'));
    scope
        .split('/')
        .zip(path.split('/'))
        .all(|(want, is)| !want.is_empty() && !is.is_empty() && (want == "*" || want.eq_ignore_ascii_case(is)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUB: &str = "00000000-0000-0000-0000-000000000001";

    #[test]
    fn an_id_knows_its_parts() {
        let id = ArmId::parse(&format!("/subscriptions/{SUB}/resourcegroups/rg (1)"));
        assert!(id.is_err(), "a group alone is no resource");
        let id = ArmId::parse(&format!(
            "/subscriptions/{SUB}/resourcegroups/RG(1)/providers/Microsoft.Storage/storageAccounts/lake/privateEndpointConnections/lake.1/"
        ))
        .unwrap();
        assert_eq!(id.subscription(), SUB);
        assert_eq!(id.resource_group(), "RG(1)");
        assert!(id.is("microsoft.storage/StorageAccounts/privateEndpointConnections"));
        assert_eq!(id.name(), "lake.1");
    }

    #[test]
    fn what_would_lead_a_request_astray_is_no_id() {
        for bad in [
            "",
            "lake",
            "subscriptions/x",
            "/subscriptions/nouuid/resourceGroups/rg/providers/A.B/c/d",
            &format!("/subscriptions/{SUB}/resourceGroups/rg/providers/A.B/c"),
            &format!("/subscriptions/{SUB}/resourceGroups/../providers/A.B/c/d"),
            &format!("/subscriptions/{SUB}/resourceGroups//providers/A.B/c/d"),
            &format!("/subscriptions/{SUB}/resourceGroups/rg/providers/A.B/c/d?x=1"),
            &format!("/subscriptions/{SUB}/resourceGroups/rg/providers/A.B/c/d%2fe"),
            &format!("/subscriptions/{SUB}/resourceGroups/r g/providers/A.B/c/d"),
            &format!("https://evil/subscriptions/{SUB}/resourceGroups/rg/providers/A.B/c/d"),
        ] {
            assert!(ArmId::parse(bad).is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn ids_compare_as_arm_compares_them() {
        let a = ArmId::of(SUB, "rg", "Microsoft.Storage/storageAccounts", "lake").unwrap();
        let b = ArmId::of(SUB, "RG", "microsoft.storage/storageaccounts", "LAKE").unwrap();
        assert_eq!(a, b);
        assert_eq!(a.key(), b.key());
    }

    #[test]
    fn a_scope_covers_whole_segments_only() {
        let id = ArmId::of(SUB, "fraud-rg", "Microsoft.Storage/storageAccounts", "lake").unwrap();
        for (scope, want) in [
            (format!("/subscriptions/{SUB}"), true),
            (format!("/subscriptions/{SUB}/resourceGroups/fraud-rg"), true),
            (format!("/subscriptions/{SUB}/RESOURCEGROUPS/Fraud-RG/"), true),
            (format!("/subscriptions/{SUB}/resourceGroups/fraud"), false),
            (format!("/subscriptions/{SUB}/resourceGroups/fraud-*"), false),
            (format!("/subscriptions/{SUB}/resourceGroups/*/providers/Microsoft.Storage"), true),
            (format!("/subscriptions/{SUB}/resourceGroups/*/providers/Microsoft.KeyVault"), false),
            (format!("{id}/blobServices/default"), false),
            ("/subscriptions//resourceGroups".to_owned(), false),
            ("/".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(covers(&scope, &id), want, "{scope}");
        }
    }

    #[test]
    fn a_scope_meets_what_lies_above_and_below_it() {
        let path = format!("/subscriptions/{SUB}/resourceGroups/data/providers/Microsoft.Storage/storageAccounts");
        for (scope, want) in [
            (format!("/subscriptions/{SUB}"), true),
            (format!("{path}/lake"), true),
            (format!("{}/", path.to_uppercase()), true),
            (format!("/subscriptions/{SUB}/resourceGroups/*/providers/Microsoft.Storage"), true),
            (format!("/subscriptions/{SUB}/resourceGroups/data2"), false),
            (format!("/subscriptions/{SUB}/resourceGroups/data/providers/Microsoft.Sql/servers/orders"), false),
            ("/".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(meets(&scope, &path), want, "{scope}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_parser_fall(text in ".{0,200}") {
            if let Ok(id) = ArmId::parse(&text) {
                proptest::prop_assert!(ArmId::parse(id.as_str()).is_ok());
                proptest::prop_assert!(covers(id.as_str(), &id));
            }
        }
    }
}
