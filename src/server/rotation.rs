//! Signing keys, for the operator.

use super::ground::{Nature, Stores, master_key};
use super::keyrings::keyring;
use super::start_error::StartError;
use crate::config::settings::{Settings, Signing};
use crate::domain::audit::Initiator;
use crate::domain::signing_key::{KeyUse, SigningAlgorithm, SigningKey};
use crate::identity::signing_keys::KeysError;

/// All of them, oldest first.
pub async fn list(stores: &Stores) -> Result<Vec<SigningKey>, StartError> {
    Ok(stores.signing_keys.list().await.map_err(KeysError::Store)?)
}

/// Rotates what the gateway made itself: the key of assertions, and that of tokens unless the configuration gives one.
/// Returns all keys as they are then.
pub async fn rotate(settings: &Settings, stores: &Stores, nature: &Nature) -> Result<Vec<SigningKey>, StartError> {
    let master_key = master_key(&settings.master_key)?;
    let keyring = keyring(&master_key, stores, nature);
    let by = Initiator::operator();
    keyring.rotate(KeyUse::Assertions, SigningAlgorithm::Es256, &by).await?;
    if let Signing::Generated(algorithm) = settings.tokens.signing {
        keyring.rotate(KeyUse::Tokens, algorithm, &by).await?;
    }
    list(stores).await
}
