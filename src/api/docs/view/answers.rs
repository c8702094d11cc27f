//! What may come back.

use minijinja::Value as Html;
use serde::Serialize;
use serde_json::Value;

use super::document::{at, members, referred_name, resolve, text_at};
use super::fields::{self, Field};
use crate::api::docs::prose;

#[derive(Clone, Serialize)]
pub struct Answer<'a> {
    /// The name of an answer that operations share; empty for an operation's own.
    pub id: &'a str,
    pub status: &'a str,
    /// The first digit of the status.
    class: String,
    about: Html,
    media_type: &'a str,
    fields: Vec<Field>,
    examples: Vec<String>,
}

impl<'a> Answer<'a> {
    pub fn of(document: &'a Value, status: &'a str, response: &'a Value) -> Self {
        let id = referred_name(response).unwrap_or_default();
        let response = resolve(document, response);
        let (media_type, content) = members(at(response, &["content"])).next().unwrap_or(("", &Value::Null));
        let several = members(at(content, &["examples"])).map(|(_, example)| at(example, &["value"]));
        let examples = content.get("example").into_iter().chain(several);
        Self {
            id,
            status,
            class: status.chars().take(1).collect(),
            about: prose::html(text_at(response, &["description"])),
            media_type,
            // What a refusal looks like is said once, at the top.
            fields: if status.starts_with('2') {
                fields::of_schema(document, at(content, &["schema"]))
            } else {
                Vec::new()
            },
            examples: examples.map(shown).collect(),
        }
    }
}

fn shown(example: &Value) -> String {
    match example {
        Value::String(text) => text.clone(),
        // Of a value there is always a text.
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}
