//! `reload` and `upgrade`: asking the process that serves, and waiting for what comes of it.

use std::path::Path;

use serde_json::json;

use super::arguments::{OutputFormat, Upgrade};
use super::failure::Failure;
use super::output::{complain, print};
use crate::config::environment::ProcessEnvironment;
use crate::config::settings::Settings;
use crate::server::control::{Answer, Question, ask, path};

const NOWHERE: &str = "the configuration names no control socket; set listen.control, or send the process a signal";

/// The process is asked about a faulty configuration, too: what it thinks of it counts, and belongs in its log and metrics.
pub fn reload(config: &Path, format: OutputFormat) -> Result<(), Failure> {
    let faults = match crate::config::load(config, &ProcessEnvironment) {
        Ok(settings) => return put(&settings, &Question::Reload, format),
        Err(faults) => faults,
    };
    let found = crate::config::load_whereabouts(config, &ProcessEnvironment);
    let path = found.and_then(|(listen, storage)| path(&listen, &storage));
    match path.map(|path| ask(&path, &Question::Reload)) {
        Some(Ok(answer)) => tell(&answer, format),
        Some(Err(_)) | None => Err(faults.into()),
    }
}

pub fn upgrade(settings: &Settings, options: Upgrade, format: OutputFormat) -> Result<(), Failure> {
    // The process that runs may have another working directory.
    let binary = options.binary.map(std::path::absolute).transpose()?;
    put(settings, &Question::Upgrade { binary }, format)
}

fn put(settings: &Settings, question: &Question, format: OutputFormat) -> Result<(), Failure> {
    let path = path(&settings.listen, &settings.storage).ok_or_else(|| Failure::Input(NOWHERE.to_owned()))?;
    let unreached = |error| Failure::Input(format!("no process answers at {}: {error}", path.display()));
    tell(&ask(&path, question).map_err(unreached)?, format)
}

fn tell(answer: &Answer, format: OutputFormat) -> Result<(), Failure> {
    let text = format!("{}\n", answer.lines.join("\n"));
    match (answer.done, format) {
        (true, _) => {
            print(format, &text, &json!({ "done": true, "lines": answer.lines }));
            return Ok(());
        }
        (false, OutputFormat::Text) => complain(&text),
        (false, OutputFormat::Json) => print(format, &text, &json!({ "done": false, "lines": answer.lines })),
    }
    Err(Failure::Negative)
}
