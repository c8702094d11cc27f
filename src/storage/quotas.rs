//! How much of their quotas keys have used, in the day or month that it is.

use async_trait::async_trait;

use super::Result;
use crate::domain::api_key::ApiKeyId;
use crate::domain::clock::Timestamp;
use crate::domain::quota_span::QuotaSpan;
use crate::domain::rate::Quota;

/// Requests of one key in one span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaUse {
    pub key: ApiKeyId,
    pub span: QuotaSpan,
    pub count: u64,
}

#[async_trait]
pub trait Quotas: Send + Sync {
    /// What was used by all nodes, as far as they have written it.
    async fn used(&self, key: &ApiKeyId, span: QuotaSpan) -> Result<u64>;

    /// Adds all of it or nothing, and gives the new totals in the same order.
    async fn add(&self, uses: &[QuotaUse]) -> Result<Vec<u64>>;

    /// Forgets spans that began before `before`.
    async fn prune(&self, before: Timestamp) -> Result<u64>;
}

/// What is left of a quota after one more request was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaLeft {
    pub remaining: u64,
}

/// Nothing is left of it until the span ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaSpent;

/// Whoever counts each single request.
#[async_trait]
pub trait QuotaMeter: Send + Sync {
    async fn take(
        &self,
        key: &ApiKeyId,
        quota: Quota,
        now: Timestamp,
    ) -> Result<std::result::Result<QuotaLeft, QuotaSpent>>;
}
