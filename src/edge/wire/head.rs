//! One request head: whole and beyond doubt, not yet whole, or refused.

use super::fault::WireFault;
use super::fields::{BodyFraming, Fields, UpgradeKind};
use super::octets::is_token;
use super::request_line::{self, RequestLine};

#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// All field lines together, with their line ends and the empty line.
    pub header_bytes: usize,
    pub header_fields: usize,
    pub target_bytes: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { header_bytes: 32 * 1024, header_fields: 100, target_bytes: 8 * 1024 }
    }
}

impl HeadLimits {
    /// More can never belong to one acceptable head.
    pub const fn whole_head(&self) -> usize {
        LEADING_LINE.len() + request_line::longest(self.target_bytes) + self.header_bytes
    }
}

/// Old browsers sent one after a form; RFC 9112 2.2 asks to bear with it.
const LEADING_LINE: &[u8] = b"\r\n";

/// Where an accepted head lies in the bytes looked at, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// 2 after a skipped empty line, else 0.
    pub start: usize,
    /// Just behind the empty line that ends the head.
    pub end: usize,
    pub framing: BodyFraming,
    pub upgrade: UpgradeKind,
    pub version_1_0: bool,
    pub expect_continue: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadState {
    NeedMore,
    Complete(RequestHead),
    Fault(WireFault),
}

/// Judges the head at the beginning of `bytes`.
pub fn inspect(bytes: &[u8], limits: &HeadLimits) -> HeadState {
    HeadScanner::new(*limits).advance(bytes)
}

/// Judges a head that arrives piecemeal, and looks at each byte once however small the pieces are.
///
/// Whole lines are judged in their order, and one that is still coming only by its length and its first byte. So the
/// verdict does not depend on where the pieces end.
#[derive(Clone, Debug)]
pub struct HeadScanner {
    limits: HeadLimits,
    start: usize,
    line_start: usize,
    /// No line end between `line_start` and here.
    searched: usize,
    line: Option<RequestLine>,
    fields_start: usize,
    fields: Fields,
}

impl HeadScanner {
    pub fn new(limits: HeadLimits) -> Self {
        Self { limits, start: 0, line_start: 0, searched: 0, line: None, fields_start: 0, fields: Fields::default() }
    }

    /// Whether more than a stray empty line has been seen.
    pub fn has_begun(&self) -> bool {
        self.searched > self.start || self.line_start > self.start
    }

    /// Looks at `bytes`, which must begin with all the bytes given before.
    pub fn advance(&mut self, bytes: &[u8]) -> HeadState {
        match self.scan(bytes) {
            Ok(Some(head)) => HeadState::Complete(head),
            Ok(None) => HeadState::NeedMore,
            Err(fault) => HeadState::Fault(fault),
        }
    }

    fn scan(&mut self, bytes: &[u8]) -> Result<Option<RequestHead>, WireFault> {
        if self.line_start == 0 {
            match bytes {
                [] | [b'\r'] => return Ok(None),
                [b'\r', b'\n', ..] => {
                    self.start = LEADING_LINE.len();
                    self.line_start = self.start;
                    self.searched = self.start;
                }
                _ => {}
            }
        }
        loop {
            let rest = bytes.get(self.line_start..).unwrap_or_default();
            let unsearched = bytes.get(self.searched..).unwrap_or_default();
            // A TLS hello has no line end for us to wait for.
            if self.line.is_none() && rest.first().is_some_and(|&byte| !is_token(byte)) {
                return Err(WireFault::RequestLine);
            }
            let Some(found) = memchr::memchr(b'\n', unsearched) else {
                self.searched = bytes.len();
                self.check_length(rest.len())?;
                return Ok(None);
            };
            let end = self.searched + found + 1;
            self.check_length(end - self.line_start)?;
            let line = bytes.get(self.line_start..end).unwrap_or_default();
            let fault = if self.line.is_none() { WireFault::RequestLine } else { WireFault::Field };
            let line = line.strip_suffix(b"\r\n").ok_or(fault)?;
            let offset = self.line_start;
            self.line_start = end;
            self.searched = end;
            match &self.line {
                None => {
                    let mut parsed = request_line::parse(line, self.limits.target_bytes)?;
                    parsed.authority = parsed.authority.map(|range| range.start + offset..range.end + offset);
                    self.line = Some(parsed);
                    self.fields_start = end;
                }
                Some(request) if line.is_empty() => {
                    let (framing, upgrade, expect_continue) = self.fields.finish(request, bytes)?;
                    let version_1_0 = request.version_1_0;
                    let start = self.start;
                    return Ok(Some(RequestHead { start, end, framing, upgrade, version_1_0, expect_continue }));
                }
                Some(_) => self.fields.add(line, offset, self.limits.header_fields)?,
            }
        }
    }

    /// The same for a whole line and for one that is still coming, so that neither depends on the other.
    fn check_length(&self, length: usize) -> Result<(), WireFault> {
        if self.line.is_none() {
            let fits = length <= request_line::longest(self.limits.target_bytes);
            return if fits { Ok(()) } else { Err(WireFault::TargetTooLong) };
        }
        let fits = self.line_start + length - self.fields_start <= self.limits.header_bytes;
        if fits { Ok(()) } else { Err(WireFault::FieldsTooLarge) }
    }
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
