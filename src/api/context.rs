//! What a handler knows beside the request itself.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;

use crate::access::miss_budget::MissBudget;
use crate::access::permit::Permit;
use crate::access::slow_keys::SlowKeyCheck;
use crate::domain::audit::{Actor, Initiator};
use crate::domain::principal::Subject;
use crate::identity::auditor::Auditor;
use crate::identity::code_check::CodeForm;
use crate::identity::grants::Administrator;
use crate::identity::key_desk::KeyDesk;
use crate::identity::leaked_keys::LeakedKeys;
use crate::identity::lockouts::Lockouts;
use crate::identity::password_change::PasswordChangeDesk;
use crate::identity::password_reset::PasswordResetDesk;
use crate::identity::public_keys::PublicKeys;
use crate::identity::recovery_codes::RecoveryCodeDesk;
use crate::identity::reset_requests::ResetRequests;
use crate::identity::second_factors::SecondFactorDesk;
use crate::identity::sessions::SessionDesk;
use crate::identity::sign_in::SignInDesk;
use crate::identity::user_desk::UserDesk;

/// Put into the request's extensions by whoever calls the router.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The proof that the gatekeeper has let this request through.
    pub permit: Permit,
    /// Found through trusted proxies only.
    pub client: IpAddr,
    pub request_id: String,
}

impl RequestContext {
    /// Who acts, for the audit: the caller, as far as it is known, and where the request came from.
    pub fn initiator(&self, headers: &HeaderMap) -> Initiator {
        let principal = self.permit.principal();
        let user_agent = headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
        Initiator {
            actor: match principal.map(|principal| &principal.subject) {
                None => Actor::Anonymous,
                Some(Subject::User { id, .. }) => Actor::User(id.clone()),
                Some(Subject::Service { name }) => Actor::Service(name.clone()),
            },
            key_id: principal.and_then(|principal| principal.key_id.clone()),
            session_id: principal.and_then(|principal| principal.session_id.clone()),
            address: self.client.to_string(),
            user_agent: user_agent.unwrap_or_default().chars().take(200).collect(),
            request_id: self.request_id.clone(),
        }
    }
}

impl RequestContext {
    /// Who administers, with the scopes of what was shown: of a key, those of its own that count now.
    pub fn administrator(&self, headers: &HeaderMap) -> Administrator {
        let principal = self.permit.principal();
        Administrator {
            by: self.initiator(headers),
            scopes: principal.map(|principal| principal.scopes.clone()).unwrap_or_default(),
            bounds: principal.map(|principal| principal.bounds.clone()).unwrap_or_default(),
        }
    }
}

/// What the handlers work with.
pub struct Services {
    /// White space at the ends of a password is no part of it: as the Django stack has it, for its clients and passwords.
    pub strips_passwords: bool,
    /// How one-time codes may be written.
    pub code_form: CodeForm,
    pub sign_in: SignInDesk,
    pub sessions: SessionDesk,
    pub password_change: PasswordChangeDesk,
    pub password_reset: PasswordResetDesk,
    pub reset_requests: Arc<ResetRequests>,
    pub second_factors: SecondFactorDesk,
    pub recovery_codes: RecoveryCodeDesk,
    pub public_keys: PublicKeys,
    pub users: UserDesk,
    pub keys: KeyDesk,
    pub leaked_keys: LeakedKeys,
    /// What the look-ups of unknown keys are charged to, wherever those are shown.
    pub miss_budget: Arc<MissBudget>,
    /// Keys that cannot be looked up yet.
    pub slow_keys: Arc<SlowKeyCheck>,
    pub lockouts: Lockouts,
    pub auditor: Auditor,
}
