//! Refresh tokens that were blacklisted. All others live on by their signature, whether they are listed there or not.
//!
//! A token from there is found dead by a session that is over and bears its id, as one that was ended here is.

use super::super::sessions::adopted_id;
use super::ImportError;
use super::merging::digest_of;
use super::run::{Run, id_in, user_reference};
use crate::domain::clock::Timestamp;
use crate::domain::foreign_row::ForeignRow;
use crate::domain::session::{Session, SessionEnd};
use crate::storage::imports::ImportKind;
use crate::storage::installation::Installation;

const BLACKLISTED: &str = "token_blacklist_blacklistedtoken";
const OUTSTANDING: &str = "token_blacklist_outstandingtoken";

pub async fn take_over(run: &mut Run<'_>, source: &dyn Installation) -> Result<(), ImportError> {
    let blacklisted = take_blacklisted(run, source).await?;
    let found = take_outstanding(run, source).await?;
    run.importing.forget(ImportKind::BlacklistedToken).await?;
    if let Some(lost) = blacklisted.checked_sub(found).filter(|lost| *lost > 0) {
        run.report.remark(format!(
            "{lost} rows of {BLACKLISTED} name no row of {OUTSTANDING}: which tokens they are of is lost"
        ));
    }
    Ok(())
}

/// By the outstanding row they refer to, until that is read; how many there are.
async fn take_blacklisted(run: &mut Run<'_>, source: &dyn Installation) -> Result<u64, ImportError> {
    // The one that is unique and matters; the row's own id means nothing to anybody.
    let columns = ["token_id", "blacklisted_at"];
    let Some(mut rows) = run.open(source, BLACKLISTED, &columns).await? else { return Ok(0) };
    run.report.tally(BLACKLISTED);
    let mut count = 0;
    let kind = ImportKind::BlacklistedToken;
    while let Some(page) = run.next(&mut rows, BLACKLISTED, kind, |row| id_in(row, "token_id")).await? {
        let mut remembered = Vec::new();
        for (token, row) in page.rows {
            let at = run.past(BLACKLISTED, &token, &row, "blacklisted_at").unwrap_or(run.now);
            remembered.push(run.remembered(&token, &at.as_micros().to_string(), digest_of(&[])));
            count += 1;
        }
        run.importing.remember(kind, &remembered).await?;
    }
    Ok(count)
}

/// How many of them are blacklisted.
async fn take_outstanding(run: &mut Run<'_>, source: &dyn Installation) -> Result<u64, ImportError> {
    let columns = ["id", "user_id", "jti", "created_at", "expires_at"];
    let Some(mut rows) = run.open(source, OUTSTANDING, &columns).await? else { return Ok(0) };
    run.report.tally(OUTSTANDING);
    let (mut found, mut live) = (0, 0_u64);
    while let Some(page) = run.next(&mut rows, OUTSTANDING, ImportKind::EndedToken, |row| id_in(row, "id")).await? {
        let ids: Vec<String> = page.rows.iter().map(|(id, _)| id.clone()).collect();
        let blacklisted = run.importing.known(ImportKind::BlacklistedToken, &ids).await?;
        let references = page.rows.iter().filter_map(|(_, row)| user_reference(row).ok()).collect();
        let users = run.users(references).await?;
        let mut sessions = Vec::new();
        for (id, row) in page.rows {
            let Some(ended) = blacklisted.get(&id) else {
                let over = row.time("expires_at").is_ok_and(|at| at.is_some_and(|at| at <= run.now));
                live += u64::from(!over);
                run.report.tally(OUTSTANDING).unchanged += 1;
                continue;
            };
            found += 1;
            let Some(user) = user_reference(&row).ok().and_then(|reference| users.get(&reference)) else {
                run.report.left(OUTSTANDING, &id, "its user is not here, so that it is refused in any case");
                continue;
            };
            match session(run, &id, &row, &ended.target) {
                Ok(Some(session)) => sessions.push(Session { user_id: user.clone(), ..session }),
                Ok(None) => run.report.tally(OUTSTANDING).unchanged += 1,
                Err(why) => run.report.left(OUTSTANDING, &id, why),
            }
        }
        let ended = run.importing.end_sessions(&sessions).await?;
        let all = u64::try_from(sessions.len()).unwrap_or(u64::MAX);
        let tally = run.report.tally(OUTSTANDING);
        tally.added += ended;
        tally.unchanged += all.saturating_sub(ended);
    }
    if live > 0 {
        run.report.remark(format!(
            "{live} outstanding refresh tokens live on until they expire, as do those that are not listed"
        ));
    }
    Ok(found)
}

/// `None` for a token that has expired: it is refused in any case.
fn session(run: &mut Run<'_>, id: &str, row: &ForeignRow, ended_at: &str) -> Result<Option<Session>, String> {
    let jti = id_in(row, "jti")?;
    let expires_at = match row.time("expires_at") {
        Ok(Some(at)) if at <= run.now => return Ok(None),
        Ok(Some(at)) => at,
        _ => {
            run.report.noted(OUTSTANDING, id, "expires_at is no time: the token stays dead for good");
            Timestamp::from_secs(253_402_300_799)
        }
    };
    let ended_at = ended_at.parse().map_or(run.now, Timestamp::from_micros);
    let created_at = run.past(OUTSTANDING, id, row, "created_at").unwrap_or(run.now);
    Ok(Some(Session {
        id: adopted_id(&jti),
        user_id: crate::domain::user::UserId(String::new()),
        counter: 0,
        rotated_at: created_at,
        created_at,
        last_used_at: run.now,
        expires_at,
        ended: Some((ended_at, SessionEnd::Logout)),
        amr: Vec::new(),
        client_address: String::new(),
        user_agent: String::new(),
    }))
}
