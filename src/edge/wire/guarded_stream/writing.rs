//! The way out. It is watched for what the reading side has to know: whether an answer is under way, and whether the
//! upstream has agreed to leave HTTP.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::AsyncWrite;

use super::super::farewell::Farewell;
use super::super::fields::UpgradeKind;
use super::{GuardedStream, Phase};

impl GuardedStream {
    /// The answer has taken the connection out of HTTP, or has tried to.
    fn switch(&mut self) {
        if self.upgrade == UpgradeKind::WebSocket {
            self.phase = Phase::Tunnel;
            self.tunnel = self.ends().and_then(|ends| self.settings.tunnels.enter(ends));
            if let Some(reader) = self.parked.take() {
                reader.wake();
            }
        } else {
            self.phase = Phase::Closed;
        }
    }

    /// Asks before a write. An upstream that switches protocols unasked must not turn the connection into a tunnel.
    fn check_write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.upgrade != UpgradeKind::WebSocket && self.response.would_switch(bytes) {
            self.phase = Phase::Closed;
        }
        match self.phase {
            Phase::Leaving(_) | Phase::Closed => Err(io::ErrorKind::BrokenPipe.into()),
            Phase::Tunnel if self.tunnel.as_ref().is_some_and(|tunnel| tunnel.is_closed()) => {
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            _ => Ok(()),
        }
    }

    fn note_written(&mut self, bytes: &[u8]) {
        if !self.response.has_switched() {
            self.response.observe(bytes);
            if self.response.has_switched() {
                self.switch();
            }
        }
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_write(bytes)?;
        let written = ready!(Pin::new(&mut self.inner).poll_write(cx, bytes))?;
        self.note_written(bytes.get(..written).unwrap_or(bytes));
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check_write(slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice))?;
        let written = ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, slices))?;
        let mut left = written;
        for slice in slices {
            let part = slice.get(..left).unwrap_or(slice);
            self.note_written(part);
            left -= part.len();
        }
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    /// Pingora's way to close after an answer, which may have come before the end of the body: the client may still be
    /// sending, and must be able to read it.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.owes_linger() {
            this.phase = Phase::Leaving(Farewell::after_answer());
        }
        let Phase::Leaving(farewell) = &mut this.phase else {
            return Pin::new(&mut this.inner).poll_shutdown(cx);
        };
        ready!(farewell.poll(&mut this.inner, cx));
        this.phase = Phase::Closed;
        Poll::Ready(Ok(()))
    }
}
