//! A JWK Set (RFC 7517).

use utoipa::ToSchema;

#[derive(ToSchema)]
pub struct JwkSet {
    pub keys: Vec<Jwk>,
}

/// One public key. Keys of other types bring other members.
#[derive(ToSchema)]
pub struct Jwk {
    #[schema(example = "EC")]
    pub kty: String,
    #[schema(example = "k1", nullable = false)]
    pub kid: Option<String>,
    #[schema(rename = "use", example = "sig", nullable = false)]
    pub purpose: Option<String>,
    #[schema(example = "ES256", nullable = false)]
    pub alg: Option<String>,
}
