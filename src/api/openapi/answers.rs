//! What any operation may answer, and the headers that every answer has.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa::openapi::content::{Content, ContentBuilder};
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::{Header, HeaderBuilder};
use utoipa::openapi::path::Operation as Description;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::schema::{AnyOfBuilder, ObjectBuilder, Type};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::examples;
use crate::api::refusal;
use crate::api::schema::refusals::{FieldErrors, Refusal, TokenMessage, TokenNotValid};
use crate::domain::access_policy::AccessPolicy;
use crate::domain::denial::Denial;

/// Refusals that do not depend on the operation: a name, what it means, and one of its reasons as the example.
const SHARED: &[(&str, &str, Denial)] = &[
    ("BadRequest", "The request, its body or one of its fields does not fit", Denial::InvalidFields),
    ("Unauthorized", "The credential is missing or does not hold", Denial::TokenExpired),
    ("Forbidden", "The caller may not do this", Denial::ScopeMissing),
    ("NotFound", "There is nothing here, or not in the `format` asked for", Denial::NoRoute),
    ("MethodNotAllowed", "This path has other methods, see `Allow`", Denial::MethodNotAllowed),
    ("NotAcceptable", "`Accept` allows nothing that there is", Denial::NotAcceptable),
    ("PayloadTooLarge", "The body is too large", Denial::BodyTooLarge),
    ("UnsupportedMediaType", "The body is of no type that is read here", Denial::UnsupportedMediaType),
    ("TooManyRequests", "Too many requests, or too many wrong guesses, for now", Denial::TooManyAttempts),
    ("InternalError", "A fault of the gateway's own", Denial::Internal),
    ("Unavailable", "The gateway cannot do it at the moment", Denial::Unavailable),
];

/// Seconds to wait, in examples.
const WAIT: u64 = 42;

const ALLOW_IF_KNOWN: &str = "AllowIfKnown";

pub fn schemas() -> BTreeMap<String, RefOr<Schema>> {
    BTreeMap::from([named::<Refusal>(), named::<FieldErrors>(), named::<TokenNotValid>(), named::<TokenMessage>()])
}

fn named<T: ToSchema + PartialSchema>() -> (String, RefOr<Schema>) {
    (T::name().into_owned(), T::schema())
}

fn reference<T: ToSchema>() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(T::name()))
}

/// For `components/responses`.
pub fn shared() -> BTreeMap<String, RefOr<Response>> {
    let responses = SHARED.iter().map(|(name, meaning, denial)| {
        let status = refusal::status(*denial);
        let response = ResponseBuilder::new().description(*meaning).content("application/json", body_of(*denial));
        let mut response = response.build();
        put_headers(&mut response, status.as_str());
        ((*name).to_owned(), RefOr::T(response))
    });
    responses.collect()
}

fn body_of(denial: Denial) -> Content {
    let sample = |value: Value| ExampleBuilder::new().value(Some(value)).build();
    let content = ContentBuilder::new().schema(Some(any_of(bodies(refusal::status(denial)))));
    match refusal::status(denial) {
        StatusCode::BAD_REQUEST => content.examples_from_iter([
            ("field", sample(json!({ "username": ["This field is required."] }))),
            ("body", sample(refusal::body(Denial::ParseError))),
        ]),
        StatusCode::UNAUTHORIZED => content.examples_from_iter([
            ("token", sample(refusal::body(denial))),
            ("nothing", sample(refusal::body(Denial::CredentialMissing))),
        ]),
        StatusCode::FORBIDDEN => content.examples_from_iter([
            ("scope", sample(refusal::body(denial))),
            ("second_factor", sample(refusal::body(Denial::SecondFactorRequired))),
        ]),
        StatusCode::TOO_MANY_REQUESTS => content.example(Some(refusal::throttled_body(denial, WAIT))),
        _ => content.example(Some(refusal::body(denial))),
    }
    .build()
}

/// What a refusal of this status may look like on any operation.
fn bodies(status: StatusCode) -> Vec<RefOr<Schema>> {
    match status {
        StatusCode::BAD_REQUEST => vec![reference::<FieldErrors>(), reference::<Refusal>()],
        StatusCode::UNAUTHORIZED => vec![reference::<TokenNotValid>(), reference::<Refusal>()],
        _ => vec![reference::<Refusal>()],
    }
}

fn any_of(mut schemas: Vec<RefOr<Schema>>) -> RefOr<Schema> {
    match (schemas.len(), schemas.pop()) {
        (1, Some(only)) => only,
        (_, last) => schemas.into_iter().chain(last).fold(AnyOfBuilder::new(), AnyOfBuilder::item).into(),
    }
}

/// Adds what any operation may answer to what the description says of its own.
pub fn complete(description: &mut Description, access: &AccessPolicy, schemas: &BTreeMap<String, RefOr<Schema>>) {
    let guarded = matches!(access, AccessPolicy::Requires(_));
    let has_body = description.request_body.is_some();
    let own = &mut description.responses.responses;
    for (name, _, denial) in SHARED {
        let status = refusal::status(*denial);
        let applies = match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => guarded,
            StatusCode::UNSUPPORTED_MEDIA_TYPE => has_body,
            _ => true,
        };
        if !applies {
            continue;
        }
        let reference = || RefOr::Ref(Ref::from_response_name(*name));
        if let RefOr::T(response) = own.entry(status.as_str().to_owned()).or_insert_with(reference) {
            widen(response, *denial);
        }
    }
    for (status, response) in own.iter_mut() {
        let RefOr::T(response) = response else { continue };
        examples::complete(response.content.values_mut(), schemas);
        put_headers(response, status);
    }
}

/// An operation's own refusal stands beside those that any operation makes with the same status; one of which only the
/// meaning is said looks like them.
fn widen(response: &mut Response, denial: Denial) {
    let content = response.content.entry("application/json".to_owned()).or_insert_with(|| RefOr::T(body_of(denial)));
    let RefOr::T(content) = content else { return };
    let mut schemas = bodies(refusal::status(denial));
    if let Some(own) = content.schema.take().filter(|own| !schemas.contains(own) && *own != any_of(schemas.clone())) {
        schemas.insert(0, own);
    }
    content.schema = Some(any_of(schemas));
}

fn put_headers(response: &mut Response, status: &str) {
    let names: &[&str] = match status {
        "401" => &["Allow", "X-Request-Id", "WWW-Authenticate"],
        "429" | "503" => &["Allow", "X-Request-Id", "Retry-After"],
        _ => &["Allow", "X-Request-Id"],
    };
    for name in names {
        // A path that cannot be read has no methods.
        let component = if (status, *name) == ("400", "Allow") { ALLOW_IF_KNOWN } else { name };
        let reference = RefOr::Ref(Ref::new(format!("#/components/headers/{component}")));
        response.headers.insert((*name).to_owned(), reference);
    }
}

/// For `components/headers`.
pub fn headers() -> BTreeMap<String, RefOr<Header>> {
    let named = |name: &str, about: &str, kind: Type, example: Value| {
        let header = HeaderBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(kind)))
            .description(Some(about))
            .example(Some(example))
            // utoipa has no word for it, and writes extensions as they are.
            .extensions(Some(Extensions::from_iter([("required", name != ALLOW_IF_KNOWN)])))
            .build();
        (name.to_owned(), RefOr::T(header))
    };
    BTreeMap::from([
        named("Allow", "The methods of this path.", Type::String, json!("GET, HEAD, OPTIONS")),
        named(
            ALLOW_IF_KNOWN,
            "The methods of this path, if it can be read.",
            Type::String,
            json!("GET, HEAD, OPTIONS"),
        ),
        named("X-Request-Id", "Names this request in the gateway's log.", Type::String, json!("0197c1a26f5e7d3c9b1a")),
        named("WWW-Authenticate", "RFC 9110 11.6.1.", Type::String, json!("Bearer realm=\"api\"")),
        named("Retry-After", "Seconds after which it is worth another try.", Type::Integer, json!(WAIT)),
    ])
}
