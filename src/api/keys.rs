//! `keys/`, `keys/{id}/`: administration of API keys.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Response, StatusCode, Uri};
use serde_json::{Value, json};

use super::answer;
use super::body;
use super::context::{RequestContext, Services};
use super::fields::Fields;
use super::fields::typed::sentence;
use super::key_fields::{NAME, changes, label, new_key, owner};
use super::object_id::ObjectId;
use super::paging::{self, Page};
use super::refusal::{Answer, Refusal, invalid, refuse_saying, refuse_scopes};
use super::schema;
use crate::domain::api_key::{ApiKey, ApiKeyId, KeyQuery};
use crate::domain::clock::Timestamp;
use crate::domain::denial::Denial;
use crate::domain::presented_key::PresentedKey;
use crate::identity::api_keys::KeyError;
use crate::identity::key_view::KeyView;

/// Tells the cursors of this list.
const LIST: &str = "keys";
const REASON: usize = 200;
const DAY: u64 = 86_400;

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
        ("label" = inline(Option<String>), Query, max_length = 200, description = "Only those with this label: its name, `=`, and its value", example = "team=payments"),
        ("revoked" = inline(Option<bool>), Query, description = "With those that are revoked", example = true),
    ),
    responses((status = 200, description = "A page of keys", body = schema::api_keys::ApiKeyPage)),
)]
pub async fn list(State(services): State<Arc<Services>>, uri: Uri) -> Answer {
    let mut fields = paging::query(&uri);
    let page = Page::read(&mut fields, LIST);
    let before = page.after.as_deref().and_then(|place| read_place(&mut fields, place));
    let query = KeyQuery {
        before,
        owner: owner(&mut fields),
        search: fields.line("search", NAME).filter(|text| !text.is_empty()),
        label: label(&mut fields),
        revoked: fields.flag("revoked").unwrap_or_default(),
        limit: page.ask(),
    };
    fields.finish().map_err(invalid)?;
    let keys = services.keys.page(&query).await?;
    Ok(answer::secret_json(StatusCode::OK, &page.answer(LIST, &keys, to_json, place)))
}

/// Create key
///
/// Makes an API key, which may do no more than the caller may. The key itself is in this answer and nowhere else.
///
/// Where the key may be used is limited by networks, by names of routes, and by methods; how much, by a rate and a quota. A list
/// that is empty or missing limits nothing. A request that does not fit is answered like one with a key that does not exist.
///
/// What is made by a key that expires, expires with it at the latest; and where that key is limited in where it may be used or
/// how long it may lie idle, so is what it makes. A key that has a rate or a quota makes no keys: two are twice as much.
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
) -> Answer {
    let fields = body::read_json(&headers, &bytes)?;
    let who = context.administrator(&headers);
    let new = new_key(fields, &who.by).map_err(invalid)?;
    let (key, secret) = services.keys.create(new, &who).await?;
    Ok(answer::secret_json(StatusCode::CREATED, &with_secret(&key, &secret)))
}

/// Show key
///
/// One API key, without the key itself.
#[utoipa::path(
    get, path = "keys/{id}/", operation_id = "show_api_key", tag = "API keys",
    params(schema::paths::KeyPath),
    responses(
        (status = 200, description = "The key", body = schema::api_keys::ApiKey),
        schema::paths::NoSuchKey,
    ),
)]
pub async fn show(State(services): State<Arc<Services>>, ObjectId(id): ObjectId) -> Answer {
    Ok(shown(&services.keys.show(&ApiKeyId(id)).await?))
}

/// Change key
///
/// Changes what is sent, and nothing else. The key itself stays the same.
///
/// A key that expires puts off no end of a key to later than its own, and one that is limited lets no key go where it may not. A
/// change that gives a key more in anything takes a key that holds as much in everything, and no rate or quota of its own.
///
/// Nobody changes a key that may do more than they may, nor makes one of which that is true. A revoked key stays as it is.
#[utoipa::path(
    patch, path = "keys/{id}/", operation_id = "change_api_key", tag = "API keys",
    params(schema::paths::KeyPath),
    request_body = schema::api_keys::ApiKeyChange,
    responses(
        (status = 200, description = "The key as it is now", body = schema::api_keys::ApiKey),
        schema::paths::NoSuchKey,
    ),
)]
pub async fn change(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    ObjectId(id): ObjectId,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let fields = body::read_json(&headers, &bytes)?;
    let changes = changes(fields, services.auditor.now()).map_err(invalid)?;
    Ok(shown(&services.keys.change(&ApiKeyId(id), changes, &context.administrator(&headers)).await?))
}

/// Rotate key
///
/// Makes a key in the place of another: for the same owner, with the same scopes, limits and labels, until the time at which the
/// old one would have expired. Both work until the overlap is over. Whether the old one is still used is told by its
/// `last_used_at` and `uses_since_replaced`, which are a few seconds behind.
///
/// To replace a key of another user takes the scope `users:write`, as making one does. A key that has a rate or a quota replaces
/// none.
///
/// What is made by a key that expires, expires with it at the latest. A later time takes a change of the new key.
#[utoipa::path(
    post, path = "keys/{id}/rotate/", operation_id = "rotate_api_key", tag = "API keys",
    params(schema::paths::KeyPath),
    request_body = schema::api_keys::Rotation,
    responses(
        (status = 200, description = "The old key as it is now, and the new one", body = schema::api_keys::RotatedApiKey),
        schema::paths::NoSuchKey,
    ),
)]
pub async fn rotate(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    ObjectId(id): ObjectId,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let mut fields = body::read_json(&headers, &bytes)?;
    let overlap = Duration::from_secs(fields.number("overlap", 0..=30 * DAY).unwrap_or(DAY));
    fields.finish().map_err(invalid)?;
    let rotated = services.keys.rotate(&ApiKeyId(id), overlap, &context.administrator(&headers)).await?;
    let body = json!({ "old": to_json(&rotated.old), "new": with_secret(&rotated.new, &rotated.secret) });
    Ok(answer::secret_json(StatusCode::OK, &body))
}

/// Revoke key
///
/// Revokes an API key, at once and for good. Of a key that was revoked before, the first reason is kept.
#[utoipa::path(
    post, path = "keys/{id}/revoke/", operation_id = "revoke_api_key", tag = "API keys",
    params(schema::paths::KeyPath),
    request_body = schema::api_keys::Revocation,
    responses(
        (status = 200, description = "The key as it is now", body = schema::api_keys::ApiKey),
        schema::paths::NoSuchKey,
    ),
)]
pub async fn revoke(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    ObjectId(id): ObjectId,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let mut fields = body::read_json(&headers, &bytes)?;
    let reason = fields.line("reason", REASON).filter(|reason| !reason.is_empty());
    fields.finish().map_err(invalid)?;
    let reason = reason.unwrap_or_else(|| "revoked".to_owned());
    Ok(shown(&services.keys.revoke(&ApiKeyId(id), &reason, &context.administrator(&headers)).await?))
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

fn to_json(key: &ApiKey) -> Value {
    json!(KeyView::from(key))
}

fn with_secret(key: &ApiKey, secret: &PresentedKey) -> Value {
    let mut body = to_json(key);
    if let Some(map) = body.as_object_mut() {
        map.insert("key".to_owned(), json!(secret.expose()));
    }
    body
}

fn shown(key: &ApiKey) -> Response<Body> {
    answer::secret_json(StatusCode::OK, &to_json(key))
}

impl From<KeyError> for Refusal {
    fn from(error: KeyError) -> Self {
        let faulty = |field: &str, fault: &str| invalid(json!({ field: [fault] }));
        match error {
            KeyError::Name => faulty("name", &sentence(&error.to_string())),
            KeyError::Expiry => faulty("expires_at", "A key expires in the future, or never."),
            KeyError::UnknownOwner(_) => faulty("owner", "There is no such user."),
            KeyError::Unknown(_) => Denial::ObjectNotFound.into(),
            KeyError::AlreadyRevoked(_) | KeyError::NotRotatable(_) => {
                refuse_saying(Denial::InvalidFields, &sentence(&error.to_string())).into()
            }
            KeyError::Counted => refuse_saying(Denial::ScopeMissing, &sentence(&error.to_string())).into(),
            KeyError::Beyond(beyond) => refuse_scopes(&beyond.asked).into(),
            KeyError::Exhausted => Denial::Internal.into(),
            KeyError::Store(_) => Denial::Unavailable.into(),
        }
    }
}
