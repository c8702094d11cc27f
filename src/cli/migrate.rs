//! `migrate`: a database with the present schema, and a master key.

use serde_json::json;

use super::arguments::OutputFormat;
use super::failure::Failure;
use super::output::print;
use crate::config::settings::Settings;
use crate::server::ground::{Nature, Stores, make_master_key};
use crate::server::run::back_office;

pub fn run(settings: &Settings, format: OutputFormat) -> Result<(), Failure> {
    let made_key = back_office()?.block_on(async {
        let stores = Stores::prepare(settings).await?;
        let made_key = make_master_key(settings, &stores, Nature::real().random.as_ref()).await;
        stores.close().await;
        made_key
    })?;
    let mut text = "The database is up to date.\n".to_owned();
    if made_key {
        text.push_str(
            "A master key was made. Keep a copy of it in a safe place: without it the signing keys are lost.\n",
        );
    }
    print(format, &text, &json!({ "migrated": true, "master_key_made": made_key }));
    Ok(())
}
