//! A chunked body: where it ends, and that nobody can see it end elsewhere.

use super::fault::WireFault;
use super::octets::is_token;

const SIZE_DIGITS: u8 = 8;
const EXTENSION_BYTES: u16 = 256;
const TRAILER_BYTES: usize = 8 * 1024;

/// What became of the beginning of the bytes given. Ask again with the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub consumed: usize,
    /// `false` for trailer fields, which nobody behind us may see: without them the body ends in `0\r\n\r\n`.
    pub forwarded: bool,
    pub done: bool,
}

/// What is left of a piece of a body without its trailers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sifted {
    pub consumed: usize,
    /// So many bytes at the front are now those to hand on.
    pub kept: usize,
    pub done: bool,
}

/// Follows a chunked body byte by byte, so that it does not matter where the pieces end.
#[derive(Clone, Debug)]
pub struct ChunkScanner {
    state: State,
    trailer_bytes: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Size { digits: u8, size: u32 },
    Extension { size: u32, length: u16 },
    SizeEnd { size: u32 },
    Data { left: u32 },
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    LastLf,
    Done,
}

impl Default for ChunkScanner {
    fn default() -> Self {
        Self::new()
    }
}

impl ChunkScanner {
    pub const fn new() -> Self {
        Self { state: State::Size { digits: 0, size: 0 }, trailer_bytes: 0 }
    }

    /// Consumes bytes up to where the body ends or where the bytes change between forwarded and dropped.
    pub fn advance(&mut self, bytes: &[u8]) -> Result<Progress, WireFault> {
        let forwarded = bytes.first().is_none_or(|&first| !self.is_trailer(first));
        let mut consumed = 0;
        while self.state != State::Done {
            let Some(&byte) = bytes.get(consumed) else { break };
            if let State::Data { left } = self.state {
                let run = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len() - consumed);
                consumed += run;
                let left = left - u32::try_from(run).unwrap_or(left);
                self.state = if left == 0 { State::DataCr } else { State::Data { left } };
                continue;
            }
            if self.is_trailer(byte) == forwarded {
                break;
            }
            self.step(byte)?;
            consumed += 1;
        }
        Ok(Progress { consumed, forwarded, done: self.state == State::Done })
    }

    /// Takes the trailers out of the next piece of the body, in place.
    pub fn sift(&mut self, bytes: &mut [u8]) -> Result<Sifted, WireFault> {
        let mut sifted = Sifted { consumed: 0, kept: 0, done: false };
        while !sifted.done && sifted.consumed < bytes.len() {
            let progress = self.advance(bytes.get(sifted.consumed..).unwrap_or_default())?;
            let run = sifted.consumed..sifted.consumed + progress.consumed;
            sifted.consumed = run.end;
            sifted.done = progress.done;
            if progress.forwarded {
                if sifted.kept != run.start {
                    bytes.copy_within(run, sifted.kept);
                }
                sifted.kept += progress.consumed;
            }
        }
        Ok(sifted)
    }

    fn is_trailer(&self, byte: u8) -> bool {
        match self.state {
            State::TrailerName | State::TrailerValue | State::TrailerEnd => true,
            State::TrailerStart => byte != b'\r',
            _ => false,
        }
    }

    fn step(&mut self, byte: u8) -> Result<(), WireFault> {
        if self.is_trailer(byte) {
            self.trailer_bytes += 1;
            if self.trailer_bytes > TRAILER_BYTES {
                return Err(WireFault::TrailersTooLarge);
            }
        }
        self.state = match (self.state, byte) {
            (State::Size { digits, size }, _) if byte.is_ascii_hexdigit() && digits < SIZE_DIGITS => {
                let digit = char::from(byte).to_digit(16).unwrap_or(0);
                State::Size { digits: digits + 1, size: size << 4 | digit }
            }
            (State::Size { digits: 1.., size }, b';') => State::Extension { size, length: 0 },
            (State::Size { digits: 1.., size } | State::Extension { size, .. }, b'\r') => State::SizeEnd { size },
            (State::Extension { size, length }, 0x20..=0x7e) if length < EXTENSION_BYTES => {
                State::Extension { size, length: length + 1 }
            }
            (State::SizeEnd { size: 0 }, b'\n') => State::TrailerStart,
            (State::SizeEnd { size }, b'\n') => State::Data { left: size },
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size { digits: 0, size: 0 },
            (State::TrailerStart, b'\r') => State::LastLf,
            (State::TrailerStart | State::TrailerName, _) if is_token(byte) => State::TrailerName,
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerValue, b'\r') => State::TrailerEnd,
            (State::TrailerValue, b'\t' | 0x20..=0x7e | 0x80..) => State::TrailerValue,
            (State::TrailerEnd, b'\n') => State::TrailerStart,
            (State::TrailerStart | State::TrailerName | State::TrailerValue | State::TrailerEnd, _) => {
                return Err(WireFault::Trailer);
            }
            (State::LastLf, b'\n') => State::Done,
            _ => return Err(WireFault::Chunk),
        };
        Ok(())
    }
}

#[cfg(test)]
#[path = "chunks_tests.rs"]
mod tests;
