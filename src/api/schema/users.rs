//! Bodies of `users/…`.

use utoipa::ToSchema;

use super::sessions::Session;

/// A user to be made.
#[derive(ToSchema)]
pub struct NewUser {
    /// Of which there is one only; upper and lower case differ.
    #[schema(example = "anna", min_length = 1, max_length = 150)]
    pub username: String,
    #[schema(example = "anna@example.com", max_length = 254)]
    pub email: Option<String>,
    #[schema(example = "Anna", max_length = 150, nullable = false)]
    pub first_name: Option<String>,
    #[schema(example = "Arendt", max_length = 150, nullable = false)]
    pub last_name: Option<String>,
    /// Without one, nobody signs in until one is set: by the user, from a link that `password/reset/` mails.
    #[schema(example = "correct horse battery staple", format = Password, min_length = 1)]
    pub password: Option<String>,
    /// Whether the user has the role `admin`.
    #[schema(example = false, nullable = false)]
    pub is_admin: Option<bool>,
    /// Other roles, by their names in the configuration.
    #[schema(example = json!([]), max_items = 100, nullable = false)]
    pub roles: Option<Vec<String>>,
    /// What the user may do beside what the roles allow.
    #[schema(example = json!(["orders:read"]), max_items = 100, nullable = false)]
    pub scopes: Option<Vec<String>>,
}

/// What is to be different. What is not sent stays.
#[derive(ToSchema)]
pub struct UserChange {
    #[schema(example = "anna", min_length = 1, max_length = 150, nullable = false)]
    pub username: Option<String>,
    /// Links that were mailed to the old address become void.
    #[schema(example = "anna@example.com", max_length = 254)]
    pub email: Option<String>,
    #[schema(example = "Anna", max_length = 150, nullable = false)]
    pub first_name: Option<String>,
    #[schema(example = "Arendt", max_length = 150, nullable = false)]
    pub last_name: Option<String>,
    /// As `disable/` and `enable/`.
    #[schema(example = true, nullable = false)]
    pub is_active: Option<bool>,
    #[schema(example = false, nullable = false)]
    pub is_admin: Option<bool>,
    /// All of them, in place of those there were.
    #[schema(example = json!([]), max_items = 100, nullable = false)]
    pub roles: Option<Vec<String>>,
    /// All of them, in place of those there were.
    #[schema(example = json!(["orders:read"]), max_items = 100, nullable = false)]
    pub scopes: Option<Vec<String>>,
}

/// A user.
#[derive(ToSchema)]
pub struct User {
    #[schema(example = "0197c1a2-6f5e-7d3c-9b1a-2f4e6d8c0a1b")]
    pub id: String,
    #[schema(example = "anna")]
    pub username: String,
    /// Empty when there is none.
    #[schema(example = "anna@example.com")]
    pub email: String,
    #[schema(example = "Anna")]
    pub first_name: String,
    #[schema(example = "Arendt")]
    pub last_name: String,
    #[schema(example = true)]
    pub is_active: bool,
    /// Whether the user has the role `admin`.
    #[schema(example = false)]
    pub is_admin: bool,
    /// Other roles. One that the configuration does not name gives nothing.
    #[schema(example = json!([]))]
    pub roles: Vec<String>,
    /// The user's own.
    #[schema(example = json!(["orders:read"]))]
    pub scopes: Vec<String>,
    #[schema(example = "2026-01-31T12:00:00.000000Z", format = DateTime)]
    pub created_at: String,
    #[schema(example = "2026-01-31T12:00:00.000000Z", format = DateTime)]
    pub password_changed_at: String,
    #[schema(required, example = "2026-01-31T12:05:00.000000Z", format = DateTime)]
    pub last_sign_in_at: Option<String>,
    /// Whether the user has a second factor.
    #[schema(example = false)]
    pub second_factor: bool,
}

/// Some of the users, by name.
#[derive(ToSchema)]
pub struct UserPage {
    pub results: Vec<User>,
    /// The `cursor` of the next page; `null` on the last one.
    #[schema(required, example = "8ru1vXVzZXJzOmFubmE")]
    pub next: Option<String>,
}

/// A password for a user.
#[derive(ToSchema)]
pub struct NewPassword {
    #[schema(example = "correct horse battery staple", format = Password, min_length = 1)]
    pub password: String,
}

/// How many sessions have ended.
#[derive(ToSchema)]
pub struct EndedSessions {
    #[schema(example = 2)]
    pub ended: u64,
}

/// The live sessions of a user.
#[derive(ToSchema)]
pub struct UserSessions {
    /// The newest first, at most 500.
    pub results: Vec<Session>,
}
