//! Signing in, and staying signed in.
//!
//! A sign-in makes one session. Its refresh token names the session and the counter it was made at; each refresh raises
//! the counter by one compare-and-set, so of any number of parallel uses one makes a successor. The previous token gets
//! the same successor again for a short while (two tabs, a lost answer); anything older is a copy in other hands, and
//! ends the session.

use std::sync::Arc;

use super::passwords::{Passwords, Unfit};
use super::token_mint::{Lifetimes, TokenMint, TokenPair};
use crate::crypto::password::Verdict;
use crate::crypto::tokens::Tokens;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::random::{self, Random};
use crate::domain::secret::Secret;
use crate::domain::session::{CounterVerdict, Session, SessionEnd, SessionId};
use crate::domain::token::{TokenClaims, TokenFault, TokenType};
use crate::domain::user::{User, UserId};
use crate::storage::StoreError;
use crate::storage::sessions::Sessions;
use crate::storage::users::Users;

/// Where a sign-in came from.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    pub address: String,
    pub user_agent: String,
}

#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown user, wrong password and inactive user alike.
    #[error("no active account with these credentials")]
    Refused,
    #[error("{0}")]
    Unfit(#[from] Unfit),
    #[error("too many sign-ins at once")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a token could not be signed")]
    Signing,
}

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
    passwords: Arc<Passwords>,
    tokens: Tokens,
    mint: TokenMint,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl SessionDesk {
    pub fn new(
        users: Arc<dyn Users>,
        sessions: Arc<dyn Sessions>,
        passwords: Arc<Passwords>,
        tokens: Tokens,
        lifetimes: Lifetimes,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let mint = TokenMint::new(tokens.clone(), lifetimes, Arc::clone(&random));
        Self { users, sessions, passwords, tokens, mint, clock, random }
    }

    /// One hash is computed whoever is named, so the time tells nothing.
    pub async fn sign_in(
        &self,
        username: &str,
        password: Secret<String>,
        origin: Origin,
    ) -> Result<(UserId, TokenPair), SignInError> {
        self.passwords.check_length(&password)?;
        let user = self.users.find_by_username(username).await?;
        let again = password.clone();
        let stored = user.as_ref().map(|user| &user.password);
        let verdict = self.passwords.verify(password, stored).await.map_err(|_| SignInError::Busy)?;
        let user = user.filter(|user| user.is_active && verdict != Verdict::Wrong).ok_or(SignInError::Refused)?;
        if verdict == Verdict::RightButWeak {
            self.upgrade(&user, again).await;
        }
        let now = self.clock.now();
        let session = Session {
            id: SessionId(random::uuid(self.random.as_ref())),
            user_id: user.id.clone(),
            counter: 0,
            rotated_at: now,
            created_at: now,
            last_used_at: now,
            expires_at: now.plus(self.mint.lifetimes().session),
            ended: None,
            client_address: origin.address,
            user_agent: origin.user_agent,
        };
        self.sessions.insert(&session).await?;
        // A password changed, or a user switched off, while the hash was computed ends the sessions there were; this one
        // was not among them yet.
        let now_stored = self.users.find_by_username(username).await?;
        let unchanged = now_stored.is_some_and(|now| {
            now.is_active && now.id == user.id && now.password_changed_at == user.password_changed_at
        });
        if !unchanged {
            self.sessions.end(&session.id, SessionEnd::PasswordChange, now).await?;
            return Err(SignInError::Refused);
        }
        let claims = self.mint.first_claims(&user.id, &session, now);
        let pair = self.mint.pair(&claims, &session, true, now).map_err(|_| SignInError::Signing)?;
        Ok((user.id, pair))
    }

    /// A hash that is cheaper than a new one would be is replaced now that the password is at hand. Not being able to is
    /// no reason to turn the user away.
    async fn upgrade(&self, user: &User, password: Secret<String>) {
        if let Ok(better) = self.passwords.hash(password).await {
            let _ = self.users.upgrade_password(&user.id, &user.password, &better).await;
        }
    }

    pub async fn refresh(&self, token: &str) -> Result<(UserId, TokenPair), RefreshError> {
        let now = self.clock.now();
        let claims = self.tokens.read(token, Some(TokenType::Refresh), now).map_err(RefreshError::Token)?;
        let invalid = || RefreshError::Token(TokenFault::Invalid);
        let user_id = claims.user_id.clone().ok_or_else(invalid)?;
        let user = self.users.find(&user_id).await?.ok_or_else(invalid)?;
        if !user.is_active {
            return Err(RefreshError::Inactive);
        }
        let Some(session) = self.session_of(&claims, &user_id, now).await? else {
            // A token that names no session, where tokens are not exchanged: good until it expires.
            let access = self.mint.access_token(&claims.all, now).map_err(|_| RefreshError::Signing)?;
            return Ok((user_id, TokenPair { access, refresh: None }));
        };
        let pair = self.refresh_session(&claims, session, now).await?;
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
        if claims.session_id.is_none() {
            if self.mint.lifetimes().rotate {
                self.adopt(&id, user_id, now).await?;
            } else if self.sessions.find_fresh(&id).await?.is_none() {
                return Ok(None);
            }
        }
        let session = self.sessions.find_fresh(&id).await?.ok_or(RefreshError::Token(TokenFault::Ended))?;
        if session.user_id != *user_id {
            return Err(RefreshError::Token(TokenFault::Invalid));
        }
        Ok(Some(session))
    }

    /// Gives a token from before this gateway a session, unless it has one.
    async fn adopt(&self, id: &SessionId, user_id: &UserId, now: Timestamp) -> Result<(), StoreError> {
        let session = Session {
            id: id.clone(),
            user_id: user_id.clone(),
            counter: 0,
            rotated_at: now,
            created_at: now,
            last_used_at: now,
            expires_at: now.plus(self.mint.lifetimes().session),
            ended: None,
            client_address: String::new(),
            user_agent: String::new(),
        };
        self.sessions.insert(&session).await
    }

    async fn refresh_session(
        &self,
        claims: &TokenClaims,
        session: Arc<Session>,
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
                    self.sessions.end(&session.id, SessionEnd::RefreshReuse, now).await?;
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
            // A token that names no session was never ended, or it would have one.
            None => claims.session_id.is_none(),
        };
        if live { Ok(()) } else { Err(RefreshError::Token(TokenFault::Ended)) }
    }

    /// Ends a session for good: its refresh token, and its access tokens everywhere. Ending it again changes nothing. The
    /// end is durable when this returns.
    pub async fn sign_out(&self, session: &SessionId) -> Result<(), StoreError> {
        self.sessions.end(session, SessionEnd::Logout, self.clock.now()).await.map(|_| ())
    }

    /// Ends the session of a refresh token. The user need not exist any more, nor be active.
    pub async fn blacklist(&self, token: &str) -> Result<(), RefreshError> {
        let now = self.clock.now();
        let claims = self.tokens.read(token, Some(TokenType::Refresh), now).map_err(RefreshError::Token)?;
        let id = session_named_by(&claims);
        if let (None, Some(user_id)) = (&claims.session_id, &claims.user_id) {
            // A session is kept for a known user only; a token of nobody refreshes nothing in any case.
            if self.users.find(user_id).await?.is_none() {
                return Ok(());
            }
            self.adopt(&id, user_id, now).await?;
        }
        let ended_now = self.sessions.end(&id, SessionEnd::Logout, now).await?;
        if ended_now { Ok(()) } else { Err(RefreshError::Token(TokenFault::Ended)) }
    }
}

/// The session that a token belongs to: the one it names, or for a token from before this gateway the one that would be
/// made for it.
fn session_named_by(claims: &TokenClaims) -> SessionId {
    claims.session_id.clone().unwrap_or_else(|| SessionId(format!("adopted:{}", claims.id)))
}
