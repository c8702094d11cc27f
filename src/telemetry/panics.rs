//! Counting panics. A panic ends its own request; that there was one is a fault of ours, and must be seen.

use std::sync::atomic::{AtomicU64, Ordering};

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Counts and reports panics from here on. What they say is not logged: it may quote what a client sent.
pub fn report() {
    std::panic::set_hook(Box::new(|panic| {
        COUNT.fetch_add(1, Ordering::Relaxed);
        let place = panic.location().map(|place| format!("{}:{}", place.file(), place.line()));
        tracing::error!(place = place.as_deref().unwrap_or("unknown"), "a panic was caught; its request has failed");
    }));
}

pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}
