use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::crypto::master_key::{MasterKey, Unsealing};
use crate::crypto::random::OsRandom;
use crate::domain::second_factor::{Digits, SecondFactor, Tolerance};

const NONE: i64 = SecondFactor::NO_STEP;

/// The secret of RFC 4226 appendix D; RFC 6238 appendix B repeats it to the length of each hash.
fn rfc_secret(length: usize) -> Secret<Vec<u8>> {
    Secret::new(b"1234567890".iter().copied().cycle().take(length).collect())
}

fn of_hex(hex: &str) -> Secret<Vec<u8>> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    Secret::new(hex.as_bytes().chunks(2).map(byte).collect())
}

fn typed(text: &str, parameters: &TotpParameters) -> OtpCode {
    OtpCode::parse(text, parameters.digits).unwrap()
}

#[test]
fn codes_are_those_of_rfc_4226_appendix_d() {
    let expected = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
    for (counter, expected) in (0..).zip(expected) {
        assert_eq!(code(&rfc_secret(20), &TotpParameters::default(), counter).expose(), expected, "{counter}");
    }
}

#[test]
fn codes_are_those_of_rfc_6238_appendix_b() {
    // Seconds, then the codes under SHA-1, SHA-256 and SHA-512.
    let expected = [
        (59, ["94287082", "46119246", "90693936"]),
        (1_111_111_109, ["07081804", "68084774", "25091201"]),
        (1_111_111_111, ["14050471", "67062674", "99943326"]),
        (1_234_567_890, ["89005924", "91819424", "93441116"]),
        (2_000_000_000, ["69279037", "90698825", "38618901"]),
        (20_000_000_000, ["65353130", "77737706", "47863826"]),
    ];
    for (secs, codes) in expected {
        for ((algorithm, length), expected) in TotpAlgorithm::ALL.into_iter().zip([20, 32, 64]).zip(codes) {
            let parameters = TotpParameters { algorithm, digits: Digits::EIGHT, ..TotpParameters::default() };
            let (secret, step) = (rfc_secret(length), secs / 30);
            assert_eq!(code(&secret, &parameters, step).expose(), expected, "{algorithm:?} at {secs}");
            let found =
                find_step(&secret, &parameters, NONE, &typed(expected, &parameters), Timestamp::from_secs(secs));
            assert_eq!(found, Some(step), "{algorithm:?} at {secs}");
        }
    }
}

/// A device of a Django installation at one moment.
struct Device {
    whose: &'static str,
    key: &'static str,
    digits: u8,
    period: u32,
    t0: i64,
    tolerance: u8,
    drift: i64,
    last_step: i64,
    now: i64,
    /// The present step, with the drift.
    step: i64,
    /// Of the steps from three before to three after the present one, by `hotp` of django-otp 1.7.5.
    codes: [&'static str; 7],
    /// The offsets whose codes its `TOTP.verify` accepts.
    accepted: &'static [i64],
}

const DEVICES: &[Device] = &[];

impl Device {
    fn parameters(&self) -> TotpParameters {
        TotpParameters {
            algorithm: TotpAlgorithm::Sha1,
            digits: Digits::new(self.digits).unwrap(),
            period: NonZeroU32::new(self.period).unwrap(),
            t0: self.t0,
            tolerance: Tolerance::new(self.tolerance).unwrap(),
            drift: self.drift,
        }
    }
}

#[test]
fn devices_of_a_django_installation_go_on_working() {
    for device in DEVICES {
        let (secret, parameters, now) = (of_hex(device.key), device.parameters(), Timestamp::from_secs(device.now));
        for (offset, shown) in (-3..=3).zip(device.codes) {
            let (whose, step) = (device.whose, device.step + offset);
            assert_eq!(code(&secret, &parameters, step).expose(), shown, "{whose} {offset}");
            let expected = device.accepted.contains(&offset).then_some(step);
            for read in [typed(shown, &parameters), OtpCode::parse_lenient(shown).unwrap()] {
                let found = find_step(&secret, &parameters, device.last_step, &read, now);
                assert_eq!(found, expected, "{whose} {offset}");
            }
        }
    }
}

#[test]
fn a_code_counts_once_and_none_before_it_afterwards() {
    let (secret, parameters, now) = (rfc_secret(20), TotpParameters::default(), Timestamp::from_secs(65));
    let find = |last: i64, step: i64| {
        find_step(&secret, &parameters, last, &typed(code(&secret, &parameters, step).expose(), &parameters), now)
    };
    assert_eq!([1, 2, 3].map(|step| find(NONE, step)), [Some(1), Some(2), Some(3)]);
    assert_eq!([1, 2, 3].map(|step| find(2, step)), [None, None, Some(3)]);
    assert_eq!([1, 2, 3].map(|step| find(3, step)), [None; 3]);
}

#[test]
fn of_two_steps_with_one_code_the_earlier_counts() {
    // Two of the 21 steps around this one share a code; they were searched for.
    let (secret, now) = (rfc_secret(20), Timestamp::from_secs(30 * 2_390));
    let parameters = TotpParameters { tolerance: Tolerance::new(10).unwrap(), ..TotpParameters::default() };
    let (first, second) = (2_386, 2_394);
    let shown = code(&secret, &parameters, first);
    assert_eq!(shown, code(&secret, &parameters, second));
    let find = |last| find_step(&secret, &parameters, last, &typed(shown.expose(), &parameters), now);
    assert_eq!((find(NONE), find(first), find(second)), (Some(first), Some(second), None));
}

#[test]
fn a_number_that_no_code_can_be_matches_none() {
    let (secret, parameters) = (rfc_secret(20), TotpParameters::default());
    // 755224 is the code of step 0: the same lowest digits are not the same code.
    for text in ["1755224", "755224000", "4294967295"] {
        let read = OtpCode::parse_lenient(text).unwrap();
        assert_eq!(find_step(&secret, &parameters, NONE, &read, Timestamp::from_secs(0)), None, "{text}");
    }
}

#[test]
fn a_new_secret_is_160_random_bits() {
    let (one, other) = (new_secret(&OsRandom::new()), new_secret(&OsRandom::new()));
    assert_eq!((one.expose().len(), other.expose().len()), (20, 20));
    assert_ne!(one, other);
}

#[test]
fn a_sealed_secret_opens_for_its_own_device_only() {
    let key = MasterKey::parse(&MasterKey::generate(&OsRandom::new())).unwrap();
    let [ours, other] = ["a", "b"].map(|id| sealing_purpose(&SecondFactorId(id.to_owned())));
    let sealed = key.seal(&ours, rfc_secret(20).expose(), &OsRandom::new()).unwrap();
    assert_eq!(key.open(&ours, &sealed).unwrap(), rfc_secret(20));
    assert_eq!(key.open(&other, &sealed).unwrap_err(), Unsealing::Damaged);
}

proptest! {
    #[test]
    fn a_step_is_found_only_inside_the_window_and_after_the_last_one(
        secret in prop::collection::vec(any::<u8>(), 0..70),
        (period, tolerance, digits) in (1_u32..200, 0_u8..=10, 6_u8..=8),
        (t0, drift) in (-10_000_i64..10_000, -20_i64..20),
        (now, away, last_step) in (0_i64..20_000, -13_i64..=13, -1_i64..10_000),
        algorithm in prop::sample::select(TotpAlgorithm::ALL.to_vec()),
    ) {
        let parameters = TotpParameters {
            algorithm,
            digits: Digits::new(digits).unwrap(),
            period: NonZeroU32::new(period).unwrap(),
            t0,
            tolerance: Tolerance::new(tolerance).unwrap(),
            drift,
        };
        let secret = Secret::new(secret);
        let present = (now - t0).div_euclid(i64::from(period)) + drift;
        let shown = code(&secret, &parameters, present + away);
        let read = typed(shown.expose(), &parameters);
        let found = find_step(&secret, &parameters, last_step, &read, Timestamp::from_secs(now));
        if let Some(step) = found {
            prop_assert!(step > last_step && step >= 0);
            prop_assert!((step - present).abs() <= i64::from(tolerance));
            prop_assert_eq!(code(&secret, &parameters, step), shown);
        } else {
            let counts = away.abs() <= i64::from(tolerance) && present + away > last_step && present + away >= 0;
            prop_assert!(!counts, "the code of a step that counts was not found");
        }
    }

    #[test]
    fn no_secret_time_or_number_makes_it_panic(
        secret in prop::collection::vec(any::<u8>(), 0..70), number: u32, micros: i64, last_step: i64, t0: i64, drift: i64,
    ) {
        let parameters = TotpParameters { t0, drift, ..TotpParameters::default() };
        let read = OtpCode::parse_lenient(&number.to_string()).unwrap();
        let found = find_step(&Secret::new(secret), &parameters, last_step, &read, Timestamp::from_micros(micros));
        prop_assert!(found.is_none_or(|step| step > last_step && step >= 0));
    }
}
