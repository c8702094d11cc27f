//! What a key's holder is bound to, beside its scopes.

use std::fmt;
use std::time::Duration;

use super::key_reach::KeyReach;
use super::labels::Labels;
use super::rate::{Quota, Rate};

/// For how many days a key may lie unused before it is refused: 1 to 3650.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleDays(u16);

impl IdleDays {
    pub const MOST: u16 = 3650;

    pub fn new(days: u64) -> Option<Self> {
        let days = u16::try_from(days).ok()?;
        (1..=Self::MOST).contains(&days).then_some(Self(days))
    }

    pub const fn get(self) -> u16 {
        self.0
    }

    pub fn duration(self) -> Duration {
        Duration::from_secs(u64::from(self.0) * 86_400)
    }
}

impl fmt::Display for IdleDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a key is limited to beside its scopes, and what is known it by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyTerms {
    pub reach: KeyReach,
    /// After how many days without use it is refused.
    pub idle: Option<IdleDays>,
    /// How fast it may be used.
    pub rate: Option<Rate>,
    /// How often it may be used in a day or month.
    pub quota: Option<Quota>,
    pub labels: Labels,
}
