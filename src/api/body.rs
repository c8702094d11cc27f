//! Request bodies of our own routes: JSON, form or multipart, read as clients of Django REST framework expect.

use std::ops::Deref;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use super::charset;
use super::fields::{Fields, SURROGATE_MARK};
use super::refusal::{Refusal, invalid, refuse_saying};
use crate::domain::denial::Denial;
use crate::domain::strict_json::MAX_DEPTH;

/// Reads the fields of a request, in any form.
pub async fn read(headers: &HeaderMap, bytes: Bytes) -> Result<Fields, Refusal> {
    if bytes.is_empty() {
        return Ok(Fields::default());
    }
    let Media { sent, essence } = media(headers)?;
    match essence.as_str() {
        "application/json" => json_fields(&sent, &bytes),
        "application/x-www-form-urlencoded" => Ok(form_fields(&bytes)),
        "multipart/form-data" => multipart_fields(headers, bytes).await,
        _ => Err(unsupported(&sent)),
    }
}

/// As [`read`], for administration: JSON only. No client there expects forms, and a page elsewhere can make a browser send
/// one without asking.
pub fn read_json(headers: &HeaderMap, bytes: &Bytes) -> Result<Fields, Refusal> {
    if bytes.is_empty() {
        return Ok(Fields::default());
    }
    let Media { sent, essence } = media(headers)?;
    if essence == "application/json" { json_fields(&sent, bytes) } else { Err(unsupported(&sent)) }
}

/// What a body says it is.
struct Media {
    sent: String,
    /// Type and subtype, without parameters, in lower case.
    essence: String,
}

fn media(headers: &HeaderMap) -> Result<Media, Refusal> {
    let sent = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let sent = sent.unwrap_or_default();
    let essence = sent.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(unsupported(&sent));
    }
    Ok(Media { sent, essence })
}

fn unsupported(sent: &str) -> Refusal {
    let sent: String = sent.chars().take(100).collect();
    let detail = format!("Unsupported media type \"{sent}\" in request.");
    refuse_saying(Denial::UnsupportedMediaType, &detail).into()
}

fn unparsed(format: &str, words: &str) -> Refusal {
    let detail = format!("{format} parse error - {words}");
    refuse_saying(Denial::ParseError, &detail).into()
}

fn json_fields(content_type: &str, bytes: &[u8]) -> Result<Fields, Refusal> {
    let text = charset::decode(content_type, bytes);
    let text = text.ok_or_else(|| unparsed("JSON", "the body is not in its charset"))?;
    if depth(&text) > MAX_DEPTH {
        return Err(unparsed("JSON", "nested too deeply"));
    }
    let marked = mark_lone_surrogates(&text);
    let mut reader = serde_json::Deserializer::from_str(&marked);
    // Of a repeated field the last one counts: these bodies are read by one reader only, so nobody can be misled.
    let value = Value::deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    let value = value.map_err(|error| unparsed("JSON", &sentence(&error)))?;
    let word = match value {
        Value::Object(map) => return Ok(Fields::new(map)),
        Value::Null => {
            return Err(invalid(json!({ "non_field_errors": ["No data provided"] })));
        }
        Value::Array(_) => "list",
        Value::String(_) => "str",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
    };
    let message = format!("Invalid data. Expected a dictionary, but got {word}.");
    Err(invalid(json!({ "non_field_errors": [message] })))
}

/// Where the reader stopped, without a word of what it read.
fn sentence(error: &serde_json::Error) -> String {
    let what = if error.is_eof() { "Unexpected end" } else { "Invalid syntax" };
    format!("{what}: line {} column {}", error.line(), error.column())
}

fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_text, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Rewrites `\ud800` that is half of nothing into a mark and its digits, so that the field it is in can be named.
fn mark_lone_surrogates(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let unit = |text: &str| {
            let digits = text.strip_prefix('u')?.get(..4)?;
            digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
        };
        let tail = after.get(5..).unwrap_or_default();
        match unit(after) {
            Some(0xd800..=0xdbff) if matches!(tail.strip_prefix('\\').and_then(unit), Some(0xdc00..=0xdfff)) => {
                // A proper pair: both halves stay.
                out.push('\\');
                out.push_str(after.get(..11).unwrap_or_default());
                rest = after.get(11..).unwrap_or_default();
            }
            Some(lone @ 0xd800..=0xdfff) => {
                out.push_str(&format!("{SURROGATE_MARK}{lone:04X}{SURROGATE_MARK}"));
                rest = tail;
            }
            _ => {
                // Any other escape: the backslash and the character it escapes.
                let length = after.chars().next().map_or(0, char::len_utf8);
                out.push('\\');
                out.push_str(after.get(..length).unwrap_or_default());
                rest = after.get(length..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

/// The pairs of a form (WHATWG URL 5.1), or of the query of a URL.
pub fn form_fields(bytes: &[u8]) -> Fields {
    let mut map = Map::new();
    for (name, value) in form_urlencoded::parse(bytes) {
        map.insert(name.into_owned(), Value::String(value.into_owned()));
    }
    Fields::of_texts(map)
}

async fn multipart_fields(headers: &HeaderMap, bytes: Bytes) -> Result<Fields, Refusal> {
    let faulty = |words: &str| unparsed("Multipart form", words);
    let mut request = Request::new(Body::from(bytes));
    if let Some(content_type) = headers.get(CONTENT_TYPE) {
        request.headers_mut().insert(CONTENT_TYPE, content_type.clone());
    }
    let parts = Multipart::from_request(request, &()).await;
    let mut parts = parts.map_err(|_| faulty("Invalid boundary in multipart"))?;
    let mut map = Map::new();
    while let Some(part) = parts.next_field().await.map_err(|_| faulty("Invalid multipart body"))? {
        let Some(name) = part.name().map(str::to_owned) else { continue };
        if part.file_name().is_some() {
            // A file is no text, whatever is in it.
            map.insert(name, json!({}));
            continue;
        }
        let text = part.bytes().await.map_err(|_| faulty("Invalid multipart body"))?;
        map.insert(name, Value::String(String::from_utf8_lossy(text.deref()).into_owned()));
    }
    Ok(Fields::of_texts(map))
}

#[cfg(test)]
#[path = "body/tests.rs"]
mod tests;
