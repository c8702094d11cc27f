//! What happened to identities and keys, and what failed: who, what, whom, from where, and how it ended.
//!
//! An event of a change is written in the transaction of the change, so that there is never the one without the other.
//! Nothing in here is a secret, nor what somebody typed into a field that a password may be typed into by mistake.

use super::api_key::ApiKeyId;
use super::clock::Timestamp;
use super::random::{self, Random};
use super::session::SessionId;
use super::user::UserId;

/// What was done, or tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuditAction {
    SignIn,
    SecondFactorCheck,
    RecoveryCodeUse,
    RefreshReuse,
    SignOut,
    SessionEnd,
    SessionsEnd,
    PasswordCheck,
    PasswordChange,
    PasswordResetRequest,
    PasswordReset,
    SecondFactorSetup,
    SecondFactorEnable,
    SecondFactorDisable,
    RecoveryCodesMake,
    Lock,
    Unlock,
    UserCreate,
    UserChange,
    UserDisable,
    UserEnable,
    UserPasswordSet,
    UserSecondFactorReset,
    UserDelete,
    KeyCreate,
    KeyChange,
    KeyRotate,
    KeyRevoke,
    SigningKeysRotate,
    SecretsRotate,
    Import,
}

impl AuditAction {
    pub const ALL: [Self; 31] = [
        Self::SignIn,
        Self::SecondFactorCheck,
        Self::RecoveryCodeUse,
        Self::RefreshReuse,
        Self::SignOut,
        Self::SessionEnd,
        Self::SessionsEnd,
        Self::PasswordCheck,
        Self::PasswordChange,
        Self::PasswordResetRequest,
        Self::PasswordReset,
        Self::SecondFactorSetup,
        Self::SecondFactorEnable,
        Self::SecondFactorDisable,
        Self::RecoveryCodesMake,
        Self::Lock,
        Self::Unlock,
        Self::UserCreate,
        Self::UserChange,
        Self::UserDisable,
        Self::UserEnable,
        Self::UserPasswordSet,
        Self::UserSecondFactorReset,
        Self::UserDelete,
        Self::KeyCreate,
        Self::KeyChange,
        Self::KeyRotate,
        Self::KeyRevoke,
        Self::SigningKeysRotate,
        Self::SecretsRotate,
        Self::Import,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "sign_in",
            Self::SecondFactorCheck => "second_factor_check",
            Self::RecoveryCodeUse => "recovery_code_use",
            Self::RefreshReuse => "refresh_reuse",
            Self::SignOut => "sign_out",
            Self::SessionEnd => "session_end",
            Self::SessionsEnd => "sessions_end",
            Self::PasswordCheck => "password_check",
            Self::PasswordChange => "password_change",
            Self::PasswordResetRequest => "password_reset_request",
            Self::PasswordReset => "password_reset",
            Self::SecondFactorSetup => "second_factor_setup",
            Self::SecondFactorEnable => "second_factor_enable",
            Self::SecondFactorDisable => "second_factor_disable",
            Self::RecoveryCodesMake => "recovery_codes_make",
            Self::Lock => "lock",
            Self::Unlock => "unlock",
            Self::UserCreate => "user_create",
            Self::UserChange => "user_change",
            Self::UserDisable => "user_disable",
            Self::UserEnable => "user_enable",
            Self::UserPasswordSet => "user_password_set",
            Self::UserSecondFactorReset => "user_second_factor_reset",
            Self::UserDelete => "user_delete",
            Self::KeyCreate => "key_create",
            Self::KeyChange => "key_change",
            Self::KeyRotate => "key_rotate",
            Self::KeyRevoke => "key_revoke",
            Self::SigningKeysRotate => "signing_keys_rotate",
            Self::SecretsRotate => "secrets_rotate",
            Self::Import => "import",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.as_str() == text)
    }
}

/// How it ended. The reason of a refusal is from a closed set, in the words of the access log where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditOutcome {
    Done,
    Refused(&'static str),
}

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Has shown nothing that held.
    Anonymous,
    User(UserId),
    Service(String),
    /// Whoever may use the command line.
    Operator,
    /// The gateway itself, by the clock.
    Gateway,
}

impl Actor {
    /// `user:45`, `service:reports`, or one of three words that no user or service is told by.
    pub fn as_text(&self) -> String {
        match self {
            Self::Anonymous => "anonymous".to_owned(),
            Self::User(id) => format!("user:{id}"),
            Self::Service(name) => format!("service:{name}"),
            Self::Operator => "operator".to_owned(),
            Self::Gateway => "gateway".to_owned(),
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("user", id)) => Some(Self::User(UserId(id.to_owned()))),
            Some(("service", name)) => Some(Self::Service(name.to_owned())),
            None if text == "anonymous" => Some(Self::Anonymous),
            None if text == "operator" => Some(Self::Operator),
            None if text == "gateway" => Some(Self::Gateway),
            _ => None,
        }
    }
}

/// Who acts, and from where: what every event that comes of one request has in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initiator {
    pub actor: Actor,
    /// The API key that the actor showed.
    pub key_id: Option<ApiKeyId>,
    /// The session of the token that the actor showed.
    pub session_id: Option<SessionId>,
    /// The client's address, found through trusted proxies only; empty for an operator.
    pub address: String,
    /// At most 200 characters.
    pub user_agent: String,
    pub request_id: String,
}

impl Initiator {
    /// Somebody without a request.
    pub const fn without_request(actor: Actor) -> Self {
        Self {
            actor,
            key_id: None,
            session_id: None,
            address: String::new(),
            user_agent: String::new(),
            request_id: String::new(),
        }
    }

    pub const fn operator() -> Self {
        Self::without_request(Actor::Operator)
    }

    pub const fn gateway() -> Self {
        Self::without_request(Actor::Gateway)
    }

    /// An event of this initiator's. Whom and what it concerns is added by [`AuditEvent::about`], [`AuditEvent::on_key`] and
    /// [`AuditEvent::on_session`].
    pub fn did(&self, action: AuditAction, outcome: AuditOutcome, now: Timestamp, random: &dyn Random) -> AuditEvent {
        AuditEvent {
            id: AuditId(random::ordered_uuid(now, random)),
            at: now,
            action,
            outcome: match outcome {
                AuditOutcome::Done => StoredOutcome::Done,
                AuditOutcome::Refused(reason) => StoredOutcome::Refused(reason.to_owned()),
            },
            initiator: self.clone(),
            user: None,
            object: String::new(),
            detail: String::new(),
        }
    }
}

/// Sorts by time (a version 7 UUID, RFC 9562).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuditId(pub String);

impl AuditId {
    /// Not greater than the id of any event of this time or later, and greater than those before its millisecond.
    pub fn at_or_after(time: Timestamp) -> Self {
        let millis = u64::try_from(time.as_micros().div_euclid(1000)).unwrap_or(0).min((1 << 48) - 1);
        let digits = format!("{millis:012x}");
        let (high, low) = digits.split_at_checked(8).unwrap_or_default();
        Self(format!("{high}-{low}"))
    }
}

/// An outcome as stored: a newer version may have known other reasons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredOutcome {
    Done,
    Refused(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    pub id: AuditId,
    pub at: Timestamp,
    pub action: AuditAction,
    pub outcome: StoredOutcome,
    pub initiator: Initiator,
    /// The user whom it concerns.
    pub user: Option<UserId>,
    /// What else it concerns: `key:<id>`, `session:<id>`; empty for nothing else.
    pub object: String,
    /// What changed, in a few words without any secret; empty for nothing to add.
    pub detail: String,
}

impl AuditEvent {
    pub fn about(mut self, user: &UserId) -> Self {
        self.user = Some(user.clone());
        self
    }

    pub fn on_key(mut self, id: &ApiKeyId) -> Self {
        self.object = format!("key:{id}");
        self
    }

    pub fn on_session(mut self, id: &SessionId) -> Self {
        self.object = format!("session:{id}");
        self
    }

    pub fn saying(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}

/// Whoever is told of events as they happen, after they are stored.
pub trait Witness: Send + Sync {
    fn witness(&self, event: &AuditEvent);
}

/// Which events to list: newest first, all that is set must fit.
#[derive(Clone, Debug, Default)]
pub struct AuditQuery {
    /// Only events older than this one: the last of the page before.
    pub before: Option<AuditId>,
    /// Acting, or concerned.
    pub user: Option<UserId>,
    pub actor: Option<Actor>,
    pub action: Option<AuditAction>,
    /// `true` for what was done, `false` for what was refused.
    pub done: Option<bool>,
    pub object: Option<String>,
    pub request_id: Option<String>,
    pub since: Option<Timestamp>,
    pub until: Option<Timestamp>,
    pub limit: u32,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_sort_with_the_times_that_they_are_asked_for_by() {
        struct Ones;
        impl Random for Ones {
            fn fill(&self, bytes: &mut [u8]) {
                bytes.fill(0xff);
            }
        }
        let at = |micros: i64| Timestamp::from_micros(1_795_408_500_000_000 + micros);
        let event = |micros| Initiator::gateway().did(AuditAction::Lock, AuditOutcome::Done, at(micros), &Ones).id;
        assert!(event(-1) < AuditId::at_or_after(at(0)));
        assert!(AuditId::at_or_after(at(0)) < event(0));
        assert!(AuditId::at_or_after(at(999)) < event(999));
        assert!(event(999) < AuditId::at_or_after(at(1000)));
        assert!(AuditId::at_or_after(Timestamp::from_micros(i64::MAX)) < AuditId("g".to_owned()));
        assert!(AuditId::at_or_after(Timestamp::from_micros(i64::MIN)) < event(0));
    }

    #[test]
    fn actions_and_actors_come_back_from_their_text() {
        let texts: HashSet<_> = AuditAction::ALL.iter().map(|action| action.as_str()).collect();
        assert_eq!(texts.len(), AuditAction::ALL.len());
        for action in AuditAction::ALL {
            assert_eq!(AuditAction::parse(action.as_str()), Some(action));
        }
        for actor in [
            Actor::Anonymous,
            Actor::Operator,
            Actor::Gateway,
            Actor::User(UserId("a:b".into())),
            Actor::Service("operator".into()),
        ] {
            assert_eq!(Actor::parse(&actor.as_text()), Some(actor));
        }
        assert_eq!(Actor::parse("root"), None);
    }
}
