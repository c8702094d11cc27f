//! Signing in: the password, and then the second factor of who has one.
//!
//! ```text
//! password right, no second factor             -> a session
//! password right, second factor, code with it  -> a session
//! password right, second factor, no code       -> a challenge; with a code it becomes a session
//! ```
//!
//! Everything is counted before it is judged, costs the same whoever is named, and what a sign-in uses up and makes is
//! one transaction.

mod challenge;

use std::sync::Arc;
use std::time::Duration;

pub use self::challenge::{ChallengeRules, Ticket};
use super::auditor::Auditor;
use super::code_check::Shown;
use super::decoys::Decoys;
use super::factor_confirmation::{FactorConfirmation, Matched, NotShown};
use super::guess_guard::{Counted, GuessGuard, NotNow};
use super::notices::{Notice, Notices};
use super::passwords::{Passwords, Unfit};
use super::token_mint::{TokenMint, TokenPair};
use crate::crypto::keyed_digest::KeyedDigest;
use crate::crypto::password::Verdict;
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::challenge::Challenge;
use crate::domain::change::Change;
use crate::domain::clock::{Clock, Timestamp};
use crate::domain::denial::Denial;
use crate::domain::factor_proof::FactorProof;
use crate::domain::guess_subject::GuessSubject;
use crate::domain::mail::OutboxEntry;
use crate::domain::random::{self, Random};
use crate::domain::secret::Secret;
use crate::domain::session::{Session, SessionId};
use crate::domain::user::{User, UserId};
use crate::storage::StoreError;
use crate::storage::challenges::Challenges;
use crate::storage::guesses::Forgiveness;
use crate::storage::sign_ins::{Completion, SignIn, SignIns};
use crate::storage::users::Users;

/// What a sign-in came to.
#[derive(Debug)]
pub enum SignedIn {
    Pair(UserId, TokenPair),
    /// A second factor is asked for.
    Challenged(UserId, Ticket),
}

#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown user, wrong password and inactive user alike.
    #[error("no active account with these credentials")]
    Refused,
    #[error("{0}")]
    Unfit(#[from] Unfit),
    #[error("the code is not valid")]
    WrongCode(UserId),
    #[error("the challenge is not valid or was used up")]
    ChallengeInvalid,
    #[error("too many attempts")]
    Blocked(Duration),
    #[error("too many sign-ins at once")]
    Busy,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("a token could not be signed")]
    Signing,
}

impl From<NotNow> for SignInError {
    fn from(not_now: NotNow) -> Self {
        match not_now {
            NotNow::Blocked(wait) => Self::Blocked(wait),
            NotNow::Crowded => Self::Busy,
            NotNow::Store(error) => Self::Store(error),
        }
    }
}

impl SignInError {
    fn not_shown(user: &UserId, why: NotShown) -> Self {
        match why {
            NotShown::Wrong => Self::WrongCode(user.clone()),
            NotShown::Blocked(wait) => Self::Blocked(wait),
            NotShown::Crowded => Self::Busy,
            NotShown::Store(error) => Self::Store(error),
        }
    }
}

/// What a sign-in asks of.
pub struct SignInDesk {
    pub users: Arc<dyn Users>,
    pub sign_ins: Arc<dyn SignIns>,
    pub challenges: Arc<dyn Challenges>,
    pub passwords: Arc<Passwords>,
    pub factor: Arc<FactorConfirmation>,
    pub guard: Arc<GuessGuard>,
    pub mint: Arc<TokenMint>,
    pub notices: Arc<Notices>,
    /// For names that nobody has.
    pub names: KeyedDigest,
    pub decoys: Arc<Decoys>,
    pub auditor: Auditor,
    pub challenge_rules: ChallengeRules,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
}

impl SignInDesk {
    /// One hash is computed whoever is named, so the time tells nothing.
    pub async fn sign_in(
        &self,
        username: &str,
        password: Secret<String>,
        otp: Option<Secret<String>>,
        by: &Initiator,
    ) -> Result<SignedIn, SignInError> {
        self.passwords.check_length(&password)?;
        let user = self.users.find_by_username(username).await?;
        let subject = self.subject(username, user.as_ref());
        let known = user.as_ref().map(|user| &user.id);
        let (counted, slot) = self.guard.count_with(subject, known, by, || self.passwords.slot()).await?;
        let again = password.clone();
        let decoy = if user.is_none() { self.decoys.of(username) } else { None };
        let stored = user.as_ref().map(|user| &user.password).or(decoy.as_ref());
        let Ok(verdict) = self.passwords.verify(slot, password, stored).await else {
            self.guard.give_back(&counted).await;
            return Err(SignInError::Busy);
        };
        let id = user.as_ref().map(|user| user.id.clone());
        let Some(user) = user.filter(|user| user.is_active && verdict != Verdict::Wrong) else {
            self.tell_refused(by, id.as_ref(), Denial::SignInRefused).await?;
            return Err(SignInError::Refused);
        };
        if verdict == Verdict::RightButWeak {
            self.upgrade(&user, again).await;
        }
        self.past_password(&user, otp, counted, by).await
    }

    /// The password was right. Whatever becomes of the sign-in, that was no wrong guess at it.
    async fn past_password(
        &self,
        user: &User,
        otp: Option<Secret<String>>,
        counted: Counted,
        by: &Initiator,
    ) -> Result<SignedIn, SignInError> {
        // The record is a moment old. If a device was confirmed since, the transaction that opens the session finds out.
        let done = match (user.has_second_factor, otp) {
            (true, None) if self.challenge_rules.demanded => self.challenge(user, &counted).await,
            (false, _) | (true, None) => self.open(user, None, None, counted.forgiven(), by).await,
            (true, Some(otp)) => {
                self.guard.forgive(&counted).await?;
                drop(counted);
                let codes = self.count_code(&user.id, by).await?;
                return self.past_code(user, &Shown::Otp(otp), None, codes, by).await;
            }
        };
        if let Err(SignInError::Store(_)) = done {
            self.guard.give_back(&counted).await;
        }
        done
    }

    async fn count_code(&self, user: &UserId, by: &Initiator) -> Result<Counted, SignInError> {
        self.factor.count(user, by).await.map_err(|why| SignInError::not_shown(user, why))
    }

    async fn past_code(
        &self,
        user: &User,
        shown: &Shown,
        challenge: Option<&Challenge>,
        codes: Counted,
        by: &Initiator,
    ) -> Result<SignedIn, SignInError> {
        let matched = self.factor.prove(&user.id, shown, codes, by).await;
        let Matched { proof, counted } = matched.map_err(|why| SignInError::not_shown(&user.id, why))?;
        let done = self.open(user, Some(proof), challenge, counted.forgiven(), by).await;
        if let Err(SignInError::Store(_)) = done {
            self.guard.give_back(&counted).await;
        }
        done
    }

    /// Whom a guess is counted against. A name that nobody has behaves as one that somebody has. That goes for its spellings
    /// too: if those of a name that nobody has were one, and those of a name that somebody has are one user's and nobody's,
    /// then guessing at two of them would tell which it is.
    fn subject(&self, username: &str, user: Option<&User>) -> GuessSubject {
        match user {
            Some(user) => GuessSubject::Account(user.id.clone()),
            None => GuessSubject::Name(self.names.of(username.as_bytes())),
        }
    }

    async fn open(
        &self,
        user: &User,
        proof: Option<FactorProof>,
        challenge: Option<&Challenge>,
        forgiven: Vec<Forgiveness>,
        by: &Initiator,
    ) -> Result<SignedIn, SignInError> {
        let now = self.clock.now();
        let session = self.session(user, proof.as_ref(), by, now);
        let event = self.auditor.done(by, AuditAction::SignIn).about(&user.id).on_session(&session.id);
        let mail = self.notice(user, proof.as_ref(), by).await?;
        let change = Change::from(event.saying(session.amr.join(" "))).mailing(mail);
        let sign_in = SignIn {
            session,
            password_changed_at: challenge.map_or(user.password_changed_at, |challenge| challenge.password_changed_at),
            challenge: challenge.map(|challenge| challenge.digest),
            proof,
            proof_demanded: self.challenge_rules.demanded,
            forgiven,
        };
        match self.sign_ins.complete(&sign_in, &change).await? {
            Completion::Done => {}
            Completion::UserChanged if challenge.is_some() => {
                self.tell_refused(by, Some(&user.id), Denial::ChallengeInvalid).await?;
                return Err(SignInError::ChallengeInvalid);
            }
            Completion::UserChanged => {
                self.tell_refused(by, Some(&user.id), Denial::SignInRefused).await?;
                return Err(SignInError::Refused);
            }
            Completion::ChallengeSpent => return Err(self.challenge_invalid(Some(&user.id), by).await),
            Completion::ProofSpent => {
                if let Some(proof) = &sign_in.proof {
                    self.factor.tell_spent(&user.id, proof, by).await?;
                }
                return Err(SignInError::WrongCode(user.id.clone()));
            }
        }
        self.auditor.witness(&change);
        let claims = self.mint.first_claims(&user.id, &sign_in.session, now);
        let pair = self.mint.pair(&claims, &sign_in.session, true, now).map_err(|_| SignInError::Signing)?;
        Ok(SignedIn::Pair(user.id.clone(), pair))
    }

    /// Whoever has found the paper with the recovery codes must not use them unseen.
    async fn notice(
        &self,
        user: &User,
        proof: Option<&FactorProof>,
        by: &Initiator,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        let Some(FactorProof::RecoveryCode(_)) = proof else { return Ok(Vec::new()) };
        let left = self.factor.codes.recovery_codes_left(&user.id).await?.saturating_sub(1);
        let notice = Notice::RecoveryCodeUsed { left: u32::try_from(left).unwrap_or(u32::MAX) };
        Ok(self.notices.about(user, notice, by))
    }

    fn session(&self, user: &User, proof: Option<&FactorProof>, by: &Initiator, now: Timestamp) -> Session {
        let amr = std::iter::once("pwd").chain(proof.map(FactorProof::amr)).map(str::to_owned).collect();
        Session {
            id: SessionId(random::uuid(self.random.as_ref())),
            user_id: user.id.clone(),
            counter: 0,
            rotated_at: now,
            created_at: now,
            last_used_at: now,
            expires_at: now.plus(self.mint.lifetimes().session),
            ended: None,
            amr,
            client_address: by.address.clone(),
            user_agent: by.user_agent.clone(),
        }
    }

    async fn tell_refused(&self, by: &Initiator, user: Option<&UserId>, why: Denial) -> Result<(), StoreError> {
        let mut event = self.auditor.refused(by, AuditAction::SignIn, why.reason());
        event.user = user.cloned();
        self.auditor.append(&event).await
    }

    /// A hash that is cheaper than a new one would be is replaced now that the password is at hand. Not being able to is
    /// no reason to turn the user away.
    async fn upgrade(&self, user: &User, password: Secret<String>) {
        if let Ok(better) = self.passwords.hash(password).await {
            let _ = self.users.upgrade_password(&user.id, &user.password, &better).await;
        }
    }
}
