//! The keys of an installation: from the configuration or from the store.

use std::sync::Arc;

use super::ground::{Nature, Stores, master_keys};
use super::start_error::StartError;
use crate::config::settings::{Settings, Signing};
use crate::crypto::key_pair::KeyPair;
use crate::crypto::key_set::KeySet;
use crate::crypto::master_keys::MasterKeys;
use crate::crypto::tokens::Keys;
use crate::domain::signing_key::{KeyUse, SigningAlgorithm};
use crate::identity::signing_keys::SigningKeyring;

/// The keys of an installation, as all who use them share them.
#[derive(Clone)]
pub struct Keyrings {
    pub tokens: Keys,
    pub assertions: Keys,
}

/// The key sets for tokens and for assertions, made where there are none yet.
pub async fn read_keys(settings: &Settings, stores: &Stores, nature: &Nature) -> Result<(KeySet, KeySet), StartError> {
    let master_keys = master_keys(settings)?;
    let keyring = keyring(&master_keys, stores, nature);
    let tokens = match &settings.tokens.signing {
        Signing::Generated(algorithm) => keyring.open_or_create(KeyUse::Tokens, *algorithm).await?,
        Signing::SharedSecret(secret) => KeySet::new(Arc::new(KeyPair::from_secret(secret)), []),
        Signing::Pem { algorithm, pem } => {
            let pair = KeyPair::from_pem(*algorithm, pem).map_err(|fault| StartError::TokenKey(fault.to_string()))?;
            KeySet::new(Arc::new(pair), [])
        }
    };
    // Never the key that signs tokens: a backend that trusts assertions must not come to trust tokens by it.
    let assertions = keyring.open_or_create(KeyUse::Assertions, SigningAlgorithm::Es256).await?;
    Ok((tokens, assertions))
}

pub fn keyring<'a>(master_keys: &'a MasterKeys, stores: &'a Stores, nature: &'a Nature) -> SigningKeyring<'a> {
    SigningKeyring {
        store: stores.signing_keys.as_ref(),
        master_keys,
        clock: nature.clock.as_ref(),
        random: nature.random.as_ref(),
    }
}
