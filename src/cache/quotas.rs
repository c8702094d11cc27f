//! Quotas, counted request by request in memory and written to the store in bundles.
//!
//! The store holds the sum of what all nodes have written. Between two bundles a node knows what it has let through itself,
//! and, where counters are shared, what all have; where they are not, nodes together can let through too much, by what
//! they serve between two bundles. A node that is killed forgets what it has not written.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::domain::api_key::ApiKeyId;
use crate::domain::clock::Timestamp;
use crate::domain::quota_span::QuotaSpan;
use crate::domain::rate::Quota;
use crate::storage::budgets::{Count, SharedBudgets};
use crate::storage::quotas::{QuotaLeft, QuotaMeter, QuotaSpent, QuotaUse, Quotas};
use crate::storage::{Result, StoreError};

const SHARDS: usize = 16;
/// Keys remembered at a time by each shard, beside those that have something to write. Forgetting one costs reading it
/// again.
const REMEMBERED: usize = 4096;

/// Quotas of this node, over a store and perhaps over shared counters.
pub struct QuotaBook {
    store: Arc<dyn Quotas>,
    shared: Option<Arc<dyn SharedBudgets>>,
    /// Where the store is at home.
    runtime: Handle,
    shards: Vec<Mutex<HashMap<ApiKeyId, Vec<Page>>>>,
    hasher: RandomState,
    /// Held by whoever writes: a second one would write the same once more.
    writing: tokio::sync::Mutex<()>,
}

/// What is known of one key in one span.
#[derive(Debug)]
struct Page {
    span: QuotaSpan,
    /// Of all nodes, as the store had it last.
    stored: u64,
    /// Let through here, and not written yet.
    unwritten: u64,
    /// Of all nodes, as the shared counter had it last.
    shared: u64,
    /// Let through here while the shared counter did not answer.
    owed: u64,
}

impl Page {
    fn new(span: QuotaSpan, stored: u64) -> Self {
        Self { span, stored, unwritten: 0, shared: 0, owed: 0 }
    }

    fn used(&self) -> u64 {
        self.stored.saturating_add(self.unwritten).max(self.shared)
    }
}

impl QuotaBook {
    pub fn new(store: Arc<dyn Quotas>, shared: Option<Arc<dyn SharedBudgets>>, runtime: Handle) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { store, shared, runtime, shards, hasher: RandomState::new(), writing: tokio::sync::Mutex::default() }
    }

    /// Writes what was counted since the last time, learns what others have written, and forgets what is over. When the store
    /// does not answer, it is tried again the next time.
    pub async fn write(&self, now: Timestamp) -> Result<()> {
        let _alone = self.writing.lock().await;
        for shard in &self.shards {
            let bundle = gather(&mut shard.lock(), now);
            if bundle.is_empty() {
                continue;
            }
            let totals = self.store.add(&bundle).await;
            let mut keys = shard.lock();
            for (at, written) in bundle.iter().enumerate() {
                let Some(page) = keys.get_mut(&written.key).and_then(|pages| page_of(pages, written.span)) else {
                    continue;
                };
                if let Some(total) = totals.as_ref().ok().and_then(|totals| totals.get(at)) {
                    page.unwritten = page.unwritten.saturating_sub(written.count);
                    page.stored = *total;
                }
            }
            drop(keys);
            totals?;
        }
        Ok(())
    }

    fn with_page<T>(&self, key: &ApiKeyId, span: QuotaSpan, change: impl FnOnce(&mut Page) -> T) -> Option<T> {
        let mut keys = self.shard(key)?.lock();
        keys.get_mut(key).and_then(|pages| page_of(pages, span)).map(change)
    }

    fn shard(&self, key: &ApiKeyId) -> Option<&Mutex<HashMap<ApiKeyId, Vec<Page>>>> {
        let at = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        self.shards.get(at)
    }

    /// Takes one more by what is known here; how much was used before it.
    async fn reserve(
        &self,
        key: &ApiKeyId,
        span: QuotaSpan,
        most: u64,
    ) -> Result<std::result::Result<u64, QuotaSpent>> {
        let take = |page: &mut Page| {
            let used = page.used();
            if used >= most {
                return Err(QuotaSpent);
            }
            page.unwritten += 1;
            Ok(used)
        };
        if let Some(taken) = self.with_page(key, span, take) {
            return Ok(taken);
        }
        let stored = self.read(key, span).await?;
        let Some(shard) = self.shard(key) else { return Ok(Err(QuotaSpent)) };
        let mut keys = shard.lock();
        let pages = keys.entry(key.clone()).or_default();
        // Somebody else may have been quicker.
        if page_of(pages, span).is_none() {
            pages.push(Page::new(span, stored));
        }
        Ok(page_of(pages, span).map_or(Err(QuotaSpent), take))
    }

    async fn read(&self, key: &ApiKeyId, span: QuotaSpan) -> Result<u64> {
        let (store, key) = (Arc::clone(&self.store), key.clone());
        let read = self.runtime.spawn(async move { store.used(&key, span).await });
        read.await.unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }
}

#[async_trait]
impl QuotaMeter for QuotaBook {
    async fn take(
        &self,
        key: &ApiKeyId,
        quota: Quota,
        now: Timestamp,
    ) -> Result<std::result::Result<QuotaLeft, QuotaSpent>> {
        let (span, most) = (QuotaSpan::around(quota.per, now), u64::from(quota.amount.get()));
        let Ok(used) = self.reserve(key, span, most).await? else { return Ok(Err(QuotaSpent)) };
        let left = |used: u64| QuotaLeft { remaining: most.saturating_sub(used) };
        let Some(shared) = &self.shared else { return Ok(Ok(left(used + 1))) };
        let known = self.with_page(key, span, |page| (page.stored.max(page.shared), std::mem::take(&mut page.owed)));
        let (at_least, owed) = known.unwrap_or_default();
        let name = format!("{}:{}:{}", quota.per.as_str(), span.start.as_secs(), key.as_str());
        let count = Count { name, most, at_least, owed, expires_at: span.end, now };
        let counted = shared.count(&count).await;
        self.with_page(key, span, |page| match &counted {
            Ok(counted) => {
                page.shared = page.shared.max(counted.total);
                page.unwritten = page.unwritten.saturating_sub(u64::from(!counted.admitted));
            }
            Err(_) => page.owed = page.owed.saturating_add(owed + 1),
        });
        Ok(match counted {
            Ok(counted) if !counted.admitted => Err(QuotaSpent),
            Ok(counted) => Ok(left(counted.total)),
            Err(_) => Ok(left(used + 1)),
        })
    }
}

fn page_of(pages: &mut [Page], span: QuotaSpan) -> Option<&mut Page> {
    pages.iter_mut().find(|page| page.span == span)
}

/// What is to be written, in the order of the keys, so that two nodes never wait for each other in a circle.
fn gather(keys: &mut HashMap<ApiKeyId, Vec<Page>>, now: Timestamp) -> Vec<QuotaUse> {
    let crowded = keys.len() > REMEMBERED;
    keys.retain(|_, pages| {
        pages.retain(|page| page.unwritten > 0 || (page.span.end > now && !(crowded && page.owed == 0)));
        !pages.is_empty()
    });
    let mut bundle = Vec::new();
    for (key, pages) in keys.iter() {
        for page in pages.iter().filter(|page| page.unwritten > 0) {
            bundle.push(QuotaUse { key: key.clone(), span: page.span, count: page.unwritten });
        }
    }
    bundle.sort_by(|a, b| (a.key.as_str(), a.span.start).cmp(&(b.key.as_str(), b.span.start)));
    bundle
}

#[cfg(test)]
#[path = "quotas/tests.rs"]
mod tests;
