//! `import`: taking over the data of another installation.

use serde_json::{Value, json};

use super::arguments::{DjangoImport, Import, OutputFormat};
use super::failure::Failure;
use super::output::{print, table};
use super::users::read_scopes;
use crate::config::environment::{Environment as _, ProcessEnvironment};
use crate::config::settings::Settings;
use crate::config::store_url::has_password;
use crate::domain::secret::Secret;
use crate::identity::import::report::{Report, Tally, Told};
use crate::identity::import::{ImportOptions, UserTable};
use crate::server::ground::{Nature, Stores};
use crate::server::import::import_django;
use crate::server::run::back_office;

pub fn run(settings: &Settings, command: Import, format: OutputFormat) -> Result<(), Failure> {
    let Import::Django(arguments) = command;
    let options = options(&arguments)?;
    let from = source(arguments.from)?;
    let runtime = back_office()?;
    let stores = runtime.block_on(Stores::open_patiently(settings))?;
    let done = runtime.block_on(import_django(settings, &stores, &Nature::real(), &from, &options));
    runtime.block_on(stores.close());
    let report = done?;
    print(format, &to_text(&report), &to_json(&report));
    Ok(())
}

fn options(arguments: &DjangoImport) -> Result<ImportOptions, Failure> {
    let mut users = UserTable::named(arguments.user_table.clone());
    for column in &arguments.user_columns {
        users.rename(column).map_err(|fault| Failure::Input(fault.to_string()))?;
    }
    Ok(ImportOptions {
        users,
        key_scopes: read_scopes(&arguments.key_scopes)?,
        accept_weak: arguments.accept_weak,
        overwrite: arguments.overwrite,
        dry_run: arguments.dry_run,
    })
}

/// A URL with a password is no argument: everybody on the machine can read those.
fn source(from: String) -> Result<Secret<String>, Failure> {
    match from.strip_prefix("env:") {
        None => {
            let url = Secret::new(from);
            if has_password(&url) {
                return Err(Failure::Input(
                    "--from: everybody on this machine can read a password in a command: write env:NAME".to_owned(),
                ));
            }
            Ok(url)
        }
        Some(name) => match ProcessEnvironment.variable(name) {
            Some(value) => Ok(Secret::new(value)),
            None => Err(Failure::Input(format!("--from: the environment variable {name} is not set"))),
        },
    }
}

fn to_text(report: &Report) -> String {
    let mut text = String::new();
    text.push_str(if report.dry_run { "A trial run: nothing was changed.\n\n" } else { "Taken over.\n\n" });
    let rows: Vec<Vec<String>> = report.tables.iter().map(|(name, tally)| tally_row(name, tally)).collect();
    text.push_str(&table(&["TABLE", "READ", "ADDED", "UPDATED", "UNCHANGED", "KEPT", "LEFT"], &rows));
    for (what, formats) in [("PASSWORDS", &report.password_formats), ("API KEYS", &report.key_formats)] {
        if !formats.is_empty() {
            let rows: Vec<Vec<String>> =
                formats.iter().map(|(name, count)| vec![name.clone(), count.to_string()]).collect();
            text.push_str(&format!("\n{}", table(&[what, "COUNT"], &rows)));
        }
    }
    for (came, head) in [(false, "Does not come along"), (true, "Comes along, and differs")] {
        let told: Vec<Vec<String>> = report.rows.iter().filter(|row| row.came == came).map(told_row).collect();
        if !told.is_empty() {
            text.push_str(&format!("\n{head}:\n{}", table(&["TABLE", "ID", "WHY"], &told)));
        }
    }
    if report.not_named > 0 {
        text.push_str(&format!("\nand {} rows more\n", report.not_named));
    }
    for remark in &report.remarks {
        text.push_str(&format!("\nNote: {remark}.\n"));
    }
    text
}

fn tally_row(name: &str, tally: &Tally) -> Vec<String> {
    let numbers = [tally.read, tally.added, tally.updated, tally.unchanged, tally.kept, tally.left];
    std::iter::once(name.to_owned()).chain(numbers.map(|number| number.to_string())).collect()
}

fn told_row(row: &Told) -> Vec<String> {
    vec![row.table.clone(), row.id.clone(), row.what.clone()]
}

fn to_json(report: &Report) -> Value {
    let tally = |tally: &Tally| {
        json!({
            "read": tally.read,
            "added": tally.added,
            "updated": tally.updated,
            "unchanged": tally.unchanged,
            "kept": tally.kept,
            "left": tally.left,
        })
    };
    let tables: serde_json::Map<String, Value> =
        report.tables.iter().map(|(name, rows)| (name.clone(), tally(rows))).collect();
    let told = |row: &Told| json!({ "table": row.table, "id": row.id, "came": row.came, "what": row.what });
    json!({
        "dry_run": report.dry_run,
        "tables": tables,
        "formats": { "passwords": report.password_formats, "api_keys": report.key_formats },
        "rows": report.rows.iter().map(told).collect::<Vec<_>>(),
        "rows_not_named": report.not_named,
        "remarks": report.remarks,
    })
}
