//! The fields of a body and the parameters of a path, one row for each.

use minijinja::Value as Html;
use serde::Serialize;
use serde_json::Value;

use super::document::{at, items, members, resolve, text, text_at};
use crate::api::docs::prose;

/// No body is nested deeper.
const DEEPEST: usize = 6;

#[derive(Clone, Serialize)]
pub struct Field {
    /// Inner fields with the outer one's name before them: `messages[].message`.
    name: String,
    kind: String,
    required: bool,
    about: Html,
}

pub fn of_parameters(document: &Value, parameters: &Value) -> Vec<Field> {
    items(parameters)
        .map(|parameter| {
            let parameter = resolve(document, parameter);
            Field {
                name: text_at(parameter, &["name"]).to_owned(),
                kind: format!("{}, {}", text_at(parameter, &["in"]), kind(document, at(parameter, &["schema"]))),
                required: at(parameter, &["required"]) == true,
                about: prose::html(text_at(parameter, &["description"])),
            }
        })
        .collect()
}

pub fn of_schema(document: &Value, schema: &Value) -> Vec<Field> {
    let mut fields = Vec::new();
    collect(document, schema, "", DEEPEST, &mut fields);
    fields
}

fn collect(document: &Value, schema: &Value, before: &str, depth: usize, into: &mut Vec<Field>) {
    let Some(depth) = depth.checked_sub(1) else { return };
    let schema = not_null(document, schema);
    if is_a(schema, "array") {
        return collect(document, at(schema, &["items"]), &format!("{before}[]"), depth, into);
    }
    for part in items(at(schema, &["allOf"])) {
        collect(document, part, before, depth, into);
    }
    let required: Vec<&str> = items(at(schema, &["required"])).map(text).collect();
    for (name, property) in members(at(schema, &["properties"])) {
        let full = if before.is_empty() { name.to_owned() } else { format!("{before}.{name}") };
        // What is said where the type is used goes before what the type says of itself.
        let about =
            [property, not_null(document, property)].into_iter().map(|schema| text_at(schema, &["description"]));
        into.push(Field {
            name: full.clone(),
            kind: kind(document, property),
            required: required.contains(&name),
            about: prose::html(about.into_iter().find(|text| !text.is_empty()).unwrap_or_default()),
        });
        collect(document, property, &full, depth, into);
    }
}

/// The schema behind references, and beside `null`.
fn not_null<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let schema = resolve(document, schema);
    let alternatives = ["oneOf", "anyOf"].into_iter().flat_map(|word| items(at(schema, &[word])));
    let other = alternatives.into_iter().find(|alternative| !is_a(alternative, "null"));
    other.map_or(schema, |other| resolve(document, other))
}

fn is_a(schema: &Value, kind: &str) -> bool {
    at(schema, &["type"]) == kind || items(at(schema, &["type"])).any(|one| one == kind)
}

/// In words: `string (date-time) or null, 1 to 254 characters`.
fn kind(document: &Value, schema: &Value) -> String {
    let outer = resolve(document, schema);
    let schema = not_null(document, schema);
    let types = match at(schema, &["type"]) {
        Value::String(one) => vec![one.as_str()],
        several => items(several).map(text).filter(|one| *one != "null").collect(),
    };
    let mut words = if is_a(schema, "array") {
        format!("array of {}", kind(document, at(schema, &["items"])))
    } else if types.is_empty() {
        "anything".to_owned()
    } else {
        types.join(" or ")
    };
    if let Some(format) = at(schema, &["format"]).as_str().filter(|format| !matches!(*format, "int32" | "int64")) {
        words.push_str(&format!(" ({format})"));
    }
    let nullable = is_a(schema, "null") || items(at(outer, &["oneOf"])).any(|one| is_a(one, "null"));
    if nullable {
        words.push_str(" or null");
    }
    let choices: Vec<&str> = items(at(schema, &["enum"])).map(text).collect();
    if !choices.is_empty() {
        words.push_str(&format!(": {}", choices.join(", ")));
    }
    for (least, most, unit) in
        [("minLength", "maxLength", " characters"), ("minimum", "maximum", ""), ("minItems", "maxItems", " items")]
    {
        words.push_str(&match (at(schema, &[least]), at(schema, &[most])) {
            (Value::Null, Value::Null) => continue,
            (least, Value::Null) if *least == 1 && !unit.is_empty() => ", not empty".to_owned(),
            (least, Value::Null) => format!(", at least {least}{unit}"),
            (Value::Null, most) => format!(", at most {most}{unit}"),
            (least, most) => format!(", {least} to {most}{unit}"),
        });
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_told_field_by_field() {
        let document = json!({ "components": { "schemas": {
            "Inner": { "type": "object", "description": "Inside.", "properties": { "at": { "type": ["string", "null"], "format": "date-time" } } },
            "Loop": { "type": "object", "properties": { "again": { "$ref": "#/components/schemas/Loop" } } },
        } } });
        let schema = json!({ "type": "object", "required": ["name"], "properties": {
            "name": { "type": "string", "minLength": 1, "maxLength": 9 },
            "list": { "type": "array", "minItems": 1, "items": { "$ref": "#/components/schemas/Inner" } },
            "maybe": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Inner" }] },
            "choice": { "type": "string", "enum": ["a", "b"] },
            "count": { "type": "integer", "format": "int32", "maximum": 3 },
        } });
        let told: Vec<String> = of_schema(&document, &schema)
            .into_iter()
            .map(|field| format!("{}{}: {}", field.name, if field.required { "!" } else { "" }, field.kind))
            .collect();
        assert_eq!(
            told,
            [
                "name!: string, 1 to 9 characters",
                "list: array of object, not empty",
                "list[].at: string (date-time) or null",
                "maybe: object or null",
                "maybe.at: string (date-time) or null",
                "choice: string: a, b",
                "count: integer, at most 3",
            ]
        );
        let endless = of_schema(&document, &json!({ "$ref": "#/components/schemas/Loop" }));
        assert_eq!(endless.len(), DEEPEST, "a schema that contains itself ends");
    }
}
