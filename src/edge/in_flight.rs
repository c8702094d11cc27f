//! Requests that have arrived and are not answered yet, and whether the process still takes new ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus::IntGauge;

#[derive(Clone, Debug)]
pub struct InFlight {
    count: IntGauge,
    draining: Arc<AtomicBool>,
    handed_over: Arc<AtomicBool>,
}

/// One request; counted until it is dropped, however it ends.
#[derive(Debug)]
pub struct Counted(IntGauge);

impl InFlight {
    pub fn new(count: IntGauge) -> Self {
        Self { count, draining: Arc::default(), handed_over: Arc::default() }
    }

    pub fn enter(&self) -> Counted {
        self.count.inc();
        Counted(self.count.clone())
    }

    pub fn count(&self) -> i64 {
        self.count.get()
    }

    /// From here on every answer closes its connection, so that clients go elsewhere.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// As [`InFlight::drain`], because another process takes the new ones at the same sockets.
    pub fn hand_over(&self) {
        self.handed_over.store(true, Ordering::SeqCst);
        self.drain();
    }

    pub fn is_handed_over(&self) -> bool {
        self.handed_over.load(Ordering::SeqCst)
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}
