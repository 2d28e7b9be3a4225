//! From a path as the operator names it to the URL that is asked, and the checks on URLs that others hand us.

use thiserror::Error;
use url::Url;

use super::cloud::Origin;
use super::place::Place;

/// ARM's own URLs carry signatures of 3 kB; nothing honest is longer than this.
pub const URL_CAP: usize = 8 * 1024;

/// Why a path that the operator was to ask for is refused, before anything is sent.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the path {path:?} is refused: {why}")]
pub struct PathError {
    path: String,
    why: &'static str,
}

impl PathError {
    pub(super) fn new(path: &str, why: &'static str) -> Self {
        Self { path: super::error::clean(path, 256), why }
    }
}

/// Why a URL from a header, a body or a status is not followed.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum UntrustedUrl {
    /// It is longer than [`URL_CAP`].
    #[error("the URL is longer than 8 kB")]
    TooLong,
    /// It cannot be parsed, or parsing would change its path (`..`, `//`, backslashes, escapes of these).
    #[error("the URL is malformed")]
    Malformed,
    /// It is not where the client's requests go.
    #[error("the URL is not on the connection's own Resource Manager or data plane")]
    ForeignOrigin,
    /// Its path is neither the resource nor an operation of its provider in its subscription.
    #[error("the URL is neither the resource nor an operation of its provider in its subscription")]
    ForeignPath,
}

/// The URL for `path_and_query` at `place`, with its `api-version`. The path's segments are names as they are, not
/// percent-encoded; names come from manifests, so whatever could change which resource is meant is refused.
pub(super) fn request_url(place: &Place, path_and_query: &str, api_version: &str) -> Result<Url, PathError> {
    let refuse = |why| Err(PathError::new(path_and_query, why));
    let path_and_query = place.local(path_and_query)?;
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    let Some(segments) = path.strip_prefix('/') else { return refuse("it does not begin with a slash") };
    if path_and_query.len() > URL_CAP {
        return refuse("it is too long");
    }
    for segment in segments.split('/') {
        if segment.is_empty() || segment == "." || segment == ".." {
            return refuse("it has an empty or a dot segment");
        }
        if segment.contains(['%', '\\', '#']) || segment.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return refuse("it has a character that no resource's name has");
        }
    }
    if query.is_some_and(|query| query.contains('#') || query.chars().any(char::is_control)) {
        return refuse("its query has a character that no query has");
    }
    let mut url = place.origin().root().clone();
    url.set_path(&format!("{}{path}", place.origin().base()));
    url.set_query(query);
    ensure_api_version(&mut url, api_version);
    Ok(url)
}

/// Parses a URL that somebody else wrote and holds it to `origin`. Its path is used exactly as written, or not at all.
pub(super) fn foreign_url(origin: &Origin, raw: &str) -> Result<Url, UntrustedUrl> {
    if raw.len() > URL_CAP {
        return Err(UntrustedUrl::TooLong);
    }
    if raw.contains('\\') || raw.chars().any(char::is_control) {
        return Err(UntrustedUrl::Malformed);
    }
    let url = Url::parse(raw).map_err(|_| UntrustedUrl::Malformed)?;
    if !origin.owns(&url) {
        return Err(UntrustedUrl::ForeignOrigin);
    }
    let written = raw.split_once("://").and_then(|(_, rest)| rest.find('/').map(|slash| &rest[slash..])).unwrap_or("/");
    let written = written.split(['?', '#']).next().unwrap_or_default();
    let lower = written.to_ascii_lowercase();
    let hides = ["%2f", "%5c", "%2e", "%25", "%00"].iter().any(|escape| lower.contains(escape));
    if hides || written != url.path() || written.contains("//") {
        return Err(UntrustedUrl::Malformed);
    }
    Ok(url)
}

/// Appends `api-version` unless the URL has one: ARM's operation URLs have been seen without, and are refused so.
pub(super) fn ensure_api_version(url: &mut Url, api_version: &str) {
    if !url.query_pairs().any(|(name, _)| name.eq_ignore_ascii_case("api-version")) {
        url.query_pairs_mut().append_pair("api-version", api_version);
    }
}

/// The parts of a resource's path that its operations share with it.
struct Anatomy<'a> {
    subscription: &'a str,
    group: Option<&'a str>,
    provider: &'a str,
    /// The alternating types and names below the provider.
    below: Vec<&'a str>,
}

/// Takes `/subscriptions/{s}[/resourceGroups/{g}…]/providers/{p}/…` apart; the last provider counts, as it does for
/// extension resources.
fn anatomy(path: &str) -> Option<Anatomy<'_>> {
    let segments: Vec<&str> = path.trim_start_matches('/').trim_end_matches('/').split('/').collect();
    let is = |index: usize, word: &str| segments.get(index).is_some_and(|segment| segment.eq_ignore_ascii_case(word));
    if !is(0, "subscriptions") {
        return None;
    }
    let last = segments.iter().rposition(|segment| segment.eq_ignore_ascii_case("providers"))?;
    Some(Anatomy {
        subscription: segments.get(1)?,
        group: if is(2, "resourceGroups") { segments.get(3).copied() } else { None },
        provider: segments.get(last + 1)?,
        below: segments.get(last + 2..)?.to_vec(),
    })
}

/// Whether `path` is the resource itself or an operation of its provider in its subscription. Providers put operations
/// - at a location: `/subscriptions/{s}[/resourceGroups/{g}]/providers/{p}/locations/{l}/{…operation…}/{id}…`
/// - at the provider in the group: `…/providers/{p}/{…operation…}/{id}` (private DNS)
/// - below the resource or one above it: `{resource}/{…operation…}/{id}` (container registries).
///
/// The word "operation" in the collection's name is in all of Microsoft's specifications; asking for it keeps a planted
/// URL from reading an ordinary resource.
pub(super) fn may_watch(resource: &str, path: &str) -> bool {
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let resource = resource.split('?').next().unwrap_or(resource).trim_end_matches('/');
    // As the URL spells it: names may hold letters that URLs escape.
    let Ok(base) = Url::parse("https://resource.invalid/") else { return false };
    let mut encoded = base;
    encoded.set_path(resource);
    let resource = encoded.path();
    if same(resource, path) {
        return true;
    }
    let (Some(own), Some(asked)) = (anatomy(resource), anatomy(path)) else { return false };
    let in_place = same(own.subscription, asked.subscription)
        && same(own.provider, asked.provider)
        && match (own.group, asked.group) {
            (Some(own), Some(asked)) => same(own, asked),
            (_, None) => true,
            (None, Some(_)) => false,
        }
        // No second provider in between: the asked path holds exactly what was checked.
        && path.trim_start_matches('/').split('/').count()
            == 2 + usize::from(asked.group.is_some()) * 2 + 2 + asked.below.len();
    if !in_place {
        return false;
    }
    (0..asked.below.len()).any(|index| {
        let (before, after) = asked.below.split_at(index);
        let collection = after.first().is_some_and(|name| name.to_ascii_lowercase().contains("operation"));
        let at_location = before.len() == 2 && before.first().is_some_and(|first| same(first, "locations"));
        let at_ancestor = asked.group.is_some() == own.group.is_some()
            && before.len().is_multiple_of(2)
            && before.len() <= own.below.len()
            && before.iter().zip(&own.below).all(|(a, b)| same(a, b));
        collection && (at_location || at_ancestor) && (2..=5).contains(&after.len())
    })
}

/// The subscription a path lies in, in lower case.
pub(super) fn subscription(path: &str) -> Option<String> {
    let mut segments = path.trim_start_matches('/').split('/');
    segments.next().filter(|first| first.eq_ignore_ascii_case("subscriptions"))?;
    segments.next().filter(|id| !id.is_empty()).map(str::to_lowercase)
}

/// The resource type of a path, `Provider/type/type`, for metrics: no names, so few values.
pub(super) fn resource_type(path: &str) -> String {
    let path = path.split('?').next().unwrap_or(path);
    match anatomy(path) {
        Some(parts) => {
            std::iter::once(parts.provider).chain(parts.below.iter().step_by(2).copied()).collect::<Vec<_>>().join("/")
        }
        None => "Microsoft.Resources".to_owned(),
    }
}
