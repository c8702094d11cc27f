//! What happened to identities and keys, and what failed: who, what, whom, from where, and how it ended.
//!
//! An event of a change is written in the transaction of the change, so that there is never the one without the other.
//! Nothing in here is a secret, nor what somebody typed into a field that a password may be typed into by mistake.

mod action;
mod initiator;

pub use self::action::AuditAction;
pub use self::initiator::{Actor, Initiator};
use super::api_key::ApiKeyId;
use super::clock::Timestamp;
use super::random::{self, Random};
use super::session::SessionId;
use super::user::UserId;

/// How it ended. The reason of a refusal is from a closed set, in the words of the access log where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditOutcome {
    Done,
    Refused(&'static str),
}

impl Initiator {
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
