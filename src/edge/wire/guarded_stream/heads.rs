//! Between messages, and until a head is whole.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;
use tokio::io::{AsyncRead, ReadBuf};

use super::super::fault::WireFault;
use super::super::fields::UpgradeKind;
use super::super::head::{HeadScanner, HeadState, RequestHead};
use super::{GuardedStream, Phase, READ_BYTES, Step};

/// What a client may send ahead while its last request is being answered.
pub(super) const AHEAD_BYTES: usize = 4 * READ_BYTES;

impl GuardedStream {
    /// Ready only at the end of the stream. What comes instead is kept, and beyond the bound left in the socket.
    pub(super) fn poll_departure(&mut self, cx: &mut Context<'_>) -> Step {
        if self.upgrade == UpgradeKind::WebSocket {
            self.parked = Some(cx.waker().clone());
        }
        while self.ahead.len() < AHEAD_BYTES {
            if ready!(self.poll_ahead(cx))? == 0 {
                return Poll::Ready(Ok(Some(())));
            }
        }
        Poll::Pending
    }

    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Step {
        if self.ahead.is_empty() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
            let fresh = buf.filled().get(before..).unwrap_or_default();
            if fresh.is_empty() {
                return Poll::Ready(Ok(Some(())));
            }
            match self.scanner.advance(fresh) {
                // Nearly every head of a warm connection comes so, and is never copied.
                HeadState::Complete(head) if head.start == 0 && head.end == fresh.len() => {
                    self.accept(&head);
                    self.enter_body();
                    return Poll::Ready(Ok(Some(())));
                }
                state => {
                    self.ahead.extend_from_slice(fresh);
                    buf.set_filled(before);
                    return self.poll_verdict(cx, state);
                }
            }
        }
        let state = self.scanner.advance(&self.ahead);
        self.poll_verdict(cx, state)
    }

    fn poll_verdict(&mut self, cx: &mut Context<'_>, state: HeadState) -> Step {
        match state {
            HeadState::Complete(head) => {
                self.accept(&head);
                self.ahead.advance(head.start);
                self.phase = Phase::GivingHead { left: head.end - head.start };
                Poll::Ready(Ok(None))
            }
            HeadState::Fault(fault) => {
                self.refuse(fault);
                Poll::Ready(Ok(None))
            }
            HeadState::NeedMore => {
                let timeout = self.settings.head_timeout;
                let deadline = self.head_deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
                if deadline.as_mut().poll(cx).is_ready() {
                    match self.scanner.has_begun() {
                        true => self.refuse(WireFault::HeadTimeout),
                        false => self.phase = Phase::Closed,
                    }
                    return Poll::Ready(Ok(None));
                }
                match ready!(self.poll_ahead(cx))? {
                    0 => Poll::Ready(Ok(Some(()))),
                    _ => Poll::Ready(Ok(None)),
                }
            }
        }
    }

    fn accept(&mut self, head: &RequestHead) {
        self.framing = head.framing;
        self.upgrade = head.upgrade;
        self.last_message = head.version_1_0;
        self.head_deadline = None;
        self.response.reset();
        self.scanner = HeadScanner::new(self.settings.limits);
    }
}
