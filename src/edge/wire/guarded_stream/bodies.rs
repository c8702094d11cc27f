//! From the end of a head to the end of its message.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use tokio::io::{AsyncRead, ReadBuf};

use super::super::chunks::ChunkScanner;
use super::super::fields::BodyFraming;
use super::{GuardedStream, Phase, Step, give};

impl GuardedStream {
    pub(super) fn enter_body(&mut self) {
        self.phase = match self.framing {
            BodyFraming::None => Phase::Head,
            BodyFraming::Length(left) => Phase::Length { left },
            BodyFraming::Chunked => Phase::Chunked(ChunkScanner::new()),
        };
        self.release_buffer();
    }

    pub(super) fn poll_length(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Step {
        let Phase::Length { left } = &mut self.phase else { return Poll::Ready(Ok(None)) };
        let wanted = usize::try_from(*left).unwrap_or(usize::MAX);
        let given = if self.ahead.is_empty() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
            let read = buf.filled().len() - before;
            // Pingora asks for no more than the body. If it ever does, the rest belongs to the next message.
            if let Some(excess) = buf.filled().get(before + read.min(wanted)..) {
                self.ahead.extend_from_slice(excess);
            }
            buf.set_filled(before + read.min(wanted));
            read.min(wanted)
        } else {
            give(&mut self.ahead, buf, wanted)
        };
        *left -= u64::try_from(given).unwrap_or(*left);
        if *left == 0 {
            self.end_message();
        }
        Poll::Ready(Ok(Some(())))
    }

    pub(super) fn poll_chunked(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Step {
        let Phase::Chunked(scanner) = &mut self.phase else { return Poll::Ready(Ok(None)) };
        let sifted = if self.ahead.is_empty() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
            let fresh = buf.filled_mut().get_mut(before..).unwrap_or_default();
            if fresh.is_empty() {
                return Poll::Ready(Ok(Some(())));
            }
            let sifted = scanner.sift(fresh);
            if let Ok(sifted) = &sifted {
                self.ahead.extend_from_slice(fresh.get(sifted.consumed..).unwrap_or_default());
            }
            buf.set_filled(before + sifted.as_ref().map_or(0, |sifted| sifted.kept));
            sifted
        } else {
            let length = self.ahead.len().min(buf.remaining());
            let sifted = scanner.sift(self.ahead.get_mut(..length).unwrap_or_default());
            if let Ok(sifted) = &sifted {
                buf.put_slice(self.ahead.get(..sifted.kept).unwrap_or_default());
                self.ahead.advance(sifted.consumed);
            }
            sifted
        };
        match sifted {
            Ok(sifted) => {
                if sifted.done {
                    self.end_message();
                }
                // Nothing but trailers: no bytes would mean the end of the stream to the reader.
                Poll::Ready(Ok((sifted.kept > 0).then_some(())))
            }
            Err(fault) => {
                self.refuse(fault);
                Poll::Ready(Ok(None))
            }
        }
    }

    fn end_message(&mut self) {
        self.phase = Phase::Head;
        self.release_buffer();
    }
}
