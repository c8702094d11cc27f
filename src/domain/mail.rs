//! Mail: what is said to whom, and what waits to be sent.
//!
//! An entry of the outbox lives until it is sent or until nobody needs it any more:
//!
//! ```text
//! waiting --claimed, sent-------------------> gone
//!         --claimed, failed for now---------> waiting, later and later
//!         --claimed, failed for good--------> given up
//!         --lifetime over-------------------> given up
//! ```
//!
//! Whoever claims an entry has it for a while. If they do not come back, another one gets it: a message may be sent
//! twice, with the same Message-ID, and is never lost.

use std::fmt;
use std::time::Duration;

use super::backoff::Backoff;
use super::clock::Timestamp;
use super::random::{self, Random};
use super::secret::Secret;
use super::user::Email;

const BACKOFF: Backoff = Backoff { first: Duration::from_secs(30), longest: Duration::from_secs(3600) };

/// As long as the link is good for: a link that is over helps nobody.
const LINK_LIFETIME: Duration = Duration::from_secs(30 * 60);
const NOTICE_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// An error is cut to so many characters before it is kept.
const ERROR_LENGTH: usize = 300;

/// The identity of one mail, the same at each attempt. It names files and is half of the Message-ID, so it is made of
/// ASCII letters, digits and hyphens only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MailId(String);

impl MailId {
    pub fn new(random: &dyn Random) -> Self {
        Self(random::hex_id(random))
    }

    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (plain && (1..=64).contains(&text.len())).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MailId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One line: whatever white space and control characters there were are single spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(String);

impl Subject {
    pub fn new(text: &str) -> Self {
        let words = text.split(|c: char| c.is_control() || c.is_whitespace()).filter(|word| !word.is_empty());
        Self(words.collect::<Vec<_>>().join(" "))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message to one person. The bodies may hold a link that lets its reader in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub to: Email,
    pub subject: Subject,
    pub text: Secret<String>,
    pub html: Option<Secret<String>>,
}

/// What a mail is about. The text is stored and logged, and names the templates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MailKind {
    /// Somebody typed an address. Whether it is anybody's is found out after the request was answered, so that the answer
    /// cannot tell; then a [`MailKind::PasswordReset`] takes its place, or nothing.
    PasswordResetRequest,
    PasswordReset,
    PasswordChanged,
    SecondFactorChanged,
    RecoveryCodeUsed,
    /// Somebody who held a key of the user's has revoked it.
    KeyReported,
}

impl MailKind {
    pub const ALL: [Self; 6] = [
        Self::PasswordResetRequest,
        Self::PasswordReset,
        Self::PasswordChanged,
        Self::SecondFactorChanged,
        Self::RecoveryCodeUsed,
        Self::KeyReported,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PasswordResetRequest => "password_reset_request",
            Self::PasswordReset => "password_reset",
            Self::PasswordChanged => "password_changed",
            Self::SecondFactorChanged => "second_factor_changed",
            Self::RecoveryCodeUsed => "recovery_code_used",
            Self::KeyReported => "key_reported",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// How long it is worth sending.
    pub const fn lifetime(self) -> Duration {
        match self {
            Self::PasswordResetRequest | Self::PasswordReset => LINK_LIFETIME,
            Self::PasswordChanged | Self::SecondFactorChanged | Self::RecoveryCodeUsed | Self::KeyReported => {
                NOTICE_LIFETIME
            }
        }
    }
}

/// A mail that waits, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxEntry {
    pub id: MailId,
    pub kind: MailKind,
    /// What is needed to write it, sealed: it may hold a link that lets its reader in.
    pub sealed: Vec<u8>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    /// How often it failed.
    pub attempts: u32,
    /// Nobody takes it before. A claim moves it on, so that no other takes it meanwhile.
    pub next_attempt_at: Timestamp,
    /// Why it failed last; without any secret.
    pub last_error: Option<String>,
}

/// What becomes of an entry that could not be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterFailure {
    RetryAt(Timestamp),
    /// By the next attempt it would be worth nothing.
    GiveUp,
}

impl OutboxEntry {
    /// To be sent at once.
    pub fn new(id: MailId, kind: MailKind, sealed: Vec<u8>, now: Timestamp) -> Self {
        Self {
            id,
            kind,
            sealed,
            created_at: now,
            expires_at: now.plus(kind.lifetime()),
            attempts: 0,
            next_attempt_at: now,
            last_error: None,
        }
    }

    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at <= now
    }

    /// After one more failure, at `now`.
    pub fn after_failure(&self, now: Timestamp, random: u32) -> AfterFailure {
        let at = now.plus(BACKOFF.delay(self.attempts.saturating_add(1), random));
        if self.is_expired(at) { AfterFailure::GiveUp } else { AfterFailure::RetryAt(at) }
    }
}

/// An error in the form in which it is kept and logged: one line, not too long.
pub fn readable_error(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(ERROR_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn entry(kind: MailKind) -> OutboxEntry {
        OutboxEntry::new(MailId::parse("a").unwrap(), kind, Vec::new(), START)
    }

    /// How often, and until when, something is tried that always fails at once.
    fn attempts(kind: MailKind, random: u32) -> (u32, Duration) {
        let (mut entry, mut now) = (entry(kind), START);
        while let AfterFailure::RetryAt(at) = entry.after_failure(now, random) {
            assert!(at > now && !entry.is_expired(at));
            (entry.attempts, now) = (entry.attempts + 1, at);
        }
        (entry.attempts + 1, now.since(START))
    }

    #[test]
    fn a_link_is_not_sent_after_it_is_over_and_a_notice_for_a_day() {
        for random in [0, u32::MAX / 2, u32::MAX] {
            let (tries, last) = attempts(MailKind::PasswordReset, random);
            assert!((6..=8).contains(&tries) && last < Duration::from_secs(30 * 60), "{tries} until {last:?}");
            let (tries, last) = attempts(MailKind::PasswordChanged, random);
            assert!((30..=60).contains(&tries), "{tries}");
            assert!(last > Duration::from_secs(22 * 3600) && last < Duration::from_secs(24 * 3600), "{last:?}");
        }
    }

    #[test]
    fn an_entry_expires_with_its_kind() {
        for kind in MailKind::ALL {
            let end = START.plus(kind.lifetime());
            assert!(!entry(kind).is_expired(Timestamp::from_micros(end.as_micros() - 1)));
            assert!(entry(kind).is_expired(end));
            assert_eq!(entry(kind).after_failure(end, 0), AfterFailure::GiveUp);
        }
    }

    #[test]
    fn kinds_have_one_text_each() {
        for kind in MailKind::ALL {
            assert_eq!(MailKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(MailKind::parse("PasswordReset"), None);
    }

    #[test]
    fn ids_fit_into_file_names_and_headers() {
        assert_eq!(MailId::parse("0f-A").unwrap().as_str(), "0f-A");
        for text in ["", ".", "..", "a/b", "a b", "a\r\nB: c", "a>", "ä", &"a".repeat(65)] {
            assert_eq!(MailId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_subject_is_one_line() {
        let subject = Subject::new(" Re:\r\nBcc: all@example.org\u{85}\u{2028}\u{0}x\t y \n");
        assert_eq!(subject.as_str(), "Re: Bcc: all@example.org x y");
    }

    #[test]
    fn what_is_said_is_not_printed() {
        let message = Message {
            to: Email::parse("anna@example.org").unwrap(),
            subject: Subject::new("Hello"),
            text: Secret::new("the token".to_owned()),
            html: Some(Secret::new("the token".to_owned())),
        };
        assert!(!format!("{message:?}").contains("token"));
    }
}
