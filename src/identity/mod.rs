//! Who exists and what do they hold? Issues, changes and revokes; never decides about a request.

pub mod api_keys;
pub mod auditor;
pub mod code_check;
pub mod difference;
pub mod grants;
pub mod guess_guard;
pub mod key_desk;
pub mod lockouts;
pub mod mail_templates;
pub mod mail_values;
pub mod outgoing;
pub mod password_confirmation;
pub mod passwords;
pub mod public_keys;
pub mod resealing;
pub mod second_factor_reset;
pub mod sessions;
pub mod sign_in;
pub mod signing_keys;
pub mod token_mint;
pub mod turns;
pub mod user_desk;
pub mod users;
