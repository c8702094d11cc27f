//! The network that a client is counted by: the smallest that one party is sure to hold.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Addresses that any number of parties use at once, or that say nothing about who is there.
const SHARED: [IpNet; 12] = [
    v4(0, 0, 0, 0, 8),      // "this network", the unspecified address in it; RFC 1122 3.2.1.3
    v4(10, 0, 0, 0, 8),     // private; RFC 1918
    v4(172, 16, 0, 0, 12),  // likewise
    v4(192, 168, 0, 0, 16), // likewise
    v4(100, 64, 0, 0, 10),  // behind a carrier's translation; RFC 6598
    v4(127, 0, 0, 0, 8),    // loopback
    v4(169, 254, 0, 0, 16), // link-local; RFC 3927
    v6(0, 0, 127),          // unspecified, and loopback; RFC 4291 2.5.2, 2.5.3
    v6(0xfc00, 0, 7),       // unique local; RFC 4193
    v6(0xfe80, 0, 10),      // link-local
    v6(0xfec0, 0, 10),      // site-local, as some still use; RFC 3879
    v6(0x2001, 0, 32),      // Teredo: the first 64 bits name the server, not the client; RFC 4380 4
];

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6(first: u16, second: u16, prefix: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(first, second, 0, 0, 0, 0, 0, 0), prefix))
}

/// An IPv4 address, or an IPv6 /64. Its text is `192.0.2.1` or `2001:db8::/64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientNetwork(IpAddr);

impl ClientNetwork {
    /// `None` for an address that many may share, by its nature or because it lies in one of `shared`: what one of them
    /// does must not shut out the others.
    pub fn of(address: IpAddr, shared: &[IpNet]) -> Option<Self> {
        let address = translated(address);
        let is_shared = SHARED.iter().chain(shared).any(|network| network.contains(&address));
        (!is_shared).then(|| Self::within(address))
    }

    /// Reads its own text, and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let address = text.strip_suffix("/64").unwrap_or(text).parse().ok()?;
        let network = Self::around(address);
        (network.to_string() == text).then_some(network)
    }

    /// For counting what is no guess: the network of any address, one that many may share too.
    pub fn around(address: IpAddr) -> Self {
        Self::within(translated(address))
    }

    const fn within(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self(address),
            IpAddr::V6(v6) => Self(IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64))),
        }
    }
}

impl fmt::Display for ClientNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(prefix) => write!(f, "{prefix}/64"),
        }
    }
}

/// The IPv4 address that an IPv6 one stands for: mapped (RFC 4291 2.5.5.2), or translated under the well-known prefix
/// 64:ff9b::/96 (RFC 6052 2.1), which would otherwise be one /64 for everybody.
fn translated(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address.to_canonical() else { return address.to_canonical() };
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            IpAddr::V4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> Option<String> {
        ClientNetwork::of(text.parse().unwrap(), &[]).map(|network| network.to_string())
    }

    #[test]
    fn ipv4_counts_by_address_and_ipv6_by_64() {
        for (address, counted) in [
            ("192.0.2.1", "192.0.2.1"),
            ("100.63.255.255", "100.63.255.255"),
            ("100.128.0.0", "100.128.0.0"),
            ("172.32.0.1", "172.32.0.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8::1", "2001:db8::/64"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("64:ff9b::c000:201", "192.0.2.1"),
        ] {
            assert_eq!(network(address).as_deref(), Some(counted), "{address}");
        }
    }

    #[test]
    fn what_many_may_share_is_not_counted() {
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.0.1",
            "169.254.1.1",
            "::",
            "::1",
            "fc00::1",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "2001:0:4136:e378::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
        ] {
            assert_eq!(network(address), None, "{address}");
        }
    }

    #[test]
    fn further_networks_can_be_shared() {
        let shared = ["198.51.100.0/24".parse().unwrap(), "2001:db8:7::/48".parse().unwrap()];
        let is_counted = |text: &str| ClientNetwork::of(text.parse().unwrap(), &shared).is_some();
        assert!(!is_counted("198.51.100.7"));
        assert!(!is_counted("::ffff:198.51.100.7"), "mapped, it is the same client");
        assert!(!is_counted("2001:db8:7:1::1"));
        assert!(is_counted("198.51.101.7"));
        assert!(is_counted("2001:db8:8::1"));
    }

    #[test]
    fn only_its_own_text_is_read() {
        for text in ["192.0.2.1", "2001:db8::/64", "10.0.0.1"] {
            assert_eq!(ClientNetwork::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "/64",
            "192.0.2.1/64",
            "192.0.2.1/32",
            "192.0.2.01",
            "2001:db8::",
            "2001:db8::1/64",
            "2001:DB8::/64",
            "a",
        ] {
            assert_eq!(ClientNetwork::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_network_is_read_back(bits in any::<u128>(), v4 in any::<bool>()) {
            let address = if v4 { IpAddr::V4((bits as u32).into()) } else { IpAddr::V6(bits.into()) };
            if let Some(network) = ClientNetwork::of(address, &[]) {
                prop_assert_eq!(ClientNetwork::parse(&network.to_string()), Some(network));
            }
        }

        #[test]
        fn no_text_breaks_the_reading(text in ".{0,40}|[0-9a-f:./]{0,40}") {
            if let Some(network) = ClientNetwork::parse(&text) {
                prop_assert_eq!(network.to_string(), text);
            }
        }
    }
}
