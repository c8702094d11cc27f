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
use crate::domain::api_key::{ApiKey, ApiKeyId, IdleDays, KeyChanges, KeyOwner, KeyQuery, KeyTerms, PresentedKey};
use crate::domain::audit::{Actor, Initiator};
use crate::domain::clock::Timestamp;
use crate::domain::denial::Denial;
use crate::domain::key_reach::{KeyReach, MOST_METHODS, MOST_ROUTES, MethodName, MethodNames, RouteName, RouteNames};
use crate::domain::labels::{Label, Labels};
use crate::domain::network_set::{MOST_NETWORKS, NetworkSet, parse_network};
use crate::domain::rate::{Quota, Rate};
use crate::domain::scope::{Scope, ScopeSet};
use crate::identity::api_keys::{Expiry, KeyError, NewKey};
use crate::identity::key_view::KeyView;

/// Tells the cursors of this list.
const LIST: &str = "keys";
/// Scopes of one key.
const MOST: usize = 100;
const NAME: usize = 100;
const OWNER: usize = 200;
const REASON: usize = 200;
/// The text of a rate, a quota, and of a label's name and value in one.
const LIMIT: usize = 60;
const LABEL: usize = 200;
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
        ("label" = inline(Option<String>), Query, max_length = 200, description = "Only those with this label: its name, `=`, and its value", example = "team=payments"),
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
        label: label(&mut fields),
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
/// A key that expires puts off no end of a key to later than its own, and one that is limited lets no key go where it may not. A
/// change that gives a key more in anything takes a key that holds as much in everything, and no rate or quota of its own.
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
    let limits = limits(&mut fields);
    let terms = KeyTerms {
        reach: KeyReach {
            networks: limits.networks.unwrap_or_default(),
            routes: limits.routes.unwrap_or_default(),
            methods: limits.methods.unwrap_or_default(),
        },
        idle: limits.idle.flatten(),
        rate: limits.rate.flatten(),
        quota: limits.quota.flatten(),
        labels: limits.labels.unwrap_or_default(),
    };
    fields.finish()?;
    let Some(name) = name else { return Err(json!({ "name": ["This field is required."] })) };
    let caller = || match &by.actor {
        Actor::User(id) => Some(KeyOwner::User(id.clone())),
        Actor::Service(name) => Some(KeyOwner::Service(name.clone())),
        Actor::Anonymous | Actor::Operator | Actor::Gateway => None,
    };
    let Some(owner) = owner.or_else(caller) else { return Err(json!({ "owner": ["This field is required."] })) };
    Ok(NewKey { name, owner, scopes: scopes.unwrap_or_default(), expiry, terms })
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
        ..limits(&mut fields)
    };
    if never && changes.expires_at.is_some_and(|at| at.is_some()) {
        fields.fault("expires_at", EITHER);
    }
    fields.finish()?;
    Ok(changes)
}

/// What is said of limits and labels, and nothing else of a change.
fn limits(fields: &mut Fields) -> KeyChanges {
    KeyChanges {
        networks: fields.list("networks", MOST_NETWORKS, parse_network).map(NetworkSet::from_iter),
        routes: fields.list("routes", MOST_ROUTES, RouteName::parse).map(RouteNames::from_iter),
        methods: fields.list("methods", MOST_METHODS, MethodName::parse).map(MethodNames::from_iter),
        idle: or_null(fields, "idle_days", |fields| {
            fields.number("idle_days", 1..=u64::from(IdleDays::MOST)).and_then(IdleDays::new)
        }),
        rate: or_null(fields, "rate", |fields| parsed(fields, "rate", LIMIT, Rate::parse)),
        quota: or_null(fields, "quota", |fields| parsed(fields, "quota", LIMIT, Quota::parse)),
        labels: labels(fields),
        ..KeyChanges::default()
    }
}

/// `null` lifts a limit.
fn or_null<T>(fields: &mut Fields, name: &str, read: impl FnOnce(&mut Fields) -> Option<T>) -> Option<Option<T>> {
    if fields.is_null(name) { Some(None) } else { read(fields).map(Some) }
}

fn parsed<T, E: std::fmt::Display>(
    fields: &mut Fields,
    name: &str,
    most: usize,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Option<T> {
    let text = fields.filled_line(name, most)?;
    parse(&text).inspect_err(|fault| fields.fault(name, &sentence(&fault.to_string()))).ok()
}

fn labels(fields: &mut Fields) -> Option<Labels> {
    let pairs = fields.pairs("labels")?;
    let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    Labels::new(pairs).inspect_err(|fault| fields.fault("labels", &sentence(&fault.to_string()))).ok()
}

fn label(fields: &mut Fields) -> Option<Label> {
    parsed(fields, "label", LABEL, Label::parse)
}

fn scopes(fields: &mut Fields) -> Option<ScopeSet> {
    fields.list("scopes", MOST, Scope::parse).map(ScopeSet::from_iter)
}

fn owner(fields: &mut Fields) -> Option<KeyOwner> {
    parsed(fields, "owner", OWNER, KeyOwner::parse)
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
        KeyError::Counted => refuse_saying(Denial::ScopeMissing, &sentence(&error.to_string())),
        KeyError::Beyond(beyond) => refuse_scopes(&beyond.asked),
        KeyError::Exhausted => refuse(Denial::Internal),
        KeyError::Store(_) => refuse(Denial::Unavailable),
    }
}
