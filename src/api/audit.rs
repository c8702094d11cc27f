//! `audit/`: what was done, by whom, to whom.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde_json::{Value, json};

use super::answer;
use super::context::Services;
use super::fields::Fields;
use super::paging::{self, Page};
use super::refusal::{Answer, invalid};
use super::schema;
use crate::domain::audit::{Actor, AuditAction, AuditEvent, AuditId, AuditQuery};
use crate::domain::denial::Denial;
use crate::domain::user::UserId;
use crate::identity::audit_view::AuditView;

/// Tells the cursors of this list.
const LIST: &str = "audit";
/// Longest id or name that is asked for, in characters.
const NAME: usize = 300;

/// List audit
///
/// What was done to identities and keys, and which proofs failed; the newest first, in pages.
#[utoipa::path(
    get, path = "audit/", operation_id = "list_audit", tag = "Audit",
    params(
        ("limit" = inline(Option<u32>), Query, minimum = 1, maximum = 200, description = "How many on a page; 50 if not said", example = 50),
        ("cursor" = inline(Option<String>), Query, description = "`next` of the page before"),
        ("user" = inline(Option<String>), Query, max_length = 300, description = "The id of a user who acted or is concerned", example = "0197c1a2-6f5e-7d3c-9b1a-2f4e6d8c0a1b"),
        ("actor" = inline(Option<String>), Query, max_length = 300, description = "Who acted: `user:` and an id, `service:` and a name, `anonymous`, `operator`, or `gateway`", example = "operator"),
        ("action" = inline(Option<String>), Query, max_length = 300, description = "What was done, in the words of the answer", example = "sign_in"),
        ("outcome" = inline(Option<schema::audit::AuditOutcome>), Query, description = "Only what was done, or what was refused"),
        ("object" = inline(Option<String>), Query, max_length = 300, description = "What is concerned beside a user: `key:` or `session:` and an id", example = "key:5b3a1c9e-2d4f-4b6a-8c0d-1e2f3a4b5c6d"),
        ("request_id" = inline(Option<String>), Query, max_length = 300, description = "The request that it came of", example = "0197c1a26f5e7d3c9b1a"),
        ("since" = inline(Option<String>), Query, format = DateTime, description = "Not before this time", example = "2026-01-31T12:00:00Z"),
        ("until" = inline(Option<String>), Query, format = DateTime, description = "Before this time", example = "2030-01-31T12:00:00Z"),
    ),
    responses((status = 200, description = "A page of the audit", body = schema::audit::AuditPage)),
)]
pub async fn list(State(services): State<Arc<Services>>, uri: Uri) -> Answer {
    let mut fields = paging::query(&uri);
    let page = Page::read(&mut fields, LIST);
    let query = AuditQuery {
        before: page.after.clone().map(AuditId),
        user: fields.filled_line("user", NAME).map(UserId),
        actor: choice(&mut fields, "actor", Actor::parse),
        action: choice(&mut fields, "action", AuditAction::parse),
        done: choice(&mut fields, "outcome", outcome),
        object: fields.filled_line("object", NAME),
        request_id: fields.filled_line("request_id", NAME),
        since: fields.time("since"),
        until: fields.time("until"),
        limit: page.ask(),
    };
    fields.finish().map_err(invalid)?;
    let events = services.auditor.list(&query).await.map_err(|_| Denial::Unavailable)?;
    Ok(answer::secret_json(StatusCode::OK, &page.answer(LIST, &events, to_json, |event| event.id.0.clone())))
}

/// One of the values that there are.
fn choice<T>(fields: &mut Fields, name: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
    let text = fields.filled_line(name, NAME)?;
    let chosen = read(&text);
    if chosen.is_none() {
        fields.fault(name, &format!("\"{text}\" is not a valid choice."));
    }
    chosen
}

fn outcome(text: &str) -> Option<bool> {
    match text {
        "done" => Some(true),
        "refused" => Some(false),
        _ => None,
    }
}

fn to_json(event: &AuditEvent) -> Value {
    json!(AuditView::from(event))
}
