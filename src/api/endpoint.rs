//! One path and all that is served under it.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Map, Value, json};
use utoipa::openapi::schema::{SchemaType, Type};
use utoipa::openapi::{Object, RefOr, Schema};

use super::negotiation::Representation;
use super::operation::Operation;
use crate::domain::access_policy::{AccessPolicy, Requirement};

/// The order in which `Allow` names methods: that of Django REST framework, which clients compare with.
const ORDER: [Method; 5] = [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data";

pub struct Endpoint {
    /// Without trailing slash; both forms are served. `{id}` stands for one segment.
    pub path: String,
    /// At least one, each of another method, in the order of [`Endpoint::allow`].
    pub operations: Vec<Operation>,
}

impl Endpoint {
    /// Gathers operations by path, in the order in which each path comes first.
    pub fn gather(prefix: &str, operations: impl IntoIterator<Item = Operation>) -> Vec<Self> {
        let mut endpoints: Vec<Self> = Vec::new();
        for operation in operations {
            let path = full_path(prefix, &operation.path);
            match endpoints.iter_mut().find(|endpoint| endpoint.path == path) {
                Some(endpoint) => endpoint.operations.push(operation),
                None => endpoints.push(Self { path, operations: vec![operation] }),
            }
        }
        for endpoint in &mut endpoints {
            endpoint.operations.sort_by_key(|operation| ORDER.iter().position(|method| *method == operation.method));
        }
        endpoints
    }

    /// What `Allow` says: `GET, HEAD, OPTIONS`.
    pub fn allow(&self) -> String {
        let mut names: Vec<&str> = self.operations.iter().map(|operation| operation.method.as_str()).collect();
        if names.contains(&"GET") {
            names.push("HEAD");
        }
        names.push("OPTIONS");
        names.join(", ")
    }

    /// Whom `OPTIONS` and the methods that are not served are for: whoever may do any of the rest. Who may not enter does
    /// not learn which methods there are.
    pub fn access_to_the_rest(&self) -> AccessPolicy {
        self.operations
            .iter()
            .map(|operation| operation.access.clone())
            .reduce(|one, other| match (one, other) {
                (AccessPolicy::Requires(one), AccessPolicy::Requires(other)) => AccessPolicy::Requires(Requirement {
                    scopes: one.scopes.intersection(&other.scopes),
                    open_to_unenrolled: one.open_to_unenrolled || other.open_to_unenrolled,
                    ..one
                }),
                _ => AccessPolicy::Public,
            })
            .unwrap_or(AccessPolicy::Public)
    }

    /// What clients may ask for in `Accept`, as the description of what is answered says.
    pub fn representation(&self) -> Representation {
        let types: BTreeSet<&str> = self
            .operations
            .iter()
            .flat_map(|operation| &operation.description.responses.responses)
            .filter(|(status, _)| status.starts_with('2'))
            .filter_map(|(_, response)| match response {
                RefOr::T(response) => Some(response.content.keys().map(String::as_str)),
                RefOr::Ref(_) => None,
            })
            .flatten()
            .collect();
        Representation::of(&types)
    }

    /// The answer to `OPTIONS`, in the form that clients of Django REST framework get: named and described as the first
    /// operation is, with its first paragraph.
    pub fn options(&self) -> Value {
        let description = self.operations.first().map(|operation| &operation.description);
        let paragraph = description.and_then(|d| d.description.as_deref()).and_then(|text| text.split("\n\n").next());
        let forms = self.operations.iter().any(Operation::takes_forms);
        let parses: &[&str] = if forms { &[JSON, FORM, MULTIPART] } else { &[JSON] };
        let mut value = json!({
            "name": description.and_then(|description| description.summary.as_deref()),
            "description": paragraph,
            "renders": ["application/json"],
            "parses": parses,
        });
        // As there, a partial change has no form of its own.
        let forms: Map<String, Value> = self
            .operations
            .iter()
            .filter(|operation| matches!(operation.method, Method::POST | Method::PUT))
            .filter_map(|operation| Some((operation.method.to_string(), form(operation)?)))
            .collect();
        if let (false, Some(map)) = (forms.is_empty(), value.as_object_mut()) {
            map.insert("actions".to_owned(), Value::Object(forms));
        }
        value
    }
}

fn full_path(prefix: &str, path: &str) -> String {
    let path = if path.starts_with('/') { path.to_owned() } else { format!("{prefix}/{path}") };
    path.trim_end_matches('/').to_owned()
}

fn form(operation: &Operation) -> Option<Value> {
    let body = request_schema(operation)?;
    // What may be left out is not part of the form: it was added here, and clients compare.
    if body.required.is_empty() {
        return None;
    }
    let required = body.properties.iter().filter(|(name, _)| body.required.contains(name));
    let fields = required.map(|(name, schema)| {
        let described =
            json!({ "type": field_type(schema), "required": true, "read_only": false, "label": label(name) });
        (name.clone(), described)
    });
    Some(Value::Object(fields.collect()))
}

/// The schema of the operation's JSON body, if it has one.
pub fn request_schema(operation: &Operation) -> Option<&Object> {
    let RefOr::T(body) = operation.description.request_body.as_ref()? else { return None };
    let RefOr::T(content) = body.content.get("application/json")? else { return None };
    let schema = match content.schema.as_ref()? {
        RefOr::T(schema) => schema,
        RefOr::Ref(reference) => {
            let name = reference.ref_location.rsplit('/').next()?;
            let RefOr::T(schema) = operation.schemas.get(name)? else { return None };
            schema
        }
    };
    match schema {
        Schema::Object(object) => Some(object),
        _ => None,
    }
}

/// In Django REST framework's words.
fn field_type(schema: &RefOr<Schema>) -> &'static str {
    let RefOr::T(schema) = schema else { return "nested object" };
    let types = match schema {
        Schema::Array(_) => return "list",
        Schema::Object(object) => &object.schema_type,
        _ => return "field",
    };
    let is = |wanted: &Type| match types {
        SchemaType::Type(one) => one == wanted,
        SchemaType::Array(several) => several.contains(wanted),
        SchemaType::AnyValue => false,
    };
    match () {
        () if is(&Type::String) => "string",
        () if is(&Type::Integer) => "integer",
        () if is(&Type::Number) => "float",
        () if is(&Type::Boolean) => "boolean",
        () if is(&Type::Array) => "list",
        () => "nested object",
    }
}

/// `old_password` is labelled `Old password`.
fn label(name: &str) -> String {
    let mut label = name.replace('_', " ");
    if let Some(first) = label.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    label
}
