//! `migrate`: a database with the present schema, and a master key.

use serde_json::{Value, json};

use super::arguments::{Migrate, OutputFormat};
use super::failure::Failure;
use super::output::{print, table};
use crate::config::settings::Settings;
use crate::server::ground::{Nature, Stores, make_master_key, schema_versions};
use crate::server::run::back_office;

pub fn run(settings: &Settings, command: Migrate, format: OutputFormat) -> Result<(), Failure> {
    match command {
        Migrate::Up => up(settings, format),
        Migrate::Status => status(settings, format),
    }
}

fn up(settings: &Settings, format: OutputFormat) -> Result<(), Failure> {
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

fn status(settings: &Settings, format: OutputFormat) -> Result<(), Failure> {
    let versions = back_office()?.block_on(schema_versions(settings))?;
    let state = |is_applied| if is_applied { "applied" } else { "pending" };
    let rows: Vec<Vec<String>> = versions
        .iter()
        .map(|version| vec![version.number.to_string(), version.name.clone(), state(version.is_applied).to_owned()])
        .collect();
    let list: Vec<Value> = versions
        .iter()
        .map(|version| json!({ "version": version.number, "name": version.name, "state": state(version.is_applied) }))
        .collect();
    let pending = versions.iter().filter(|version| !version.is_applied).count();
    let text = table(&["VERSION", "NAME", "STATE"], &rows);
    print(format, &text, &json!({ "pending": pending, "versions": list }));
    Ok(())
}
