//! A request that Pingora, and so the gateway, never hears of: who wants to know, and what the client is told.

use std::net::SocketAddr;

use super::fault::WireFault;
use crate::domain::denial::Denial;

/// For the access log and the metric.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub fault: WireFault,
    pub denial: Denial,
    pub status: u16,
    pub peer: Option<SocketAddr>,
    /// How much of the message was held back here when it was refused.
    pub bytes: usize,
    /// `false` where another answer was already under way, so that the connection is only closed.
    pub answered: bool,
}

pub trait WireObserver: Send + Sync {
    /// Called once per refused request, on the thread of the connection: it must not block.
    fn refused(&self, refusal: &Refusal);
}

/// The whole answer, head and body.
pub fn answer(fault: WireFault) -> Vec<u8> {
    let body = format!(r#"{{"detail":"{}","code":"{}"}}"#, fault.detail(), fault.denial().code());
    // RFC 9110 15.5.6 wants the field; no path is known, so it names what the gateway can serve at all.
    let allow = match fault {
        WireFault::Connect => "allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n",
        _ => "",
    };
    format!(
        "HTTP/1.1 {} {}\r\n{allow}content-type: application/json\r\ncache-control: no-store\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        fault.status(),
        fault.reason_phrase(),
        body.len(),
    )
    .into_bytes()
}
