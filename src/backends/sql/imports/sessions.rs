//! Sessions that end with what is taken over.

use super::{DEADLINE, SqlImporting, TABLE};
use crate::backends::sql::answer::within_deadline;
use crate::backends::sql::sessions;
use crate::domain::clock::Timestamp;
use crate::domain::invalidation::Invalidation;
use crate::domain::session::{Kept, Session, SessionEnd, SessionId};
use crate::domain::user::UserId;
use crate::storage::Result;
use crate::storage::sessions::EndAll;

/// Sessions that are over: written as such, or ended where they are known.
pub async fn end(importing: &mut SqlImporting, over: &[Session]) -> Result<u64> {
    let mut ended = 0;
    for session in over {
        if importing.run(sessions::insertion(session)).await? == 1 {
            ended += 1;
            continue;
        }
        let Some((at, why)) = session.ended else { continue };
        if importing.run(sessions::ending(&session.id, why, at)).await? == 1 {
            ended += 1;
            importing.tell(Invalidation::Session(session.id.clone()), session.last_used_at);
        }
    }
    Ok(ended)
}

/// As when it is done here. The log's lock comes at the end of all, though, so the sessions are told of one by one.
pub async fn end_all(importing: &mut SqlImporting, user: &UserId, why: SessionEnd, now: Timestamp) -> Result<()> {
    let tokens_valid_from = Kept::NOTHING.tokens_valid_from(now);
    let end = EndAll { user_id: user.clone(), why, at: now, keep: None, tokens_valid_from };
    let raise = sessions::raise_tokens_valid_from(importing.changing.connection(), &end);
    within_deadline(DEADLINE, TABLE, raise).await?;
    let statement = sqlx::query(
        "UPDATE sessions SET ended_at = $1, end_reason = $2 WHERE user_id = $3 AND ended_at IS NULL RETURNING id",
    );
    let ended = importing.ids(statement.bind(now.as_micros()).bind(why.as_str()).bind(user.as_str())).await?;
    for session in ended {
        importing.tell(Invalidation::Session(SessionId(session)), now);
    }
    Ok(())
}
