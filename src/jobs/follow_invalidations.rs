//! Applies what other processes changed to the caches of this one.
//!
//! The log is read from where it was last read, so nothing is missed: not by a slow tick, not by a store that was away.
//! A gap, an unknown kind of entry or an epoch that went backwards (another database behind the same address) means
//! that not everything is known, and then everything is forgotten.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::cache::Forget;
use crate::domain::invalidation::{Epoch, Logged};
use crate::storage::Result;
use crate::storage::invalidations::{Invalidations, LogEntry};

const BATCH: u32 = 500;
/// No epoch was read yet.
const UNREAD: i64 = -1;

pub struct FollowInvalidations {
    log: Arc<dyn Invalidations>,
    forget: Arc<dyn Forget>,
    applied: AtomicI64,
}

impl FollowInvalidations {
    pub fn new(log: Arc<dyn Invalidations>, forget: Arc<dyn Forget>) -> Self {
        Self { log, forget, applied: AtomicI64::new(UNREAD) }
    }

    /// The newest epoch that was applied.
    pub fn applied(&self) -> Epoch {
        Epoch(self.applied.load(Ordering::Relaxed).max(0))
    }

    pub async fn run_once(&self) -> Result<()> {
        if self.applied.load(Ordering::Relaxed) == UNREAD {
            // What is cached by now may be older than the newest entry.
            let newest = self.log.newest().await?;
            self.forget.forget_all(newest);
            self.caught_up(newest);
            return Ok(());
        }
        loop {
            let applied = self.applied();
            let entries = self.log.after(applied, BATCH).await?;
            let full = entries.len() == BATCH as usize;
            if entries.is_empty() && self.log.newest().await? < applied {
                self.forget.forget_all(applied);
                self.applied.store(UNREAD, Ordering::Relaxed);
                return Ok(());
            }
            for entry in entries {
                self.apply(entry);
            }
            if !full {
                return Ok(());
            }
        }
    }

    fn apply(&self, entry: LogEntry) {
        let LogEntry { epoch, what, written_at } = entry;
        let gap = epoch.0 != self.applied.load(Ordering::Relaxed) + 1;
        match what {
            Some(what) if !gap => self.forget.forget(&Logged { epoch, what, written_at }),
            _ => self.forget.forget_all(epoch),
        }
        self.caught_up(epoch);
    }

    fn caught_up(&self, at: Epoch) {
        self.applied.store(at.0, Ordering::Relaxed);
        self.forget.caught_up(at);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use async_trait::async_trait;

    use super::*;
    use crate::domain::clock::Timestamp;
    use crate::domain::invalidation::Invalidation;
    use crate::domain::user::UserId;

    #[derive(Default)]
    struct Log(Mutex<Vec<(Epoch, Option<Invalidation>)>>);

    #[async_trait]
    impl Invalidations for Log {
        async fn newest(&self) -> Result<Epoch> {
            Ok(self.0.lock().unwrap().last().map_or(Epoch(0), |(epoch, _)| *epoch))
        }
        async fn after(&self, epoch: Epoch, limit: u32) -> Result<Vec<LogEntry>> {
            let all = self.0.lock().unwrap();
            let later = all.iter().filter(|(e, _)| *e > epoch).take(limit as usize).cloned();
            Ok(later.map(|(epoch, what)| LogEntry { epoch, what, written_at: None }).collect())
        }
        async fn prune(&self, _: Timestamp) -> Result<u64> {
            Ok(0)
        }
    }

    #[derive(Default)]
    struct Told(Mutex<Vec<String>>);
    impl Forget for Told {
        fn forget(&self, change: &Logged) {
            self.0.lock().unwrap().push(change.what.to_parts().1.to_owned());
        }
        fn forget_all(&self, _: Epoch) {
            self.0.lock().unwrap().push("all".to_owned());
        }
    }

    fn user(id: &str) -> Option<Invalidation> {
        Some(Invalidation::User(UserId(id.to_owned())))
    }

    #[tokio::test]
    async fn entries_are_applied_once_in_order_and_doubt_forgets_everything() {
        let (log, told) = (Arc::new(Log::default()), Arc::new(Told::default()));
        let job = FollowInvalidations::new(Arc::clone(&log) as _, Arc::clone(&told) as _);
        let taken = || std::mem::take(&mut *told.0.lock().unwrap());
        job.run_once().await.unwrap();
        assert_eq!(taken(), ["all"]);
        log.0.lock().unwrap().extend([(Epoch(1), user("a")), (Epoch(2), user("b"))]);
        job.run_once().await.unwrap();
        job.run_once().await.unwrap();
        assert_eq!(taken(), ["a", "b"]);
        log.0.lock().unwrap().push((Epoch(3), None));
        job.run_once().await.unwrap();
        assert_eq!(taken(), ["all"], "an unknown kind");
        log.0.lock().unwrap().push((Epoch(9), user("c")));
        job.run_once().await.unwrap();
        assert_eq!(taken(), ["all"], "a gap");
        *log.0.lock().unwrap() = vec![(Epoch(2), user("d"))];
        job.run_once().await.unwrap();
        job.run_once().await.unwrap();
        assert_eq!(taken(), ["all", "all"], "another log");
        log.0.lock().unwrap().push((Epoch(3), user("e")));
        job.run_once().await.unwrap();
        assert_eq!(taken(), ["e"]);
    }
}
