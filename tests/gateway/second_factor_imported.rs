//! Second factors and backup codes that were taken over from a Django installation.

use std::num::NonZeroU32;
use std::time::Duration;

use aws_lc_rs::hmac;
use portcullis::crypto::random::OsRandom;
use portcullis::crypto::recovery_code::{imported_digest, imported_digests};
use portcullis::crypto::totp::sealing_purpose;
use portcullis::domain::audit::{AuditAction, AuditOutcome};
use portcullis::domain::change::Change;
use portcullis::domain::factor_proof::{FactorProof, RecoveryCodeId};
use portcullis::domain::second_factor::{
    Digits, SecondFactor, SecondFactorId, Tolerance, TotpAlgorithm, TotpParameters,
};
use portcullis::domain::user::User;
use portcullis::server::ground::master_keys;
use portcullis::storage::second_factors::{Proven, RecoveryCode};
use serde_json::json;

use crate::harness::authenticator::{Authenticator, CHALLENGE, TOKEN};
use crate::harness::{PASSWORD, Plan, World, operator};

const STEP: Duration = Duration::from_secs(30);

/// A device as a Django installation has it, put into the store beside the gateway.
struct Imported {
    parameters: TotpParameters,
    secret: Vec<u8>,
    last_step: i64,
}

impl Imported {
    fn put(self, world: &World, user: &User, id: &str, beside: Option<&str>) {
        let id = SecondFactorId(id.to_owned());
        let keys = master_keys(&world.settings).unwrap();
        let sealed_secret = keys.seal(&sealing_purpose(&id), &self.secret, &OsRandom::new()).unwrap();
        let device = SecondFactor {
            id,
            user_id: user.id.clone(),
            name: "imported".to_owned(),
            sealed_secret,
            parameters: self.parameters,
            last_step: self.last_step,
            confirmed_at: Some(user.created_at),
            created_at: user.created_at,
            last_used_at: None,
        };
        // One step of the first device is spent for the second.
        let proof = beside.map(|id| FactorProof::Totp { device: SecondFactorId(id.to_owned()), step: 0 });
        let begun = world.wait(world.stores.second_factors.begin(&device, proof.as_ref(), &change(user)));
        assert_eq!(begun.unwrap(), Proven::Done);
    }
}

fn change(user: &User) -> Change {
    operator().did(AuditAction::UserChange, AuditOutcome::Done, user.created_at, &OsRandom::new()).into()
}

#[test]
fn imported_devices_work_as_they_did() {
    let default = TotpParameters::default();
    let minute = NonZeroU32::new(60).unwrap();
    let phone = |length: u8| Authenticator::new((1..=length).collect());
    let eight = Digits::EIGHT;
    for (what, parameters, phone) in [
        ("8 digits", TotpParameters { digits: eight, ..default }, Authenticator { digits: 8, ..phone(20) }),
        ("60 s", TotpParameters { period: minute, ..default }, Authenticator { period: 60, ..phone(20) }),
        ("t0", TotpParameters { t0: 17, ..default }, Authenticator { t0: 17, ..phone(20) }),
        (
            "SHA-256",
            TotpParameters { algorithm: TotpAlgorithm::Sha256, ..default },
            Authenticator { algorithm: hmac::HMAC_SHA256, ..phone(32) },
        ),
        (
            "SHA-512 and all else",
            TotpParameters { algorithm: TotpAlgorithm::Sha512, digits: eight, period: minute, t0: 7, ..default },
            Authenticator { algorithm: hmac::HMAC_SHA512, digits: 8, period: 60, t0: 7, ..phone(64) },
        ),
        ("a short secret", default, phone(5)),
        ("a long secret", default, phone(40)),
    ] {
        let (plan, clock) = Plan::default().timed();
        let world = World::plan(plan);
        let user = world.user_with_id("45", "root");
        let step = phone.step(&clock);
        let device = Imported { parameters, secret: phone.secret.clone(), last_step: step - 1 };
        device.put(&world, &user, "1", None);
        let login =
            |otp: &str| world.post_json(TOKEN, &json!({ "username": "root", "password": PASSWORD, "otp": otp })).status;
        assert_eq!(login(&phone.code(step - 1)), 401, "{what}: used in the installation");
        assert_eq!(login(&phone.code(step + 2)), 401, "{what}: too early");
        assert_eq!(login(&phone.now(&clock)), 200, "{what}");
        assert_eq!(login(&phone.now(&clock)), 401, "{what}: once");
    }
}

#[test]
fn tolerance_and_drift_are_honoured_and_never_grow() {
    let default = TotpParameters::default();
    let phone = Authenticator::new((1..=20).collect());
    for (tolerance, drift) in [(0, 0), (1, 0), (2, 0), (1, 3), (1, -2), (0, 1)] {
        let (plan, clock) = Plan::default().timed();
        let world = World::plan(plan);
        let user = world.user_with_id("45", "root");
        let parameters = TotpParameters { tolerance: Tolerance::new(tolerance).unwrap(), drift, ..default };
        let login = |step: i64| {
            let body = json!({ "username": "root", "password": PASSWORD, "otp": phone.code(step) });
            // Wrong ones are counted, which is not what is tested here.
            clock.advance(Duration::from_secs(3600));
            world.post_json(TOKEN, &body).status
        };
        let device = Imported { parameters, secret: phone.secret.clone(), last_step: SecondFactor::NO_STEP };
        device.put(&world, &user, "1", None);
        let reach = i64::from(tolerance);
        // The clock is moved before it is asked: an hour is 120 steps.
        for round in 0..2 {
            let now = || phone.step(&clock) + 120 + drift;
            assert_eq!(login(now() - reach - 1), 401, "{tolerance} {drift} {round}: too late");
            assert_eq!(login(now() + reach + 1), 401, "{tolerance} {drift} {round}: too early");
            assert_eq!(login(now() - reach), 200, "{tolerance} {drift} {round}: just");
            assert_eq!(login(now() + reach), 200, "{tolerance} {drift} {round}: just");
        }
    }
}

#[test]
fn several_devices_and_the_codes_of_an_installation_are_taken_over() {
    let (plan, clock) = Plan::default().timed();
    let world = World::plan(plan);
    let user = world.user_with_id("45", "root");
    let one = Authenticator::new((1..=20).collect());
    let two = Authenticator { digits: 8, ..Authenticator::new((2..=21).collect()) };
    let parameters = TotpParameters::default();
    let first = Imported { parameters, secret: one.secret.clone(), last_step: SecondFactor::NO_STEP };
    first.put(&world, &user, "1", None);
    let parameters = TotpParameters { digits: Digits::EIGHT, ..parameters };
    let second = Imported { parameters, secret: two.secret.clone(), last_step: SecondFactor::NO_STEP };
    second.put(&world, &user, "2", Some("1"));
    let login =
        |otp: &str| world.post_json(TOKEN, &json!({ "username": "root", "password": PASSWORD, "otp": otp })).status;
    for phone in [&one, &two, &one] {
        assert_eq!(login(&phone.now(&clock)), 200);
        assert_eq!(login(&phone.now(&clock)), 401);
        clock.advance(STEP);
    }
    assert_eq!(login(&two.now(&clock)[2..]), 401, "fewer digits than the device shows");

    // Backup codes of the installation: compared exactly, and deleted by their use.
    put_codes(&world, &user, &["dtv76lg4", "MixedCase1"]);
    let recover = |code: &str| {
        let body = json!({ "challenge": world.challenge("root"), "recovery_code": code });
        world.post_json(CHALLENGE, &body).status
    };
    for (code, status) in
        [("DTV76LG4", 401), ("dtv76lg4", 200), ("dtv76lg4", 401), ("mixedcase1", 401), ("MixedCase1", 200)]
    {
        assert_eq!(recover(code), status, "{code}");
    }
}

/// One step far ahead of the first device is spent for them, after which that shows nothing that counts.
fn put_codes(world: &World, user: &User, codes: &[&str]) {
    let keyed = imported_digests(&master_keys(&world.settings).unwrap());
    let digest = |code: &str| imported_digest(keyed.first(), &user.id, code).unwrap();
    let stored: Vec<RecoveryCode> = codes
        .iter()
        .map(|code| RecoveryCode { id: RecoveryCodeId(format!("imported {code}")), digest: digest(code) })
        .collect();
    let proof = FactorProof::Totp { device: SecondFactorId("1".to_owned()), step: i64::MAX };
    let (factors, change) = (&world.stores.second_factors, change(user));
    let put = factors.replace_recovery_codes(&user.id, &stored, &proof, user.created_at, &change);
    assert_eq!(world.wait(put).unwrap(), Proven::Done);
}
