//! `openapi.json`: the description of all that is served, in OpenAPI 3.1, assembled from the list of endpoints.
//!
//! A handler's own annotation says what is its own. What holds for all operations, or follows from whom an operation is
//! for, is added here: security, media types of bodies, refusals, headers, examples.

mod answers;
mod examples;
mod requests;
mod security;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use utoipa::openapi::info::{Info, InfoBuilder, LicenseBuilder};
use utoipa::openapi::path::{HttpMethod, Operation as Description, PathsBuilder};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, OpenApi, OpenApiBuilder, PathItem, RefOr, Schema, Server};

use super::answer;
use super::endpoint::Endpoint;
use super::operation::Operation;

/// The descriptions as they are sent, made once at the start.
pub struct Published {
    pub openapi: Bytes,
    pub page: Bytes,
}

/// OpenAPI document
///
/// This description, as a program reads it.
///
/// OpenAPI 3.1. It changes with the build of the gateway only.
#[utoipa::path(
    get, path = "openapi.json", operation_id = "read_openapi", tag = "Description",
    responses((status = 200, description = "This document", body = super::schema::documents::OpenApi)),
)]
pub async fn show(Extension(published): Extension<Arc<Published>>) -> Response<Body> {
    let mut response = Response::new(Body::from(published.openapi.clone()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    answer::put_common_headers(headers);
    response
}

/// What each tag is about, in the order of the page.
const TAGS: &[(&str, &str)] = &[
    ("Tokens", "Signing in, and staying so. These endpoints ask for no credential and ignore those that are sent."),
    ("Sessions", "Who the caller is, where they are signed in, and signing out."),
    ("Second factor", "Enrolling, using and losing a second factor."),
    ("Password", "Changing a password, and a new one for one that was forgotten."),
    ("Users", "Administration of users."),
    ("API keys", "Administration of API keys."),
    ("Audit", "What was done, by whom."),
    ("Keys", "What others need to verify the gateway's signatures."),
    ("Description", "This description."),
];

const ABOUT: &str = include_str!("openapi/about.md");

/// Describes `endpoints`.
pub fn describe(endpoints: &[Endpoint]) -> OpenApi {
    let schemas = schemas(endpoints);
    let mut paths = PathsBuilder::new();
    for endpoint in endpoints {
        let path = described_path(&endpoint.path);
        for operation in &endpoint.operations {
            let described = complete(operation, &schemas);
            paths = paths.path(&path, PathItem::new(method(operation), described));
        }
    }
    let used = |tag: &str| {
        let mut operations = endpoints.iter().flat_map(|endpoint| &endpoint.operations);
        operations.any(|operation| operation.description.tags.iter().flatten().any(|name| name == tag))
    };
    let tags = TAGS.iter().filter(|(name, _)| used(name));
    OpenApiBuilder::new()
        .info(info())
        .servers(Some([Server::new("/")]))
        .paths(paths.build())
        .components(Some(components(schemas)))
        .tags(Some(tags.map(|(name, about)| TagBuilder::new().name(*name).description(Some(*about)).build())))
        .build()
}

fn info() -> Info {
    let license = env!("CARGO_PKG_LICENSE");
    InfoBuilder::new()
        // The API's own: the document is public, and which build serves it is nobody's business.
        .title("Authentication API")
        .version("1")
        .description(Some(ABOUT.trim_end()))
        .license(Some(LicenseBuilder::new().name(license).identifier(Some(license)).build()))
        .build()
}

/// With its final slash, which clients of the Django stack send; a file's name has none.
fn described_path(path: &str) -> String {
    let is_file = path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    if is_file { path.to_owned() } else { format!("{path}/") }
}

fn method(operation: &Operation) -> HttpMethod {
    match operation.method.as_str() {
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn schemas(endpoints: &[Endpoint]) -> BTreeMap<String, RefOr<Schema>> {
    let mut schemas = answers::schemas();
    for operation in endpoints.iter().flat_map(|endpoint| &endpoint.operations) {
        schemas.extend(operation.schemas.clone());
    }
    schemas
}

fn complete(operation: &Operation, schemas: &BTreeMap<String, RefOr<Schema>>) -> Description {
    let mut description = operation.description.clone();
    security::complete(&mut description, &operation.access);
    if let Some(RefOr::T(body)) = &mut description.request_body {
        requests::complete(body, schemas, operation.takes_forms());
    }
    answers::complete(&mut description, &operation.access, schemas);
    description
}

fn components(schemas: BTreeMap<String, RefOr<Schema>>) -> Components {
    let mut components = Components::new();
    components.schemas = schemas;
    components.responses = answers::shared();
    components.headers = answers::headers();
    components.security_schemes = security::schemes();
    components
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::endpoints;
    use crate::api::operation::{administers, operation, requires_scopes};
    use crate::domain::access_policy::{AccessPolicy, Kinds};

    /// Show
    #[utoipa::path(get, path = "things/{id}/", responses((status = 200, description = "It")))]
    async fn show_thing() {}

    /// Change
    #[utoipa::path(
        patch, path = "things/{id}/", request_body = super::super::schema::tokens::Done,
        responses(
            (status = 400, description = "No", body = super::super::schema::tokens::Done),
            (status = 404, description = "There is no such thing"),
        ),
    )]
    async fn change_thing() {}

    #[test]
    fn an_operations_own_refusals_stand_beside_those_of_all() {
        let endpoints = Endpoint::gather("/a", operation!(AccessPolicy::Public, change_thing));
        let document = json!(describe(&endpoints));
        let operation = &document["paths"]["/a/things/{id}/"]["patch"];
        assert_eq!(operation["requestBody"]["required"], false, "it has no field that must be there");
        let answers = &operation["responses"];
        let schema = |status: &str| answers[status]["content"]["application/json"]["schema"].clone();
        let reference = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
        assert_eq!(
            schema("400"),
            json!({ "anyOf": [reference("Done"), reference("FieldErrors"), reference("Refusal")] })
        );
        assert_eq!(schema("404"), reference("Refusal"));
        assert_eq!(answers["404"]["description"], "There is no such thing");
        assert_eq!(answers["404"]["content"]["application/json"]["example"]["code"], "not_found");
    }

    fn described(access: AccessPolicy) -> Value {
        let document = describe(&Endpoint::gather("/a", operation!(access, show_thing)));
        json!(document)["paths"]["/a/things/{id}/"]["get"].clone()
    }

    #[test]
    fn whom_an_operation_is_for_is_said_as_it_is_judged() {
        let open = described(AccessPolicy::Public);
        assert_eq!((&open["security"], open["responses"].get("401")), (&json!([]), None));

        let either = described(requires_scopes(Kinds::EITHER, "b a"));
        assert_eq!(either["security"], json!([{ "bearer": ["a", "b"] }, { "api_key": ["a", "b"] }]));
        assert_eq!(either["x-required-scopes"], json!(["a", "b"]));
        assert_eq!(either["description"].as_str().unwrap().trim(), "Needs the scope `a` and `b`.");
        assert_eq!(either["responses"]["403"], json!({ "$ref": "#/components/responses/Forbidden" }));

        assert_eq!(either.get("x-second-factor"), None);

        let strong = described(administers(true, "a"));
        assert_eq!(strong["security"], json!([{ "bearer": ["a"] }, { "api_key": ["a"] }]));
        assert_eq!(strong["x-second-factor"], true);
        let sentences = "Needs the scope `a`. A token must come of a sign-in with a second factor.";
        assert_eq!(strong["description"].as_str().unwrap().trim(), sentences);

        let both = described(requires_scopes(Kinds::All, ""));
        assert_eq!(both["security"], json!([{ "bearer": [], "api_key": [] }]));
        assert_eq!(both.get("x-required-scopes"), None);
    }

    #[test]
    fn every_tag_is_explained_and_every_body_has_an_example() {
        let endpoints = endpoints::all("/a", true, true);
        for tag in endpoints.iter().flat_map(|e| &e.operations).flat_map(|o| o.description.tags.iter().flatten()) {
            assert!(TAGS.iter().any(|(name, _)| name == tag), "{tag}: say in TAGS what it is about");
        }
        let document = json!(describe(&endpoints));
        let mut seen = 0;
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let answers = operation["responses"].as_object().unwrap().values();
                for (kind, content) in
                    answers.chain([&operation["requestBody"]]).filter_map(|body| body["content"].as_object()).flatten()
                {
                    let has = content.get("example").is_some() || content.get("examples").is_some();
                    assert!(has || kind == "text/html", "{method} {path}: {kind} without an example");
                    seen += 1;
                }
            }
        }
        assert!(seen > 20);
    }

    #[test]
    fn a_flat_body_may_be_a_form() {
        let document = json!(describe(&endpoints::all("/a", true, true)));
        let body = &document["paths"]["/a/token/"]["post"]["requestBody"]["content"];
        let kinds: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(kinds, ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]);
        assert_eq!(document["paths"]["/a/token/"]["post"]["requestBody"]["required"], true);
        for (path, method) in
            [("users/", "post"), ("users/{id}/", "patch"), ("keys/", "post"), ("lockouts/clear/", "post")]
        {
            let body = &document["paths"][format!("/a/{path}")][method]["requestBody"]["content"];
            let kinds: Vec<&String> = body.as_object().expect(path).keys().collect();
            assert_eq!(kinds, ["application/json"], "{path}: administration takes JSON only");
        }
    }
}
