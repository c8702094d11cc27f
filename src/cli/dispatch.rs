//! From the command line to the command.

use std::path::Path;

use tokio::runtime::Runtime;

use super::arguments::{Arguments, Command};
use super::failure::Failure;
use super::{check, keys, migrate, quickstart, serve, users};
use crate::config::environment::ProcessEnvironment;
use crate::config::settings::Settings;
use crate::server::ground::{Administration, Nature, Stores};
use crate::server::run::back_office;

pub fn run(arguments: Arguments) -> Result<(), Failure> {
    let (config, format) = (arguments.config.as_path(), arguments.output);
    match arguments.command {
        Command::Quickstart(options) => quickstart::run(&options),
        Command::Serve => serve::run(&settings(config)?),
        Command::Check => check::run(config, &settings(config)?, format),
        Command::Explain { method, url } => check::explain(&settings(config)?, &method, &url, format),
        Command::Migrate => migrate::run(&settings(config)?, format),
        Command::Users(command) => users::run(&Desk::open(&settings(config)?)?, command, format),
        Command::Keys(command) => keys::run(&Desk::open(&settings(config)?)?, command, format),
    }
}

fn settings(path: &Path) -> Result<Settings, Failure> {
    Ok(crate::config::load(path, &ProcessEnvironment)?)
}

/// What commands on users and keys work with: the store, opened beside a running server or without one.
pub struct Desk {
    pub administration: Administration,
    pub runtime: Runtime,
}

impl Desk {
    fn open(settings: &Settings) -> Result<Self, Failure> {
        let runtime = back_office()?;
        let stores = runtime.block_on(Stores::open(settings))?;
        let administration = Administration::new(settings, &stores, &Nature::real())?;
        Ok(Self { administration, runtime })
    }
}
