//! JWS compact serialisation (RFC 7515 7.1), read strictly.
//!
//! What is accepted has one spelling: three parts of canonical base64url without padding, strict JSON, a header that holds
//! nothing this reader does not understand. The key is chosen by configuration; the header only has to agree.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use super::key_pair::{KeyPair, SigningFailed};
use super::key_set::KeySet;
use crate::domain::credential::MAX_TOKEN_BYTES;
use crate::domain::strict_json;

pub type Claims = Map<String, Value>;

/// How `kid` is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyIds {
    /// It must name a key of the set, if it is there at all.
    Matched,
    /// It must be a string, and has no influence: the reading of the Django stack.
    Ignored,
}

/// Not a token of ours. Why is for tests only: no caller may tell a client more than this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token signed by one of the keys: {0:?}")]
pub struct NotSigned(pub Flaw);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    TooLong,
    Parts,
    Encoding,
    HeaderJson,
    HeaderMember,
    Algorithm,
    NoKey,
    Type,
    Signature,
    PayloadJson,
}

/// Checks the signature and reads the claims. `expected_type` is compared with the header's `typ`, ignoring case.
pub fn verify(token: &str, keys: &KeySet, key_ids: KeyIds, expected_type: Option<&str>) -> Result<Claims, NotSigned> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(NotSigned(Flaw::TooLong));
    }
    let (message, signature) = token.rsplit_once('.').ok_or(NotSigned(Flaw::Parts))?;
    let (header, payload) = message.split_once('.').ok_or(NotSigned(Flaw::Parts))?;
    if payload.contains('.') {
        return Err(NotSigned(Flaw::Parts));
    }
    let header = strict_json::object(&decode(header)?).map_err(|_| NotSigned(Flaw::HeaderJson))?;
    let payload = decode(payload)?;
    decode(signature)?;
    let (algorithm, kid) = read_header(&header, expected_type)?;
    let verified = match key_ids {
        KeyIds::Matched => {
            let key = keys.select(kid, algorithm).ok_or(NotSigned(Flaw::NoKey))?;
            key.verifies(message.as_bytes(), signature)
        }
        KeyIds::Ignored => keys.select_by_algorithm(algorithm).any(|key| key.verifies(message.as_bytes(), signature)),
    };
    if !verified {
        return Err(NotSigned(Flaw::Signature));
    }
    strict_json::object(&payload).map_err(|_| NotSigned(Flaw::PayloadJson))
}

/// Signs claims. The header is exactly `alg`, `typ` and, unless the Django reading is asked for, `kid`.
pub fn sign(claims: &Claims, key: &KeyPair, token_type: &str, key_ids: KeyIds) -> Result<String, SigningFailed> {
    let mut header = Map::new();
    header.insert("alg".into(), json!(key.algorithm().as_str()));
    header.insert("typ".into(), json!(token_type));
    if key_ids == KeyIds::Matched {
        header.insert("kid".into(), json!(key.kid()));
    }
    let encode = |map: &Map<String, Value>| URL_SAFE_NO_PAD.encode(Value::Object(map.clone()).to_string());
    let message = format!("{}.{}", encode(&header), encode(claims));
    let signature = key.sign(message.as_bytes())?;
    Ok(format!("{message}.{signature}"))
}

fn decode(part: &str) -> Result<Vec<u8>, NotSigned> {
    // The engine refuses padding, foreign characters and trailing bits that are not zero: one spelling per value.
    URL_SAFE_NO_PAD.decode(part).map_err(|_| NotSigned(Flaw::Encoding))
}

/// The algorithm and key id that a header names, once everything in it is understood.
fn read_header<'a>(header: &'a Claims, expected_type: Option<&str>) -> Result<(&'a str, Option<&'a str>), NotSigned> {
    // Members that would have us fetch, trust or transform something, and whatever must be understood.
    const REFUSED: [&str; 8] = ["crit", "b64", "zip", "jku", "jwk", "x5u", "x5c", "enc"];
    if REFUSED.iter().any(|name| header.contains_key(*name)) {
        return Err(NotSigned(Flaw::HeaderMember));
    }
    let algorithm = header.get("alg").and_then(Value::as_str).ok_or(NotSigned(Flaw::Algorithm))?;
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.as_str()),
        Some(_) => return Err(NotSigned(Flaw::HeaderMember)),
    };
    if let Some(expected) = expected_type {
        let fits = header.get("typ").and_then(Value::as_str).is_some_and(|typ| typ.eq_ignore_ascii_case(expected));
        if !fits {
            return Err(NotSigned(Flaw::Type));
        }
    }
    Ok((algorithm, kid))
}

#[cfg(test)]
#[path = "jws/tests.rs"]
mod tests;
