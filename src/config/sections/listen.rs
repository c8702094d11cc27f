use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::config::section::Section;
use crate::config::settings::{Listen, is_loopback};

const REMEDY: &str = "write an address and a port, such as 127.0.0.1:8080 or [::1]:8080";

pub fn read(mut section: Section<'_>) -> Listen {
    let http = address(&mut section, "http", 8080);
    let ops = address(&mut section, "ops", 9180);
    let same_place = http.ip() == ops.ip() || http.ip().is_unspecified() || ops.ip().is_unspecified();
    if http.port() == ops.port() && http.port() != 0 && same_place {
        section.fault("ops", format!("the port {} is taken by listen.http", ops.port()), "choose another port");
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
    Listen { http, ops, control }
}

fn address(section: &mut Section<'_>, key: &str, port: u16) -> SocketAddr {
    let value = section.optional(key);
    let address = value.and_then(|value| value.parsed(|text| text.parse().ok(), "an address with a port", REMEDY));
    address.unwrap_or_else(|| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
}
