//! Who exists and what do they hold? Issues, changes and revokes; never decides about a request.

pub mod api_keys;
pub mod mail_templates;
pub mod mail_values;
pub mod outgoing;
pub mod passwords;
pub mod public_keys;
pub mod sessions;
pub mod signing_keys;
pub mod token_mint;
pub mod users;
