//! Header fields: their syntax, and what they say about framing, Host and upgrades.

use std::ops::Range;

use super::fault::WireFault;
use super::host::is_host;
use super::octets::{is_field_value, is_token, trim};
use super::request_line::RequestLine;

/// 10^18 - 1 fits every integer that a peer may count with.
const LENGTH_DIGITS: usize = 18;
/// Pingora gives up at the tenth, after the gateway has already decided.
const CONNECTION_OPTIONS: usize = 9;

/// Where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    None,
    Length(u64),
    Chunked,
}

/// What the client wants the connection to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpgradeKind {
    None,
    WebSocket,
    /// h2c, a half-made websocket handshake, anything else: never granted.
    Other,
}

/// What has been learnt from the fields so far.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    count: usize,
    /// Where in the head the value lies; checked against the target at the end.
    host: Option<Range<usize>>,
    content_length: Option<u64>,
    chunked: bool,
    expect_continue: bool,
    connection_options: usize,
    connection_upgrade: bool,
    upgrades: usize,
    upgrade_websocket: bool,
    websocket_versions: usize,
    websocket_13: bool,
}

impl Fields {
    /// Takes in one line without its CRLF, which lies at `offset` in the head.
    pub fn add(&mut self, line: &[u8], offset: usize, limit: usize) -> Result<(), WireFault> {
        self.count += 1;
        if self.count > limit {
            return Err(WireFault::TooManyFields);
        }
        // Covers folded lines, empty names and a space before the colon: none has a token directly before a colon.
        let colon = line.iter().position(|&byte| !is_token(byte)).ok_or(WireFault::Field)?;
        let (Some(name), Some([b':', value @ ..])) = (line.get(..colon), line.get(colon..)) else {
            return Err(WireFault::Field);
        };
        if name.is_empty() || !is_field_value(value) {
            return Err(WireFault::Field);
        }
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                let value = canonical(value);
                if self.host.is_some() || !is_host(value) {
                    return Err(WireFault::Host);
                }
                let end = offset + line.len();
                self.host = Some(end - value.len()..end);
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.expect_continue |= trim(value).eq_ignore_ascii_case(b"100-continue");
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.upgrades += 1;
                self.upgrade_websocket = trim(value).eq_ignore_ascii_case(b"websocket");
            }
            10 if name.eq_ignore_ascii_case(b"connection") => self.add_connection(value)?,
            14 if folds_to(name, b"content-length")? => {
                let digits = canonical(value);
                if self.content_length.is_some() {
                    return Err(WireFault::ContentLength);
                }
                self.content_length = Some(decimal(digits).ok_or(WireFault::ContentLength)?);
            }
            17 if folds_to(name, b"transfer-encoding")? => {
                if self.chunked || canonical(value) != b"chunked" {
                    return Err(WireFault::TransferEncoding);
                }
                self.chunked = true;
            }
            21 if name.eq_ignore_ascii_case(b"sec-websocket-version") => {
                self.websocket_versions += 1;
                self.websocket_13 = trim(value) == b"13";
            }
            _ => {}
        }
        Ok(())
    }

    /// Every field named here is taken out on the way to the upstream. Pingora refuses some names by itself, but late
    /// and as a failure of its own; framing fields it takes out.
    fn add_connection(&mut self, value: &[u8]) -> Result<(), WireFault> {
        for option in value.split(|&byte| byte == b',').map(trim).filter(|option| !option.is_empty()) {
            self.connection_options += 1;
            if self.connection_options > CONNECTION_OPTIONS || !option.iter().all(|&byte| is_token(byte)) {
                return Err(WireFault::Connection);
            }
            if PROTECTED.iter().any(|name| option.eq_ignore_ascii_case(name.as_bytes())) {
                return Err(WireFault::Connection);
            }
            self.connection_upgrade |= option.eq_ignore_ascii_case(b"upgrade");
        }
        Ok(())
    }

    /// What can be said only once all fields are there.
    pub fn finish(&self, line: &RequestLine, head: &[u8]) -> Result<(BodyFraming, UpgradeKind, bool), WireFault> {
        let host = self.host.clone().and_then(|range| head.get(range)).ok_or(WireFault::Host)?;
        // Byte for byte, since Pingora refuses any other spelling by itself.
        if let Some(authority) = line.authority.clone()
            && head.get(authority) != Some(host)
        {
            return Err(WireFault::Host);
        }
        let framing = match (self.content_length, self.chunked) {
            (Some(_), true) => return Err(WireFault::ConflictingFraming),
            (None, true) if line.version_1_0 => return Err(WireFault::TransferEncoding),
            (None, true) => BodyFraming::Chunked,
            (None | Some(0), false) => BodyFraming::None,
            (Some(length), false) => BodyFraming::Length(length),
        };
        Ok((framing, self.upgrade(line, framing), self.expect_continue && !line.version_1_0))
    }

    fn upgrade(&self, line: &RequestLine, framing: BodyFraming) -> UpgradeKind {
        let is_handshake = line.is_get
            && !line.version_1_0
            && framing == BodyFraming::None
            && self.connection_upgrade
            && self.upgrades == 1
            && self.upgrade_websocket
            && self.websocket_versions == 1
            && self.websocket_13;
        match self.upgrades {
            0 => UpgradeKind::None,
            _ if is_handshake => UpgradeKind::WebSocket,
            _ => UpgradeKind::Other,
        }
    }
}

const PROTECTED: [&str; 6] =
    ["host", "content-length", "transfer-encoding", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"];

/// The value after the one space that everybody writes. Any other white space around a length, a coding or a host is a
/// way to make two parsers read different values.
fn canonical(value: &[u8]) -> &[u8] {
    value.strip_prefix(b" ").unwrap_or(value)
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > LENGTH_DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, &digit| number * 10 + u64::from(digit - b'0')))
}

/// Whether this is the field `known`. A name that only becomes it when all punctuation counts as the same
/// (`Transfer_Encoding`) is a fault: a server behind us may read it as the real one.
fn folds_to(name: &[u8], known: &[u8]) -> Result<bool, WireFault> {
    if name.eq_ignore_ascii_case(known) {
        return Ok(true);
    }
    let same =
        |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || !(a.is_ascii_alphanumeric() || b.is_ascii_alphanumeric());
    if name.iter().zip(known).all(same) { Err(WireFault::AliasedField) } else { Ok(false) }
}
