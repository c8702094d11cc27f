//! Bodies of refusals.

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// Why a request was refused: a sentence for people, a code for programs.
#[derive(ToSchema)]
pub struct Refusal {
    #[schema(example = "Authentication credentials were not provided.")]
    pub detail: String,
    /// From a closed set; the same one is in the access log.
    #[schema(example = "credential_missing")]
    pub code: String,
}

/// What is wrong with each field, under the field's name; what concerns none of them is under `non_field_errors`.
#[derive(ToSchema)]
#[schema(example = json!({"username": ["This field is required."]}))]
pub struct FieldErrors(pub BTreeMap<String, Vec<String>>);

/// A bearer token that does not hold.
#[derive(ToSchema)]
pub struct TokenNotValid {
    #[schema(example = "Given token not valid for any token type")]
    pub detail: String,
    #[schema(example = "token_not_valid")]
    pub code: String,
    pub messages: Vec<TokenMessage>,
}

/// The first check that failed.
#[derive(ToSchema)]
pub struct TokenMessage {
    #[schema(example = "AccessToken")]
    pub token_class: String,
    #[schema(example = "access")]
    pub token_type: String,
    #[schema(example = "Token is expired")]
    pub message: String,
}
