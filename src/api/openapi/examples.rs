//! An example for every body, put together from those of its fields.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::content::Content;
use utoipa::openapi::schema::ArrayItems;
use utoipa::openapi::{RefOr, Schema};

type Schemas = BTreeMap<String, RefOr<Schema>>;

/// No body here is nested deeper; a schema that contains itself ends somewhere.
const DEEPEST: usize = 8;

/// Gives an example to each of `contents` that has none.
pub fn complete<'a>(contents: impl Iterator<Item = &'a mut RefOr<Content>>, schemas: &Schemas) {
    for content in contents {
        if let RefOr::T(content) = content
            && content.example.is_none()
            && content.examples.is_empty()
        {
            content.example = content.schema.as_ref().and_then(|schema| example(schema, schemas, DEEPEST));
        }
    }
}

/// The schema itself, or the one that it refers to.
pub fn resolve<'a>(schema: &'a RefOr<Schema>, schemas: &'a Schemas) -> Option<&'a Schema> {
    let RefOr::Ref(reference) = schema else {
        let RefOr::T(schema) = schema else { return None };
        return Some(schema);
    };
    match schemas.get(reference.ref_location.rsplit('/').next()?)? {
        RefOr::T(schema) => Some(schema),
        RefOr::Ref(_) => None,
    }
}

fn example(schema: &RefOr<Schema>, schemas: &Schemas, depth: usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let alternative = |items: &[RefOr<Schema>]| items.iter().find_map(|item| example(item, schemas, depth));
    match resolve(schema, schemas)? {
        Schema::Object(object) => {
            if let Some(example) = object.example.clone().or_else(|| object.examples.first().cloned()) {
                return Some(example);
            }
            if let Some(first) = object.enum_values.as_ref().and_then(|values| values.first()) {
                return Some(first.clone());
            }
            let is_object = object.schema_type == utoipa::openapi::schema::Type::Object.into();
            let fields = object.properties.iter().filter_map(|(name, property)| {
                let value = example(property, schemas, depth)?;
                Some((name.clone(), value))
            });
            is_object.then(|| Value::Object(fields.collect::<Map<_, _>>()))
        }
        Schema::Array(array) => match (&array.example, &array.items) {
            (Some(example), _) => Some(example.clone()),
            (None, ArrayItems::RefOrSchema(item)) => Some(json!([example(item, schemas, depth)?])),
            (None, _) => None,
        },
        Schema::OneOf(one) => one.example.clone().or_else(|| alternative(&one.items)),
        Schema::AnyOf(any) => any.example.clone().or_else(|| alternative(&any.items)),
        Schema::AllOf(all) => all.example.clone().or_else(|| {
            let parts = all.items.iter().filter_map(|item| example(item, schemas, depth));
            let fields = parts.filter_map(|part| if let Value::Object(fields) = part { Some(fields) } else { None });
            Some(Value::Object(fields.flatten().collect()))
        }),
        _ => None,
    }
}
