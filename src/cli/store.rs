//! `store`: moving to another database.

use serde_json::{Value, json};

use super::arguments::{OutputFormat, Store};
use super::failure::Failure;
use super::output::{print, table};
use crate::config::settings::Settings;
use crate::server::run::back_office;
use crate::server::store_copy::copy_store;

pub fn run(
    settings: impl Fn() -> Result<Settings, Failure>,
    command: &Store,
    format: OutputFormat,
) -> Result<(), Failure> {
    let Store::Copy { from, to } = command;
    let (from, to) = (from.url(&settings)?, to.url(&settings)?);
    let tables = back_office()?.block_on(copy_store(&from, &to))?;
    let rows: Vec<Vec<String>> = tables
        .iter()
        .map(|table| {
            let present = table.rows - table.copied;
            vec![
                table.name.clone(),
                table.rows.to_string(),
                table.copied.to_string(),
                present.to_string(),
                table.digest.clone(),
            ]
        })
        .collect();
    let text = self::table(&["TABLE", "ROWS", "COPIED", "ALREADY THERE", "SHA-256"], &rows);
    let list: Vec<Value> = tables
        .iter()
        .map(|table| {
            json!({
                "table": table.name,
                "rows": table.rows,
                "copied": table.copied,
                "already_there": table.rows - table.copied,
                "sha256": table.digest,
            })
        })
        .collect();
    print(format, &format!("{text}Both databases hold the same.\n"), &json!({ "tables": list }));
    Ok(())
}
