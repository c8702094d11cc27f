//! Configurations as operators write them, read through the public entry points.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod annotated;
mod arbitrary;
mod broken;
#[path = "../tls/certificates.rs"]
#[allow(dead_code, reason = "its clients are for gateways that run")]
mod certificates;
mod https;
mod secrets;
mod values;

use std::collections::BTreeMap;
use std::path::Path;

use portcullis::config;
use portcullis::config::fault::Faults;
use portcullis::config::settings::Settings;

/// The least that is a configuration, a key a line.
const MINIMAL: [&str; 4] = [
    "storage: { url: \"sqlite://data/portcullis.db\" }",
    "secrets: { master_key: { file: data/master.key } }",
    "upstreams: { backend: { servers: [\"127.0.0.1:8000\"] } }",
    "routes: [{ path: /, upstream: backend, access: { any: [jwt, api_key] } }]",
];

/// The minimal configuration with `snippet` from line 5 on, in place of what it says itself.
fn with(snippet: &str) -> String {
    let top_keys: Vec<&str> =
        snippet.lines().filter(|line| !line.starts_with([' ', '-', '#'])).filter_map(|l| l.split(':').next()).collect();
    let kept = MINIMAL.map(|line| if top_keys.contains(&line.split(':').next().unwrap()) { "#" } else { line });
    format!("{}\n{snippet}", kept.join("\n"))
}

fn environment(variables: &[(&str, &str)]) -> BTreeMap<String, String> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// In a folder of which nothing exists.
fn read(text: &str, variables: &[(&str, &str)]) -> Result<Settings, Faults> {
    config::read(text, "portcullis.yaml", Path::new("/nonexistent"), &environment(variables))
}

fn accepted(snippet: &str) -> Settings {
    let text = with(snippet);
    read(&text, &[]).unwrap_or_else(|faults| panic!("{text}\n{faults}"))
}

/// The faults, without the name of the file.
fn refused(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let faults = read(text, variables).expect_err(text);
    faults.iter().map(|fault| fault.to_string().replacen("portcullis.yaml:", "", 1)).collect()
}

fn warnings(settings: &Settings) -> Vec<String> {
    settings.warnings.iter().map(|fault| format!("{}: {}", fault.line, fault.path)).collect()
}
