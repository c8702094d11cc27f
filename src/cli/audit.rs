//! `audit`: what was done, by whom, to whom.

use serde_json::{Value, json};

use super::arguments::{Audit, AuditFilter, OutputFormat};
use super::desk::Desk;
use super::failure::Failure;
use super::output::{print, table};
use crate::domain::audit::{Actor, AuditAction, AuditEvent, AuditQuery};
use crate::domain::user::UserId;
use crate::identity::audit_view::AuditView;
use crate::identity::users::UserError;

pub fn run(desk: &Desk, command: Audit, format: OutputFormat) -> Result<(), Failure> {
    let Audit::List(filter) = command;
    let query = query(desk, filter)?;
    let events = desk.runtime.block_on(desk.administration.auditor.list(&query)).map_err(UserError::Store)?;
    let rows: Vec<Vec<String>> = events.iter().map(to_row).collect();
    let text = table(&["TIME", "ACTION", "OUTCOME", "ACTOR", "USER", "OBJECT", "FROM", "DETAIL"], &rows);
    print(format, &text, &events.iter().map(to_json).collect());
    Ok(())
}

fn query(desk: &Desk, filter: AuditFilter) -> Result<AuditQuery, Failure> {
    let now = desk.administration.clock.now();
    Ok(AuditQuery {
        before: None,
        user: filter.user.map(|user| read_user(desk, user)).transpose()?,
        actor: filter.actor.map(|text| choice(&text, "actor", Actor::parse)).transpose()?,
        action: filter.action.map(|text| choice(&text, "action", AuditAction::parse)).transpose()?,
        done: (filter.done || filter.refused).then_some(filter.done),
        object: filter.object,
        request_id: filter.request,
        since: filter.since.map(|moment| moment.before(now)),
        until: filter.until.map(|moment| moment.before(now)),
        limit: filter.limit,
    })
}

/// Who is gone has an id still, and nothing else. One of whom nothing is told either never was: it is misspelt.
fn read_user(desk: &Desk, name_or_id: String) -> Result<UserId, Failure> {
    let unknown = match desk.runtime.block_on(desk.administration.users.find(&name_or_id)) {
        Ok(user) => return Ok(user.id),
        Err(error @ UserError::Unknown(_)) => error,
        Err(error) => return Err(error.into()),
    };
    let id = UserId(name_or_id);
    let any = AuditQuery { user: Some(id.clone()), limit: 1, ..AuditQuery::default() };
    let told = desk.runtime.block_on(desk.administration.auditor.list(&any)).map_err(UserError::Store)?;
    if told.is_empty() { Err(unknown.into()) } else { Ok(id) }
}

fn choice<T>(text: &str, what: &str, read: impl Fn(&str) -> Option<T>) -> Result<T, Failure> {
    read(text).ok_or_else(|| Failure::Input(format!("there is no {what} `{text}` in an audit")))
}

fn to_row(event: &AuditEvent) -> Vec<String> {
    let AuditView { outcome, reason, .. } = AuditView::from(event);
    vec![
        event.at.rfc3339(),
        event.action.as_str().to_owned(),
        reason.map_or_else(|| outcome.to_owned(), |reason| format!("{outcome}: {reason}")),
        event.initiator.actor.as_text(),
        event.user.as_ref().map(ToString::to_string).unwrap_or_default(),
        event.object.clone(),
        event.initiator.address.clone(),
        event.detail.clone(),
    ]
}

fn to_json(event: &AuditEvent) -> Value {
    json!(AuditView::from(event))
}
