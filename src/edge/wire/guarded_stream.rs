//! A connection whose reader can only get sound HTTP/1 messages out of it, one at a time.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io::{self, Cursor};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use pingora_core::protocols::Stream;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::time::Sleep;

use super::chunks::ChunkScanner;
use super::connections::{ConnectionBounds, Connections, Place};
use super::encryption::Encryption;
use super::farewell::Farewell;
use super::fault::WireFault;
use super::fields::{BodyFraming, UpgradeKind};
use super::head::{HeadLimits, HeadScanner};
use super::refusal::{Refusal, WireObserver, answer};
use super::response_watch::ResponseWatch;
use super::tunnels::{Tunnel, Tunnels};

mod bodies;
mod delegation;
mod heads;
mod writing;

pub use delegation::peer_of;

/// How much is read at once where we read on our own account.
const READ_BYTES: usize = 4096;

pub struct WireSettings {
    pub limits: HeadLimits,
    /// From the first byte of a head to its last. As long may it take to begin TLS.
    pub head_timeout: Duration,
    pub observer: Arc<dyn WireObserver>,
    pub tunnels: Arc<Tunnels>,
    pub connections: Arc<Connections>,
    pub connection_bounds: ConnectionBounds,
    /// For clients that are served over TLS.
    pub encryption: Option<Arc<Encryption>>,
}

/// Stands between the socket and Pingora's HTTP/1 session.
///
/// A read never gives bytes of two messages, and never a byte of a head that is not whole. What the client sends ahead
/// waits here: Pingora sees neither pipelining nor the bytes after an upgrade request until it asks for them.
///
/// While Pingora waits for an upstream it reads a single byte, to learn of the client's departure. Nothing else reads
/// like that at the start of a message (a head is read into some 4 KiB), so this is how the guard tells "is anybody
/// there?" from "the next request, please", and answers the former only when the client has gone.
pub struct GuardedStream {
    inner: Stream,
    settings: Arc<WireSettings>,
    phase: Phase,
    scanner: HeadScanner,
    /// Come from the client, not yet given out. Empty on the fast path.
    ahead: BytesMut,
    /// Of the present message: the body that follows its head.
    framing: BodyFraming,
    upgrade: UpgradeKind,
    /// The present message is HTTP/1.0; no other follows it.
    last_message: bool,
    head_deadline: Option<Pin<Box<Sleep>>>,
    response: ResponseWatch,
    /// Of a reader that the switch to a tunnel gives something to read.
    parked: Option<Waker>,
    /// When it has left HTTP: what may end it from outside.
    tunnel: Option<Arc<Tunnel>>,
    /// Among all connections.
    _place: Place,
}

/// `None` means that nothing has been given out, but that there may be something now.
type Step = Poll<io::Result<Option<()>>>;

enum Phase {
    /// Between messages, or gathering a head.
    Head,
    /// The head lies whole at the front of `ahead`.
    GivingHead {
        left: usize,
    },
    Length {
        left: u64,
    },
    Chunked(ChunkScanner),
    /// No longer HTTP.
    Tunnel,
    Leaving(Farewell),
    /// For Pingora the client is gone.
    Closed,
}

impl GuardedStream {
    pub fn new(inner: Stream, settings: Arc<WireSettings>, place: Place) -> Self {
        Self {
            inner,
            phase: Phase::Head,
            scanner: HeadScanner::new(settings.limits),
            settings,
            ahead: BytesMut::new(),
            framing: BodyFraming::None,
            upgrade: UpgradeKind::None,
            last_message: false,
            head_deadline: None,
            response: ResponseWatch::default(),
            parked: None,
            tunnel: None,
            _place: place,
        }
    }

    /// One step of a read.
    fn poll_step(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Step {
        match &mut self.phase {
            Phase::Head if buf.remaining() == 1 => self.poll_departure(cx),
            Phase::Head if self.last_message => Poll::Ready(Ok(Some(()))),
            Phase::Head => self.poll_head(cx, buf),
            Phase::GivingHead { left } => {
                let given = give(&mut self.ahead, buf, *left);
                *left -= given;
                if *left == 0 {
                    self.enter_body();
                }
                Poll::Ready(Ok(Some(())))
            }
            Phase::Length { .. } => self.poll_length(cx, buf),
            Phase::Chunked(_) => self.poll_chunked(cx, buf),
            Phase::Tunnel if self.tunnel.as_ref().is_some_and(|tunnel| tunnel.watch(cx.waker())) => {
                Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()))
            }
            Phase::Tunnel if self.ahead.is_empty() => Pin::new(&mut self.inner).poll_read(cx, buf).map_ok(Some),
            Phase::Tunnel => {
                give(&mut self.ahead, buf, usize::MAX);
                Poll::Ready(Ok(Some(())))
            }
            Phase::Leaving(farewell) => {
                ready!(farewell.poll(&mut self.inner, cx));
                self.phase = Phase::Closed;
                Poll::Ready(Ok(Some(())))
            }
            Phase::Closed => Poll::Ready(Ok(Some(()))),
        }
    }

    fn refuse(&mut self, fault: WireFault) {
        let answered = self.response.is_at_start() || matches!(self.phase, Phase::Head);
        let refusal = Refusal {
            fault,
            denial: fault.denial(),
            status: fault.status(),
            peer: self.peer(),
            bytes: self.ahead.len(),
            answered,
        };
        self.settings.observer.refused(&refusal);
        self.phase = if answered { Phase::Leaving(Farewell::new(answer(fault))) } else { Phase::Closed };
        self.ahead = BytesMut::new();
        self.head_deadline = None;
    }

    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.ahead.reserve(READ_BYTES);
        // The future holds nothing but the two references, so it may be made anew for every poll.
        pin!(self.inner.read_buf(&mut self.ahead)).poll(cx)
    }

    /// An idle connection should not hold on to what one long message needed.
    fn release_buffer(&mut self) {
        if self.ahead.is_empty() && self.ahead.capacity() > 2 * READ_BYTES {
            self.ahead = BytesMut::new();
        }
    }

    /// The client is in the middle of a body which nobody will read.
    fn owes_linger(&self) -> bool {
        matches!(self.phase, Phase::Length { .. } | Phase::Chunked(_))
    }
}

/// Where Pingora answers in place of an upstream, perhaps in the middle of an upload, it does not close but drop.
impl Drop for GuardedStream {
    fn drop(&mut self) {
        if !self.owes_linger() || self.response.is_at_start() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let nothing = Cursor::new(Vec::new());
        let mut inner = std::mem::replace(&mut self.inner, Box::new(nothing));
        runtime.spawn(async move {
            let mut farewell = Farewell::after_answer();
            poll_fn(|cx| farewell.poll(&mut inner, cx)).await;
        });
    }
}

/// Moves bytes that had been read ahead to the reader; says how many.
fn give(ahead: &mut BytesMut, buf: &mut ReadBuf<'_>, limit: usize) -> usize {
    let length = limit.min(ahead.len()).min(buf.remaining());
    buf.put_slice(ahead.get(..length).unwrap_or_default());
    ahead.advance(length);
    length
}

impl AsyncRead for GuardedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            if let Some(given) = ready!(self.poll_step(cx, buf))? {
                return Poll::Ready(Ok(given));
            }
        }
    }
}

impl fmt::Debug for GuardedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the bytes read ahead: Pingora prints streams into its log, and they may hold a credential.
        f.debug_struct("GuardedStream").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "guarded_stream_tests.rs"]
mod tests;
