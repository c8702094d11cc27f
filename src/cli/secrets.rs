//! `secrets`: moving what is sealed from one master key to the next.

use serde_json::{Map, Value, json};

use super::arguments::{OutputFormat, Secrets};
use super::failure::Failure;
use super::output::print;
use crate::config::settings::Settings;
use crate::identity::resealing::Tally;
use crate::server::ground::{Nature, Stores};
use crate::server::rotation::reseal;
use crate::server::run::back_office;

pub fn run(settings: &Settings, command: &Secrets, format: OutputFormat) -> Result<(), Failure> {
    let Secrets::Rotate = command;
    let runtime = back_office()?;
    let stores = runtime.block_on(Stores::open_patiently(settings))?;
    let resealed = runtime.block_on(reseal(settings, &stores, &Nature::real()));
    runtime.block_on(stores.close());
    let resealed = resealed?;
    let kinds = [
        ("signing_keys", "signing keys", resealed.signing_keys),
        ("second_factors", "second factors", resealed.second_factors),
        ("mail", "mails that wait", resealed.mail),
    ];
    let mut text = format!("Everything is sealed under the master key {}.\n", resealed.master_key_id);
    let mut json = Map::from_iter([("master_key_id".to_owned(), json!(resealed.master_key_id))]);
    for (name, words, tally) in kinds {
        text.push_str(&format!("{words}: {} sealed anew, {} already were\n", tally.resealed, tally.current));
        json.insert(name.to_owned(), to_json(tally));
    }
    print(format, &text, &Value::Object(json));
    Ok(())
}

fn to_json(tally: Tally) -> Value {
    json!({ "resealed": tally.resealed, "current": tally.current })
}
