//! Where a client is.

use std::net::Ipv4Addr;

use crate::ids;
use crate::world::World;

const NETWORK: &str = "Microsoft.Network/virtualNetworks";
const SUBNET: &str = "Microsoft.Network/virtualNetworks/subnets";

/// What was named is not in the world.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is neither 'internet', nor an IPv4 address, nor the id of a resource, virtual network or subnet that is there"
)]
pub struct UnknownPlace(String);

impl UnknownPlace {
    pub(crate) fn new(what: &str) -> Self {
        Self(what.to_owned())
    }
}

/// Where a client is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Vantage {
    /// Outside Azure, under an address that nobody has let in.
    Internet,
    /// Outside Azure, under this address.
    Address(Ipv4Addr),
    /// In a virtual network, and if it is stated in one of its subnets.
    Network { network: String, subnet: Option<String> },
    /// A resource that calls by itself, as a workspace does for its studio: what services know as a resource instance or
    /// as a trusted service.
    Service(String),
}

impl Vantage {
    pub(super) fn parse(world: &World, text: &str) -> Result<Self, UnknownPlace> {
        if text.eq_ignore_ascii_case("internet") {
            return Ok(Self::Internet);
        }
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let unknown = || UnknownPlace::new(text);
        let resource = world.resource(text).map_err(|_| unknown())?;
        let id = resource["id"].as_str().ok_or_else(unknown)?.to_owned();
        Ok(match resource["type"].as_str() {
            Some(NETWORK) => Self::Network { network: id, subnet: None },
            Some(SUBNET) => Self::Network { network: ids::parent(&id), subnet: Some(id) },
            _ => Self::Service(id),
        })
    }
}
