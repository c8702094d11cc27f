//! `METHOD SP target SP HTTP/1.1`.

use std::ops::Range;

use super::fault::WireFault;
use super::octets::{is_target, is_token};

/// No method of any registry is half as long.
pub const METHOD_BYTES: usize = 32;
const VERSION_BYTES: usize = 8;

/// What the rest of the head is judged by.
#[derive(Clone, Debug)]
pub struct RequestLine {
    /// Of an absolute-form target, as a range of the line.
    pub authority: Option<Range<usize>>,
    pub is_get: bool,
    pub version_1_0: bool,
}

/// The longest line that can be accepted, line end included.
pub const fn longest(target_bytes: usize) -> usize {
    METHOD_BYTES + 1 + target_bytes + 1 + VERSION_BYTES + 2
}

/// Reads a line without its CRLF.
pub fn parse(line: &[u8], target_bytes: usize) -> Result<RequestLine, WireFault> {
    let method_end = memchr::memchr(b' ', line).ok_or(WireFault::RequestLine)?;
    let target_start = method_end + 1;
    let (method, rest) = (line.get(..method_end).unwrap_or_default(), line.get(target_start..).unwrap_or_default());
    let target_length = memchr::memchr(b' ', rest).ok_or(WireFault::RequestLine)?;
    let (target, version) =
        (rest.get(..target_length).unwrap_or_default(), rest.get(target_length + 1..).unwrap_or_default());

    let version_1_0 = match version {
        b"HTTP/1.1" => false,
        b"HTTP/1.0" => true,
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9']
        | [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => {
            return Err(WireFault::Version);
        }
        _ => return Err(WireFault::RequestLine),
    };
    if method.is_empty() || method.len() > METHOD_BYTES || !method.iter().all(|&byte| is_token(byte)) {
        return Err(WireFault::Method);
    }
    // Pingora answers CONNECT on its own, before the gateway is asked and without a line in the log.
    if method == b"CONNECT" {
        return Err(WireFault::Connect);
    }
    if target.len() > target_bytes {
        return Err(WireFault::TargetTooLong);
    }
    if !target.iter().all(|&byte| is_target(byte)) {
        return Err(WireFault::Target);
    }
    let authority = match target {
        [b'/', ..] => None,
        b"*" if method == b"OPTIONS" => None,
        _ => Some(authority_of(target).ok_or(WireFault::Target)?),
    };
    let authority = authority.map(|range| range.start + target_start..range.end + target_start);
    Ok(RequestLine { authority, is_get: method == b"GET", version_1_0 })
}

/// Where the authority of an absolute-form target lies. Only the two schemes that we serve are known: with any other,
/// parsers disagree on whether there is an authority at all.
fn authority_of(target: &[u8]) -> Option<Range<usize>> {
    let start = ["http://", "https://"].into_iter().map(str::as_bytes).find_map(|scheme| {
        target.get(..scheme.len()).is_some_and(|head| head.eq_ignore_ascii_case(scheme)).then_some(scheme.len())
    })?;
    let rest = target.get(start..)?;
    let length = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    (length > 0).then_some(start..start + length)
}
