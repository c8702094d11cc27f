//! From what came over the wire to an [`Arrival`].
//!
//! The order matters. The client's address is read from forwarding fields before those are removed; reserved fields are
//! removed before anything is matched, on every route, because a public route leads to a backend too; and only the
//! normal form of the path is matched and forwarded.

use std::net::IpAddr;

use http::HeaderValue;
use pingora_http::RequestHeader;

use super::context::Forwarded;
use super::head_fields::forget_spelling;
use super::request_id::{RequestId, RequestIds};
use super::reserved::{ReservedNames, refuse_method};
use crate::access::arrival::Arrival;
use crate::domain::credential::{
    AuthorizationRules, Credentials, Presented, read_api_key, read_authorization, read_authorization_key,
};
use crate::domain::denial::Denial;
use crate::domain::random::Random;
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

/// A request as it arrived, clean.
#[derive(Debug)]
pub struct Sanitised {
    pub arrival: Arrival,
    pub request_id: RequestId,
    pub query: Option<String>,
    pub forwarded: Forwarded,
}

/// A request that cannot be understood in one way only, with what is known of it for the log.
#[derive(Debug)]
pub struct Insane {
    pub denial: Denial,
    pub client: IpAddr,
    pub request_id: RequestId,
}

impl Sanitiser {
    pub fn new(trusted: TrustedProxies, authorization: AuthorizationRules, random: &dyn Random) -> Self {
        Self { trusted, reserved: ReservedNames::default(), authorization, ids: RequestIds::new(random) }
    }

    pub fn sanitise(&self, request: &mut RequestHeader, peer: IpAddr, tls: bool) -> Result<Sanitised, Insane> {
        let peer = peer.to_canonical();
        let trusted = self.trusted.contains(peer);
        let client = self.client(request, peer);
        let request_id = self.request_id(request, trusted);
        let insane = |denial| Insane { denial, client, request_id: request_id.clone() };
        let from_proxy = trusted.then(|| FromProxy::read(request, peer));
        self.strip(request);
        refuse_method(request.method.as_str()).map_err(insane)?;
        let (host, named) = host(request).map_err(insane)?;
        let path = NormalPath::parse(request.uri.path().as_bytes()).map_err(|_| insane(Denial::BadPath))?;
        let query = request.uri.query().map(str::to_owned);
        let here = if tls { HeaderValue::from_static("https") } else { HeaderValue::from_static("http") };
        let client_text = as_value(client.to_string());
        let forwarded = match from_proxy {
            Some(FromProxy { for_chain, proto, host }) => {
                Forwarded { client: client_text, for_chain, proto: proto.unwrap_or(here), host: host.unwrap_or(named) }
            }
            // The client is the peer itself.
            None => Forwarded { for_chain: client_text.clone(), client: client_text, proto: here, host: named },
        };
        let arrival = Arrival {
            method: request.method.as_str().to_owned(),
            host: Some(host),
            path,
            credentials: self.credentials(request),
            client,
        };
        // Nothing asks any more what the target looked like, or a name.
        forget_spelling(request);
        Ok(Sanitised { arrival, request_id, query, forwarded })
    }

    fn client(&self, request: &RequestHeader, peer: IpAddr) -> IpAddr {
        let fields = request.headers.get_all("x-forwarded-for").iter().map(|value| value.as_bytes());
        // The map iterates forwards only, and the walk starts at the last field.
        self.trusted.client_of(peer, fields.collect::<Vec<_>>().into_iter())
    }

    /// Kept from a trusted proxy when it is a plain word, else made.
    fn request_id(&self, request: &RequestHeader, trusted: bool) -> RequestId {
        let given = request.headers.get("x-request-id").filter(|_| trusted).and_then(RequestId::given);
        given.unwrap_or_else(|| self.ids.make())
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

/// What a trusted proxy says of the request. It is passed on, with the proxy's own address added.
struct FromProxy {
    for_chain: HeaderValue,
    proto: Option<HeaderValue>,
    host: Option<HeaderValue>,
}

impl FromProxy {
    fn read(request: &RequestHeader, peer: IpAddr) -> Self {
        let mut chain = String::new();
        for value in request.headers.get_all("x-forwarded-for") {
            if let Ok(text) = value.to_str() {
                chain.push_str(text);
                chain.push_str(", ");
            }
        }
        chain.push_str(&peer.to_string());
        let get = |name| request.headers.get(name);
        Self {
            for_chain: as_value(chain),
            proto: get("x-forwarded-proto").filter(|proto| *proto == "https" || *proto == "http").cloned(),
            host: get("x-forwarded-host").filter(|host| Host::parse(host.as_bytes()).is_ok()).cloned(),
        }
    }
}

/// Of a text that can be one: addresses, and what was read from a field.
fn as_value(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

/// Exactly one `Host`, and the same authority in an absolute-form target. Also gives the field's value.
fn host(request: &RequestHeader) -> Result<(Host, HeaderValue), Denial> {
    let mut values = request.headers.get_all("host").iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Denial::BadHost) };
    let host = Host::parse(value.as_bytes()).map_err(|_| Denial::BadHost)?;
    match target_authority(request.raw_path()) {
        Some(authority) if !authority.eq_ignore_ascii_case(value.as_bytes()) => Err(Denial::BadHost),
        _ => Ok((host, value.clone())),
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
