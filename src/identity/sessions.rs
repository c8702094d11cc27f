//! Staying signed in, and signing out.
//!
//! A sign-in makes one session. Its refresh token names the session and the counter it was made at; each refresh raises
//! the counter by one compare-and-set, so of any number of parallel uses one makes a successor. The previous token gets
//! the same successor again for a short while (two tabs, a lost answer); anything older is a copy in other hands, and
//! ends the session.

use std::sync::Arc;

use super::auditor::Auditor;
use super::token_mint::{TokenMint, TokenPair};
use crate::crypto::tokens::Tokens;
use crate::domain::audit::{Actor, AuditAction, AuditEvent, Initiator};
use crate::domain::change::Change;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::denial::Denial;
use crate::domain::session::{CounterVerdict, Session, SessionEnd, SessionId};
use crate::domain::token::{TokenClaims, TokenFault, TokenType};
use crate::domain::user::UserId;
use crate::storage::StoreError;
use crate::storage::sessions::{EndAll, Sessions};
use crate::storage::users::Users;

#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    #[error("the token does not hold: {0:?}")]
    Token(TokenFault),
    #[error("the user is not active")]
    Inactive,
    /// A spent token came back; the session is over now.
    #[error("the refresh token was used before")]
    Reused(SessionId),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a token could not be signed")]
    Signing,
}

pub struct SessionDesk {
    users: Arc<dyn Users>,
    sessions: Arc<dyn Sessions>,
    tokens: Tokens,
    mint: Arc<TokenMint>,
    auditor: Auditor,
    clock: Arc<dyn Clock>,
}

impl SessionDesk {
    pub const fn new(
        users: Arc<dyn Users>,
        sessions: Arc<dyn Sessions>,
        tokens: Tokens,
        mint: Arc<TokenMint>,
        auditor: Auditor,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { users, sessions, tokens, mint, auditor, clock }
    }

    pub async fn refresh(&self, token: &str, by: &Initiator) -> Result<(UserId, TokenPair), RefreshError> {
        let now = self.clock.now();
        let claims = self.tokens.read(token, Some(TokenType::Refresh), now).map_err(RefreshError::Token)?;
        let invalid = || RefreshError::Token(TokenFault::Invalid);
        let user_id = claims.user_id.clone().ok_or_else(invalid)?;
        // A token that names no session holds by what its user's record says, and what is made of it holds by itself: one
        // that is a moment old could let a token that has just ended be exchanged for one that has not.
        let user = match &claims.session_id {
            Some(_) => self.users.find(&user_id).await?,
            None => self.users.find_fresh(&user_id).await?,
        };
        let user = user.ok_or_else(invalid)?;
        if !user.is_active {
            return Err(RefreshError::Inactive);
        }
        if claims.session_id.is_none() && claims.is_older_than(user.tokens_valid_from) {
            return Err(RefreshError::Token(TokenFault::Ended));
        }
        let Some(session) = self.session_of(&claims, &user_id, now).await? else {
            // A token that names no session, where tokens are not exchanged: good until it expires.
            let access = self.mint.access_token(&claims.all, now).map_err(|_| RefreshError::Signing)?;
            return Ok((user_id, TokenPair { access, refresh: None }));
        };
        let pair = self.refresh_session(&claims, session, by, now).await?;
        Ok((user_id, pair))
    }

    /// The session of a refresh token. A token from before this gateway names none: where tokens are exchanged it gets a
    /// session of its own, made at its first use and found again at its second.
    async fn session_of(
        &self,
        claims: &TokenClaims,
        user_id: &UserId,
        now: Timestamp,
    ) -> Result<Option<Arc<Session>>, RefreshError> {
        let id = session_named_by(claims);
        let mut session = self.sessions.find_fresh(&id).await?;
        if session.is_none() && claims.session_id.is_none() {
            if !self.mint.lifetimes().rotate {
                return Ok(None);
            }
            let adopted = self.adopted(&id, user_id, claims.expires_at, now);
            if self.sessions.adopt(&adopted, claims.issued_at).await? {
                session = self.sessions.find_fresh(&id).await?;
            }
        }
        let session = session.ok_or(RefreshError::Token(TokenFault::Ended))?;
        if session.user_id != *user_id {
            return Err(RefreshError::Token(TokenFault::Invalid));
        }
        Ok(Some(session))
    }

    /// The session for a token from before this gateway. It is kept for as long as the token could be shown again, because
    /// a token without a session counts as never used.
    fn adopted(&self, id: &SessionId, user_id: &UserId, token_end: Timestamp, now: Timestamp) -> Session {
        Session {
            id: id.clone(),
            user_id: user_id.clone(),
            counter: 0,
            rotated_at: now,
            created_at: now,
            last_used_at: now,
            expires_at: now.plus(self.mint.lifetimes().session).max(token_end),
            ended: None,
            amr: Vec::new(),
            client_address: String::new(),
            user_agent: String::new(),
        }
    }

    async fn refresh_session(
        &self,
        claims: &TokenClaims,
        session: Arc<Session>,
        by: &Initiator,
        now: Timestamp,
    ) -> Result<TokenPair, RefreshError> {
        let presented = claims.counter.unwrap_or(0);
        let mut session = session;
        // At most one other caller can win between reading and setting; what is read after that is final.
        for _ in 0..2 {
            if !session.is_live(now) {
                return Err(RefreshError::Token(TokenFault::Ended));
            }
            match session.judge_counter(presented, self.mint.lifetimes().reuse_grace, now) {
                CounterVerdict::Unknown => return Err(RefreshError::Token(TokenFault::Invalid)),
                CounterVerdict::Reused => {
                    let event = self.auditor.refused(by, AuditAction::RefreshReuse, Denial::RefreshReused.reason());
                    let event = event.about(&session.user_id).on_session(&session.id);
                    self.end(&session.id, SessionEnd::RefreshReuse, event).await?;
                    return Err(RefreshError::Reused(session.id.clone()));
                }
                CounterVerdict::Previous => {
                    return self.mint.pair(&claims.all, &session, true, now).map_err(|_| RefreshError::Signing);
                }
                CounterVerdict::Current if !self.mint.lifetimes().rotate => {
                    return self.mint.pair(&claims.all, &session, false, now).map_err(|_| RefreshError::Signing);
                }
                CounterVerdict::Current => {
                    if self.sessions.rotate(&session.id, presented, now).await? {
                        let next = Session { counter: presented + 1, rotated_at: now, ..(*session).clone() };
                        return self.mint.pair(&claims.all, &next, true, now).map_err(|_| RefreshError::Signing);
                    }
                    let reread = self.sessions.find_fresh(&session.id).await?;
                    session = reread.ok_or(RefreshError::Token(TokenFault::Ended))?;
                }
            }
        }
        Err(RefreshError::Token(TokenFault::Ended))
    }

    /// Whether a token of any type still holds.
    pub async fn verify(&self, token: &str) -> Result<(), RefreshError> {
        let now = self.clock.now();
        let claims = self.tokens.read(token, None, now).map_err(RefreshError::Token)?;
        let session = self.sessions.find(&session_named_by(&claims)).await?;
        let live = match session {
            Some(session) => session.is_live(now),
            // A token that names no session was never ended, or it would have one: unless all of the user's were.
            None => claims.session_id.is_none() && !self.is_void(&claims).await?,
        };
        if live { Ok(()) } else { Err(RefreshError::Token(TokenFault::Ended)) }
    }

    /// Whether all of the user's tokens have ended that are as old as this one. The user need not exist.
    async fn is_void(&self, claims: &TokenClaims) -> Result<bool, StoreError> {
        let Some(user_id) = &claims.user_id else { return Ok(false) };
        let user = self.users.find(user_id).await?;
        Ok(user.is_some_and(|user| claims.is_older_than(user.tokens_valid_from)))
    }

    /// Ends a session for good: its refresh token, and its access tokens everywhere. Ending it again changes nothing. The
    /// end is durable when this returns.
    pub async fn sign_out(&self, user: &UserId, session: &SessionId, by: &Initiator) -> Result<(), StoreError> {
        let event = self.auditor.done(by, AuditAction::SignOut).about(user).on_session(session);
        self.end(session, SessionEnd::Logout, event).await.map(|_| ())
    }

    /// Ends all of a user's sessions, the caller's own too, and tokens that belong to none.
    pub async fn sign_out_everywhere(&self, user: &UserId, by: &Initiator) -> Result<(), StoreError> {
        let event = self.auditor.done(by, AuditAction::SessionsEnd).about(user);
        self.end_all(user, SessionEnd::Logout, event).await.map(|_| ())
    }

    async fn end_all(&self, user: &UserId, why: SessionEnd, event: AuditEvent) -> Result<Option<u64>, StoreError> {
        let now = self.clock.now();
        // Tokens tell whole seconds: those of this one end too.
        let tokens_valid_from = Timestamp::from_secs(now.as_secs().saturating_add(1));
        let end = EndAll { user_id: user.clone(), why, at: now, keep: None, tokens_valid_from };
        let change = Change::from(event);
        let ended = self.sessions.end_all(&end, &change).await?;
        if ended.is_some() {
            self.auditor.witness(&change);
        }
        Ok(ended)
    }

    /// The live sessions of a user, the newest first.
    pub async fn list(&self, user: &UserId) -> Result<Vec<Session>, StoreError> {
        self.sessions.list_live(user, self.clock.now(), MOST_LISTED).await
    }

    /// Ends one session of a user. `false` when the user has no such live session, whoever else may have it.
    pub async fn end_one(&self, user: &UserId, session: &SessionId, by: &Initiator) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let found = self.sessions.find_fresh(session).await?;
        if !found.is_some_and(|found| found.user_id == *user && found.is_live(now)) {
            return Ok(false);
        }
        let event = self.auditor.done(by, AuditAction::SessionEnd).about(user).on_session(session);
        let own = by.actor == Actor::User(user.clone());
        let why = if own { SessionEnd::Logout } else { SessionEnd::Administrator };
        self.end(session, why, event).await
    }

    async fn end(&self, session: &SessionId, why: SessionEnd, event: AuditEvent) -> Result<bool, StoreError> {
        let change = Change::from(event);
        let ended = self.sessions.end(session, why, self.clock.now(), &change).await?;
        if ended {
            self.auditor.witness(&change);
        }
        Ok(ended)
    }

    /// Ends the session of a refresh token. The user need not exist any more, nor be active.
    pub async fn blacklist(&self, token: &str, by: &Initiator) -> Result<(), RefreshError> {
        let now = self.clock.now();
        let claims = self.tokens.read(token, Some(TokenType::Refresh), now).map_err(RefreshError::Token)?;
        let id = session_named_by(&claims);
        if let (None, Some(user_id)) = (&claims.session_id, &claims.user_id) {
            // A session is kept for a known user only; a token of nobody refreshes nothing in any case.
            if self.users.find(user_id).await?.is_none() {
                return Ok(());
            }
            self.sessions.insert(&self.adopted(&id, user_id, claims.expires_at, now)).await?;
        }
        let mut event = self.auditor.done(by, AuditAction::SignOut).on_session(&id);
        event.user.clone_from(&claims.user_id);
        if self.end(&id, SessionEnd::Logout, event).await? {
            return Ok(());
        }
        // Where there is no session, its user is gone, and nothing is left to end.
        let over = self.sessions.find_fresh(&id).await?.is_some();
        if over { Err(RefreshError::Token(TokenFault::Ended)) } else { Ok(()) }
    }
}

/// Sessions shown of one user. Who has more has a program that signs in anew each time.
const MOST_LISTED: u32 = 500;

/// The session that a token belongs to: the one it names, or for a token from before this gateway the one that would be
/// made for it.
fn session_named_by(claims: &TokenClaims) -> SessionId {
    claims.session_id.clone().unwrap_or_else(|| adopted_id(&claims.id))
}

/// The session of a token from before this gateway, by the token's id.
pub(super) fn adopted_id(token: &str) -> SessionId {
    SessionId(format!("adopted:{token}"))
}
