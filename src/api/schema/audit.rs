//! Bodies of `audit/`.

use utoipa::ToSchema;

/// What happened, the newest first.
#[derive(ToSchema)]
pub struct AuditPage {
    pub results: Vec<AuditEntry>,
    /// The `cursor` of the next page; `null` on the last one.
    #[schema(required, example = json!(null))]
    pub next: Option<String>,
}

/// One thing that was done, or was tried and refused.
#[derive(ToSchema)]
pub struct AuditEntry {
    #[schema(example = "0197c1a2-7a10-7c55-8e21-5b6c7d8e9f00")]
    pub id: String,
    #[schema(example = "2026-01-31T12:00:00.000000Z", format = DateTime)]
    pub time: String,
    #[schema(example = "user_change")]
    pub action: String,
    pub outcome: AuditOutcome,
    /// Why it was refused, in the words of the access log.
    #[schema(required, example = json!(null))]
    pub reason: Option<String>,
    /// Who did it: `user:` and an id, `service:` and a name, `anonymous`, `operator`, or `gateway`.
    #[schema(example = "user:0197c1a2-6f5e-7d3c-9b1a-2f4e6d8c0a1b")]
    pub actor: String,
    /// The API key that the actor showed.
    #[schema(required, example = json!(null))]
    pub key_id: Option<String>,
    /// The session of the token that the actor showed.
    #[schema(required, example = "5f0c2b1e-8a57-4f9f-9d0e-3b6f7c1d2e4a")]
    pub session_id: Option<String>,
    /// The user whom it concerns.
    #[schema(required, example = "0197c1a2-6f5e-7d3c-9b1a-2f4e6d8c0a1c")]
    pub user_id: Option<String>,
    /// What else it concerns: `key:` or `session:` and an id.
    #[schema(required, example = json!(null))]
    pub object: Option<String>,
    /// What changed.
    #[schema(example = "email; scopes [orders:read] -> []")]
    pub detail: String,
    /// Where the request came from; empty when there was none.
    #[schema(example = "203.0.113.7")]
    pub client: String,
    #[schema(example = "curl/8.5.0")]
    pub user_agent: String,
    #[schema(example = "0197c1a26f5e7d3c9b1a")]
    pub request_id: String,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case", example = "done")]
pub enum AuditOutcome {
    Done,
    Refused,
}
