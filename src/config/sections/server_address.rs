use std::net::{IpAddr, SocketAddr};

use crate::config::settings::Server;
use crate::config::value::Value;

const REMEDY: &str = "write HOST:PORT, http://HOST:PORT or https://HOST";

pub struct Place {
    pub server: Server,
    /// What a URL says about it; `None` without one.
    pub tls: Option<bool>,
}

/// `host:port`, or a URL that names nothing more than a scheme, a host and perhaps a port.
pub fn read(value: &Value<'_>) -> Option<Place> {
    let text = value.text()?;
    // Such a text is not quoted: what stands before the `@` is a password.
    if text.contains('@') {
        value.fault("a server has no user name or password", "let the gateway's identity headers speak instead");
        return None;
    }
    let (tls, authority) = match text.split_once("://") {
        None => (None, text.as_str()),
        Some(("http", rest)) => (Some(false), rest),
        Some(("https", rest)) => (Some(true), rest),
        Some(_) => {
            value.fault(format!("{} is neither http nor https", value.written()), REMEDY);
            return None;
        }
    };
    let authority = if tls.is_some() { authority.strip_suffix('/').unwrap_or(authority) } else { authority };
    if authority.contains(['/', '?', '#']) {
        let problem = format!("{} has a path, and requests keep their own", value.written());
        value.fault(problem, "name the server only; a route's strip_prefix changes paths");
        return None;
    }
    let default_port = tls.map(|tls| if tls { 443 } else { 80 });
    let server = server(authority, default_port);
    if server.is_none() {
        value.fault(format!("{} is not a server with its port", value.written()), REMEDY);
    }
    server.map(|server| Place { server, tls })
}

fn server(authority: &str, default_port: Option<u16>) -> Option<Server> {
    if let Ok(address) = authority.parse::<SocketAddr>() {
        return (address.port() != 0).then_some(Server::Address(address));
    }
    let bracketed = authority.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    if let Some(inner) = bracketed {
        return Some(Server::Address(SocketAddr::new(IpAddr::V6(inner.parse().ok()?), default_port?)));
    }
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => (host, port.parse().ok()?),
        Some(_) => return None,
        None => (authority, default_port?),
    };
    if port == 0 {
        return None;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return Some(Server::Address(SocketAddr::new(address, port)));
    }
    is_name(host).then(|| Server::Name { host: host.to_ascii_lowercase(), port })
}

/// A name that a resolver may know, underscores included: container networks use them. A last label of digits would be
/// an address with a slip in it.
pub fn is_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            && !label.starts_with('-')
    };
    let numeric = text.rsplit('.').next().is_none_or(|last| last.bytes().all(|b| b.is_ascii_digit()));
    text.len() <= 253 && !numeric && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(authority: &str, default_port: Option<u16>) -> Option<String> {
        server(authority, default_port).map(|server| match server {
            Server::Address(address) => address.to_string(),
            Server::Name { host, port } => format!("name {host}:{port}"),
        })
    }

    #[test]
    fn servers_are_addresses_or_names() {
        for (text, default, server) in [
            ("127.0.0.1:8000", None, Some("127.0.0.1:8000")),
            ("[::1]:8000", None, Some("[::1]:8000")),
            ("[::1]", Some(80), Some("[::1]:80")),
            ("10.0.0.1", Some(443), Some("10.0.0.1:443")),
            ("Backend:8000", None, Some("name backend:8000")),
            ("my_backend.internal:1", None, Some("name my_backend.internal:1")),
            ("api.example.com", Some(443), Some("name api.example.com:443")),
        ] {
            assert_eq!(shown(text, default).as_deref(), server, "{text}");
        }
        for text in [
            "",
            ":80",
            "a",
            "a:",
            "a:0",
            "a:70000",
            "a:b",
            "a:+1",
            "::1:80",
            "10.0.0.300:80",
            "a b:1",
            "a..b:1",
            "-a:1",
            "é:1",
        ] {
            assert_eq!(shown(text, None), None, "{text}");
        }
    }
}
