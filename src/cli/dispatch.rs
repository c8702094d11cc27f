//! From the command line to the command.

use std::path::Path;

use super::arguments::{Arguments, Command, Migrate};
use super::desk::Desk;
use super::failure::Failure;
use super::{
    audit, check, control, import, keys, lockouts, migrate, quickstart, secrets, serve, signing_keys, store, users,
};
use crate::config::environment::ProcessEnvironment;
use crate::config::settings::Settings;

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let (config, format) = (arguments.config.as_path(), arguments.output);
    match arguments.command {
        Command::Quickstart(options) => quickstart::run(&options),
        Command::Serve(options) => serve::run(config, &options),
        Command::Reload => control::reload(config, format),
        Command::Upgrade(options) => control::upgrade(&settings(config)?, options, format),
        Command::Check => check::run(config, &settings(config)?, format),
        Command::Explain { method, url } => check::explain(&settings(config)?, &method, &url, format),
        Command::Migrate { command } => migrate::run(&settings(config)?, command.unwrap_or(Migrate::Up), format),
        Command::Store(command) => store::run(|| settings(config), &command, format),
        Command::Users(command) => users::run(&Desk::open(&settings(config)?)?, command, format),
        Command::Audit(command) => audit::run(&Desk::open(&settings(config)?)?, command, format),
        Command::Lockouts(command) => lockouts::run(&Desk::open(&settings(config)?)?, command, format),
        Command::Import(command) => import::run(&settings(config)?, command, format),
        Command::SigningKeys(command) => signing_keys::run(&settings(config)?, &command, format),
        Command::Secrets(command) => secrets::run(&settings(config)?, &command, format),
        Command::Keys(command) => keys::run(&Desk::open(&settings(config)?)?, command, format),
    }
}

fn settings(path: &Path) -> Result<Settings, Failure> {
    Ok(crate::config::load(path, &ProcessEnvironment)?)
}
