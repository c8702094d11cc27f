//! Keys that sign tokens, and the algorithms they are pinned to.

use std::fmt;
use std::time::Duration;

use super::clock::Timestamp;

/// A signature algorithm of RFC 7518 and RFC 8037. One key, one algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SigningAlgorithm {
    Es256,
    EdDsa,
    Rs256,
    Hs256,
}

impl SigningAlgorithm {
    pub const ALL: [Self; 4] = [Self::Es256, Self::EdDsa, Self::Rs256, Self::Hs256];

    /// The registered `alg` value, compared whole and with case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == text)
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a key is for: a token key never signs assertions, nor the other way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyUse {
    Tokens,
    Assertions,
}

impl KeyUse {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tokens => "tokens",
            Self::Assertions => "assertions",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Tokens, Self::Assertions].into_iter().find(|key_use| key_use.as_str() == text)
    }
}

/// Where a key is in its life: published before it signs, kept for verifying after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    Next,
    Active,
    Retired,
}

impl KeyState {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Active => "active",
            Self::Retired => "retired",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Next, Self::Active, Self::Retired].into_iter().find(|state| state.as_str() == text)
    }
}

/// How long a key is published before it signs: for as long as whoever checks tokens may keep what was published.
pub const ANNOUNCED_FOR: Duration = Duration::from_secs(3600);

/// What is due for the keys of one use and algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RotationStep {
    Nothing,
    /// A next key is to be made and published.
    Announce,
    /// The next key of this id has been published for long enough.
    Promote(String),
}

impl RotationStep {
    /// Of all `keys`, oldest first, those for `key_use` and `algorithm` count. Without `every` none is announced, but one that
    /// waits is promoted all the same.
    pub fn due(
        keys: &[SigningKey],
        key_use: KeyUse,
        algorithm: SigningAlgorithm,
        every: Option<Duration>,
        now: Timestamp,
    ) -> Self {
        let in_state =
            |state| keys.iter().find(|key| key.key_use == key_use && key.algorithm == algorithm && key.state == state);
        let is_older = |key: &SigningKey, age| now.since(key.created_at) >= age;
        match (in_state(KeyState::Next), in_state(KeyState::Active), every) {
            (Some(next), _, _) if is_older(next, ANNOUNCED_FOR) => Self::Promote(next.kid.clone()),
            (None, Some(active), Some(every)) if is_older(active, every) => Self::Announce,
            _ => Self::Nothing,
        }
    }
}

/// A signing key as stored: the private part sealed under the master key.
#[derive(Clone, Debug)]
pub struct SigningKey {
    /// The RFC 7638 thumbprint of the public key.
    pub kid: String,
    pub algorithm: SigningAlgorithm,
    pub key_use: KeyUse,
    pub state: KeyState,
    pub sealed_private: Vec<u8>,
    pub created_at: Timestamp,
    /// When another key took over signing.
    pub retired_at: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kid: &str, state: KeyState, created_at: i64) -> SigningKey {
        SigningKey {
            kid: kid.to_owned(),
            algorithm: SigningAlgorithm::Es256,
            key_use: KeyUse::Tokens,
            state,
            sealed_private: Vec::new(),
            created_at: Timestamp::from_secs(created_at),
            retired_at: None,
        }
    }

    #[test]
    fn an_old_key_is_followed_by_one_that_was_announced() {
        let day = Duration::from_secs(86_400);
        let due = |keys: &[SigningKey], every, now| {
            RotationStep::due(keys, KeyUse::Tokens, SigningAlgorithm::Es256, every, Timestamp::from_secs(now))
        };
        let active = [key("old", KeyState::Retired, -9), key("a", KeyState::Active, 0)];
        assert_eq!(due(&active, Some(day), 86_399), RotationStep::Nothing);
        assert_eq!(due(&active, Some(day), 86_400), RotationStep::Announce);
        assert_eq!(due(&active, None, 999_999), RotationStep::Nothing);
        assert_eq!(due(&active, Some(day), -86_400), RotationStep::Nothing, "a clock that was set back");
        let both = [key("a", KeyState::Active, 0), key("n", KeyState::Next, 90_000)];
        assert_eq!(due(&both, Some(day), 93_599), RotationStep::Nothing);
        for every in [Some(day), None] {
            assert_eq!(due(&both, every, 93_600), RotationStep::Promote("n".to_owned()));
        }
        let other = RotationStep::due(
            &both,
            KeyUse::Assertions,
            SigningAlgorithm::Es256,
            Some(day),
            Timestamp::from_secs(93_600),
        );
        assert_eq!(other, RotationStep::Nothing);
    }
}
