//! Asking for a new password, for those who have forgotten theirs.
//!
//! Whoever asks types an address and gets one answer, whatever the address. Nothing is looked up for it: the request is put
//! into the outbox, and when its turn comes there, users are found, and the mail takes its place. So neither the answer nor
//! its time can tell whose address it is.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::auditor::Auditor;
use super::guess_guard::{GuessGuard, NotNow};
use super::lane::Lane;
use super::mail_templates::Templates;
use super::mail_values::{Occasion, PasswordReset as ResetValues};
use super::outgoing::{Outgoing, PrepareError, Prepared, SealedMail};
use crate::crypto::digest::sha256;
use crate::domain::audit::{Actor, AuditAction, Initiator};
use crate::domain::change::Change;
use crate::domain::clock::Clock;
use crate::domain::denial::Denial;
use crate::domain::guess_subject::GuessSubject;
use crate::domain::mail::{MailKind, OutboxEntry};
use crate::domain::password_reset::PasswordReset;
use crate::domain::random::{self, Random};
use crate::domain::reset_link::ResetLink;
use crate::domain::secret::Secret;
use crate::domain::user::{Email, User, UserId};
use crate::storage::StoreError;
use crate::storage::outbox::Outbox;
use crate::storage::password_resets::PasswordResets;
use crate::storage::users::Users;

/// Requests beyond so much waiting mail are turned away: whoever asks for many must not fill the disk with them.
const MOST_WAITING: u64 = 10_000;
/// Users who share one address.
const MOST_USERS: u32 = 5;

pub struct ResetRequests {
    pub users: Arc<dyn Users>,
    pub resets: Arc<dyn PasswordResets>,
    pub outbox: Arc<dyn Outbox>,
    pub guard: Arc<GuessGuard>,
    /// Shared with those who hold a link.
    pub lane: Arc<Lane>,
    pub sealed: Arc<SealedMail>,
    pub templates: Arc<Templates>,
    pub link: ResetLink,
    pub auditor: Auditor,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
}

/// A request as it waits.
#[derive(Serialize, Deserialize)]
struct Asked {
    email: String,
    address: String,
    user_agent: String,
    request_id: String,
}

impl ResetRequests {
    /// Takes a request. What comes of it is for the mail to tell.
    pub async fn ask(&self, email: &Email, by: &Initiator) -> Result<(), NotNow> {
        let _turn = self.lane.take().await?;
        self.guard.count_network(GuessSubject::ResetNetwork, by).await?;
        if self.outbox.count().await? >= MOST_WAITING {
            return Err(NotNow::Crowded);
        }
        let asked = Asked {
            email: email.as_str().to_owned(),
            address: by.address.clone(),
            user_agent: by.user_agent.clone(),
            request_id: by.request_id.clone(),
        };
        let entry = self.sealed.seal(MailKind::PasswordResetRequest, &asked, self.clock.now());
        let entry = entry.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(self.outbox.enqueue(&entry).await?)
    }

    /// Mails a link to whoever has the address. When it is done twice, because a process ended in the middle, the last link is
    /// the one that works.
    async fn answer(&self, asked: Asked) -> Result<(), PrepareError> {
        let by = Initiator {
            address: asked.address,
            user_agent: asked.user_agent,
            request_id: asked.request_id,
            ..Initiator::without_request(Actor::Anonymous)
        };
        let found = self.users.find_by_email(&asked.email, MOST_USERS).await?;
        if found.is_empty() {
            self.tell_refused(None, Denial::UserNotFound, &by).await?;
        }
        for user in &found {
            self.send_link(user, &by).await?;
        }
        Ok(())
    }

    async fn send_link(&self, user: &User, by: &Initiator) -> Result<(), PrepareError> {
        if !user.is_active {
            return Ok(self.tell_refused(Some(&user.id), Denial::UserInactive, by).await?);
        }
        match self.guard.count_reset_mail(&user.id, by).await {
            Ok(()) => {}
            Err(NotNow::Store(error)) => return Err(error.into()),
            Err(NotNow::Blocked(_) | NotNow::Crowded) => {
                return Ok(self.tell_refused(Some(&user.id), Denial::TooManyAttempts, by).await?);
            }
        }
        let now = self.clock.now();
        let token = Secret::new(random::token(self.random.as_ref()));
        let lifetime = MailKind::PasswordReset.lifetime();
        let reset = PasswordReset {
            digest: sha256(token.expose().as_bytes()),
            user_id: user.id.clone(),
            created_at: now,
            expires_at: now.plus(lifetime),
        };
        let event = self.auditor.done(by, AuditAction::PasswordResetRequest).about(&user.id);
        let change = Change::from(event).mailing(vec![self.mail(user, &token, by)?]);
        self.resets.replace(&reset, &change).await?;
        self.auditor.witness(&change);
        Ok(())
    }

    /// To the address that is stored: a typed one that is only alike could be somebody else's.
    fn mail(&self, user: &User, token: &Secret<String>, by: &Initiator) -> Result<OutboxEntry, PrepareError> {
        let never = |error: &dyn std::fmt::Display| PrepareError::Permanent(error.to_string());
        let now = self.clock.now();
        let values = ResetValues {
            occasion: Occasion { username: user.username.clone(), at: now, address: by.address.clone() },
            link: self.link.with(token),
            lifetime: MailKind::PasswordReset.lifetime(),
        };
        let to = Email::parse(&user.email).map_err(|error| never(&error))?;
        let message = self.templates.render(to, &values).map_err(|error| never(&error))?;
        self.sealed.message(MailKind::PasswordReset, &message, now).map_err(|error| never(&error))
    }

    /// Without the address: if it is nobody's here, it is of no concern here, and it may be a slip for a password.
    async fn tell_refused(&self, user: Option<&UserId>, why: Denial, by: &Initiator) -> Result<(), StoreError> {
        let mut event = self.auditor.refused(by, AuditAction::PasswordResetRequest, why.reason());
        event.user = user.cloned();
        self.auditor.append(&event).await
    }
}

#[async_trait]
impl Outgoing for ResetRequests {
    async fn prepare(&self, entry: &OutboxEntry) -> Result<Prepared, PrepareError> {
        if entry.kind != MailKind::PasswordResetRequest {
            return self.sealed.prepare(entry).await;
        }
        self.answer(self.sealed.open(entry)?).await?;
        Ok(Prepared::Drop)
    }
}
