//! `keys/`, `keys/{id}/`: administration of API keys.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use serde_json::{Value, json};

use super::answer;
use super::body::{self, Unreadable};
use super::context::{RequestContext, Services};
use super::fields::Fields;
use super::fields::typed::sentence;
use super::object_id::ObjectId;
use super::paging::{self, Page};
use super::refusal::{refuse, refuse_saying, refuse_scopes, refuse_with};
use super::schema;
use crate::domain::api_key::{ApiKey, ApiKeyId, KeyChanges, KeyOwner, KeyQuery, KeyTerms, PresentedKey};
use crate::domain::audit::{Actor, Initiator};
use crate::domain::clock::Timestamp;
use crate::domain::denial::Denial;
use crate::domain::scope::{Scope, ScopeSet};
use crate::identity::api_keys::{Expiry, KeyError, NewKey};

/// Tells the cursors of this list.
const LIST: &str = "keys";
/// Scopes of one key.
const MOST: usize = 100;
const NAME: usize = 100;
const OWNER: usize = 200;
const REASON: usize = 200;
/// A hundred years.
const LONGEST: u64 = 3_155_760_000;
const DAY: u64 = 86_400;
const EITHER: &str = "Give either expires_in or expires_at.";

/// List keys
///
/// API keys without the keys themselves, the newest first, in pages.
#[utoipa::path(
    get, path = "keys/", operation_id = "list_api_keys", tag = "API keys",
    params(
        ("limit" = inline(Option<u32>), Query, minimum = 1, maximum = 200, description = "How many on a page; 50 if not said", example = 50),
        ("cursor" = inline(Option<String>), Query, description = "`next` of the page before"),
        ("owner" = inline(Option<String>), Query, max_length = 200, description = "Only those of this owner: `user:` and an id, or a service's name", example = "reports"),
        ("search" = inline(Option<String>), Query, max_length = 100, description = "A part of the name, or the beginning of the prefix", example = "export"),
        ("revoked" = inline(Option<bool>), Query, description = "With those that are revoked", example = true),
    ),
    responses((status = 200, description = "A page of keys", body = schema::api_keys::ApiKeyPage)),
)]
pub async fn list(State(services): State<Arc<Services>>, uri: Uri) -> Response<Body> {
    let mut fields = paging::query(&uri);
    let page = Page::read(&mut fields, LIST);
    let before = page.after.as_deref().and_then(|place| read_place(&mut fields, place));
    let query = KeyQuery {
        before,
        owner: owner(&mut fields),
        search: fields.line("search", NAME).filter(|text| !text.is_empty()),
        revoked: fields.flag("revoked").unwrap_or_default(),
        limit: page.ask(),
    };
    if let Err(faults) = fields.finish() {
        return refuse_with(Denial::InvalidFields, &faults);
    }
    match services.keys.page(&query).await {
        Ok(keys) => answer::secret_json(StatusCode::OK, &page.answer(LIST, &keys, to_json, place)),
        Err(error) => refused(error),
    }
}

/// Create key
///
/// Makes an API key, which may do no more than the caller may. The key itself is in this answer and nowhere else.
///
/// What is made by a key that expires, expires with it at the latest.
#[utoipa::path(
    post, path = "keys/", operation_id = "create_api_key", tag = "API keys",
    request_body = schema::api_keys::NewApiKey,
    responses((status = 201, description = "The key", body = schema::api_keys::MadeApiKey)),
)]
pub async fn create(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    let fields = match body::read_json(&headers, &bytes) {
        Ok(fields) => fields,
        Err(Unreadable(response)) => return *response,
    };
    let who = context.administrator(&headers);
    let new = match new_key(fields, &who.by) {
        Ok(new) => new,
        Err(faults) => return refuse_with(Denial::InvalidFields, &faults),
    };
    match services.keys.create(new, &who).await {
        Ok((key, secret)) => answer::secret_json(StatusCode::CREATED, &with_secret(&key, &secret)),
        Err(error) => refused(error),
    }
}

/// Show key
///
/// One API key, without the key itself.
#[utoipa::path(
    get, path = "keys/{id}/", operation_id = "show_api_key", tag = "API keys",
    params(("id" = String, Path, description = "The key's id", example = "5b3a1c9e-2d4f-4b6a-8c0d-1e2f3a4b5c6d")),
    responses(
        (status = 200, description = "The key", body = schema::api_keys::ApiKey),
        (status = 404, description = "There is no such key", body = schema::refusals::Refusal,
            example = json!({"detail": "Not found.", "code": "not_found"})),
    ),
)]
pub async fn show(State(services): State<Arc<Services>>, ObjectId(id): ObjectId) -> Response<Body> {
    answered(services.keys.show(&ApiKeyId(id)).await)
}

/// Change key
///
/// Changes what is sent, and nothing else. The key itself stays the same.
///
/// A key that expires puts off no end of a key to later than its own.
///
/// Nobody changes a key that may do more than they may, nor makes one of which that is true. A revoked key stays as it is.
#[utoipa::path(
    patch, path = "keys/{id}/", operation_id = "change_api_key", tag = "API keys",
    params(("id" = String, Path, description = "The key's id", example = "5b3a1c9e-2d4f-4b6a-8c0d-1e2f3a4b5c6d")),
    request_body = schema::api_keys::ApiKeyChange,
    responses(
        (status = 200, description = "The key as it is now", body = schema::api_keys::ApiKey),
        (status = 404, description = "There is no such key", body = schema::refusals::Refusal,
            example = json!({"detail": "Not found.", "code": "not_found"})),
    ),
)]
pub async fn change(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    ObjectId(id): ObjectId,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    let fields = match body::read_json(&headers, &bytes) {
        Ok(fields) => fields,
        Err(Unreadable(response)) => return *response,
    };
    match changes(fields, services.auditor.now()) {
        Ok(changes) => answered(services.keys.change(&ApiKeyId(id), changes, &context.administrator(&headers)).await),
        Err(faults) => refuse_with(Denial::InvalidFields, &faults),
    }
}

/// Rotate key
///
/// Makes a key in the place of another: for the same owner, with the same scopes, until the time at which the old one would
/// have expired. Both work until the overlap is over.
///
/// What is made by a key that expires, expires with it at the latest. A later time takes a change of the new key.
#[utoipa::path(
    post, path = "keys/{id}/rotate/", operation_id = "rotate_api_key", tag = "API keys",
    params(("id" = String, Path, description = "The key's id", example = "5b3a1c9e-2d4f-4b6a-8c0d-1e2f3a4b5c6d")),
    request_body = schema::api_keys::Rotation,
    responses(
        (status = 200, description = "The old key as it is now, and the new one", body = schema::api_keys::RotatedApiKey),
        (status = 404, description = "There is no such key", body = schema::refusals::Refusal,
            example = json!({"detail": "Not found.", "code": "not_found"})),
    ),
)]
pub async fn rotate(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    ObjectId(id): ObjectId,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    let mut fields = match body::read_json(&headers, &bytes) {
        Ok(fields) => fields,
        Err(Unreadable(response)) => return *response,
    };
    let overlap = Duration::from_secs(fields.number("overlap", 0..=30 * DAY).unwrap_or(DAY));
    if let Err(faults) = fields.finish() {
        return refuse_with(Denial::InvalidFields, &faults);
    }
    match services.keys.rotate(&ApiKeyId(id), overlap, &context.administrator(&headers)).await {
        Ok(rotated) => {
            let body = json!({ "old": to_json(&rotated.old), "new": with_secret(&rotated.new, &rotated.secret) });
            answer::secret_json(StatusCode::OK, &body)
        }
        Err(error) => refused(error),
    }
}

/// Revoke key
///
/// Revokes an API key, at once and for good. Of a key that was revoked before, the first reason is kept.
#[utoipa::path(
    post, path = "keys/{id}/revoke/", operation_id = "revoke_api_key", tag = "API keys",
    params(("id" = String, Path, description = "The key's id", example = "5b3a1c9e-2d4f-4b6a-8c0d-1e2f3a4b5c6d")),
    request_body = schema::api_keys::Revocation,
    responses(
        (status = 200, description = "The key as it is now", body = schema::api_keys::ApiKey),
        (status = 404, description = "There is no such key", body = schema::refusals::Refusal,
            example = json!({"detail": "Not found.", "code": "not_found"})),
    ),
)]
pub async fn revoke(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    ObjectId(id): ObjectId,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response<Body> {
    let mut fields = match body::read_json(&headers, &bytes) {
        Ok(fields) => fields,
        Err(Unreadable(response)) => return *response,
    };
    let reason = fields.line("reason", REASON).filter(|reason| !reason.is_empty());
    if let Err(faults) = fields.finish() {
        return refuse_with(Denial::InvalidFields, &faults);
    }
    let reason = reason.unwrap_or_else(|| "revoked".to_owned());
    answered(services.keys.revoke(&ApiKeyId(id), &reason, &context.administrator(&headers)).await)
}

fn new_key(mut fields: Fields, by: &Initiator) -> Result<NewKey, Value> {
    fields.require("name");
    let name = fields.filled_line("name", NAME);
    let owner = owner(&mut fields);
    let scopes = scopes(&mut fields);
    let expiry = expiry(&mut fields);
    fields.finish()?;
    let Some(name) = name else { return Err(json!({ "name": ["This field is required."] })) };
    let caller = || match &by.actor {
        Actor::User(id) => Some(KeyOwner::User(id.clone())),
        Actor::Service(name) => Some(KeyOwner::Service(name.clone())),
        Actor::Anonymous | Actor::Operator | Actor::Gateway => None,
    };
    let Some(owner) = owner.or_else(caller) else { return Err(json!({ "owner": ["This field is required."] })) };
    Ok(NewKey { name, owner, scopes: scopes.unwrap_or_default(), expiry, terms: KeyTerms::default() })
}

/// Once, or never; `null` is as if it were not there.
fn expiry(fields: &mut Fields) -> Expiry {
    let lifetime = if fields.is_given("expires_in") { fields.number("expires_in", 1..=LONGEST) } else { None };
    let time = if fields.is_given("expires_at") { fields.time("expires_at") } else { None };
    match (lifetime, time) {
        (None, None) => Expiry::Never,
        (Some(secs), None) => Expiry::In(Duration::from_secs(secs)),
        (None, Some(time)) => Expiry::At(time),
        (Some(_), Some(_)) => {
            fields.fault("expires_at", EITHER);
            Expiry::Never
        }
    }
}

fn changes(mut fields: Fields, now: Timestamp) -> Result<KeyChanges, Value> {
    let never = fields.is_null("expires_at");
    let changes = KeyChanges {
        name: fields.filled_line("name", NAME),
        scopes: scopes(&mut fields),
        expires_at: match expiry(&mut fields) {
            Expiry::Never => never.then_some(None),
            expiry => Some(expiry.from_now(now)),
        },
        ..KeyChanges::default()
    };
    if never && changes.expires_at.is_some_and(|at| at.is_some()) {
        fields.fault("expires_at", EITHER);
    }
    fields.finish()?;
    Ok(changes)
}

fn scopes(fields: &mut Fields) -> Option<ScopeSet> {
    fields.list("scopes", MOST, Scope::parse).map(ScopeSet::from_iter)
}

fn owner(fields: &mut Fields) -> Option<KeyOwner> {
    let text = fields.filled_line("owner", OWNER)?;
    KeyOwner::parse(&text).inspect_err(|fault| fields.fault("owner", &sentence(&fault.to_string()))).ok()
}

/// The place of a key in the list: its time in microseconds, and its id.
fn place(key: &ApiKey) -> String {
    format!("{}:{}", key.created_at.as_micros(), key.id)
}

fn read_place(fields: &mut Fields, place: &str) -> Option<(Timestamp, ApiKeyId)> {
    let read = place
        .split_once(':')
        .and_then(|(micros, id)| Some((Timestamp::from_micros(micros.parse().ok()?), ApiKeyId(id.to_owned()))));
    if read.is_none() {
        fields.fault("cursor", "Invalid cursor.");
    }
    read
}

/// Without the digest: it would be of no use to anybody, and nothing that need not be shown is.
fn to_json(key: &ApiKey) -> Value {
    json!({
        "id": key.id.as_str(),
        "prefix": key.prefix,
        "name": key.name,
        "owner": key.owner.to_string(),
        "scopes": key.scopes.iter().map(Scope::as_str).collect::<Vec<_>>(),
        "created_at": key.created_at.rfc3339(),
        "expires_at": key.expires_at.map(|at| at.rfc3339()),
        "revoked_at": key.revoked.as_ref().map(|(at, _)| at.rfc3339()),
        "revoked_reason": key.revoked.as_ref().map(|(_, reason)| reason),
        "replaced_by": key.replaced.as_ref().map(|replaced| replaced.by.as_str()),
    })
}

fn with_secret(key: &ApiKey, secret: &PresentedKey) -> Value {
    let mut body = to_json(key);
    if let Some(map) = body.as_object_mut() {
        map.insert("key".to_owned(), json!(secret.expose()));
    }
    body
}

fn answered(done: Result<ApiKey, KeyError>) -> Response<Body> {
    match done {
        Ok(key) => answer::secret_json(StatusCode::OK, &to_json(&key)),
        Err(error) => refused(error),
    }
}

fn refused(error: KeyError) -> Response<Body> {
    let invalid = |field: &str, fault: &str| refuse_with(Denial::InvalidFields, &json!({ field: [fault] }));
    match error {
        KeyError::Name => invalid("name", &sentence(&error.to_string())),
        KeyError::Expiry => invalid("expires_at", "A key expires in the future, or never."),
        KeyError::UnknownOwner(_) => invalid("owner", "There is no such user."),
        KeyError::Unknown(_) => refuse(Denial::ObjectNotFound),
        KeyError::AlreadyRevoked(_) | KeyError::NotRotatable(_) => {
            refuse_saying(Denial::InvalidFields, &sentence(&error.to_string()))
        }
        KeyError::Beyond(beyond) => refuse_scopes(&beyond.asked),
        KeyError::Exhausted => refuse(Denial::Internal),
        KeyError::Store(_) => refuse(Denial::Unavailable),
    }
}
