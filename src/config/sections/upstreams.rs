use std::sync::Arc;
use std::time::Duration;

use super::server_address::{self, Place};
use crate::config::section::Section;
use crate::config::settings::{Server, Upstream, UpstreamTls};
use crate::config::value::Value;
use crate::routing::host::Host;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// All that are written, so that a route to a faulty one is not a second fault.
pub fn read(root: &mut Section<'_>) -> Vec<Upstream> {
    let example = "write upstreams: { backend: { servers: [\"127.0.0.1:8000\"] } }";
    let Some(value) = root.required("upstreams", example) else { return Vec::new() };
    let mut section = Section::of(&value);
    let all = section.every();
    if all.is_empty() && value.is_mapping() {
        value.fault("there is no upstream", example);
    }
    let named = |(name, value): (&str, Value<'_>)| {
        let fits = (1..=40).contains(&name.len());
        if !fits || !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b)) {
            value.fault("this is no name for an upstream", "use 1 to 40 of the characters a-z 0-9 _ -");
        }
        upstream(name, &value)
    };
    all.into_iter().map(named).collect()
}

fn upstream(name: &str, value: &Value<'_>) -> Upstream {
    let mut section = Section::of(value);
    let servers = section.required("servers", "write servers: [\"127.0.0.1:8000\"]");
    let listed = servers.as_ref().map(Value::list).unwrap_or_default();
    let places: Vec<Place> = listed.iter().filter_map(server_address::read).collect();
    let upstream = Upstream {
        name: Arc::from(name),
        tls: tls(&mut section, &places),
        host: section.optional("host").and_then(|value| {
            let parse = |text: &str| Host::parse(text.as_bytes()).is_ok().then(|| text.to_owned());
            value.parsed(parse, "a host", "write a host name, with or without a port")
        }),
        connect_timeout: section.duration("connect_timeout", 2 * SECOND, SECOND / 1000..=60 * SECOND),
        read_timeout: section.duration("read_timeout", 60 * SECOND, SECOND / 1000..=HOUR),
        write_timeout: section.duration("write_timeout", 60 * SECOND, SECOND / 1000..=HOUR),
        idle_timeout: section.duration("idle_timeout", 60 * SECOND, Duration::ZERO..=HOUR),
        servers: places.iter().map(|place| place.server.clone()).collect(),
    };
    for (index, place) in places.iter().enumerate() {
        if places.iter().take(index).any(|earlier| earlier.server == place.server) {
            section.fault("servers", "a server is listed twice", "list each server once");
        }
    }
    if servers.is_some_and(|servers| servers.is_empty_list()) {
        section.fault("servers", "there is no server", "write servers: [\"127.0.0.1:8000\"]");
    }
    upstream
}

/// TLS as the key `tls` and the URLs of the servers say, which must agree: half of the traffic in the clear is nothing
/// that anybody means.
fn tls(section: &mut Section<'_>, places: &[Place]) -> Option<UpstreamTls> {
    let value = section.optional("tls");
    let (mut wanted, mut server_name, mut ca) = (None, None, None);
    match &value {
        Some(value) if value.is_mapping() => {
            let mut inner = Section::of(value);
            wanted = Some(true);
            server_name = inner.optional("server_name").and_then(|value| {
                let parse = |text: &str| server_address::is_name(text).then(|| text.to_ascii_lowercase());
                value.parsed(parse, "a host name", "write the name that the certificate is for")
            });
            if inner.has("server_name") && server_name.is_none() {
                inner.optional("ca");
                return None;
            }
            ca = inner.optional("ca").and_then(|value| {
                let path = value.file_path()?;
                if !path.is_file() {
                    value.fault(format!("there is no file {}", path.display()), "name a file of PEM certificates");
                }
                Some(path)
            });
        }
        Some(value) => wanted = value.boolean(),
        None => {}
    }
    let schemes: Vec<bool> = places.iter().filter_map(|place| place.tls).collect();
    if schemes.contains(&true) && schemes.contains(&false) {
        section.fault("servers", "some servers are http and some are https", "make two upstreams of them");
        return None;
    }
    match (wanted, schemes.first()) {
        (Some(true), Some(false)) => section.fault("tls", "the servers are http", "write https, or tls: false"),
        (Some(false), Some(true)) => section.fault("tls", "the servers are https", "write http, or tls: true"),
        _ => {}
    }
    if !wanted.or(schemes.first().copied()).unwrap_or(false) {
        return None;
    }
    let name = server_name.or_else(|| shared_name(places));
    if name.is_none() && !places.is_empty() {
        let problem = "the servers have no one name that their certificates could be checked for";
        section.fault("tls", problem, "write tls: { server_name: NAME }");
    }
    name.map(|server_name| UpstreamTls { server_name, ca })
}

fn shared_name(places: &[Place]) -> Option<String> {
    let name = |place: &Place| match &place.server {
        Server::Name { host, .. } => Some(host.clone()),
        Server::Address(_) => None,
    };
    let first = places.first().and_then(name)?;
    places.iter().all(|place| name(place).as_ref() == Some(&first)).then_some(first)
}
