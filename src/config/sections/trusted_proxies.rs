use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::section::Section;
use crate::config::value::Value;

const REMEDY: &str = "write a network such as 10.0.0.0/8, or one address";

pub fn read(root: &mut Section<'_>) -> Vec<IpNet> {
    let Some(value) = root.optional("trusted_proxies") else { return Vec::new() };
    value.list().iter().filter_map(network).collect()
}

fn network(value: &Value<'_>) -> Option<IpNet> {
    let parse = |text: &str| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok();
    let network: IpNet = value.parsed(parse, "a network", REMEDY)?;
    if network.addr() != network.network() {
        value
            .fault(format!("{} is an address inside a network", value.written()), format!("write {}", network.trunc()));
        return None;
    }
    if network.prefix_len() == 0 {
        value.warn(
            "everybody is a trusted proxy, so every client chooses the address it is known by",
            "name the networks of the proxies in front",
        );
    }
    Some(network)
}
