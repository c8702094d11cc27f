use std::net::IpAddr;

use ipnet::IpNet;

use crate::config::value::Value;

const REMEDY: &str = "write a network such as 10.0.0.0/8, or one address";

/// A network, or one address.
pub fn read(value: &Value<'_>) -> Option<IpNet> {
    let parse = |text: &str| text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok();
    let network: IpNet = value.parsed(parse, "a network", REMEDY)?;
    if network.addr() != network.network() {
        value
            .fault(format!("{} is an address inside a network", value.written()), format!("write {}", network.trunc()));
        return None;
    }
    Some(network)
}
