//! Values under keys.

use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis;

use super::pool::RedisPool;
use crate::storage::shared_memory::{SharedMemory, Silence};

pub struct RedisMemory(RedisPool);

impl RedisMemory {
    pub const fn new(pool: RedisPool) -> Self {
        Self(pool)
    }
}

#[async_trait]
impl SharedMemory for RedisMemory {
    async fn get(&self, key: &str, limit: usize) -> Result<Option<Vec<u8>>, Silence> {
        let key = key.to_owned();
        // Whatever somebody has put there, no more of it is fetched than can be of use. An absence is an empty range.
        let value: Vec<u8> = self
            .0
            .call(move |mut connection| async move {
                redis::cmd("GETRANGE").arg(key).arg(0).arg(limit).query_async(&mut connection).await
            })
            .await?;
        Ok((!value.is_empty()).then_some(value))
    }

    async fn put(&self, key: &str, value: Vec<u8>, lifetime: Duration) -> Result<(), Silence> {
        let key = key.to_owned();
        let millis = u64::try_from(lifetime.as_millis()).unwrap_or(u64::MAX).max(1);
        let put = self.0.call(move |mut connection| async move {
            redis::cmd("SET").arg(key).arg(value).arg("PX").arg(millis).exec_async(&mut connection).await
        });
        Ok(put.await?)
    }
}
