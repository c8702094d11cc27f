//! Signing keys and what they are sealed under, for the operator.

use std::sync::Arc;
use std::time::Duration;

use super::ground::{Nature, Stores, auditor, master_keys};
use super::keyrings::keyring;
use super::start_error::StartError;
use crate::config::settings::{Settings, Signing};
use crate::domain::audit::Initiator;
use crate::domain::signing_key::{KeyState, KeyUse, RotationStep, SigningAlgorithm, SigningKey};
use crate::identity::auditor::Auditor;
use crate::identity::resealing::{Resealed, Resealing};
use crate::identity::signing_keys::KeysError;

/// Beyond its polls, how long a gateway may take to read its keys again.
const HEARD_WITHIN: Duration = Duration::from_millis(600);

/// All of them, oldest first.
pub async fn list(stores: &Stores) -> Result<Vec<SigningKey>, StartError> {
    Ok(stores.signing_keys.list().await.map_err(KeysError::Store)?)
}

/// The keys that the gateway makes itself: that of assertions, and that of tokens unless the configuration gives one.
fn own_keys(settings: &Settings) -> impl Iterator<Item = (KeyUse, SigningAlgorithm)> {
    let tokens = match settings.tokens.signing {
        Signing::Generated(algorithm) => Some((KeyUse::Tokens, algorithm)),
        Signing::SharedSecret(_) | Signing::Pem { .. } => None,
    };
    [(KeyUse::Assertions, SigningAlgorithm::Es256)].into_iter().chain(tokens)
}

/// What the schedule demands now. How many keys were announced or promoted.
pub async fn run_schedule(
    settings: &Settings,
    stores: &Stores,
    nature: &Nature,
    auditor: &Auditor,
) -> Result<usize, StartError> {
    let keys = list(stores).await?;
    let now = nature.clock.now();
    let due = own_keys(settings).map(|(key_use, algorithm)| {
        (key_use, algorithm, RotationStep::due(&keys, key_use, algorithm, settings.tokens.rotate_keys_every, now))
    });
    let due: Vec<_> = due.filter(|(_, _, step)| *step != RotationStep::Nothing).collect();
    if due.is_empty() {
        return Ok(0);
    }
    let master_keys = master_keys(settings)?;
    let keyring = keyring(&master_keys, stores, nature);
    let by = Initiator::gateway();
    let mut turned = 0;
    for (key_use, algorithm, step) in due {
        let done = match step {
            RotationStep::Nothing => false,
            RotationStep::Announce => keyring.announce(key_use, algorithm, &by, auditor).await?,
            RotationStep::Promote(kid) => keyring.promote(&kid, key_use, &by, auditor).await?,
        };
        turned += usize::from(done);
    }
    Ok(turned)
}

/// Rotates at the operator's word: new keys are announced, and sign as soon as all gateways have had the time to hear of
/// them. Returns all keys as they are then.
pub async fn rotate(settings: &Settings, stores: &Stores, nature: &Nature) -> Result<Vec<SigningKey>, StartError> {
    let master_keys = master_keys(settings)?;
    let keyring = keyring(&master_keys, stores, nature);
    let (by, auditor) = (Initiator::operator(), auditor(settings, stores, nature));
    for (key_use, algorithm) in own_keys(settings) {
        keyring.announce(key_use, algorithm, &by, &auditor).await?;
    }
    tokio::time::sleep(settings.cache.poll_interval * 2 + HEARD_WITHIN).await;
    let keys = list(stores).await?;
    for (key_use, algorithm) in own_keys(settings) {
        let is_next =
            |key: &&SigningKey| key.key_use == key_use && key.algorithm == algorithm && key.state == KeyState::Next;
        if let Some(next) = keys.iter().find(is_next) {
            keyring.promote(&next.kid, key_use, &by, &auditor).await?;
        }
    }
    list(stores).await
}

/// As [`rotate`], without waiting: a gateway that has not heard of a new key yet refuses what is signed with it.
pub async fn rotate_at_once(
    settings: &Settings,
    stores: &Stores,
    nature: &Nature,
) -> Result<Vec<SigningKey>, StartError> {
    let master_keys = master_keys(settings)?;
    let keyring = keyring(&master_keys, stores, nature);
    let (by, auditor) = (Initiator::operator(), auditor(settings, stores, nature));
    for (key_use, algorithm) in own_keys(settings) {
        keyring.rotate(key_use, algorithm, &by, &auditor).await?;
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
