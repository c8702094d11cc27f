//! Sealing everything anew under the present master key, so that those before it can be forgotten.
//!
//! Each value is replaced by itself, unless somebody has changed it in the meantime: doing this again is harmless, and so is
//! doing it beside gateways that know both keys. What cannot be opened stays as it is, is named at the end, and keeps nothing
//! else from being moved.

use std::fmt;
use std::sync::Arc;

use super::auditor::Auditor;
use super::{outgoing, signing_keys};
use crate::crypto::master_key::Unsealing;
use crate::crypto::master_keys::MasterKeys;
use crate::crypto::totp;
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::mail::MailId;
use crate::domain::random::Random;
use crate::domain::second_factor::SecondFactorId;
use crate::storage::StoreError;
use crate::storage::outbox::Outbox;
use crate::storage::second_factors::SecondFactors;
use crate::storage::signing_keys::SigningKeys;

/// Values read at a time.
const PAGE: u32 = 500;

pub struct Resealing {
    pub signing_keys: Arc<dyn SigningKeys>,
    pub second_factors: Arc<dyn SecondFactors>,
    pub outbox: Arc<dyn Outbox>,
    pub master_keys: MasterKeys,
    pub auditor: Auditor,
    pub random: Arc<dyn Random>,
}

/// How many values of one kind there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Sealed under another key before, and under the present one now.
    pub resealed: u64,
    /// Sealed under the present key already.
    pub current: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    pub master_key_id: String,
    pub signing_keys: Tally,
    pub second_factors: Tally,
    /// Mail that waits.
    pub mail: Tally,
}

/// Something that none of the keys opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unopened {
    /// `signing key <kid>`, `second factor <id> of user <id>`, `mail <id>`.
    pub what: String,
    pub why: Unsealing,
}

impl fmt::Display for Unopened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.why)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ResealError {
    /// All the rest is sealed under the present key.
    #[error("{}", unopened(.0))]
    Unopened(Vec<Unopened>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// As many as a person reads; there may be one for each user.
const MOST_NAMED: usize = 10;

fn unopened(all: &[Unopened]) -> String {
    let mut named: Vec<String> = all.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    if let Some(more @ 1..) = all.len().checked_sub(MOST_NAMED) {
        named.push(format!("and {more} more"));
    }
    format!(
        "not everything could be opened: {}; the rest is sealed under the present master key; name the one that is missing \
         under secrets.previous_master_keys, and repeat this",
        named.join(", ")
    )
}

/// What became of one value.
enum Outcome {
    Resealed,
    Current,
    /// Deleted, or sealed anew by somebody else who does this.
    Overtaken,
    Unopened(Unsealing),
}

impl Outcome {
    const fn of(replaced: bool) -> Self {
        if replaced { Self::Resealed } else { Self::Overtaken }
    }
}

/// What was found so far.
#[derive(Default)]
struct Findings {
    tally: Tally,
    unopened: Vec<Unopened>,
}

impl Findings {
    fn note(&mut self, outcome: Outcome, what: impl FnOnce() -> String) {
        match outcome {
            Outcome::Resealed => self.tally.resealed += 1,
            Outcome::Current => self.tally.current += 1,
            Outcome::Overtaken => {}
            Outcome::Unopened(why) => self.unopened.push(Unopened { what: what(), why }),
        }
    }
}

impl Resealing {
    /// Every kind of value that is sealed is one line here and one function below.
    pub async fn run(&self, by: &Initiator) -> Result<Resealed, ResealError> {
        let signing_keys = self.signing_keys().await?;
        let second_factors = self.second_factors().await?;
        let mail = self.mail().await?;
        let resealed = Resealed {
            master_key_id: self.master_keys.current_id(),
            signing_keys: signing_keys.tally,
            second_factors: second_factors.tally,
            mail: mail.tally,
        };
        let unopened = [signing_keys.unopened, second_factors.unopened, mail.unopened].concat();
        let event = match unopened.is_empty() {
            true => self.auditor.done(by, AuditAction::SecretsRotate),
            false => self.auditor.refused(by, AuditAction::SecretsRotate, "unopened"),
        };
        let detail = format!(
            "{} signing keys, {} second factors, {} mails, {} unopened, master key {}",
            resealed.signing_keys.resealed,
            resealed.second_factors.resealed,
            resealed.mail.resealed,
            unopened.len(),
            resealed.master_key_id,
        );
        self.auditor.append(&event.saying(detail)).await?;
        if unopened.is_empty() { Ok(resealed) } else { Err(ResealError::Unopened(unopened)) }
    }

    async fn signing_keys(&self) -> Result<Findings, StoreError> {
        let mut findings = Findings::default();
        for key in self.signing_keys.list().await? {
            let seen = &key.sealed_private;
            let outcome = match self.moved(&signing_keys::purpose(&key.kid), seen) {
                Ok(sealed) => Outcome::of(self.signing_keys.reseal(&key.kid, seen, &sealed).await?),
                Err(outcome) => outcome,
            };
            findings.note(outcome, || format!("signing key {}", key.kid));
        }
        Ok(findings)
    }

    async fn second_factors(&self) -> Result<Findings, StoreError> {
        let mut findings = Findings::default();
        let mut after: Option<SecondFactorId> = None;
        loop {
            let page = self.second_factors.list(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(findings) };
            after = Some(last.id.clone());
            for device in &page {
                let seen = &device.sealed_secret;
                let outcome = match self.moved(&totp::sealing_purpose(&device.id), seen) {
                    Ok(sealed) => Outcome::of(self.second_factors.reseal(&device.id, seen, &sealed).await?),
                    Err(outcome) => outcome,
                };
                findings.note(outcome, || format!("second factor {} of user {}", device.id, device.user_id));
            }
        }
    }

    async fn mail(&self) -> Result<Findings, StoreError> {
        let mut findings = Findings::default();
        let mut after: Option<MailId> = None;
        loop {
            let page = self.outbox.list(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(findings) };
            after = Some(last.id.clone());
            for entry in &page {
                let seen = &entry.sealed;
                let outcome = match self.moved(&outgoing::purpose(entry.kind, &entry.id), seen) {
                    Ok(sealed) => Outcome::of(self.outbox.reseal(&entry.id, seen, &sealed).await?),
                    Err(outcome) => outcome,
                };
                findings.note(outcome, || format!("mail {}", entry.id));
            }
        }
    }

    /// The value as the present key seals it; what there is to say instead, where that is not wanted or not possible.
    fn moved(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, Outcome> {
        match self.master_keys.reseal(purpose, sealed, self.random.as_ref()) {
            Ok(Some(sealed)) => Ok(sealed),
            Ok(None) => Err(Outcome::Current),
            Err(why) => Err(Outcome::Unopened(why)),
        }
    }
}
