//! Descriptions of the API itself.

use utoipa::ToSchema;

/// An OpenAPI document. Its own specification says what is in it.
#[derive(ToSchema)]
pub struct OpenApi {
    #[schema(example = "3.1.0")]
    pub openapi: String,
    #[schema(value_type = Object, example = json!({"title": "Authentication API", "version": "1"}))]
    pub info: String,
    #[schema(value_type = Object, example = json!({}))]
    pub paths: String,
}
