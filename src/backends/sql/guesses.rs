//! How often was guessed at whom.

use std::collections::BTreeMap;

use async_trait::async_trait;
use sqlx::AnyConnection;

use super::answer::{corrupt, within_deadline};
use super::pool::Pool;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::guess_subject::GuessSubject;
use crate::domain::lockout::{Blocked, Lockout, LockoutPolicy};
use crate::storage::Result;
use crate::storage::guesses::{Extent, Forgiveness, Guesses};

const TABLE: &str = "guesses";

#[derive(Clone)]
pub struct SqlGuesses {
    pool: Pool,
}

impl SqlGuesses {
    pub const fn new(pool: Pool) -> Self {
        Self { pool }
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    subject: String,
    failures: i64,
    last_failure_at: Option<i64>,
    blocked_until: Option<i64>,
}

impl From<&Row> for Lockout {
    fn from(row: &Row) -> Self {
        Self {
            // A number that no version writes counts as the worst there is.
            failures: u32::try_from(row.failures).unwrap_or(u32::MAX),
            last_failure_at: row.last_failure_at.map(Timestamp::from_micros),
            blocked_until: row.blocked_until.map(Timestamp::from_micros),
        }
    }
}

#[async_trait]
impl Guesses for SqlGuesses {
    async fn reserve(
        &self,
        subjects: &[(GuessSubject, LockoutPolicy)],
        now: Timestamp,
    ) -> Result<std::result::Result<Vec<Lockout>, Blocked>> {
        // In one order for everybody, so that two that have subjects in common cannot wait for each other.
        let mut ordered: Vec<_> = subjects.iter().map(|(subject, policy)| (subject.to_string(), policy)).collect();
        ordered.sort_by(|(a, _), (b, _)| a.cmp(b));
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            let names: Vec<&str> = ordered.iter().map(|(subject, _)| subject.as_str()).collect();
            let locked = lock(changing.connection(), &names).await?;
            let mut counted = Vec::with_capacity(ordered.len());
            let mut blocked: Option<Blocked> = None;
            let mut moved = Vec::new();
            for ((subject, policy), stored) in ordered.iter().zip(locked) {
                match stored.reserve(policy, now) {
                    Ok(next) => counted.push((subject.as_str(), next)),
                    Err(block) => {
                        if block.lockout != stored {
                            moved.push((subject.as_str(), block.lockout));
                        }
                        if blocked.is_none_or(|other| other.until < block.until) {
                            blocked = Some(block);
                        }
                    }
                }
            }
            // Blocked by one of them, a guess is not made, and counts against none. A block that a clock had put too far
            // ahead is brought back.
            if let Some(blocked) = blocked {
                if !moved.is_empty() {
                    put(changing.connection(), &moved).await?;
                    changing.commit().await?;
                }
                return Ok(Err(blocked));
            }
            put(changing.connection(), &counted).await?;
            changing.commit().await?;
            Ok(Ok(counted.into_iter().map(|(_, lockout)| lockout).collect()))
        })
        .await
    }

    async fn find(&self, subject: &GuessSubject) -> Result<Option<Lockout>> {
        let statement =
            sqlx::query_as("SELECT subject, failures, last_failure_at, blocked_until FROM guesses WHERE subject = $1")
                .bind(subject.to_string());
        let row: Option<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_optional(self.pool.reads())).await?;
        Ok(row.as_ref().map(Lockout::from))
    }

    async fn forgive(&self, forgiven: &[Forgiveness]) -> Result<()> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            forgive(changing.connection(), forgiven).await?;
            changing.commit().await
        })
        .await
    }

    async fn unlock(&self, subject: &GuessSubject, change: &Change) -> Result<bool> {
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            if !forget(changing.connection(), subject).await? {
                return Ok(false);
            }
            changing.write(change).await?;
            changing.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn blocked(&self, now: Timestamp, limit: u32) -> Result<Vec<(GuessSubject, Lockout)>> {
        let statement = sqlx::query_as(
            "SELECT subject, failures, last_failure_at, blocked_until FROM guesses WHERE blocked_until > $1 \
             ORDER BY blocked_until DESC, subject LIMIT $2",
        )
        .bind(now.as_micros())
        .bind(i64::from(limit));
        let rows: Vec<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_all(self.pool.reads())).await?;
        let subject = |row: &Row| {
            GuessSubject::parse(&row.subject).ok_or_else(|| corrupt(TABLE, &row.subject, "an unknown kind of subject"))
        };
        rows.iter().map(|row| Ok((subject(row)?, Lockout::from(row)))).collect()
    }

    async fn delete_idle(&self, before: Timestamp, limit: u32) -> Result<u64> {
        let statement = sqlx::query(
            "DELETE FROM guesses WHERE subject IN \
             (SELECT subject FROM guesses WHERE last_failure_at < $1 ORDER BY last_failure_at LIMIT $2)",
        )
        .bind(before.as_micros())
        .bind(i64::from(limit));
        within_deadline(self.pool.deadline(), TABLE, self.pool.write(statement)).await
    }
}

// A guess is counted against two subjects, mostly: both in one statement, because every statement has its price while the
// one writer is held.

/// Reads rows for changing them, and makes those that are missing: from here until the transaction ends they are ours. In
/// the order of `subjects`, of which no two are the same.
async fn lock(connection: &mut AnyConnection, subjects: &[&str]) -> sqlx::Result<Vec<Lockout>> {
    let mut locked = Vec::with_capacity(subjects.len());
    for some in subjects.chunks(2) {
        let statement = match some {
            [one, other] => sqlx::query_as(
                "INSERT INTO guesses (subject, failures) VALUES ($1, 0), ($2, 0) \
                 ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject \
                 RETURNING subject, failures, last_failure_at, blocked_until",
            )
            .bind((*one).to_owned())
            .bind((*other).to_owned()),
            _ => sqlx::query_as(
                "INSERT INTO guesses (subject, failures) VALUES ($1, 0) \
                 ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject \
                 RETURNING subject, failures, last_failure_at, blocked_until",
            )
            .bind(some.concat()),
        };
        let rows: Vec<Row> = statement.fetch_all(&mut *connection).await?;
        for subject in some {
            let row = rows.iter().find(|row| row.subject == *subject).ok_or(sqlx::Error::RowNotFound)?;
            locked.push(Lockout::from(row));
        }
    }
    Ok(locked)
}

/// Writes rows that are ours.
async fn put(connection: &mut AnyConnection, lockouts: &[(&str, Lockout)]) -> sqlx::Result<()> {
    for some in lockouts.chunks(2) {
        let mut statement = sqlx::query(match some {
            [_, _] => {
                "INSERT INTO guesses (subject, failures, last_failure_at, blocked_until) \
                 VALUES ($1, $2, $3, $4), ($5, $6, $7, $8) ON CONFLICT (subject) DO UPDATE SET \
                 failures = excluded.failures, last_failure_at = excluded.last_failure_at, \
                 blocked_until = excluded.blocked_until"
            }
            _ => {
                "INSERT INTO guesses (subject, failures, last_failure_at, blocked_until) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT (subject) DO UPDATE SET \
                 failures = excluded.failures, last_failure_at = excluded.last_failure_at, \
                 blocked_until = excluded.blocked_until"
            }
        });
        for (subject, lockout) in some {
            statement = statement
                .bind((*subject).to_owned())
                .bind(i64::from(lockout.failures))
                .bind(lockout.last_failure_at.map(Timestamp::as_micros))
                .bind(lockout.blocked_until.map(Timestamp::as_micros));
        }
        statement.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Takes back guesses, in the transaction of what they proved.
pub(super) async fn forgive(connection: &mut AnyConnection, forgiven: &[Forgiveness]) -> sqlx::Result<()> {
    if let [Forgiveness { subject, extent: Extent::All }] = forgiven {
        forget(connection, subject).await?;
        return Ok(());
    }
    // A subject that two proofs were counted against is here twice.
    let mut ordered: BTreeMap<String, Vec<&Extent>> = BTreeMap::new();
    for Forgiveness { subject, extent } in forgiven {
        ordered.entry(subject.to_string()).or_default().push(extent);
    }
    let names: Vec<&str> = ordered.keys().map(String::as_str).collect();
    let locked = lock(connection, &names).await?;
    let (mut left, mut gone) = (Vec::new(), Vec::new());
    for ((subject, extents), stored) in ordered.iter().zip(locked) {
        let after = extents.iter().fold(stored, |lockout, extent| match extent {
            Extent::All => lockout.succeed(),
            Extent::One(policy) => lockout.give_back(policy),
        });
        if after == Lockout::default() {
            gone.push(subject.as_str());
        } else {
            left.push((subject.as_str(), after));
        }
    }
    put(connection, &left).await?;
    for some in gone.chunks(2) {
        let (one, other) = (some.first().copied().unwrap_or_default(), some.last().copied().unwrap_or_default());
        sqlx::query("DELETE FROM guesses WHERE subject IN ($1, $2)")
            .bind(one.to_owned())
            .bind(other.to_owned())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// `false` when there is nothing to forget.
pub(super) async fn forget(connection: &mut AnyConnection, subject: &GuessSubject) -> sqlx::Result<bool> {
    let done =
        sqlx::query("DELETE FROM guesses WHERE subject = $1").bind(subject.to_string()).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}

#[cfg(test)]
mod tests;
