//! API keys that were taken over with a slow hash, until their first use.

use async_trait::async_trait;

use super::answer::within_deadline;
use super::pool::Pool;
use crate::domain::api_key::ApiKeyId;
use crate::domain::clock::Timestamp;
use crate::domain::digest::Digest;
use crate::domain::invalidation::Invalidation;
use crate::domain::user::PasswordHash;
use crate::storage::Result;
use crate::storage::slow_keys::{SlowKey, SlowKeys};

const TABLE: &str = "slow_api_keys";

#[derive(Clone)]
pub struct SqlSlowKeys {
    pool: Pool,
}

impl SqlSlowKeys {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl SlowKeys for SqlSlowKeys {
    async fn find(&self, prefix: &str, now: Timestamp) -> Result<Option<SlowKey>> {
        let statement = sqlx::query_as(
            "SELECT s.key_id, s.hash FROM slow_api_keys s JOIN api_keys k ON k.id = s.key_id \
             WHERE k.prefix = $1 AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2)",
        );
        let statement = statement.bind(prefix).bind(now.as_micros()).fetch_optional(self.pool.reads());
        Ok(within_deadline(self.pool.deadline(), TABLE, statement).await?.map(slow_key))
    }

    async fn any(&self, now: Timestamp) -> Result<Option<SlowKey>> {
        let statement = sqlx::query_as(
            "SELECT s.key_id, s.hash FROM slow_api_keys s JOIN api_keys k ON k.id = s.key_id \
             WHERE k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $1) LIMIT 1",
        );
        let statement = statement.bind(now.as_micros()).fetch_optional(self.pool.reads());
        Ok(within_deadline(self.pool.deadline(), TABLE, statement).await?.map(slow_key))
    }

    async fn upgrade(&self, key: &SlowKey, digest: &Digest, now: Timestamp) -> Result<()> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            let slow = sqlx::query("DELETE FROM slow_api_keys WHERE key_id = $1 AND hash = $2")
                .bind(key.id.as_str())
                .bind(key.hash.text())
                .execute(changing.connection())
                .await?;
            if slow.rows_affected() == 0 {
                return Ok(());
            }
            sqlx::query("UPDATE api_keys SET digest = $1 WHERE id = $2")
                .bind(digest.hex())
                .bind(key.id.as_str())
                .execute(changing.connection())
                .await?;
            // Nodes may remember that there was no such key.
            changing.forget(Invalidation::ApiKey(key.id.clone()), Some(now)).await?;
            changing.commit().await
        })
        .await
    }
}

fn slow_key((id, hash): (String, String)) -> SlowKey {
    SlowKey { id: ApiKeyId(id), hash: PasswordHash::new(hash) }
}
