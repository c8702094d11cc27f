//! The few connections that all calls share.
//!
//! Redis answers in the order in which it is asked, so any number of calls can be under way on one connection, and one that
//! is given up takes nothing from the others: its answer is dropped when it comes. A pool that lends each connection to one
//! call at a time runs dry when there is much to do, and then nobody can tell a busy gateway from a Redis that is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use deadpool_redis::redis::{AsyncConnectionConfig, PushInfo, PushKind, RedisError};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::connection::Connection;
use super::origin::{Origin, Unreachable};
use crate::domain::clock::Timestamp;

/// For one connection, whoever waits for it meanwhile.
const OPENING: Duration = Duration::from_secs(1);
/// Before a connection more is tried for again, while there are others.
const REST: Duration = Duration::from_secs(1);

pub(super) struct Line {
    connection: Connection,
    /// Whoever reads it has found its end.
    gone: Arc<AtomicBool>,
    answered: AtomicI64,
}

impl Line {
    /// Another handle of the same connection.
    pub fn connection(&self) -> Connection {
        self.connection.clone()
    }

    pub fn note_answer(&self, now: Timestamp) {
        self.answered.fetch_max(now.as_micros(), Ordering::Relaxed);
    }

    pub fn has_answered_since(&self, then: Timestamp) -> bool {
        self.answered.load(Ordering::Relaxed) >= then.as_micros()
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Lines {
    origin: Arc<Origin>,
    /// Where connections live.
    runtime: Handle,
    slots: Arc<Mutex<Slots>>,
}

struct Slots {
    lines: Vec<Option<Arc<Line>>>,
    next: usize,
    /// How the one that is being opened turned out. There is one at a time, and everybody who has none waits for it.
    opening: Option<watch::Receiver<Option<Result<(), Unreachable>>>>,
    resting_until: Option<Instant>,
}

impl Lines {
    pub fn new(origin: Arc<Origin>, runtime: Handle, most: usize) -> Self {
        let lines = vec![None; most.max(1)];
        let slots = Slots { lines, next: 0, opening: None, resting_until: None };
        Self { origin, runtime, slots: Arc::new(Mutex::new(slots)) }
    }

    /// Another one each time, opened where there is none. Whoever gives up waiting does not stop its being opened.
    pub async fn take(&self) -> Result<Arc<Line>, Unreachable> {
        loop {
            let mut opening = {
                let mut slots = self.slots.lock();
                let line = slots.pick();
                let vacancy = slots.vacancy().filter(|_| line.is_none() || slots.is_rested());
                if let (Some(slot), None) = (vacancy, &slots.opening) {
                    slots.opening = Some(self.open(slot));
                }
                match (line, &slots.opening) {
                    (Some(line), _) => return Ok(line),
                    (None, Some(opening)) => opening.clone(),
                    (None, None) => continue,
                }
            };
            match opening.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(Err(unreachable))) => return Err(unreachable.clone()),
                Ok(_) => {}
                Err(_) => return Err(Unreachable::Stopped),
            }
        }
    }

    fn open(&self, slot: usize) -> watch::Receiver<Option<Result<(), Unreachable>>> {
        let (outcome, told) = watch::channel(None);
        let this = self.clone();
        self.runtime.spawn(async move {
            let gone = Arc::new(AtomicBool::new(false));
            let opened = match timeout(OPENING, this.origin.open(&noticing(&gone))).await {
                Ok(connected) => connected,
                Err(_) => Err(Unreachable::Silent),
            };
            let mut slots = this.slots.lock();
            slots.opening = None;
            slots.resting_until = opened.is_err().then(|| Instant::now() + REST);
            let opened = opened.map(|connection| {
                let line = Line { connection, gone, answered: AtomicI64::new(i64::MIN) };
                if let Some(vacant) = slots.lines.get_mut(slot) {
                    *vacant = Some(Arc::new(line));
                }
            });
            drop(slots);
            outcome.send_replace(Some(opened));
        });
        told
    }

    /// No call begins on it any more.
    pub fn retire(&self, line: &Arc<Line>) {
        line.gone.store(true, Ordering::Relaxed);
    }

    pub fn retire_all(&self) {
        self.slots.lock().lines.fill(None);
    }
}

impl Slots {
    fn pick(&mut self) -> Option<Arc<Line>> {
        for slot in &mut self.lines {
            if slot.as_ref().is_some_and(|line| line.gone.load(Ordering::Relaxed)) {
                *slot = None;
            }
        }
        self.next = (self.next + 1) % self.lines.len();
        let (before, after) = self.lines.split_at(self.next);
        after.iter().chain(before).flatten().next().cloned()
    }

    fn vacancy(&self) -> Option<usize> {
        self.lines.iter().position(Option::is_none)
    }

    fn is_rested(&self) -> bool {
        self.resting_until.is_none_or(|until| until <= Instant::now())
    }
}

/// Redis closes what is idle, where it is told to; then no call has to find that out.
fn noticing(gone: &Arc<AtomicBool>) -> AsyncConnectionConfig {
    let gone = Arc::clone(gone);
    AsyncConnectionConfig::new()
        .set_connection_timeout(Some(OPENING))
        // Every call has a deadline of its own.
        .set_response_timeout(None)
        .set_push_sender(move |push: PushInfo| -> Result<(), RedisError> {
            if push.kind == PushKind::Disconnection {
                gone.store(true, Ordering::Relaxed);
            }
            Ok(())
        })
}
