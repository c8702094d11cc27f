//! Whom an operation is for.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::openapi::RefOr;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::Operation as Description;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};

use crate::domain::access_policy::{AccessPolicy, CredentialKind, Kinds, SecondFactorDemand};

const BEARER: &str = "bearer";
const API_KEY: &str = "api_key";

/// Says whom the operation is for, as the gatekeeper will judge it. OpenAPI 3.1 takes scopes in a requirement of any type.
pub fn complete(description: &mut Description, access: &AccessPolicy) {
    let AccessPolicy::Requires(requirement) = access else {
        description.security = Some(Vec::new());
        return;
    };
    let scopes: Vec<&str> = requirement.scopes.iter().map(|scope| scope.as_str()).collect();
    description.security = Some(match requirement.kinds {
        Kinds::All => vec![SecurityRequirement::new(BEARER, scopes.clone()).add(API_KEY, scopes.clone())],
        kinds => {
            let accepted = CredentialKind::ALL.into_iter().filter(|kind| kinds.accepts(*kind));
            let name = |kind| if kind == CredentialKind::Jwt { BEARER } else { API_KEY };
            accepted.map(|kind| SecurityRequirement::new(name(kind), scopes.clone())).collect()
        }
    });
    let mut sentences = Vec::new();
    let mut extensions = Extensions::default();
    if !scopes.is_empty() {
        let names: Vec<String> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
        sentences.push(format!("Needs the scope {}.", names.join(" and ")));
        extensions.merge(Extensions::from_iter([("x-required-scopes", json!(scopes))]));
    }
    // Of whom it is asked is in the sentence; for a program it is always a matter of the token.
    let asked = match requirement.second_factor {
        SecondFactorDemand::Nobody => None,
        SecondFactorDemand::Tokens => Some("A token must come of a sign-in with a second factor."),
        SecondFactorDemand::Everybody => Some("Needs a token, and that must come of a sign-in with a second factor."),
    };
    if let Some(sentence) = asked {
        sentences.push(sentence.to_owned());
        extensions.merge(Extensions::from_iter([("x-second-factor", true)]));
    }
    if !sentences.is_empty() {
        let text = description.description.get_or_insert_default();
        text.push_str("\n\n");
        text.push_str(&sentences.join(" "));
        description.extensions.get_or_insert_default().merge(extensions);
    }
}

/// For `components/securitySchemes`.
pub fn schemes() -> BTreeMap<String, RefOr<SecurityScheme>> {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .bearer_format("JWT")
        .description(Some("An access token, as `token/` gives it."))
        .build();
    let key = ApiKeyValue::with_description("X-API-Key", "An API key, as it was shown when it was made.");
    BTreeMap::from([
        (BEARER.to_owned(), RefOr::T(SecurityScheme::Http(bearer))),
        (API_KEY.to_owned(), RefOr::T(SecurityScheme::ApiKey(ApiKey::Header(key)))),
    ])
}
