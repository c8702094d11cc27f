//! What paths name, and the answer when there is no such thing.

use utoipa::{IntoParams, IntoResponses};

use super::refusals::Refusal;

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct UserPath {
    /// The user's id
    #[param(example = "0197c1a2-6f5e-7d3c-9b1a-2f4e6d8c0a1b")]
    pub id: String,
}

/// There is no such user
#[derive(IntoResponses)]
#[response(status = 404, example = json!({"detail": "Not found.", "code": "not_found"}))]
pub struct NoSuchUser(pub Refusal);

#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub struct KeyPath {
    /// The key's id
    #[param(example = "5b3a1c9e-2d4f-4b6a-8c0d-1e2f3a4b5c6d")]
    pub id: String,
}

/// There is no such key
#[derive(IntoResponses)]
#[response(status = 404, example = json!({"detail": "Not found.", "code": "not_found"}))]
pub struct NoSuchKey(pub Refusal);
