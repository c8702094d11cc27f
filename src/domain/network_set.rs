//! Networks that something is allowed from.

use std::fmt;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// Networks of one set, at most.
pub const MOST_NETWORKS: usize = 64;

/// Networks in normal form, sorted, none of them inside another. Empty: not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct NetworkSet(Vec<IpNet>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidNetwork {
    #[error("a network is for example 192.0.2.0/24 or 2001:db8::/32, or one address")]
    Shape,
    #[error("an address inside a network is no network: write {0}")]
    Inside(IpNet),
}

/// A network, or one address.
pub fn parse_network(text: &str) -> Result<IpNet, InvalidNetwork> {
    let read = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    let network = read.map_err(|_| InvalidNetwork::Shape)?;
    if network.addr() == network.network() {
        Ok(canonical(network))
    } else {
        Err(InvalidNetwork::Inside(network.trunc()))
    }
}

impl NetworkSet {
    /// Whether these are all there are; with none, whether anywhere is allowed.
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.is_empty() || self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether everything that the other set allows is allowed by this one.
    pub fn covers(&self, other: &Self) -> bool {
        let covered = |inner: &IpNet| self.0.iter().any(|network| network.contains(inner));
        self.0.is_empty() || (!other.0.is_empty() && other.0.iter().all(covered))
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &IpNet> {
        self.0.iter()
    }

    /// Reads its own text: networks separated by spaces.
    pub fn parse(text: &str) -> Result<Self, InvalidNetwork> {
        text.split_ascii_whitespace().map(parse_network).collect()
    }
}

impl FromIterator<IpNet> for NetworkSet {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        // Neighbours stay as they were given, so that whoever reads the set again knows it again.
        let mut all: Vec<IpNet> = networks.into_iter().map(|network| canonical(network.trunc())).collect();
        all.sort();
        all.dedup();
        let outer: Vec<IpNet> = all
            .iter()
            .filter(|inner| !all.iter().any(|other| other != *inner && other.contains(*inner)))
            .copied()
            .collect();
        Self(outer)
    }
}

impl fmt::Display for NetworkSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, network) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            network.fmt(f)?;
        }
        Ok(())
    }
}

/// Where it lies among the IPv6 addresses that stand for IPv4 ones (RFC 4291 2.5.5.2), the IPv4 network itself: clients are
/// known by that address.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED_BITS: u8 = 96;
    if let IpNet::V6(v6) = network
        && let (Some(v4), Some(length)) = (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(MAPPED_BITS))
        && let Ok(v4) = Ipv4Net::new(v4, length)
    {
        return IpNet::V4(v4);
    }
    network
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(text: &str) -> NetworkSet {
        NetworkSet::parse(text).unwrap()
    }

    fn allows(networks: &str, address: &str) -> bool {
        set(networks).allows(address.parse().unwrap())
    }

    #[test]
    fn addresses_are_looked_up_in_the_form_that_clients_are_known_by() {
        assert!(allows("", "192.0.2.1"), "no networks, no limit");
        assert!(allows("192.0.2.0/24", "192.0.2.255"));
        assert!(allows("192.0.2.0/24", "::ffff:192.0.2.1"));
        assert!(allows("::ffff:192.0.2.0/120", "192.0.2.1"));
        assert!(allows("198.51.100.7 2001:db8::/32", "198.51.100.7"));
        assert!(allows("198.51.100.7 2001:db8::/32", "2001:db8:1::1"));
        assert!(!allows("192.0.2.0/24", "192.0.3.0"));
        assert!(!allows("192.0.2.0/24", "::192.0.2.1"));
        assert!(!allows("0.0.0.0/0", "2001:db8::1"));
        assert!(!allows("2001:db8::/32", "192.0.2.1"));
    }

    #[test]
    fn one_network_has_one_text() {
        assert_eq!(set("192.0.2.1").to_string(), "192.0.2.1/32");
        assert_eq!(set("10.0.0.0/8 10.1.0.0/16 10.0.0.0/8 9.0.0.0/8").to_string(), "9.0.0.0/8 10.0.0.0/8");
        assert_eq!(set("10.0.0.0/9 10.128.0.0/9").to_string(), "10.0.0.0/9 10.128.0.0/9");
        assert_eq!(set("::ffff:10.0.0.0/104").to_string(), "10.0.0.0/8");
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in
            ["a", "192.0.2.1/33", "192.0.2.0/-1", "192.0.2", "2001:db8::/129", "192.0.2.0/24/24", "192.0.2.0/024"]
        {
            assert_eq!(parse_network(text), Err(InvalidNetwork::Shape), "{text}");
        }
        let inside = parse_network("192.0.2.1/24").unwrap_err();
        assert_eq!(inside.to_string(), "an address inside a network is no network: write 192.0.2.0/24");
    }

    #[test]
    fn a_set_covers_what_is_nowhere_wider() {
        for (outer, inner, covers) in [
            ("", "", true),
            ("", "10.0.0.0/8", true),
            ("10.0.0.0/8", "", false),
            ("10.0.0.0/8", "10.1.0.0/16 10.2.0.3", true),
            ("10.0.0.0/8", "10.1.0.0/16 11.0.0.0/8", false),
            ("10.0.0.0/8", "10.0.0.0/7", false),
            ("10.0.0.0/8 2001:db8::/32", "2001:db8:7::/48", true),
            ("0.0.0.0/0", "::/0", false),
        ] {
            assert_eq!(set(outer).covers(&set(inner)), covers, "{outer} {inner}");
        }
    }

    fn networks() -> impl Strategy<Value = Vec<IpNet>> {
        let v4 =
            (any::<u32>(), 0_u8..=32).prop_map(|(bits, length)| IpNet::V4(Ipv4Net::new(bits.into(), length).unwrap()));
        let v6 = (any::<u128>(), 0_u8..=128, any::<bool>()).prop_map(|(bits, length, mapped)| {
            let bits = if mapped { 0xffff << 32 | bits & 0xffff_ffff } else { bits };
            IpNet::V6(ipnet::Ipv6Net::new(bits.into(), length).unwrap())
        });
        prop::collection::vec(prop_oneof![v4, v6], 0..8)
    }

    proptest! {
        #[test]
        fn any_set_is_read_back_and_covers_itself(networks in networks()) {
            let made: NetworkSet = networks.iter().copied().collect();
            prop_assert_eq!(NetworkSet::parse(&made.to_string()), Ok(made.clone()));
            prop_assert!(made.covers(&made));
            for network in &networks {
                prop_assert!(made.allows(network.network()), "{} {}", made, network);
            }
        }

        #[test]
        fn whoever_is_let_in_by_the_inner_set_is_by_the_outer(outer in networks(), inner in networks(), address in any::<u32>()) {
            let (outer, inner): (NetworkSet, NetworkSet) = (outer.into_iter().collect(), inner.into_iter().collect());
            let address = IpAddr::V4(address.into());
            if outer.covers(&inner) && inner.allows(address) {
                prop_assert!(outer.allows(address));
            }
        }

        #[test]
        fn no_text_breaks_the_reading(text in "\\PC{0,60}|[0-9a-f:./ ]{0,60}") {
            if let Ok(read) = NetworkSet::parse(&text) {
                prop_assert_eq!(NetworkSet::parse(&read.to_string()), Ok(read));
            }
        }
    }
}
