//! The keys of an installation: from the configuration or from the store.

use std::sync::Arc;
use std::time::Duration;

use super::ground::{Nature, Stores, master_keys};
use super::start_error::StartError;
use crate::config::settings::{Settings, Signing};
use crate::crypto::key_pair::KeyPair;
use crate::crypto::key_set::KeySet;
use crate::crypto::master_keys::MasterKeys;
use crate::crypto::tokens::Keys;
use crate::domain::signing_key::{KeyUse, SigningAlgorithm};
use crate::identity::signing_keys::{OpenedKeys, SigningKeyring};

/// The keys of an installation, as all who use them share them.
#[derive(Clone)]
pub struct Keyrings {
    pub tokens: Keys,
    pub assertions: Keys,
}

/// The key sets of this moment.
pub struct ReadKeys {
    pub tokens: KeySet,
    pub assertions: KeySet,
    /// Nothing changes unless somebody rotates.
    pub are_settled: bool,
}

/// For clocks that differ, and for a node that is slow to read.
const SETTLING: Duration = Duration::from_secs(5);

/// How long a new key is published before it signs. Nodes learn of it from the log alone.
pub fn settling(settings: &Settings) -> Duration {
    SETTLING.max(settings.cache.poll_interval * 2)
}

/// The key sets for tokens and for assertions, made where there are none yet.
pub async fn read_keys(settings: &Settings, stores: &Stores, nature: &Nature) -> Result<ReadKeys, StartError> {
    let master_keys = master_keys(settings)?;
    let keyring = keyring(settings, &master_keys, stores, nature);
    let tokens = match &settings.tokens.signing {
        Signing::Generated(algorithm) => keyring.open_or_create(KeyUse::Tokens, *algorithm).await?,
        Signing::SharedSecret(secret) => configured(KeyPair::from_secret(secret)),
        Signing::Pem { algorithm, pem } => {
            let pair = KeyPair::from_pem(*algorithm, pem).map_err(|fault| StartError::TokenKey(fault.to_string()))?;
            configured(pair)
        }
    };
    // Never the key that signs tokens: a backend that trusts assertions must not come to trust tokens by it.
    let assertions = keyring.open_or_create(KeyUse::Assertions, SigningAlgorithm::Es256).await?;
    let are_settled = tokens.are_settled && assertions.are_settled;
    Ok(ReadKeys { tokens: tokens.set, assertions: assertions.set, are_settled })
}

fn configured(pair: KeyPair) -> OpenedKeys {
    OpenedKeys { set: KeySet::new(Arc::new(pair), []), are_settled: true }
}

pub fn keyring<'a>(
    settings: &Settings,
    master_keys: &'a MasterKeys,
    stores: &'a Stores,
    nature: &'a Nature,
) -> SigningKeyring<'a> {
    SigningKeyring {
        store: stores.signing_keys.as_ref(),
        master_keys,
        clock: nature.clock.as_ref(),
        random: nature.random.as_ref(),
        settling: settling(settings),
    }
}
