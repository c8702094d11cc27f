//! What bodies look like, for the description only: requests are read by `fields`, answers are written with `json!`, and
//! `make test-api` compares what is described here with what is done. One struct for a body; a field's documentation, example
//! and bounds stand at the field.

pub mod api_keys;
pub mod audit;
pub mod documents;
pub mod keys;
pub mod lockouts;
pub mod me;
pub mod passwords;
pub mod paths;
pub mod refusals;
pub mod second_factors;
pub mod sessions;
pub mod tokens;
pub mod users;
