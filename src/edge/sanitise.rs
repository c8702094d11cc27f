//! From what came over the wire to an [`Arrival`].
//!
//! The order matters. The client's address is read from forwarding fields before those are removed; reserved fields are
//! removed before anything is matched, on every route, because a public route leads to a backend too; and only the
//! normal form of the path is matched and forwarded.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use pingora_http::RequestHeader;

use super::context::Forwarded;
use super::reserved::{ReservedNames, refuse_method};
use crate::access::arrival::Arrival;
use crate::domain::credential::{
    AuthorizationRules, Credentials, Presented, read_api_key, read_authorization, read_authorization_key,
};
use crate::domain::denial::Denial;
use crate::domain::random::{self, Random};
use crate::routing::client_address::TrustedProxies;
use crate::routing::host::Host;
use crate::routing::normal_path::NormalPath;

#[derive(Debug)]
pub struct Sanitiser {
    trusted: TrustedProxies,
    reserved: ReservedNames,
    authorization: AuthorizationRules,
    ids: RequestIds,
}

/// Makes request ids: unique, and no secret.
#[derive(Debug)]
struct RequestIds {
    process: u64,
    next: AtomicU64,
}

/// A request as it arrived, clean.
#[derive(Debug)]
pub struct Sanitised {
    pub arrival: Arrival,
    pub query: Option<String>,
    pub forwarded: Forwarded,
}

/// A request that cannot be understood in one way only, with what is known of it for the log.
#[derive(Debug)]
pub struct Insane {
    pub denial: Denial,
    pub client: IpAddr,
    pub request_id: String,
}

impl Sanitiser {
    pub fn new(trusted: TrustedProxies, authorization: AuthorizationRules, random: &dyn Random) -> Self {
        let ids = RequestIds { process: u64::from_be_bytes(random::bytes(random)), next: AtomicU64::new(0) };
        Self { trusted, reserved: ReservedNames::default(), authorization, ids }
    }

    pub fn sanitise(&self, request: &mut RequestHeader, peer: IpAddr, tls: bool) -> Result<Sanitised, Insane> {
        let peer = peer.to_canonical();
        let trusted = self.trusted.contains(peer);
        let client = self.client(request, peer);
        let request_id = self.request_id(request, trusted);
        let forwarded = forwarded(request, peer, client, trusted, tls);
        let insane = |denial| Insane { denial, client, request_id: request_id.clone() };
        self.strip(request);
        refuse_method(request.method.as_str()).map_err(insane)?;
        let host = host(request).map_err(insane)?;
        let path = NormalPath::parse(request.uri.path().as_bytes()).map_err(|_| insane(Denial::BadPath))?;
        let query = request.uri.query().map(str::to_owned);
        let forwarded =
            Forwarded { host: forwarded.host.clone().unwrap_or_else(|| host.1.clone()), ..forwarded.into() };
        let arrival = Arrival {
            method: request.method.as_str().to_owned(),
            host: Some(host.0),
            path,
            credentials: self.credentials(request),
            client,
            request_id,
        };
        Ok(Sanitised { arrival, query, forwarded })
    }

    fn client(&self, request: &RequestHeader, peer: IpAddr) -> IpAddr {
        let fields = request.headers.get_all("x-forwarded-for").iter().map(|value| value.as_bytes());
        // The map iterates forwards only, and the walk starts at the last field.
        self.trusted.client_of(peer, fields.collect::<Vec<_>>().into_iter())
    }

    /// Kept from a trusted proxy when it is a plain word, else made.
    fn request_id(&self, request: &RequestHeader, trusted: bool) -> String {
        let given = request.headers.get("x-request-id").filter(|_| trusted).and_then(|value| value.to_str().ok());
        let plain = |id: &&str| {
            (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        given.filter(plain).map_or_else(|| self.ids.make(), str::to_owned)
    }

    fn strip(&self, request: &mut RequestHeader) {
        let reserved: Vec<_> =
            request.headers.keys().filter(|name| self.reserved.reserve(name.as_str())).cloned().collect();
        for name in reserved {
            request.remove_header(&name);
        }
        // Only a WebSocket handshake goes on as an upgrade; any other offer is dropped, as RFC 9110 7.8 allows.
        if request.headers.contains_key("upgrade") && !is_websocket(request) {
            request.remove_header("upgrade");
            request.remove_header("http2-settings");
        }
    }

    fn credentials(&self, request: &RequestHeader) -> Credentials {
        let authorization = || request.headers.get_all("authorization").iter().map(|value| value.as_bytes());
        let key = request.headers.get_all("x-api-key").iter().map(|value| value.as_bytes());
        let second = if self.authorization.keys { read_authorization_key(authorization()) } else { Presented::Absent };
        Credentials {
            bearer: read_authorization(authorization(), self.authorization.foreign_schemes_are_absent),
            api_key: read_api_key(key).or_in(second),
        }
    }
}

impl RequestIds {
    fn make(&self) -> String {
        format!("{:016x}{:016x}", self.process, self.next.fetch_add(1, Ordering::Relaxed))
    }
}

/// Forwarding facts before the host is known.
struct FromProxy {
    for_chain: String,
    client: String,
    proto: &'static str,
    host: Option<String>,
}

impl From<FromProxy> for Forwarded {
    fn from(facts: FromProxy) -> Self {
        Self {
            for_chain: facts.for_chain,
            client: facts.client,
            proto: facts.proto,
            host: facts.host.unwrap_or_default(),
        }
    }
}

/// What a trusted proxy says is passed on with the peer added; from anybody else it is set anew.
fn forwarded(request: &RequestHeader, peer: IpAddr, client: IpAddr, trusted: bool, tls: bool) -> FromProxy {
    let here = if tls { "https" } else { "http" };
    if !trusted {
        // The client is the peer itself.
        let client = client.to_string();
        return FromProxy { for_chain: client.clone(), client, proto: here, host: None };
    }
    let mut chain = String::new();
    for value in request.headers.get_all("x-forwarded-for") {
        if let Ok(text) = value.to_str() {
            chain.push_str(text);
            chain.push_str(", ");
        }
    }
    chain.push_str(&peer.to_string());
    let proto = match request.headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok()) {
        Some("https") => "https",
        Some("http") => "http",
        _ => here,
    };
    let host = request.headers.get("x-forwarded-host").and_then(|value| value.to_str().ok());
    let host = host.filter(|host| Host::parse(host.as_bytes()).is_ok()).map(str::to_owned);
    FromProxy { for_chain: chain, client: client.to_string(), proto, host }
}

/// Exactly one `Host`, and the same authority in an absolute-form target. Also gives the field's text.
fn host(request: &RequestHeader) -> Result<(Host, String), Denial> {
    let mut values = request.headers.get_all("host").iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Denial::BadHost) };
    let host = Host::parse(value.as_bytes()).map_err(|_| Denial::BadHost)?;
    let text = value.to_str().map_err(|_| Denial::BadHost)?.to_owned();
    match target_authority(request.raw_path()) {
        Some(authority) if !authority.eq_ignore_ascii_case(text.as_bytes()) => Err(Denial::BadHost),
        _ => Ok((host, text)),
    }
}

/// The authority of an absolute-form target (RFC 9112 3.2.2). Pingora's parsed URI has it no more.
fn target_authority(target: &[u8]) -> Option<&[u8]> {
    let after = |scheme: &[u8]| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    let rest = after(b"http://").or_else(|| after(b"https://"))?;
    rest.split(|byte| matches!(byte, b'/' | b'?')).next()
}

fn is_websocket(request: &RequestHeader) -> bool {
    let one = |name: &str, expected: &str| {
        let mut values = request.headers.get_all(name).iter();
        let value = values.next().and_then(|value| value.to_str().ok());
        values.next().is_none() && value.is_some_and(|value| value.trim().eq_ignore_ascii_case(expected))
    };
    request.method == http::Method::GET && one("upgrade", "websocket") && one("sec-websocket-version", "13")
}

#[cfg(test)]
#[path = "sanitise/tests.rs"]
mod tests;
