//! Lines of JSON, to standard output or a file.
//!
//! A line is put together on the thread that has something to say and appended to a bounded buffer; a thread of its own
//! writes the buffer out. So a reader that stops reading never stops the gateway: lines are dropped then, and counted.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use prometheus::IntCounter;

/// How much may wait to be written.
const BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Few lines are longer.
const COMMON_BYTES: usize = 1024;
/// How long a line waits at most before it is written.
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);

/// Something to be said in one line.
pub trait Line {
    /// One JSON object, without the end of the line.
    fn write_to(&self, line: &mut Vec<u8>);
}

#[derive(Debug)]
struct Buffer {
    waiting: Vec<u8>,
    closed: bool,
}

#[derive(Debug)]
struct Shared {
    buffer: Mutex<Buffer>,
    wake: Condvar,
}

/// Cheap to share. Dropping the last one writes out what is left.
#[derive(Debug)]
pub struct LineLog {
    shared: Option<Arc<Shared>>,
    dropped: IntCounter,
    writer: Option<JoinHandle<()>>,
}

impl LineLog {
    pub const fn off(dropped: IntCounter) -> Self {
        Self { shared: None, dropped, writer: None }
    }

    pub fn stdout(dropped: IntCounter) -> io::Result<Self> {
        Self::start(Box::new(io::stdout()), dropped)
    }

    pub fn file(path: &Path, dropped: IntCounter) -> io::Result<Self> {
        Self::start(Box::new(OpenOptions::new().create(true).append(true).mode(0o600).open(path)?), dropped)
    }

    /// Writes to anything; for tests too.
    pub fn start(mut destination: Box<dyn Write + Send>, dropped: IntCounter) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            buffer: Mutex::new(Buffer { waiting: Vec::new(), closed: false }),
            wake: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("line-log".to_owned())
            .spawn(move || write_out(&theirs, destination.as_mut()))?;
        Ok(Self { shared: Some(shared), dropped, writer: Some(writer) })
    }

    pub fn write(&self, line: &impl Line) {
        let Some(shared) = &self.shared else { return };
        let mut bytes = Vec::with_capacity(COMMON_BYTES);
        line.write_to(&mut bytes);
        bytes.push(b'\n');
        let mut buffer = shared.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.waiting.len() + bytes.len() > BUFFER_BYTES {
            drop(buffer);
            self.dropped.inc();
            return;
        }
        buffer.waiting.extend_from_slice(&bytes);
    }
}

impl Drop for LineLog {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.buffer.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
            shared.wake.notify_all();
        }
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

fn write_out(shared: &Shared, destination: &mut dyn Write) {
    let mut writing = Vec::new();
    loop {
        let buffer = shared.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        // Woken by the clock and not by each line: a wake-up per request would cost more than the line.
        let (mut buffer, _) = shared.wake.wait_timeout(buffer, FLUSH_INTERVAL).unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut buffer.waiting, &mut writing);
        let closed = buffer.closed;
        drop(buffer);
        if !writing.is_empty() {
            let _ = destination.write_all(&writing).and_then(|()| destination.flush());
            writing.clear();
            writing.shrink_to(BUFFER_BYTES / 16);
        } else if closed {
            return;
        }
    }
}
