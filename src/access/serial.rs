//! Numbers for principals.

use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers principals, each once in the life of the process.
#[derive(Debug, Default)]
pub struct Serial(AtomicU64);

impl Serial {
    pub fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}
