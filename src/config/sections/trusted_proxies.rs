use ipnet::IpNet;

use super::network;
use crate::config::section::Section;
use crate::config::value::Value;

pub fn read(root: &mut Section<'_>) -> Vec<IpNet> {
    let Some(value) = root.optional("trusted_proxies") else { return Vec::new() };
    value.list().iter().filter_map(proxies).collect()
}

fn proxies(value: &Value<'_>) -> Option<IpNet> {
    let network = network::read(value)?;
    if network.prefix_len() == 0 {
        value.warn(
            "everybody is a trusted proxy, so every client chooses the address it is known by",
            "name the networks of the proxies in front",
        );
    }
    Some(network)
}
