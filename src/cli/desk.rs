//! What commands on users and keys work with.

use tokio::runtime::Runtime;

use super::failure::Failure;
use super::output::complain;
use crate::config::settings::Settings;
use crate::server::ground::{Administration, Nature, Stores};
use crate::server::run::back_office;

/// The store, opened beside a running server or without one.
pub struct Desk {
    pub administration: Administration,
    pub runtime: Runtime,
    stores: Stores,
}

impl Desk {
    pub fn open(settings: &Settings) -> Result<Self, Failure> {
        let runtime = back_office()?;
        let stores = runtime.block_on(Stores::open_patiently(settings))?;
        let administration = Administration::new(settings, &stores, &Nature::real())?;
        if let Some(fault) = &administration.not_told {
            complain(&format!("warning: users are not told by mail of what is changed: {fault}\n"));
        }
        Ok(Self { administration, runtime, stores })
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.runtime.block_on(self.stores.close());
    }
}
