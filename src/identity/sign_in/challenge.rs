//! Between the two steps of a sign-in: the ticket that the first one gives, and its answer.

use std::time::Duration;

use super::{SignInDesk, SignInError, SignedIn};
use crate::crypto::digest::sha256;
use crate::domain::audit::{AuditAction, Initiator};
use crate::domain::challenge::Challenge;
use crate::domain::clock::Timestamp;
use crate::domain::denial::Denial;
use crate::domain::digest::Digest;
use crate::domain::random;
use crate::domain::secret::Secret;
use crate::domain::user::{User, UserId};
use crate::identity::code_check::Shown;
use crate::identity::guess_guard::Counted;

/// Shows that a password was right a moment ago.
#[derive(Debug)]
pub struct Ticket {
    pub text: Secret<String>,
    pub lifetime: Duration,
}

/// How long a challenge is good for, and for how many codes.
#[derive(Clone, Copy, Debug)]
pub struct ChallengeRules {
    pub lifetime: Duration,
    pub attempts: u32,
    /// Whether who has a second factor is asked for it. One that is shown unasked must hold all the same.
    pub demanded: bool,
}

impl SignInDesk {
    /// The first step is done; the answer is to show the ticket with a code.
    pub(super) async fn challenge(&self, user: &User, counted: &Counted) -> Result<SignedIn, SignInError> {
        let now = self.clock.now();
        let text = Secret::new(random::token(self.random.as_ref()));
        let lifetime = self.challenge_rules.lifetime;
        let challenge = Challenge {
            digest: ticket_digest(&text),
            user_id: user.id.clone(),
            password_changed_at: user.password_changed_at,
            created_at: now,
            expires_at: now.plus(lifetime),
            attempts: 0,
        };
        // The password was right, and that is all that was counted so far.
        self.challenges.insert(&challenge, &counted.forgiven()).await?;
        Ok(SignedIn::Challenged(user.id.clone(), Ticket { text, lifetime }))
    }

    /// The second step: the ticket of the first, and a code.
    pub async fn answer(
        &self,
        ticket: &Secret<String>,
        shown: &Shown,
        by: &Initiator,
    ) -> Result<SignedIn, SignInError> {
        let digest = ticket_digest(ticket);
        let most = self.challenge_rules.attempts;
        let Some(found) = self.challenges.find(&digest, most, self.clock.now()).await? else {
            // Any that is kept, however old and often tried, tells whose it is.
            let kept = self.challenges.find(&digest, u32::MAX, Timestamp::from_micros(i64::MIN)).await?;
            return Err(self.challenge_invalid(kept.as_ref().map(|kept| &kept.user_id), by).await);
        };
        let user = self.users.find_fresh(&found.user_id).await?.filter(|user| user.is_active);
        let Some(user) = user else {
            return Err(self.challenge_invalid(Some(&found.user_id), by).await);
        };
        // Before the attempt is counted against the challenge: whoever is told to wait has not tried.
        let codes = self.count_code(&user.id, by).await?;
        match self.challenges.attempt(&digest, most, self.clock.now()).await {
            Ok(Some(challenge)) => self.past_code(&user, shown, Some(&challenge), codes, by).await,
            refused => {
                self.guard.give_back(&codes).await;
                match refused {
                    Err(error) => Err(error.into()),
                    Ok(_) => Err(self.challenge_invalid(Some(&user.id), by).await),
                }
            }
        }
    }

    /// Tells the audit of a challenge that is good no more. A ticket that nobody was given is told of nobody, and by whoever
    /// likes: it leaves no trace there.
    pub(super) async fn challenge_invalid(&self, user: Option<&UserId>, by: &Initiator) -> SignInError {
        let Some(user) = user else { return SignInError::ChallengeInvalid };
        let event = self.auditor.refused(by, AuditAction::SecondFactorCheck, Denial::ChallengeInvalid.reason());
        let told = self.auditor.append(&event.about(user)).await;
        told.err().map_or(SignInError::ChallengeInvalid, SignInError::Store)
    }
}

fn ticket_digest(ticket: &Secret<String>) -> Digest {
    sha256(ticket.expose().as_bytes())
}
