//! Bodies of `keys/…`.

use std::collections::BTreeMap;

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
    /// The networks, or single addresses, that it may be used from. None: from anywhere.
    #[schema(example = json!(["192.0.2.0/24", "2001:db8::/32"]), max_items = 64, nullable = false)]
    pub networks: Option<Vec<String>>,
    /// The names of the routes that it may be used on. None: on all. A name that no route has lets nothing through.
    #[schema(example = json!(["orders"]), max_items = 64, nullable = false)]
    pub routes: Option<Vec<String>>,
    /// The methods that it may be used with; GET brings HEAD along. None: with all.
    #[schema(example = json!(["GET"]), max_items = 16, nullable = false)]
    pub methods: Option<Vec<String>>,
    /// After how many days without use it is refused.
    #[schema(example = 90, minimum = 1, maximum = 3650)]
    pub idle_days: Option<u16>,
    /// How fast it may be used: so many per second, minute or hour, and how many at once if that is another number.
    #[schema(example = "100/minute burst 20", max_length = 60)]
    pub rate: Option<String>,
    /// How often it may be used in a day or month of the calendar, in UTC.
    #[schema(example = "10000/day", max_length = 60)]
    pub quota: Option<String>,
    /// Up to 16 names with values, to find it again by.
    #[schema(example = json!({"team": "payments"}), nullable = false)]
    pub labels: Option<BTreeMap<String, String>>,
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
    /// The networks, or single addresses, that it may be used from. An empty list: from anywhere.
    #[schema(example = json!(["192.0.2.0/24", "2001:db8::/32"]), max_items = 64, nullable = false)]
    pub networks: Option<Vec<String>>,
    /// The names of the routes that it may be used on. An empty list: on all. A name that no route has lets nothing through.
    #[schema(example = json!(["orders"]), max_items = 64, nullable = false)]
    pub routes: Option<Vec<String>>,
    /// The methods that it may be used with; GET brings HEAD along. An empty list: with all.
    #[schema(example = json!(["GET"]), max_items = 16, nullable = false)]
    pub methods: Option<Vec<String>>,
    /// After how many days without use it is refused; `null`: never.
    #[schema(example = 90, minimum = 1, maximum = 3650)]
    pub idle_days: Option<u16>,
    /// How fast it may be used: so many per second, minute or hour, and how many at once if that is another number; `null`: no limit.
    #[schema(example = "100/minute burst 20", max_length = 60)]
    pub rate: Option<String>,
    /// How often it may be used in a day or month of the calendar, in UTC; `null`: no limit.
    #[schema(example = "10000/day", max_length = 60)]
    pub quota: Option<String>,
    /// All of them, in place of those there were.
    #[schema(example = json!({"team": "payments"}), nullable = false)]
    pub labels: Option<BTreeMap<String, String>>,
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
    #[schema(example = json!(["192.0.2.0/24"]))]
    pub networks: Vec<String>,
    #[schema(example = json!(["orders"]))]
    pub routes: Vec<String>,
    #[schema(example = json!(["GET"]))]
    pub methods: Vec<String>,
    #[schema(required, example = "100/minute burst 20")]
    pub rate: Option<String>,
    #[schema(required, example = "10000/day")]
    pub quota: Option<String>,
    #[schema(example = json!({"team": "payments"}))]
    pub labels: BTreeMap<String, String>,
    #[schema(example = "2026-01-31T12:00:00.000000Z", format = DateTime)]
    pub created_at: String,
    #[schema(required, example = "2026-05-01T12:00:00.000000Z", format = DateTime)]
    pub expires_at: Option<String>,
    #[schema(required, example = 90)]
    pub idle_days: Option<u16>,
    /// When it was last used, as far as the store has been told: a few seconds behind.
    #[schema(required, example = "2026-02-03T08:15:30.000000Z", format = DateTime)]
    pub last_used_at: Option<String>,
    /// How many requests were made with it, likewise.
    #[schema(example = 4711)]
    pub use_count: u64,
    #[schema(required, example = json!(null), format = DateTime)]
    pub revoked_at: Option<String>,
    #[schema(required, example = json!(null))]
    pub revoked_reason: Option<String>,
    /// The id of the key that was made in its place.
    #[schema(required, example = json!(null))]
    pub replaced_by: Option<String>,
    /// When that key was made.
    #[schema(required, example = json!(null), format = DateTime)]
    pub replaced_at: Option<String>,
    /// How often this one was used after that.
    #[schema(required, example = json!(null))]
    pub uses_since_replaced: Option<u64>,
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
    #[schema(example = json!(["192.0.2.0/24"]))]
    pub networks: Vec<String>,
    #[schema(example = json!(["orders"]))]
    pub routes: Vec<String>,
    #[schema(example = json!(["GET"]))]
    pub methods: Vec<String>,
    #[schema(required, example = "100/minute burst 20")]
    pub rate: Option<String>,
    #[schema(required, example = "10000/day")]
    pub quota: Option<String>,
    #[schema(example = json!({"team": "payments"}))]
    pub labels: BTreeMap<String, String>,
    #[schema(example = "2026-01-31T12:00:00.000000Z", format = DateTime)]
    pub created_at: String,
    #[schema(required, example = "2026-05-01T12:00:00.000000Z", format = DateTime)]
    pub expires_at: Option<String>,
    #[schema(required, example = 90)]
    pub idle_days: Option<u16>,
    /// When it was last used, as far as the store has been told: a few seconds behind.
    #[schema(required, example = json!(null), format = DateTime)]
    pub last_used_at: Option<String>,
    /// How many requests were made with it, likewise.
    #[schema(example = 0)]
    pub use_count: u64,
    #[schema(required, example = json!(null), format = DateTime)]
    pub revoked_at: Option<String>,
    #[schema(required, example = json!(null))]
    pub revoked_reason: Option<String>,
    #[schema(required, example = json!(null))]
    pub replaced_by: Option<String>,
    /// When that key was made.
    #[schema(required, example = json!(null), format = DateTime)]
    pub replaced_at: Option<String>,
    /// How often this one was used after that.
    #[schema(required, example = json!(null))]
    pub uses_since_replaced: Option<u64>,
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

/// A key that was found, or several.
#[derive(ToSchema)]
pub struct FoundKeys {
    /// The whole key.
    #[schema(
        example = "pk_AbCd1234_0000000000000000000000000000000000000000000000000",
        max_length = 200,
        nullable = false
    )]
    pub key: Option<String>,
    /// Several, instead.
    #[schema(min_items = 1, max_items = 10, nullable = false)]
    pub keys: Option<Vec<String>>,
}

/// What became of each, in their order.
#[derive(ToSchema)]
pub struct FoundKeysAnswer {
    pub results: Vec<FoundKey>,
}

#[derive(ToSchema)]
pub struct FoundKey {
    /// `revoked`: it does not work any more, from now on or for longer. `unknown`: it is no key of this gateway, or not the
    /// whole of one.
    #[schema(example = "revoked")]
    pub outcome: String,
}
