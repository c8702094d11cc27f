//! An authenticator app, which knows what it was told and RFC 6238, and none of the code under test.

use aws_lc_rs::hmac;
use portcullis::crypto::random::OsRandom;
use portcullis::domain::audit::{AuditAction, AuditOutcome};
use portcullis::domain::clock::Timestamp;
use portcullis::domain::second_factor::{SecondFactor, SecondFactorId, TotpParameters};
use portcullis::domain::user::UserId;
use portcullis::storage::second_factors::Proven;

use super::operator;
use portcullis::domain::clock::{Clock, ManualClock};
use serde_json::{Value, json};

use super::World;

pub const SETUP: &str = "/api/v1/auth/2fa/totp/setup/";
pub const VERIFY: &str = "/api/v1/auth/2fa/totp/verify/";
pub const TOKEN: &str = "/api/v1/auth/token/";
pub const CHALLENGE: &str = "/api/v1/auth/token/challenge/";

#[derive(Clone)]
pub struct Authenticator {
    pub secret: Vec<u8>,
    pub algorithm: hmac::Algorithm,
    pub digits: u32,
    pub period: i64,
    pub t0: i64,
}

impl Authenticator {
    /// With what most apps take for granted.
    pub fn new(secret: Vec<u8>) -> Self {
        Self { secret, algorithm: hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, digits: 6, period: 30, t0: 0 }
    }

    /// Reads what a QR code says.
    pub fn scan(uri: &str) -> Self {
        let (place, query) = uri.split_once('?').unwrap();
        assert!(place.starts_with("otpauth://totp/"), "{uri}");
        let said: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let said = |name: &str| said.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str()).unwrap();
        assert_eq!(said("algorithm"), "SHA1");
        let secret = base32::decode(base32::Alphabet::Rfc4648 { padding: true }, said("secret")).unwrap();
        let (digits, period) = (said("digits").parse().unwrap(), said("period").parse().unwrap());
        Self { digits, period, ..Self::new(secret) }
    }

    /// The code of a step (RFC 4226 5.3).
    pub fn code(&self, step: i64) -> String {
        let tag = hmac::sign(&hmac::Key::new(self.algorithm, &self.secret), &step.to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag[tag.len() - 1] & 0xf);
        let number = u32::from_be_bytes(tag[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
        format!("{:0width$}", number % 10_u32.pow(self.digits), width = self.digits as usize)
    }

    pub fn step(&self, clock: &ManualClock) -> i64 {
        (clock.now().as_secs() - self.t0).div_euclid(self.period)
    }

    pub fn now(&self, clock: &ManualClock) -> String {
        self.code(self.step(clock))
    }

    /// A code that is none of those that count now.
    pub fn wrong(&self, clock: &ManualClock) -> String {
        let step = self.step(clock);
        let right: Vec<String> = (step - 20..=step + 20).map(|step| self.code(step)).collect();
        let code = |number: u32| format!("{number:0width$}", width = self.digits as usize);
        (0..100).map(code).find(|code| !right.contains(code)).unwrap()
    }
}

/// What a user has after enrolling.
pub struct Enrolled {
    pub authenticator: Authenticator,
    pub recovery_codes: Vec<String>,
}

impl World {
    pub fn post_as(&self, target: &str, token: &str, body: &Value) -> super::Reply {
        let bearer = format!("Bearer {token}");
        let headers = [("Content-Type", "application/json"), ("Authorization", &bearer)];
        self.request("POST", target, &headers, body.to_string().as_bytes())
    }

    /// A second factor that nobody has a phone for, put into the store beside the gateway.
    pub fn give_factor(&self, user: &UserId) {
        let at = Timestamp::from_secs(1_700_000_000);
        let device = SecondFactor {
            id: SecondFactorId(format!("of {user}")),
            user_id: user.clone(),
            name: "nobody's".to_owned(),
            sealed_secret: vec![1],
            parameters: TotpParameters::default(),
            last_step: SecondFactor::NO_STEP,
            confirmed_at: Some(at),
            created_at: at,
            last_used_at: None,
        };
        let change = operator().did(AuditAction::SecondFactorEnable, AuditOutcome::Done, at, &OsRandom::new()).into();
        let begun = self.wait(self.stores.second_factors.begin(&device, None, &change));
        assert_eq!(begun.unwrap(), Proven::Done);
        self.settle();
    }

    /// Sets an authenticator up and does not confirm it.
    pub fn set_up(&self, access: &str) -> Authenticator {
        let reply = self.post_as(SETUP, access, &json!({}));
        assert_eq!(reply.status, 200, "{reply:?}");
        Authenticator::scan(reply.json()["provisioning_uri"].as_str().unwrap())
    }

    /// Sets an authenticator up and confirms it, which uses the present step.
    pub fn enrol(&self, access: &str, clock: &ManualClock) -> Enrolled {
        let authenticator = self.set_up(access);
        let reply = self.post_as(VERIFY, access, &json!({ "token": authenticator.now(clock) }));
        assert_eq!(reply.status, 200, "{reply:?}");
        let codes = reply.json()["recovery_codes"].as_array().cloned().unwrap_or_default();
        let recovery_codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
        Enrolled { authenticator, recovery_codes }
    }

    /// The first step of a sign-in: the challenge.
    pub fn challenge(&self, name: &str) -> String {
        let reply = self.post_json(TOKEN, &json!({ "username": name, "password": super::PASSWORD }));
        assert_eq!((reply.status, reply.code().as_str()), (401, "mfa_required"), "{reply:?}");
        reply.json()["challenge"].as_str().unwrap().to_owned()
    }

    /// Signs in with both factors at once: (access, refresh).
    pub fn sign_in_with(&self, name: &str, otp: &str) -> (String, String) {
        let body = json!({ "username": name, "password": super::PASSWORD, "otp": otp });
        let reply = self.post_json(TOKEN, &body);
        assert_eq!(reply.status, 200, "{reply:?}");
        let body = reply.json();
        (body["access"].as_str().unwrap().to_owned(), body["refresh"].as_str().unwrap().to_owned())
    }
}
