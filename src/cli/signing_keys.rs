//! `signing-keys`: listing and rotating them.

use serde_json::{Value, json};

use super::arguments::{OutputFormat, SigningKeys};
use super::failure::Failure;
use super::output::{print, table};
use crate::config::settings::Settings;
use crate::domain::signing_key::SigningKey;
use crate::server::ground::{Nature, Stores};
use crate::server::rotation::{list, rotate, rotate_at_once};
use crate::server::run::back_office;

pub fn run(settings: &Settings, command: &SigningKeys, format: OutputFormat) -> Result<(), Failure> {
    let runtime = back_office()?;
    let stores = runtime.block_on(Stores::open_patiently(settings))?;
    let keys = match command {
        SigningKeys::List => runtime.block_on(list(&stores))?,
        SigningKeys::Rotate { at_once: false } => runtime.block_on(rotate(settings, &stores, &Nature::real()))?,
        SigningKeys::Rotate { at_once: true } => {
            runtime.block_on(rotate_at_once(settings, &stores, &Nature::real()))?
        }
    };
    runtime.block_on(stores.close());
    let rows: Vec<Vec<String>> = keys.iter().map(to_row).collect();
    let text = table(&["KID", "USE", "ALGORITHM", "STATE", "CREATED", "RETIRED"], &rows);
    print(format, &text, &keys.iter().map(to_json).collect());
    Ok(())
}

fn to_row(key: &SigningKey) -> Vec<String> {
    vec![
        key.kid.clone(),
        key.key_use.as_str().to_owned(),
        key.algorithm.to_string(),
        key.state.as_str().to_owned(),
        key.created_at.rfc3339(),
        key.retired_at.map(|at| at.rfc3339()).unwrap_or_default(),
    ]
}

fn to_json(key: &SigningKey) -> Value {
    json!({
        "kid": key.kid,
        "use": key.key_use.as_str(),
        "algorithm": key.algorithm.as_str(),
        "state": key.state.as_str(),
        "created_at": key.created_at.rfc3339(),
        "retired_at": key.retired_at.map(|at| at.rfc3339()),
    })
}
