use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::https;
use crate::config::section::Section;
use crate::config::settings::{Listen, is_loopback};

pub const REMEDY: &str = "write an address and a port, such as 127.0.0.1:8080 or [::1]:8080";

pub fn read(mut section: Section<'_>) -> Listen {
    let http = address(&mut section, "http", 8080);
    let https = section.optional("https").and_then(|value| https::read(&value));
    let ops = address(&mut section, "ops", 9180);
    let mut taken = vec![("http", http)];
    for (key, address) in [("https", https.as_ref().map(|https| https.address)), ("ops", Some(ops))] {
        let Some(address) = address else { continue };
        if let Some((other, _)) = taken.iter().find(|(_, other)| is_same_place(other, &address)) {
            let problem = format!("the port {} is taken by listen.{other}", address.port());
            section.fault(key, problem, "choose another port");
        }
        taken.push((key, address));
    }
    if !is_loopback(&ops) {
        section.warn(
            "ops",
            format!("metrics and health on {ops} are open to the network, without authentication"),
            "listen on 127.0.0.1, or keep others out by a firewall",
        );
    }
    let control = section.optional("control").and_then(|value| {
        let path = value.file_path()?;
        // What an address of this kind holds, with room for the name that it bears until it is ready.
        if path.as_os_str().len() > 90 {
            value.fault("the path is longer than 90 bytes", "choose a shorter one, such as data/portcullis.sock");
        }
        Some(path)
    });
    Listen { http, https, ops, control }
}

fn is_same_place(one: &SocketAddr, other: &SocketAddr) -> bool {
    let same_ip = one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() == other.port() && one.port() != 0 && same_ip
}

fn address(section: &mut Section<'_>, key: &str, port: u16) -> SocketAddr {
    let value = section.optional(key);
    let address = value.and_then(|value| value.parsed(|text| text.parse().ok(), "an address with a port", REMEDY));
    address.unwrap_or_else(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
}
