//! The last words on a connection.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pingora_core::protocols::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// What a client may still send while it has not read our answer. Closing a socket with unread bytes makes the kernel
/// send a reset, which can take the answer away from the client.
pub const LINGER_BYTES: usize = 256 * 1024;
pub const LINGER_TIME: Duration = Duration::from_secs(1);

/// Writes an answer, closes our half, and lets the client finish within bounds.
#[derive(Debug)]
pub struct Farewell {
    answer: Vec<u8>,
    stage: Stage,
    deadline: Pin<Box<Sleep>>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Writing { written: usize },
    Flushing,
    Closing,
    Draining { left: usize },
    Done,
}

impl Farewell {
    pub fn new(answer: Vec<u8>) -> Self {
        let deadline = Box::pin(tokio::time::sleep(LINGER_TIME));
        Self { answer, stage: Stage::Writing { written: 0 }, deadline }
    }

    /// Only closes and drains: somebody else has written the answer.
    pub fn after_answer() -> Self {
        Self { stage: Stage::Closing, ..Self::new(Vec::new()) }
    }

    /// Ready when nothing is left to be said; every failure means just that.
    pub fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match self.poll_stage(stream, cx) {
                Poll::Ready(Ok(Stage::Done) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(next)) => self.stage = next,
                Poll::Pending => return Pin::new(&mut self.deadline).poll(cx),
            }
        }
    }

    fn poll_stage(&self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<Stage>> {
        Poll::Ready(Ok(match self.stage {
            Stage::Writing { written } => match self.answer.get(written..) {
                Some(rest @ [_, ..]) => match ready!(Pin::new(stream).poll_write(cx, rest))? {
                    0 => Stage::Done,
                    more => Stage::Writing { written: written + more },
                },
                _ => Stage::Flushing,
            },
            Stage::Flushing => {
                ready!(Pin::new(stream).poll_flush(cx))?;
                Stage::Closing
            }
            Stage::Closing => {
                ready!(Pin::new(stream).poll_shutdown(cx))?;
                Stage::Draining { left: LINGER_BYTES }
            }
            Stage::Draining { left } => {
                let mut scratch = [0; 4096];
                let mut scratch = ReadBuf::new(&mut scratch);
                ready!(Pin::new(stream).poll_read(cx, &mut scratch))?;
                match scratch.filled().len() {
                    0 => Stage::Done,
                    read if read >= left => Stage::Done,
                    read => Stage::Draining { left: left - read },
                }
            }
            Stage::Done => Stage::Done,
        }))
    }
}
