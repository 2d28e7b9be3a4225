//! What a client in some network would meet: the names that it can resolve, and the services that then let it in. No
//! client and no packet: both are read from the world as it is.
//!
//! Not judged: security groups, routes, firewalls on the way, and whether a client may do anything once it is let in.

mod firewall;
pub(crate) mod hosts;
mod monitor;
mod reach;
mod resolve;
mod services;
mod vantage;

pub use reach::{Reach, Way};
pub use resolve::{Answer, Resolution};
pub use vantage::UnknownPlace;

use crate::world::World;
use vantage::Vantage;

impl World {
    /// What a host name is where `from` is.
    pub(crate) fn resolve(&self, from: &str, name: &str) -> Result<Resolution, UnknownPlace> {
        Ok(resolve::resolve(self, &Vantage::parse(self, from)?, name))
    }

    /// [`Self::resolve`] of every host name of a resource.
    pub(crate) fn resolve_all(&self, from: &str, resource: &str) -> Result<Vec<Resolution>, UnknownPlace> {
        let vantage = Vantage::parse(self, from)?;
        Ok(self.host_names(resource)?.iter().map(|name| resolve::resolve(self, &vantage, name)).collect())
    }

    /// Whether a client at `from` gets through to what a host name leads to.
    pub(crate) fn reach(&self, from: &str, name: &str) -> Result<Reach, UnknownPlace> {
        Ok(reach::reach(self, &Vantage::parse(self, from)?, name))
    }

    /// [`Self::reach`] of every host name of a resource.
    pub(crate) fn reach_all(&self, from: &str, resource: &str) -> Result<Vec<Reach>, UnknownPlace> {
        let vantage = Vantage::parse(self, from)?;
        let resource = self.resource(resource).map_err(|_| UnknownPlace::new(resource))?;
        Ok(hosts::served(self, resource)
            .into_iter()
            .map(|served| reach::reach_served(self, &vantage, served))
            .collect())
    }

    /// Every host name of a resource.
    pub(crate) fn host_names(&self, resource: &str) -> Result<Vec<String>, UnknownPlace> {
        let resource = self.resource(resource).map_err(|_| UnknownPlace::new(resource))?;
        Ok(hosts::served(self, resource).into_iter().map(|served| served.name.host).collect())
    }
}
