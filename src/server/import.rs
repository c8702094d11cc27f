//! Taking over another installation: who gets whom, for this one command.

use std::sync::Arc;

use super::ground::{self, Nature, Stores};
use super::start_error::StartError;
use crate::backends::django;
use crate::config::settings::Settings;
use crate::domain::secret::Secret;
use crate::identity::import::report::Report;
use crate::identity::import::{Import, ImportOptions};

pub async fn import_django(
    settings: &Settings,
    stores: &Stores,
    nature: &Nature,
    from: &Secret<String>,
    options: &ImportOptions,
) -> Result<Report, StartError> {
    let import = Import {
        imports: Arc::clone(&stores.imports),
        master_keys: Arc::new(ground::master_keys(settings)?),
        auditor: ground::auditor(settings, stores, nature),
        clock: Arc::clone(&nature.clock),
        random: Arc::clone(&nature.random),
    };
    let source = django::open(from).await.map_err(|error| StartError::Import(error.into()))?;
    Ok(import.run(source.as_ref(), options).await?)
}
