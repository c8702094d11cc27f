//! What is told in a mail: one struct for each kind, whose fields are the names that templates use.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::domain::clock::Timestamp;
use crate::domain::mail::MailKind;
use crate::domain::secret::Secret;

/// The values of one kind of mail.
pub trait MailValues: Serialize {
    const KIND: MailKind;
    /// What no template of this kind can do without.
    const NEEDED: &'static [&'static str] = &[];

    /// Made-up values that lead through every branch of a template.
    fn samples() -> Vec<Self>
    where
        Self: Sized;
}

/// Who it is about, and when and from where it was done: `username`, `at` and `address`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Occasion {
    pub username: String,
    #[serde(serialize_with = "readable")]
    pub at: Timestamp,
    pub address: String,
}

impl Occasion {
    fn sample() -> Self {
        Self { username: "anna".to_owned(), at: Timestamp::from_secs(0), address: "192.0.2.1".to_owned() }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct PasswordReset {
    #[serde(flatten)]
    pub occasion: Occasion,
    #[serde(serialize_with = "exposed")]
    pub link: Secret<String>,
    /// How long the link works.
    #[serde(rename = "minutes", serialize_with = "minutes")]
    pub lifetime: Duration,
}

impl MailValues for PasswordReset {
    const KIND: MailKind = MailKind::PasswordReset;
    const NEEDED: &'static [&'static str] = &["link"];

    fn samples() -> Vec<Self> {
        vec![Self {
            occasion: Occasion::sample(),
            link: Secret::new("https://app.example.org/reset#token=sample".to_owned()),
            lifetime: Duration::from_secs(30 * 60),
        }]
    }
}

/// How a password came to be another one: `change` in templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PasswordChange {
    Changed,
    Reset,
    SetByAdministrator,
}

#[derive(Clone, Debug, Serialize)]
pub struct PasswordChanged {
    #[serde(flatten)]
    pub occasion: Occasion,
    pub change: PasswordChange,
}

impl MailValues for PasswordChanged {
    const KIND: MailKind = MailKind::PasswordChanged;

    fn samples() -> Vec<Self> {
        [PasswordChange::Changed, PasswordChange::Reset, PasswordChange::SetByAdministrator]
            .map(|change| Self { occasion: Occasion::sample(), change })
            .into()
    }
}

/// What happened to a second factor: `change` in templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SecondFactorChange {
    Enabled,
    Disabled,
    RecoveryCodesRenewed,
    RemovedByAdministrator,
}

#[derive(Clone, Debug, Serialize)]
pub struct SecondFactorChanged {
    #[serde(flatten)]
    pub occasion: Occasion,
    pub change: SecondFactorChange,
}

impl MailValues for SecondFactorChanged {
    const KIND: MailKind = MailKind::SecondFactorChanged;

    fn samples() -> Vec<Self> {
        [
            SecondFactorChange::Enabled,
            SecondFactorChange::Disabled,
            SecondFactorChange::RecoveryCodesRenewed,
            SecondFactorChange::RemovedByAdministrator,
        ]
        .map(|change| Self { occasion: Occasion::sample(), change })
        .into()
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct RecoveryCodeUsed {
    #[serde(flatten)]
    pub occasion: Occasion,
    pub left: u32,
}

impl MailValues for RecoveryCodeUsed {
    const KIND: MailKind = MailKind::RecoveryCodeUsed;

    fn samples() -> Vec<Self> {
        [0, 1, 9].map(|left| Self { occasion: Occasion::sample(), left }).into()
    }
}

/// A key that was revoked by whoever showed it: `name` and `prefix`, by which its owner knows it.
#[derive(Clone, Debug, Serialize)]
pub struct KeyReported {
    #[serde(flatten)]
    pub occasion: Occasion,
    pub name: String,
    pub prefix: String,
}

impl MailValues for KeyReported {
    const KIND: MailKind = MailKind::KeyReported;

    fn samples() -> Vec<Self> {
        vec![Self { occasion: Occasion::sample(), name: "nightly export".to_owned(), prefix: "pk_AbCd1234".to_owned() }]
    }
}

/// To the minute, as people read it: `2026-11-23 04:35 UTC`.
fn readable<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    let rfc3339 = at.rfc3339();
    let minute = rfc3339.rsplit_once(':').map_or(rfc3339.as_str(), |(minute, _)| minute);
    serializer.serialize_str(&format!("{} UTC", minute.replace('T', " ")))
}

fn minutes<S: Serializer>(lifetime: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(lifetime.as_secs() / 60)
}

/// The mail is what this secret is for.
fn exposed<S: Serializer>(secret: &Secret<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}
