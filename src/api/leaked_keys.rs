//! `keys/leaked/`: whoever has found a key can end it, without being anybody here.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::answer;
use super::body;
use super::context::{RequestContext, Services};
use super::fields::Fields;
use super::refusal::{Answer, invalid};
use super::schema;
use crate::access::miss_budget::Reserved;
use crate::domain::audit::Initiator;
use crate::domain::denial::Denial;
use crate::domain::presented_key::PresentedKey;
use crate::domain::secret::Secret;
use crate::identity::api_keys::KeyError;

/// Keys in one report.
const MOST: usize = 10;
/// Far longer than any key.
const LONGEST: usize = 200;

/// Report leaked keys
///
/// Revokes each API key that is shown whole, at once and for good, and tells its owner by mail. Nothing else is needed: whoever
/// holds a key could do more than end it, and whoever has found one should not have to look for somebody who may.
///
/// What became of each key is told: whoever holds a whole key may know that it was one, and is none any more. Unknown keys
/// spend the same budget as requests with unknown keys; when that is spent, nothing is looked at.
#[utoipa::path(
    post, path = "keys/leaked/", operation_id = "report_leaked_keys", tag = "API keys",
    request_body = schema::api_keys::FoundKeys,
    responses((status = 200, description = "What became of each", body = schema::api_keys::FoundKeysAnswer)),
)]
pub async fn report(
    State(services): State<Arc<Services>>,
    Extension(context): Extension<RequestContext>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Answer {
    let shown = found_keys(body::read_json(&headers, &bytes)?).map_err(invalid)?;
    // What is no key is never looked up.
    let keys: Vec<Option<PresentedKey>> =
        shown.iter().map(|text| PresentedKey::parse(text.expose().trim()).ok()).collect();
    let Some(reserved) = reserve(&services, &context, keys.iter().flatten().count()) else {
        return Err(Denial::TooManyUnknownKeys.into());
    };
    // Nobody but the key itself speaks here, whatever else the request shows.
    let by = context.initiator(&headers);
    let mut outcomes = Vec::with_capacity(keys.len());
    let mut reserved = reserved.into_iter();
    for key in keys {
        let outcome = match key {
            None => Ok(Outcome::Unknown),
            Some(key) => end(&services, &key, context.client, &by).await,
        };
        match outcome {
            Ok(Outcome::Unknown) => outcomes.push("unknown"),
            Ok(Outcome::Revoked) => {
                reserved.next().into_iter().for_each(Reserved::give_back);
                outcomes.push("revoked");
            }
            Err(denial) => {
                if denial == Denial::Unavailable {
                    reserved.for_each(Reserved::give_back);
                }
                return Err(denial.into());
            }
        }
    }
    let results: Vec<Value> = outcomes.into_iter().map(|outcome| json!({ "outcome": outcome })).collect();
    Ok(answer::secret_json(StatusCode::OK, &json!({ "results": results })))
}

enum Outcome {
    Revoked,
    Unknown,
}

async fn end(services: &Services, key: &PresentedKey, client: IpAddr, by: &Initiator) -> Result<Outcome, Denial> {
    let unavailable = |_: KeyError| Denial::Unavailable;
    let mut found = services.leaked_keys.find(key).await.map_err(unavailable)?;
    // One that was taken over and never used is known by its slow hash alone.
    if found.is_none() && services.slow_keys.upgrade(key, client, services.auditor.now()).await? {
        found = services.leaked_keys.find(key).await.map_err(unavailable)?;
    }
    let Some(found) = found else { return Ok(Outcome::Unknown) };
    services.leaked_keys.revoke(&found, by).await.map_err(unavailable)?;
    Ok(Outcome::Revoked)
}

/// One look-up for each, or none at all. Those of keys that there are will be given back.
fn reserve(services: &Services, context: &RequestContext, count: usize) -> Option<Vec<Reserved>> {
    let now = services.auditor.now();
    let mut reserved = Vec::with_capacity(count);
    for _ in 0..count {
        match services.miss_budget.reserve(context.client, now) {
            Ok(one) => reserved.push(one),
            Err(_) => {
                reserved.into_iter().for_each(Reserved::give_back);
                return None;
            }
        }
    }
    Some(reserved)
}

/// One, or several.
fn found_keys(mut fields: Fields) -> Result<Vec<Secret<String>>, Value> {
    let is_there = |fields: &Fields, name| fields.is_given(name) || fields.is_null(name);
    let (has_one, has_several) = (is_there(&fields, "key"), is_there(&fields, "keys"));
    let one = fields.filled_line("key", LONGEST);
    let several = fields.list("keys", MOST, |text| {
        if text.len() > LONGEST { Err("a key is shorter than that") } else { Ok(text.to_owned()) }
    });
    match (&one, &several) {
        (None, None) if !has_one && !has_several => fields.fault("key", "This field is required."),
        (Some(_), Some(_)) => fields.fault("keys", "Give either key or keys."),
        (None, Some(several)) if several.is_empty() => fields.fault("keys", "This list may not be empty."),
        _ => {}
    }
    fields.finish()?;
    Ok(one.into_iter().chain(several.into_iter().flatten()).map(Secret::new).collect())
}
