//! `check` and `explain`: what the configuration says, without serving.

use std::path::Path;

use serde_json::json;

use super::arguments::OutputFormat;
use super::failure::Failure;
use super::output::{complain, print};
use crate::config::settings::Settings;
use crate::server::ground::Nature;
use crate::server::{encryption, explain, mail};

/// The settings were read without a fault; what is left is what only shows when the routes are put together, and when the
/// texts of mails are tried.
pub fn run(path: &Path, settings: &Settings, format: OutputFormat) -> Result<(), Failure> {
    explain::explain(settings, "GET", "/")?;
    mail::check(&settings.mail)?;
    let mut warnings: Vec<String> = settings.warnings.iter().map(ToString::to_string).collect();
    let now = Nature::real().clock.now();
    warnings.extend(settings.listen.https.iter().flat_map(|https| encryption::untimely(https, now)));
    for warning in &warnings {
        complain(&format!("warning: {warning}\n"));
    }
    let (routes, upstreams) = (settings.routes.len(), settings.upstreams.len());
    let text = format!("{} is valid: {routes} routes to {upstreams} upstreams\n", path.display());
    let json = json!({ "valid": true, "routes": routes, "upstreams": upstreams, "warnings": warnings });
    print(format, &text, &json);
    Ok(())
}

pub fn explain(settings: &Settings, method: &str, url: &str, format: OutputFormat) -> Result<(), Failure> {
    let method = method.to_ascii_uppercase();
    let explanation = explain::explain(settings, &method, url)?;
    let lines: Vec<&str> = explanation.text.lines().collect();
    print(format, &explanation.text, &json!({ "found": explanation.found, "explanation": lines }));
    if explanation.found { Ok(()) } else { Err(Failure::Negative) }
}
