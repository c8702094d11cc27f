//! Who exists and what do they hold? Issues, changes and revokes; never decides about a request.

pub mod api_keys;
pub mod auditor;
pub mod code_check;
pub mod guess_guard;
pub mod mail_templates;
pub mod mail_values;
pub mod notices;
pub mod outgoing;
pub mod password_change;
pub mod password_confirmation;
pub mod password_reset;
pub mod passwords;
pub mod public_keys;
pub mod resealing;
pub mod reset_requests;
pub mod second_factor_reset;
pub mod sessions;
pub mod sign_in;
pub mod signing_keys;
pub mod token_mint;
pub mod turns;
pub mod users;
