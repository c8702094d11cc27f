//! Bodies of refusals.

use std::borrow::Cow;
use std::collections::BTreeMap;

use utoipa::openapi::schema::AnyOfBuilder;
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// Why a request was refused: a sentence for people, a code for programs.
#[derive(ToSchema)]
pub struct Refusal {
    #[schema(example = "Authentication credentials were not provided.")]
    pub detail: String,
    /// From a closed set; the same one is in the access log.
    #[schema(example = "credential_missing")]
    pub code: String,
    /// With `permission_denied`: scopes in the request that are not the caller's to give.
    #[schema(example = json!(["orders:write"]), nullable = false)]
    pub missing_scopes: Option<Vec<String>>,
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

/// Why a change of the second factor was not made.
#[derive(ToSchema)]
pub struct ChangeError {
    #[schema(example = "Invalid password")]
    pub error: String,
    /// From a closed set; the same one is in the access log.
    #[schema(example = "password_invalid")]
    pub code: String,
}

/// [`ChangeError`], or a fault of a field or of the body.
pub struct ChangeRefused;

impl PartialSchema for ChangeRefused {
    fn schema() -> RefOr<Schema> {
        let names = [ChangeError::name(), FieldErrors::name(), Refusal::name()];
        let any = names.into_iter().fold(AnyOfBuilder::new(), |any, name| any.item(Ref::from_schema_name(name)));
        RefOr::T(Schema::AnyOf(any.build()))
    }
}

impl ToSchema for ChangeRefused {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("ChangeRefused")
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((ChangeError::name().into_owned(), ChangeError::schema()));
    }
}
