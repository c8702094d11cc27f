//! Bodies of `keys/…`.

use utoipa::ToSchema;

/// A key to be made.
#[derive(ToSchema)]
pub struct NewApiKey {
    /// What it is for, in a few words.
    #[schema(example = "nightly export", min_length = 1, max_length = 100)]
    pub name: String,
    /// Whom it acts as: `user:` and the user's id, or the name of a service. Who calls, if nothing is said.
    #[schema(example = "reports", max_length = 200, nullable = false)]
    pub owner: Option<String>,
    #[schema(example = json!(["orders:read"]), max_items = 100, nullable = false)]
    pub scopes: Option<Vec<String>>,
    /// In how many seconds it stops working. Neither this nor `expires_at`: it works until it is revoked.
    #[schema(example = 7776000, minimum = 1, maximum = 3155760000_u64)]
    pub expires_in: Option<u64>,
    /// When it stops working; instead of `expires_in`.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
}

/// What is to be different. What is not sent stays.
#[derive(ToSchema)]
pub struct ApiKeyChange {
    #[schema(example = "nightly export", min_length = 1, max_length = 100, nullable = false)]
    pub name: Option<String>,
    /// All of them, in place of those there were.
    #[schema(example = json!(["orders:read"]), max_items = 100, nullable = false)]
    pub scopes: Option<Vec<String>>,
    /// In how many seconds from now it stops working.
    #[schema(example = 7776000, minimum = 1, maximum = 3155760000_u64)]
    pub expires_in: Option<u64>,
    /// When it stops working, instead of `expires_in`; `null`: it works until it is revoked.
    #[schema(format = DateTime)]
    pub expires_at: Option<String>,
}

/// A key, but for the key itself.
#[derive(ToSchema)]
pub struct ApiKey {
    #[schema(example = "5b3a1c9e-2d4f-4b6a-8c0d-1e2f3a4b5c6d")]
    pub id: String,
    /// The part of the key that may be seen: `pk_` and this begin it.
    #[schema(example = "AbCd1234")]
    pub prefix: String,
    #[schema(example = "nightly export")]
    pub name: String,
    /// `user:` and the user's id, or the name of a service.
    #[schema(example = "reports")]
    pub owner: String,
    #[schema(example = json!(["orders:read"]))]
    pub scopes: Vec<String>,
    #[schema(example = "2026-01-31T12:00:00.000000Z", format = DateTime)]
    pub created_at: String,
    #[schema(required, example = "2026-05-01T12:00:00.000000Z", format = DateTime)]
    pub expires_at: Option<String>,
    #[schema(required, example = json!(null), format = DateTime)]
    pub revoked_at: Option<String>,
    #[schema(required, example = json!(null))]
    pub revoked_reason: Option<String>,
    /// The id of the key that was made in its place.
    #[schema(required, example = json!(null))]
    pub replaced_by: Option<String>,
}

/// A key that was made just now.
#[derive(ToSchema)]
pub struct MadeApiKey {
    #[schema(example = "5b3a1c9e-2d4f-4b6a-8c0d-1e2f3a4b5c6d")]
    pub id: String,
    #[schema(example = "AbCd1234")]
    pub prefix: String,
    #[schema(example = "nightly export")]
    pub name: String,
    #[schema(example = "reports")]
    pub owner: String,
    #[schema(example = json!(["orders:read"]))]
    pub scopes: Vec<String>,
    #[schema(example = "2026-01-31T12:00:00.000000Z", format = DateTime)]
    pub created_at: String,
    #[schema(required, example = "2026-05-01T12:00:00.000000Z", format = DateTime)]
    pub expires_at: Option<String>,
    #[schema(required, example = json!(null), format = DateTime)]
    pub revoked_at: Option<String>,
    #[schema(required, example = json!(null))]
    pub revoked_reason: Option<String>,
    #[schema(required, example = json!(null))]
    pub replaced_by: Option<String>,
    /// The key itself, for `X-API-Key`. It is not kept, and not shown again.
    #[schema(example = "pk_AbCd1234_0000000000000000000000000000000000000000000000000")]
    pub key: String,
}

/// Some of the keys, the newest first.
#[derive(ToSchema)]
pub struct ApiKeyPage {
    pub results: Vec<ApiKey>,
    /// The `cursor` of the next page; `null` on the last one.
    #[schema(required, example = json!(null))]
    pub next: Option<String>,
}

/// How a key is replaced.
#[derive(ToSchema)]
pub struct Rotation {
    /// How many seconds the old key works beside the new one. A day, if nothing is said.
    #[schema(example = 86400, minimum = 0, maximum = 2592000, nullable = false)]
    pub overlap: Option<u64>,
}

/// A key that takes the place of another.
#[derive(ToSchema)]
pub struct RotatedApiKey {
    pub old: ApiKey,
    pub new: MadeApiKey,
}

/// Why a key is revoked.
#[derive(ToSchema)]
pub struct Revocation {
    /// For whoever looks later.
    #[schema(example = "it leaked", max_length = 200, nullable = false)]
    pub reason: Option<String>,
}
