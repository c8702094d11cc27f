//! How often was guessed at whom.

use async_trait::async_trait;
use sqlx::AnyConnection;

use super::answer::{corrupt, within_deadline};
use super::pool::Pool;
use crate::domain::change::Change;
use crate::domain::clock::Timestamp;
use crate::domain::guess_subject::GuessSubject;
use crate::domain::lockout::{Blocked, Lockout, LockoutPolicy};
use crate::storage::Result;
use crate::storage::guesses::{Extent, Forgiveness, Guesses, Reserved};

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
    async fn longest_block(
        &self,
        subjects: &[(GuessSubject, LockoutPolicy)],
        now: Timestamp,
    ) -> Result<Option<Blocked>> {
        let mut longest: Option<Blocked> = None;
        for pair in subjects.chunks(2) {
            for (stored, policy) in self.find_pair(pair).await? {
                match stored.reserve(&policy, now) {
                    // One that a clock had put too far ahead is to be brought back, which is a write.
                    Err(blocked) if blocked.lockout != stored => return Ok(None),
                    Err(blocked) if longest.is_none_or(|other| other.until < blocked.until) => longest = Some(blocked),
                    _ => {}
                }
            }
        }
        Ok(longest)
    }

    async fn reserve(
        &self,
        subjects: &[(GuessSubject, LockoutPolicy)],
        now: Timestamp,
    ) -> Result<std::result::Result<Vec<Reserved>, Blocked>> {
        // In one order for everybody, so that two that have subjects in common cannot wait for each other.
        let mut ordered: Vec<_> = subjects
            .iter()
            .enumerate()
            .map(|(at, (subject, policy))| (subject.to_string(), at, subject, policy))
            .collect();
        ordered.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            let (mut counted, mut moved, mut blocked) = (Vec::new(), Vec::new(), None::<Blocked>);
            let names: Vec<&str> = ordered.iter().map(|(name, ..)| name.as_str()).collect();
            let locked = lock_all(changing.connection(), &names).await?;
            for ((_, place, subject, policy), stored) in ordered.iter().zip(locked) {
                match stored.reserve(policy, now) {
                    Ok(lockout) => counted.push((*place, *subject, stored, lockout)),
                    Err(block) => {
                        if block.lockout != stored {
                            moved.push((subject.to_string(), block.lockout));
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
                if moved.is_empty() {
                    return Ok(Err(blocked));
                }
                put_all(changing.connection(), &moved).await?;
                // Rows that were made to be locked would mean nothing, and nobody would delete them.
                for (_, subject, ..) in counted.iter().filter(|(.., stored, _)| *stored == Lockout::default()) {
                    forget(changing.connection(), subject).await?;
                }
                changing.commit().await?;
                return Ok(Err(blocked));
            }
            let now_stored: Vec<_> =
                counted.iter().map(|(_, subject, _, lockout)| (subject.to_string(), *lockout)).collect();
            put_all(changing.connection(), &now_stored).await?;
            changing.commit().await?;
            counted.sort_by_key(|(place, ..)| *place);
            let reserved = |(_, _, stored, lockout): (usize, &GuessSubject, Lockout, Lockout)| Reserved {
                lockout,
                place: lockout.place(stored),
            };
            Ok(Ok(counted.into_iter().map(reserved).collect()))
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

    async fn unlock(&self, subjects: &[GuessSubject], change: &Change) -> Result<bool> {
        // In the order in which everybody locks them.
        let mut ordered = subjects.to_vec();
        ordered.sort_by_key(ToString::to_string);
        within_deadline(self.pool.deadline(), TABLE, async {
            let mut changing = self.pool.change().await?;
            let mut forgot = false;
            for subject in &ordered {
                forgot |= forget(changing.connection(), subject).await?;
            }
            if !forgot {
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
        // The condition stands twice: on PostgreSQL, a guess that is counted meanwhile is seen by the outer one only.
        let statement = sqlx::query(
            "DELETE FROM guesses WHERE last_failure_at < $1 AND subject IN \
             (SELECT subject FROM guesses WHERE last_failure_at < $1 ORDER BY last_failure_at LIMIT $2)",
        )
        .bind(before.as_micros())
        .bind(i64::from(limit));
        within_deadline(self.pool.deadline(), TABLE, self.pool.write(statement)).await
    }
}

impl SqlGuesses {
    /// What is stored of one subject or two, in one statement: each is a way to the database's threads and back, and a guess
    /// is at an account and from a network.
    async fn find_pair(&self, pair: &[(GuessSubject, LockoutPolicy)]) -> Result<Vec<(Lockout, LockoutPolicy)>> {
        let (Some((first, _)), Some((last, _))) = (pair.first(), pair.last()) else { return Ok(Vec::new()) };
        let statement = sqlx::query_as(
            "SELECT subject, failures, last_failure_at, blocked_until FROM guesses WHERE subject = $1 OR subject = $2",
        )
        .bind(first.to_string())
        .bind(last.to_string());
        let rows: Vec<Row> =
            within_deadline(self.pool.deadline(), TABLE, statement.fetch_all(self.pool.reads())).await?;
        let policy = |row: &Row| pair.iter().find(|(subject, _)| subject.to_string() == row.subject);
        Ok(rows.iter().filter_map(|row| policy(row).map(|(_, policy)| (Lockout::from(row), *policy))).collect())
    }
}

/// As [`lock`], for several, in the order of their names: two at a time where there are two.
async fn lock_all(connection: &mut AnyConnection, names: &[&str]) -> sqlx::Result<Vec<Lockout>> {
    let mut locked = Vec::with_capacity(names.len());
    for pair in names.chunks(2) {
        let &[first, second] = pair else {
            for name in pair {
                locked.push(lock(connection, name).await?);
            }
            continue;
        };
        let rows: Vec<Row> = sqlx::query_as(
            "INSERT INTO guesses (subject, failures) VALUES ($1, 0), ($2, 0) \
             ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject \
             RETURNING subject, failures, last_failure_at, blocked_until",
        )
        .bind(first.to_owned())
        .bind(second.to_owned())
        .fetch_all(&mut *connection)
        .await?;
        // They come back in any order.
        let find = |name: &str| rows.iter().find(|row| row.subject == name).ok_or(sqlx::Error::RowNotFound);
        locked.extend([Lockout::from(find(first)?), Lockout::from(find(second)?)]);
    }
    Ok(locked)
}

async fn put_all(connection: &mut AnyConnection, all: &[(String, Lockout)]) -> sqlx::Result<()> {
    for pair in all.chunks(2) {
        let [(first, one), (second, other)] = pair else {
            for (name, lockout) in pair {
                put(connection, name, lockout).await?;
            }
            continue;
        };
        // Both rows are there, and locked.
        sqlx::query(
            "INSERT INTO guesses (subject, failures, last_failure_at, blocked_until) \
             VALUES ($1, $2, $3, $4), ($5, $6, $7, $8) ON CONFLICT (subject) DO UPDATE SET \
             failures = excluded.failures, last_failure_at = excluded.last_failure_at, \
             blocked_until = excluded.blocked_until",
        )
        .bind(first.clone())
        .bind(i64::from(one.failures))
        .bind(one.last_failure_at.map(Timestamp::as_micros))
        .bind(one.blocked_until.map(Timestamp::as_micros))
        .bind(second.clone())
        .bind(i64::from(other.failures))
        .bind(other.last_failure_at.map(Timestamp::as_micros))
        .bind(other.blocked_until.map(Timestamp::as_micros))
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Reads a row for changing it, and makes it when there is none: from here until the transaction ends it is ours.
async fn lock(connection: &mut AnyConnection, subject: &str) -> sqlx::Result<Lockout> {
    let row: Row = sqlx::query_as(
        "INSERT INTO guesses (subject, failures) VALUES ($1, 0) ON CONFLICT (subject) DO UPDATE SET subject = $1 \
         RETURNING subject, failures, last_failure_at, blocked_until",
    )
    .bind(subject.to_owned())
    .fetch_one(connection)
    .await?;
    Ok(Lockout::from(&row))
}

async fn put(connection: &mut AnyConnection, subject: &str, lockout: &Lockout) -> sqlx::Result<()> {
    sqlx::query("UPDATE guesses SET failures = $1, last_failure_at = $2, blocked_until = $3 WHERE subject = $4")
        .bind(i64::from(lockout.failures))
        .bind(lockout.last_failure_at.map(Timestamp::as_micros))
        .bind(lockout.blocked_until.map(Timestamp::as_micros))
        .bind(subject.to_owned())
        .execute(connection)
        .await?;
    Ok(())
}

/// Takes back guesses, in the transaction of what they proved.
pub(super) async fn forgive(connection: &mut AnyConnection, forgiven: &[Forgiveness]) -> sqlx::Result<()> {
    let mut ordered: Vec<_> = forgiven.iter().map(|one| (one.subject.to_string(), one)).collect();
    ordered.sort_by(|(a, _), (b, _)| a.cmp(b));
    for (text, Forgiveness { subject, extent }) in ordered {
        let Extent::One(policy, place) = extent else {
            forget(connection, subject).await?;
            continue;
        };
        let left = lock(connection, &text).await?.give_back(policy, *place);
        if left == Lockout::default() {
            forget(connection, subject).await?;
        } else {
            put(connection, &text, &left).await?;
        }
    }
    Ok(())
}

/// `false` when there is nothing to forget.
pub(super) async fn forget(connection: &mut AnyConnection, subject: &GuessSubject) -> sqlx::Result<bool> {
    let done =
        sqlx::query("DELETE FROM guesses WHERE subject = $1").bind(subject.to_string()).execute(connection).await?;
    Ok(done.rows_affected() == 1)
}
