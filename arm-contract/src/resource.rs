//! What a path says of resources.

use crate::exchange::Exchange;
use crate::template::split;

/// Hosts at which providers have data planes of their own, by how their names end.
const DATA_PLANES: &[(&str, &str)] = &[(".dev.azuresynapse.net", "Microsoft.Synapse")];

/// The provider that has its data plane at a host.
pub(crate) fn data_plane_at(host: &str) -> Option<&'static str> {
    DATA_PLANES.iter().find(|(suffix, _)| host.ends_with(suffix)).map(|(_, provider)| *provider)
}

/// The name under which the specifications of a provider's data plane are kept, apart from those of its resources.
pub(crate) fn data_plane_of(provider: &str) -> String {
    format!("{provider} (data plane)")
}

/// What stands behind the last `providers` of a path.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// `Microsoft.Network`.
    pub(crate) namespace: String,
    /// `Microsoft.Network/privateEndpoints/privateDnsZoneGroups`.
    pub(crate) type_: String,
    /// What follows the last name: a collection's or an action's name, empty if the path names a resource.
    pub(crate) rest: String,
}

impl Target {
    pub(crate) fn of(path: &str) -> Option<Self> {
        let parts: Vec<&str> = split(path).collect();
        let start = parts.iter().rposition(|part| part.eq_ignore_ascii_case("providers"))?;
        let namespace = (*parts.get(start + 1)?).to_owned();
        let below = parts.get(start + 2..)?;
        let types: Vec<&str> = below.chunks_exact(2).filter_map(|pair| pair.first().copied()).collect();
        let rest = below.chunks_exact(2).remainder().first().copied().unwrap_or_default().to_owned();
        let type_ = [&[namespace.as_str()], types.as_slice()].concat().join("/");
        Some(Self { namespace, type_, rest })
    }

    /// The type of the items if the path names a collection.
    pub(crate) fn item_type(&self) -> String {
        format!("{}/{}", self.type_, self.rest)
    }
}

/// The providers in whose specifications an exchange may be described, the likeliest first.
pub(crate) fn namespaces(exchange: &Exchange) -> Vec<String> {
    if let Some(provider) = &exchange.data_plane {
        return vec![data_plane_of(provider).to_lowercase()];
    }
    let parts: Vec<&str> = split(&exchange.path).collect();
    let pairs = parts.windows(2).filter(|pair| pair.first().is_some_and(|word| word.eq_ignore_ascii_case("providers")));
    let mut found: Vec<String> = pairs.filter_map(|pair| pair.get(1)).map(|name| name.to_lowercase()).collect();
    found.reverse();
    // Subscriptions, groups and registrations are described there whatever they are about.
    found.push("microsoft.resources".to_owned());
    found
}
