//! Address prefixes of either family: what contains what, and which addresses of a subnet can be handed out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use crate::error::ArmError;

/// `10.0.0.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prefix {
    is_v4: bool,
    first: u128,
    length: u32,
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

impl Prefix {
    /// Reads a prefix; its address must be the first of its range.
    pub(super) fn parse(text: &str) -> Result<Self, ArmError> {
        let bad = || {
            // Chosen: code and sentence for a prefix that is not in CIDR notation.
            let message = format!("The address prefix '{text}' is not in CIDR notation.");
            ArmError::new(400, "InvalidCIDRNotation", message)
        };
        let (address, length) = text.split_once('/').ok_or_else(bad)?;
        let address: IpAddr = address.trim().parse().map_err(|_| bad())?;
        let length: u32 = length.trim().parse().map_err(|_| bad())?;
        let prefix = Self { is_v4: address.is_ipv4(), first: number(address), length };
        let fits = length <= prefix.bits() && prefix.first & prefix.host_mask() == 0;
        if fits { Ok(prefix) } else { Err(bad()) }
    }

    /// All prefixes of a list.
    pub(super) fn parse_all(list: &Value) -> Result<Vec<Self>, ArmError> {
        list.as_array().into_iter().flatten().map(|text| Self::parse(text.as_str().unwrap_or_default())).collect()
    }

    fn bits(self) -> u32 {
        if self.is_v4 { 32 } else { 128 }
    }

    fn host_mask(self) -> u128 {
        let host = self.bits().saturating_sub(self.length);
        1u128.checked_shl(host).map_or(u128::MAX, |size| size - 1)
    }

    fn last(self) -> u128 {
        self.first | self.host_mask()
    }

    /// Whether five addresses can be set aside and at least three remain: /29 and shorter.
    pub(super) fn is_usable(self) -> bool {
        !self.is_v4 || self.length <= 29
    }

    pub(super) fn contains(self, other: Self) -> bool {
        self.is_v4 == other.is_v4 && self.first <= other.first && other.last() <= self.last()
    }

    pub(super) fn overlaps(self, other: Self) -> bool {
        self.is_v4 == other.is_v4 && self.first <= other.last() && other.first <= self.last()
    }

    pub(super) fn holds(self, address: IpAddr) -> bool {
        self.is_v4 == address.is_ipv4() && (self.first..=self.last()).contains(&number(address))
    }

    /// The addresses for resources, lowest first: Azure keeps the first four and the last one.
    pub(super) fn addresses(self) -> impl Iterator<Item = IpAddr> {
        (self.first.saturating_add(4)..self.last()).map(move |number| match u32::try_from(number) {
            Ok(number) if self.is_v4 => IpAddr::V4(Ipv4Addr::from(number)),
            _ => IpAddr::V6(Ipv6Addr::from(number)),
        })
    }

    /// How many addresses there are for resources.
    pub(super) fn size(self) -> f64 {
        (self.last() - self.first).saturating_sub(4) as f64
    }

    /// Whether an address is one that Azure keeps for itself.
    pub(super) fn reserves(self, address: IpAddr) -> bool {
        let number = number(address);
        self.holds(address) && (number < self.first.saturating_add(4) || number == self.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_know_their_ranges() {
        let prefix = |text| Prefix::parse(text).unwrap();
        assert!(prefix("10.0.0.0/16").contains(prefix("10.0.255.0/24")));
        assert!(!prefix("10.0.0.0/16").contains(prefix("10.1.0.0/24")));
        assert!(prefix("10.0.0.0/24").overlaps(prefix("10.0.0.128/25")));
        assert!(!prefix("10.0.0.0/25").overlaps(prefix("10.0.0.128/25")));
        assert!(!prefix("0.0.0.0/0").overlaps(prefix("fd00::/8")));
        for bad in ["10.0.0.1/24", "10.0.0.0", "10.0.0.0/33", "x/8", ""] {
            assert!(Prefix::parse(bad).is_err(), "{bad}");
        }
        let all: Vec<String> = prefix("10.0.0.0/29").addresses().map(|a| a.to_string()).collect();
        assert_eq!(all, ["10.0.0.4", "10.0.0.5", "10.0.0.6"]);
        assert_eq!((prefix("10.0.0.0/29").size(), prefix("10.0.0.0/24").size()), (3.0, 251.0));
        assert!(prefix("10.0.0.0/29").reserves("10.0.0.7".parse().unwrap()));
    }
}
