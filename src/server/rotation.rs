//! Signing keys and what they are sealed under, for the operator.

use std::sync::Arc;

use super::ground::{Nature, Stores, auditor, master_keys};
use super::keyrings::keyring;
use super::start_error::StartError;
use crate::config::settings::{Settings, Signing};
use crate::domain::audit::Initiator;
use crate::domain::signing_key::{KeyUse, SigningAlgorithm, SigningKey};
use crate::identity::resealing::{Resealed, Resealing};
use crate::identity::signing_keys::KeysError;

/// All of them, oldest first.
pub async fn list(stores: &Stores) -> Result<Vec<SigningKey>, StartError> {
    Ok(stores.signing_keys.list().await.map_err(KeysError::Store)?)
}

/// Rotates what the gateway made itself: the key of assertions, and that of tokens unless the configuration gives one.
/// Returns all keys as they are then.
pub async fn rotate(settings: &Settings, stores: &Stores, nature: &Nature) -> Result<Vec<SigningKey>, StartError> {
    let master_keys = master_keys(settings)?;
    let keyring = keyring(&master_keys, stores, nature);
    let (by, auditor) = (Initiator::operator(), auditor(settings, stores, nature));
    keyring.rotate(KeyUse::Assertions, SigningAlgorithm::Es256, &by, &auditor).await?;
    if let Signing::Generated(algorithm) = settings.tokens.signing {
        keyring.rotate(KeyUse::Tokens, algorithm, &by, &auditor).await?;
    }
    list(stores).await
}

/// Seals everything anew under the present master key.
pub async fn reseal(settings: &Settings, stores: &Stores, nature: &Nature) -> Result<Resealed, StartError> {
    let resealing = Resealing {
        signing_keys: Arc::clone(&stores.signing_keys),
        second_factors: Arc::clone(&stores.second_factors),
        outbox: Arc::clone(&stores.outbox),
        master_keys: master_keys(settings)?,
        auditor: auditor(settings, stores, nature),
        random: Arc::clone(&nature.random),
    };
    Ok(resealing.run(&Initiator::operator()).await?)
}
