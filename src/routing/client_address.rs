//! Who is calling, by network address: believed from trusted proxies only.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// The networks whose forwarding fields are believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client's address: the peer itself unless it is trusted; else the right-most `X-Forwarded-For` entry that is
    /// not itself a trusted proxy. An entry that is no address ends the walk: the request then comes from the last hop
    /// that was understood.
    pub fn client_of<'a>(&self, peer: IpAddr, forwarded_for: impl DoubleEndedIterator<Item = &'a [u8]>) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.contains(client) {
            return client;
        }
        for value in forwarded_for.rev() {
            let Ok(value) = std::str::from_utf8(value) else { return client };
            for entry in value.rsplit(',') {
                let Some(hop) = parse_hop(entry.trim()) else { return client };
                client = hop;
                if !self.contains(hop) {
                    return client;
                }
            }
        }
        client
    }
}

/// An address with or without port or brackets, as proxies write them.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, fields: &[&str]) -> String {
        let trusted = TrustedProxies::new(trusted.iter().map(|n| n.parse().unwrap()).collect());
        trusted.client_of(peer.parse().unwrap(), fields.iter().map(|f| f.as_bytes())).to_string()
    }

    #[test]
    fn nobody_is_believed_who_is_not_trusted() {
        assert_eq!(client(&[], "9.9.9.9", &["1.2.3.4"]), "9.9.9.9");
        assert_eq!(client(&["10.0.0.0/8"], "9.9.9.9", &["10.0.0.1"]), "9.9.9.9");
    }

    #[test]
    fn trusted_hops_are_counted_from_the_right() {
        let trusted = ["10.0.0.0/8", "::1/128"];
        assert_eq!(client(&trusted, "10.0.0.1", &["6.6.6.6, 1.2.3.4"]), "1.2.3.4");
        assert_eq!(client(&trusted, "10.0.0.1", &["6.6.6.6, 1.2.3.4, 10.9.9.9"]), "1.2.3.4");
        assert_eq!(client(&trusted, "10.0.0.1", &["6.6.6.6", "1.2.3.4", "10.9.9.9"]), "1.2.3.4");
        assert_eq!(client(&trusted, "::ffff:10.0.0.1", &["1.2.3.4:5678"]), "1.2.3.4");
        assert_eq!(client(&trusted, "::1", &["[2001:db8::1]:80"]), "2001:db8::1");
        assert_eq!(client(&trusted, "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn an_entry_that_is_no_address_makes_it_the_last_known_hop() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(client(&trusted, "10.0.0.1", &["1.2.3.4, nonsense"]), "10.0.0.1");
        assert_eq!(client(&trusted, "10.0.0.1", &["1.2.3.4, , 10.2.2.2"]), "10.2.2.2");
        assert_eq!(client(&trusted, "10.0.0.1", &["unknown"]), "10.0.0.1");
    }
}
