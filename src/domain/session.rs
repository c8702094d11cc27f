//! One sign-in and its refresh family.
//!
//! A session holds one rotation counter; a refresh token names the counter it was made at:
//!
//! ```text
//! presented == counter      -> Current:  rotate, counter + 1
//! presented == counter - 1  -> Previous: within the grace window the current pair again, later Reused
//! anything older            -> Reused:   the session ends
//! presented  > counter      -> Unknown:  never issued
//! ```
//!
//! Time is always an argument; nothing here reads a clock.

use std::fmt;
use std::time::Duration;

use super::clock::Timestamp;
use super::user::UserId;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub String);

impl SessionId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a session is over. The text is stored and logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionEnd {
    Logout,
    RefreshReuse,
    PasswordChange,
    UserDisabled,
    Administrator,
    SecondFactorChange,
}

impl SessionEnd {
    pub const ALL: [Self; 6] = [
        Self::Logout,
        Self::RefreshReuse,
        Self::PasswordChange,
        Self::UserDisabled,
        Self::Administrator,
        Self::SecondFactorChange,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Logout => "logout",
            Self::RefreshReuse => "refresh_reuse",
            Self::PasswordChange => "password_change",
            Self::UserDisabled => "user_disabled",
            Self::Administrator => "administrator",
            Self::SecondFactorChange => "second_factor_change",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|end| end.as_str() == text)
    }
}

/// A session as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub user_id: UserId,
    pub counter: i64,
    /// When the counter last rose; the start of the grace window.
    pub rotated_at: Timestamp,
    pub created_at: Timestamp,
    pub last_used_at: Timestamp,
    /// The absolute end, which no rotation moves.
    pub expires_at: Timestamp,
    pub ended: Option<(Timestamp, SessionEnd)>,
    /// How the sign-in was proven (RFC 8176): `pwd`, `otp`.
    pub amr: Vec<String>,
    pub client_address: String,
    pub user_agent: String,
}

impl Session {
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.ended.is_none() && now < self.expires_at
    }

    /// Judges a refresh token by the counter it carries.
    pub fn judge_counter(&self, presented: i64, grace: Duration, now: Timestamp) -> CounterVerdict {
        if presented > self.counter || presented < 0 {
            CounterVerdict::Unknown
        } else if presented == self.counter {
            CounterVerdict::Current
        } else if presented == self.counter - 1 && now.since(self.rotated_at) < grace {
            CounterVerdict::Previous
        } else {
            CounterVerdict::Reused
        }
    }
}

/// What goes on when its user's other sessions end: the session of a request's token, or, of a token that names none, the
/// token itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub session: Option<SessionId>,
    /// When the token was issued, if it says so.
    pub issued_at: Option<Timestamp>,
}

impl Kept {
    pub const NOTHING: Self = Self { session: None, issued_at: None };

    /// From when on tokens that name no session go on ([`super::user::User::tokens_valid_from`]). Where the request's own is
    /// one of them, only the older ones can be told from it; its refresh token is mostly among those.
    pub fn tokens_valid_from(&self, now: Timestamp) -> Timestamp {
        match (&self.session, self.issued_at) {
            (None, Some(issued_at)) => issued_at.min(now),
            // Tokens tell whole seconds: those of this one end too.
            _ => Timestamp::from_secs(now.as_secs().saturating_add(1)),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterVerdict {
    Current,
    Previous,
    Reused,
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(counter: i64) -> Session {
        let start = Timestamp::from_secs(1000);
        Session {
            id: SessionId("s".into()),
            user_id: UserId("u".into()),
            counter,
            rotated_at: start,
            created_at: start,
            last_used_at: start,
            expires_at: Timestamp::from_secs(2000),
            ended: None,
            amr: vec!["pwd".into()],
            client_address: String::new(),
            user_agent: String::new(),
        }
    }

    #[test]
    fn counters_are_judged_by_age_and_grace() {
        let grace = Duration::from_secs(10);
        let session = session(5);
        let at = |secs: i64| Timestamp::from_secs(1000 + secs);
        assert_eq!(session.judge_counter(5, grace, at(500)), CounterVerdict::Current);
        assert_eq!(session.judge_counter(4, grace, at(9)), CounterVerdict::Previous);
        assert_eq!(session.judge_counter(4, grace, at(10)), CounterVerdict::Reused);
        assert_eq!(session.judge_counter(4, Duration::ZERO, at(0)), CounterVerdict::Reused);
        assert_eq!(session.judge_counter(3, grace, at(0)), CounterVerdict::Reused);
        assert_eq!(session.judge_counter(6, grace, at(0)), CounterVerdict::Unknown);
        assert_eq!(session.judge_counter(-1, grace, at(0)), CounterVerdict::Unknown);
    }

    #[test]
    fn tokens_without_a_session_go_on_from_the_one_that_was_shown() {
        let (session, now) = (Some(SessionId("s".into())), Timestamp::from_secs(2000));
        let valid_from = |session: &Option<SessionId>, issued_at: Option<i64>| {
            let issued_at = issued_at.map(Timestamp::from_secs);
            Kept { session: session.clone(), issued_at }.tokens_valid_from(now)
        };
        let next = Timestamp::from_secs(2001);
        assert_eq!(valid_from(&session, Some(1000)), next);
        assert_eq!(valid_from(&None, Some(1000)), Timestamp::from_secs(1000));
        assert_eq!(valid_from(&None, Some(3000)), now, "a clock that is ahead spares nobody");
        assert_eq!(valid_from(&None, None), next);
    }

    #[test]
    fn a_session_is_live_until_it_ends_or_expires() {
        let mut session = session(0);
        assert!(session.is_live(Timestamp::from_secs(1999)));
        assert!(!session.is_live(Timestamp::from_secs(2000)));
        session.ended = Some((Timestamp::from_secs(1001), SessionEnd::Logout));
        assert!(!session.is_live(Timestamp::from_secs(1002)));
    }
}
