//! How much of their quotas keys have used.

use async_trait::async_trait;

use super::answer::within_deadline;
use super::pool::Pool;
use crate::domain::api_key::ApiKeyId;
use crate::domain::clock::Timestamp;
use crate::domain::quota_span::QuotaSpan;
use crate::storage::Result;
use crate::storage::quotas::{QuotaUse, Quotas};

const TABLE: &str = "key_quotas";

#[derive(Clone)]
pub struct SqlQuotas {
    pool: Pool,
}

impl SqlQuotas {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl Quotas for SqlQuotas {
    async fn used(&self, key: &ApiKeyId, span: QuotaSpan) -> Result<u64> {
        let used: Option<i64> = within_deadline(
            self.pool.deadline(),
            TABLE,
            sqlx::query_scalar("SELECT used FROM key_quotas WHERE key_id = $1 AND period = $2 AND started_at = $3")
                .bind(key.as_str())
                .bind(span.period.as_str())
                .bind(span.start.as_micros())
                .fetch_optional(self.pool.reads()),
        )
        .await?;
        Ok(count(used.unwrap_or(0)))
    }

    async fn add(&self, uses: &[QuotaUse]) -> Result<Vec<u64>> {
        // In one order for everybody: two nodes that report on the same keys must not wait for each other.
        let mut ordered: Vec<_> = uses.iter().enumerate().collect();
        ordered.sort_by_key(|(_, one)| (one.key.as_str(), one.span.period.as_str(), one.span.start));
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut transaction = self.pool.begin().await?;
            let mut totals = Vec::with_capacity(uses.len());
            for (place, QuotaUse { key, span, count: more }) in ordered {
                let used: i64 = sqlx::query_scalar(
                    "INSERT INTO key_quotas (key_id, period, started_at, used) VALUES ($1, $2, $3, $4) \
                     ON CONFLICT (key_id, period, started_at) DO UPDATE SET used = key_quotas.used + excluded.used \
                     RETURNING used",
                )
                .bind(key.as_str())
                .bind(span.period.as_str())
                .bind(span.start.as_micros())
                .bind(i64::try_from(*more).unwrap_or(i64::MAX))
                .fetch_one(&mut *transaction)
                .await?;
                totals.push((place, count(used)));
            }
            transaction.commit().await?;
            totals.sort_by_key(|(place, _)| *place);
            Ok(totals.into_iter().map(|(_, total)| total).collect())
        })
        .await
    }

    async fn prune(&self, before: Timestamp) -> Result<u64> {
        let statement = sqlx::query("DELETE FROM key_quotas WHERE started_at < $1").bind(before.as_micros());
        within_deadline(self.pool.deadline(), TABLE, self.pool.write(statement)).await
    }
}

/// A number that no version writes counts as the worst there is.
fn count(used: i64) -> u64 {
    u64::try_from(used).unwrap_or(u64::MAX)
}
