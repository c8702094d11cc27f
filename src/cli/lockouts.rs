//! `lockouts`: who is kept waiting for too many guesses.

use serde_json::{Value, json};

use super::arguments::{Lockouts, OutputFormat};
use super::desk::Desk;
use super::failure::Failure;
use super::output::{print, table};
use crate::domain::audit::Initiator;
use crate::domain::clock::Timestamp;
use crate::domain::guess_subject::GuessSubject;
use crate::domain::lockout::Lockout;
use crate::domain::user::UserId;
use crate::identity::users::UserError;

/// More than anybody reads.
const MOST: u32 = 10_000;

pub fn run(desk: &Desk, command: Lockouts, format: OutputFormat) -> Result<(), Failure> {
    let lockouts = &desk.administration.lockouts;
    match command {
        Lockouts::List => {
            let all = desk.runtime.block_on(lockouts.list(MOST)).map_err(UserError::Store)?;
            let rows: Vec<Vec<String>> = all.iter().map(|(subject, lockout)| to_row(subject, lockout)).collect();
            let json = all.iter().map(|(subject, lockout)| to_json(subject, lockout)).collect();
            print(format, &table(&["SUBJECT", "FAILURES", "UNTIL"], &rows), &json);
        }
        Lockouts::Clear { subject } => {
            let parsed = GuessSubject::parse(&subject).ok_or_else(|| {
                Failure::Input(format!("`{subject}` is no subject; name it as `portcullis lockouts list` does"))
            })?;
            let cleared = desk.runtime.block_on(lockouts.clear(&parsed, &Initiator::operator()));
            let cleared = cleared.map_err(UserError::Store)?;
            let said = if cleared { "can go on at once" } else { "was not kept waiting" };
            print(format, &format!("{subject} {said}.\n"), &json!({ "cleared": cleared }));
        }
    }
    Ok(())
}

fn until(lockout: &Lockout) -> Option<String> {
    lockout.blocked_until.map(Timestamp::rfc3339)
}

fn to_row(subject: &GuessSubject, lockout: &Lockout) -> Vec<String> {
    vec![subject.to_string(), lockout.failures.to_string(), until(lockout).unwrap_or_default()]
}

fn to_json(subject: &GuessSubject, lockout: &Lockout) -> Value {
    json!({
        "subject": subject.to_string(),
        "user_id": subject.user().map(UserId::as_str),
        "failures": lockout.failures,
        "until": until(lockout),
    })
}
