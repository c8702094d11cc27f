//! Request bodies: as JSON, and as the two kinds of form.

use std::collections::BTreeMap;

use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{RefOr, Required, Schema};

use super::examples;

const JSON: &str = "application/json";
const FORMS: [&str; 2] = ["application/x-www-form-urlencoded", "multipart/form-data"];

/// A form holds plain values only.
pub fn complete(body: &mut RequestBody, schemas: &BTreeMap<String, RefOr<Schema>>, takes_forms: bool) {
    examples::complete(body.content.values_mut(), schemas);
    let Some(RefOr::T(content)) = body.content.get(JSON).cloned() else { return };
    let demands = content.schema.as_ref().and_then(|schema| match examples::resolve(schema, schemas) {
        Some(Schema::Object(object)) => Some(!object.required.is_empty()),
        _ => None,
    });
    // No body is read as an empty one.
    if demands == Some(false) {
        body.required = Some(Required::False);
    }
    if takes_forms && content.schema.as_ref().is_some_and(|schema| is_flat(schema, schemas)) {
        for form in FORMS {
            body.content.insert(form.to_owned(), RefOr::T(content.clone()));
        }
    }
}

fn is_flat(schema: &RefOr<Schema>, schemas: &BTreeMap<String, RefOr<Schema>>) -> bool {
    let Some(Schema::Object(object)) = examples::resolve(schema, schemas) else { return false };
    object.properties.values().all(|property| match examples::resolve(property, schemas) {
        Some(Schema::Object(property)) => match &property.schema_type {
            SchemaType::Type(one) => !matches!(one, Type::Object | Type::Array),
            SchemaType::Array(several) => !several.iter().any(|one| matches!(one, Type::Object | Type::Array)),
            SchemaType::AnyValue => false,
        },
        _ => false,
    })
}
