//! Reading an OpenAPI document. What is not there is empty.

use serde_json::Value;

/// What is found on the way of these names.
pub fn at<'a>(value: &'a Value, names: &[&str]) -> &'a Value {
    names.iter().try_fold(value, |value, name| value.get(name)).unwrap_or(&Value::Null)
}

pub fn text_at<'a>(value: &'a Value, names: &[&str]) -> &'a str {
    text(at(value, names))
}

pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

/// The value itself, or what its `$ref` leads to in this document.
pub fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let pointer = value.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#'));
    pointer.map_or(value, |pointer| document.pointer(pointer).unwrap_or(&Value::Null))
}

/// The name at the end of a `$ref`.
pub fn referred_name(value: &Value) -> Option<&str> {
    value.get("$ref")?.as_str()?.rsplit('/').next()
}
