//! `reload` and `upgrade`: asking the process that serves, and waiting for what comes of it.

use serde_json::json;

use super::arguments::{OutputFormat, Upgrade};
use super::failure::Failure;
use super::output::{complain, print};
use crate::config::settings::Settings;
use crate::server::control::{Question, ask, path};

const NOWHERE: &str = "the configuration names no control socket; set listen.control, or send the process a signal";

pub fn reload(settings: &Settings, format: OutputFormat) -> Result<(), Failure> {
    put(settings, &Question::Reload, format)
}

pub fn upgrade(settings: &Settings, options: Upgrade, format: OutputFormat) -> Result<(), Failure> {
    // The process that runs may have another working directory.
    let binary = options.binary.map(std::path::absolute).transpose()?;
    put(settings, &Question::Upgrade { binary }, format)
}

fn put(settings: &Settings, question: &Question, format: OutputFormat) -> Result<(), Failure> {
    let path = path(settings).ok_or_else(|| Failure::Input(NOWHERE.to_owned()))?;
    let unreached = |error| Failure::Input(format!("no process answers at {}: {error}", path.display()));
    let answer = ask(&path, question).map_err(unreached)?;
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
