//! Requests counted for all nodes, in one round trip for each request.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::Script;

use super::miss::Unavailable;
use super::pool::RedisPool;
use crate::domain::gcra::{Level, Spent};
use crate::storage::budgets::{Ask, Count, Counted, NoAnswer, SharedBudgets};

static GCRA: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("gcra.lua")));
static QUOTA: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("quota.lua")));

/// Numbers in the answer for one bucket.
const FIELDS: usize = 4;

/// Makes a name that tells a reader of Redis nothing: what is counted has addresses and users in it.
pub type Naming = Box<dyn Fn(&str) -> String + Send + Sync>;

pub struct RedisBudgets {
    pool: RedisPool,
    /// What every key of a limit, and of a quota, begins with.
    limits: String,
    quotas: String,
    name: Naming,
    foreign: AtomicU64,
}

impl RedisBudgets {
    pub fn new(pool: RedisPool, prefix: String, name: Naming) -> Self {
        // One request takes from several buckets at once. A cluster keeps together what has the same text in braces.
        let (limits, quotas) = match pool.is_spread() {
            true => (format!("{prefix}:{{limits}}:limit:"), format!("{prefix}:{{limits}}:quota:")),
            false => (format!("{prefix}:limit:"), format!("{prefix}:quota:")),
        };
        let pool = if pool.is_spread() { pool.beside(&limits) } else { pool };
        Self { pool, limits, quotas, name, foreign: AtomicU64::new(0) }
    }

    /// What is asked for them.
    pub const fn pool(&self) -> &RedisPool {
        &self.pool
    }

    /// Values under our names that we have not written, and have thrown away.
    pub fn foreign(&self) -> u64 {
        self.foreign.load(Ordering::Relaxed)
    }

    async fn run(
        &self,
        script: &'static Script,
        keys: Vec<String>,
        arguments: Vec<String>,
    ) -> Result<Vec<i64>, NoAnswer> {
        let answer: Result<Vec<i64>, Unavailable> = self
            .pool
            .call(move |mut connection| async move {
                let mut call = script.prepare_invoke();
                for key in keys {
                    call.key(key);
                }
                for argument in arguments {
                    call.arg(argument);
                }
                call.invoke_async(&mut connection).await
            })
            .await;
        let answer = answer.map_err(|why| {
            tracing::debug!(%why, "a limit is counted by this node alone");
            NoAnswer
        })?;
        let foreign = answer.first().copied().and_then(|count| u64::try_from(count).ok()).unwrap_or(0);
        if foreign > 0 {
            self.foreign.fetch_add(foreign, Ordering::Relaxed);
            tracing::warn!(foreign, "Redis held something else under the name of a limit; it was thrown away");
        }
        Ok(answer)
    }
}

#[async_trait]
impl SharedBudgets for RedisBudgets {
    async fn take(&self, asks: &[Ask]) -> Result<Vec<Result<Level, Spent>>, NoAnswer> {
        let keys = asks.iter().map(|ask| format!("{}{}", self.limits, (self.name)(&ask.name))).collect();
        let arguments = asks.iter().flat_map(|ask| {
            let interval = ticks(ask.gcra.interval());
            // Of whole intervals: a burst that is rounded otherwise would be one too few.
            let tolerance = interval * f64::from(ask.gcra.burst());
            [interval.to_string(), tolerance.min(LONGEST).to_string()]
        });
        let answer = self.run(&GCRA, keys, arguments.collect()).await?;
        let levels: Option<Vec<_>> = answer.get(1..).ok_or(NoAnswer)?.chunks(FIELDS).map(level).collect();
        levels.filter(|levels| levels.len() == asks.len()).ok_or(NoAnswer)
    }

    async fn count(&self, count: &Count) -> Result<Counted, NoAnswer> {
        // A little longer than the span: the clocks of nodes differ.
        let ttl = count.expires_at.since(count.now) + Duration::from_secs(3600);
        let arguments = vec![
            count.most.to_string(),
            count.at_least.to_string(),
            count.owed.to_string(),
            ttl.as_millis().to_string(),
        ];
        let answer = self.run(&QUOTA, vec![format!("{}{}", self.quotas, (self.name)(&count.name))], arguments).await?;
        let [_, admitted, total] = answer.as_slice() else { return Err(NoAnswer) };
        Ok(Counted { admitted: *admitted == 1, total: u64::try_from(*total).map_err(|_| NoAnswer)? })
    }
}

/// Longer than any burst takes to come back, and short enough to be a number there with its fractions.
const LONGEST: f64 = 3.2e13;

/// In microseconds, to the 64th of one, rounded up: what is a sum of such is exact in the numbers of Lua for centuries.
fn ticks(interval: Duration) -> f64 {
    interval.as_nanos().saturating_mul(64).div_ceil(1000) as f64 / 64.0
}

fn level(numbers: &[i64]) -> Option<Result<Level, Spent>> {
    let &[given, remaining, wait, full] = numbers else { return None };
    let micros = |count: i64| Some(Duration::from_micros(u64::try_from(count).ok()?));
    let full_in = micros(full)?;
    Some(match given {
        1 => Ok(Level { remaining: u32::try_from(remaining).unwrap_or(u32::MAX), full_in }),
        _ => Err(Spent { retry_in: micros(wait)?, full_in }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_rounded_up_and_never_off_by_more_than_a_tick() {
        for nanos in [1, 15, 1000, 333_334, 1_000_000_000, 3_600_000_000_000, 86_400_000_000_001] {
            let exact = nanos as f64 / 1000.0;
            let told = ticks(Duration::from_nanos(nanos));
            assert!(told >= exact && told - exact <= 1.0 / 64.0, "{nanos}: {told}");
        }
    }

    #[test]
    fn an_answer_of_another_shape_is_none() {
        assert_eq!(level(&[1, 2, 0, 5]), Some(Ok(Level { remaining: 2, full_in: Duration::from_micros(5) })));
        for foreign in [&[][..], &[1], &[1, 2, 3], &[0, 0, -1, 5], &[1, 1, 0, -5]] {
            assert_eq!(level(foreign), None);
        }
    }
}
