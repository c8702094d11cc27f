//! What is promised of second factors and recovery codes.

use std::num::NonZeroU32;
use std::sync::Arc;

use portcullis::domain::audit::AuditQuery;
use portcullis::domain::clock::Timestamp;
use portcullis::domain::digest::Digest;
use portcullis::domain::factor_proof::{FactorProof, RecoveryCodeId};
use portcullis::domain::invalidation::{Epoch, Invalidation};
use portcullis::domain::second_factor::{
    Digits, SecondFactor, SecondFactorId, Tolerance, TotpAlgorithm, TotpParameters,
};
use portcullis::domain::session::{SessionEnd, SessionId};
use portcullis::domain::user::{User, UserId};
use portcullis::storage::second_factors::{Confirmation, Proven, RecoveryCode};
use portcullis::storage::sessions::EndAll;

use crate::challenges::challenge;
use crate::sessions::session;
use crate::users::insert as insert_user;
use crate::{World, at, change, odd_texts};

pub fn device(id: &str, user: &UserId) -> SecondFactor {
    SecondFactor {
        id: SecondFactorId(id.to_owned()),
        user_id: user.clone(),
        name: "Default".to_owned(),
        sealed_secret: (0..=255).collect(),
        parameters: TotpParameters::default(),
        last_step: SecondFactor::NO_STEP,
        confirmed_at: None,
        created_at: at(0),
        last_used_at: None,
    }
}

pub fn end_of(user: &UserId, keep: Option<&str>, when: Timestamp) -> EndAll {
    EndAll {
        user_id: user.clone(),
        why: SessionEnd::SecondFactorChange,
        at: when,
        keep: keep.map(|id| SessionId(id.to_owned())),
        tokens_valid_from: when,
    }
}

fn confirmation(device: &SecondFactor, step: i64, codes: Option<&[&str]>) -> Confirmation {
    Confirmation {
        device: device.id.clone(),
        step,
        at: at(10),
        recovery_codes: codes.map(|names| names.iter().map(|name| code(name)).collect()),
        end: end_of(&device.user_id, None, at(10)),
    }
}

pub fn digest(name: &str) -> Digest {
    let mut bytes = [0; 32];
    bytes[..name.len()].copy_from_slice(name.as_bytes());
    Digest(bytes)
}

pub fn code(name: &str) -> RecoveryCode {
    RecoveryCode { id: RecoveryCodeId(format!("id of {name}")), digest: digest(name) }
}

pub fn totp(device: &SecondFactor, step: i64) -> FactorProof {
    FactorProof::Totp { device: device.id.clone(), step }
}

pub fn recovery(name: &str) -> FactorProof {
    FactorProof::RecoveryCode(code(name).id)
}

/// A user with one confirmed device, whose last step is 100, and the recovery codes a, b and c.
pub async fn enrolled(world: &World, name: &str) -> (User, SecondFactor) {
    let user = insert_user(world, name).await;
    let device = device(&format!("device of {name}"), &user.id);
    assert_eq!(world.second_factors.begin(&device, None, &change()).await.unwrap(), Proven::Done);
    let codes = ["a", "b", "c"].map(|code| format!("{name} {code}"));
    let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
    let confirmed = world.second_factors.confirm(&confirmation(&device, 100, Some(&codes)), &change()).await;
    assert_eq!(confirmed.unwrap(), Proven::Done);
    let device = of_user(world, &user.id).await.remove(0);
    (user, device)
}

async fn of_user(world: &World, user: &UserId) -> Vec<SecondFactor> {
    world.second_factors.of_user(user).await.unwrap()
}

async fn ids(world: &World, user: &UserId) -> Vec<String> {
    of_user(world, user).await.into_iter().map(|device| device.id.0).collect()
}

async fn audited(world: &World) -> usize {
    let query = AuditQuery { limit: 1000, ..AuditQuery::default() };
    world.audit.list(&query).await.unwrap().len()
}

async fn end_of_session(world: &World, id: &str) -> Option<(Timestamp, SessionEnd)> {
    world.sessions.find(&SessionId(id.to_owned())).await.unwrap().unwrap().ended
}

pub async fn come_back_as_they_were_stored(world: &World) {
    let anna = insert_user(world, "anna").await;
    let plain = device("plain", &anna.id);
    world.second_factors.begin(&plain, None, &change()).await.unwrap();
    assert_eq!(of_user(world, &anna.id).await, [plain]);
    for (number, name) in odd_texts().into_iter().enumerate() {
        let odd = SecondFactor {
            name,
            sealed_secret: Vec::new(),
            parameters: TotpParameters {
                algorithm: TotpAlgorithm::ALL[number % 3],
                digits: Digits::EIGHT,
                period: NonZeroU32::MAX,
                t0: i64::MIN,
                tolerance: Tolerance::new(10).unwrap(),
                drift: i64::MAX,
            },
            last_step: i64::MAX,
            created_at: Timestamp::from_micros(-1),
            confirmed_at: None,
            last_used_at: Some(at(7)),
            ..device(&format!("odd {number}"), &anna.id)
        };
        world.second_factors.begin(&odd, None, &change()).await.unwrap();
        assert!(of_user(world, &anna.id).await == [odd], "text {number} changed");
    }
    assert!(of_user(world, &UserId("nobody".to_owned())).await.is_empty());
}

pub async fn an_unconfirmed_one_makes_place_for_the_next(world: &World) {
    let (anna, bert) = (insert_user(world, "anna").await, insert_user(world, "bert").await);
    for (id, user) in [("b1", &bert), ("a1", &anna), ("a2", &anna)] {
        assert_eq!(world.second_factors.begin(&device(id, &user.id), None, &change()).await.unwrap(), Proven::Done);
    }
    assert_eq!(
        (ids(world, &anna.id).await, ids(world, &bert.id).await),
        (vec!["a2".to_owned()], vec!["b1".to_owned()])
    );
    // The one that is gone cannot be confirmed any more.
    let late = world.second_factors.confirm(&confirmation(&device("a1", &anna.id), 1, None), &change()).await;
    assert_eq!(late.unwrap(), Proven::ProofSpent);
}

pub async fn beside_a_confirmed_one_another_is_set_up_with_a_proof_only(world: &World) {
    let (anna, first) = enrolled(world, "anna").await;
    let second = SecondFactor { created_at: at(20), ..device("second", &anna.id) };
    let told = audited(world).await;
    for useless in [None, Some(totp(&first, 100)), Some(recovery("bert a")), Some(totp(&second, 101))] {
        let refused = world.second_factors.begin(&second, useless.as_ref(), &change()).await.unwrap();
        assert_eq!(refused, Proven::ProofSpent, "{useless:?}");
    }
    assert_eq!((ids(world, &anna.id).await.len(), audited(world).await), (1, told), "nothing was written");
    let begun = world.second_factors.begin(&second, Some(&totp(&first, 101)), &change()).await.unwrap();
    assert_eq!((begun, audited(world).await), (Proven::Done, told + 1));
    assert_eq!(ids(world, &anna.id).await, ["second", "device of anna"], "the newest first");
    let again = world.second_factors.begin(&second, Some(&totp(&first, 101)), &change()).await.unwrap();
    assert_eq!(again, Proven::ProofSpent, "it was used up");
}

pub async fn confirming_is_done_once_with_all_that_follows(world: &World) {
    let (anna, bert) = (insert_user(world, "anna").await, insert_user(world, "bert").await);
    for (id, user) in [("a1", &anna), ("a2", &anna), ("b1", &bert)] {
        world.sessions.insert(&session(id, &user.id)).await.unwrap();
    }
    world.challenges.insert(&challenge("of anna", &anna.id), &[]).await.unwrap();
    let device = device("device", &anna.id);
    world.second_factors.begin(&device, None, &change()).await.unwrap();
    let (told, epoch) = (audited(world).await, world.invalidations.newest().await.unwrap());
    let confirmation = Confirmation {
        end: end_of(&anna.id, Some("a2"), at(10)),
        ..confirmation(&device, 100, Some(&["a", "b", "c"]))
    };
    let results = in_parallel(16, |_| {
        let (factors, confirmation) = (Arc::clone(&world.second_factors), confirmation.clone());
        async move { factors.confirm(&confirmation, &change()).await.unwrap() }
    })
    .await;
    assert_eq!(results.iter().filter(|result| **result == Proven::Done).count(), 1, "{results:?}");
    assert_eq!(audited(world).await, told + 1);

    let stored = of_user(world, &anna.id).await.remove(0);
    assert_eq!((stored.confirmed_at, stored.last_used_at, stored.last_step), (Some(at(10)), Some(at(10)), 100));
    assert_eq!(world.second_factors.recovery_codes_left(&anna.id).await.unwrap(), 3);
    let ended = Some((at(10), SessionEnd::SecondFactorChange));
    for (id, expected) in [("a1", ended), ("a2", None), ("b1", None)] {
        assert_eq!(end_of_session(world, id).await, expected, "{id}");
    }
    let user = world.users.find(&anna.id).await.unwrap().unwrap();
    assert_eq!((user.tokens_valid_from, user.has_second_factor), (Some(at(10)), true));
    let attempt = world.challenges.attempt(&challenge("of anna", &anna.id).digest, 5, at(5)).await.unwrap();
    assert!(attempt.is_none(), "a challenge from before is void");
    let told = world.invalidated_after(epoch).await;
    assert!(told.contains(&Invalidation::Session(SessionId("a1".into()))), "{told:?}");
    assert!(told.contains(&Invalidation::User(anna.id.clone())), "{told:?}");
}

pub async fn a_further_one_leaves_the_recovery_codes(world: &World) {
    let (anna, first) = enrolled(world, "anna").await;
    let second = device("second", &anna.id);
    world.second_factors.begin(&second, Some(&totp(&first, 101)), &change()).await.unwrap();
    let confirmed = world.second_factors.confirm(&confirmation(&second, 100, None), &change()).await.unwrap();
    assert_eq!(confirmed, Proven::Done);
    assert!(of_user(world, &anna.id).await.iter().all(SecondFactor::is_confirmed));
    assert_eq!(world.second_factors.recovery_codes_left(&anna.id).await.unwrap(), 3);
}

pub async fn recovery_codes_belong_to_one_user_and_are_found_until_used(world: &World) {
    let ((anna, device), (bert, _)) = (enrolled(world, "anna").await, enrolled(world, "bert").await);
    let find = async |user: &User, names: &[&str]| {
        let digests: Vec<Digest> = names.iter().map(|name| digest(name)).collect();
        world.second_factors.find_recovery_code(&user.id, &digests).await.unwrap()
    };
    assert_eq!(find(&anna, &["anna a"]).await, Some(code("anna a").id));
    assert_eq!(find(&anna, &["none", "anna b"]).await, Some(code("anna b").id));
    assert_eq!(find(&bert, &["anna a"]).await, None);
    assert_eq!(find(&anna, &[]).await, None);

    let fresh = [code("x"), code("y")];
    let replace = async |user: &UserId, proof| {
        world.second_factors.replace_recovery_codes(user, &fresh, &proof, at(20), &change()).await.unwrap()
    };
    let told = audited(world).await;
    for useless in [totp(&device, 100), recovery("bert a"), recovery("none")] {
        assert_eq!(replace(&anna.id, useless).await, Proven::ProofSpent);
    }
    assert_eq!((audited(world).await, find(&anna, &["x"]).await), (told, None));
    assert_eq!(replace(&anna.id, recovery("anna a")).await, Proven::Done);
    assert_eq!(audited(world).await, told + 1);
    assert_eq!((find(&anna, &["anna b"]).await, find(&anna, &["x"]).await), (None, Some(fresh[0].id.clone())));
    assert_eq!(world.second_factors.recovery_codes_left(&anna.id).await.unwrap(), 2);
    assert_eq!(world.second_factors.recovery_codes_left(&bert.id).await.unwrap(), 3, "nobody else's are touched");
}

pub async fn everything_goes_at_once_and_only_with_the_proof(world: &World) {
    let ((anna, device), (bert, _)) = (enrolled(world, "anna").await, enrolled(world, "bert").await);
    for (id, user) in [("a1", &anna), ("a2", &anna), ("b1", &bert)] {
        world.sessions.insert(&session(id, &user.id)).await.unwrap();
    }
    world.challenges.insert(&challenge("of anna", &anna.id), &[]).await.unwrap();
    let end = end_of(&anna.id, Some("a1"), at(20));
    let told = audited(world).await;
    for useless in [totp(&device, 100), recovery("bert a")] {
        let refused = world.second_factors.remove_all(&end, Some(&useless), &change()).await.unwrap();
        assert_eq!(refused, Proven::ProofSpent);
    }
    assert_eq!((ids(world, &anna.id).await.len(), audited(world).await), (1, told));
    assert_eq!(end_of_session(world, "a2").await, None);

    assert!(world.users.find(&anna.id).await.unwrap().unwrap().has_second_factor);
    let removed = world.second_factors.remove_all(&end, Some(&recovery("anna a")), &change()).await.unwrap();
    assert!(!world.users.find(&anna.id).await.unwrap().unwrap().has_second_factor);
    assert_eq!((removed, audited(world).await), (Proven::Done, told + 1));
    assert!(ids(world, &anna.id).await.is_empty());
    assert_eq!(world.second_factors.recovery_codes_left(&anna.id).await.unwrap(), 0);
    let ended = Some((at(20), SessionEnd::SecondFactorChange));
    for (id, expected) in [("a1", None), ("a2", ended), ("b1", None)] {
        assert_eq!(end_of_session(world, id).await, expected, "{id}");
    }
    assert!(world.challenges.attempt(&challenge("of anna", &anna.id).digest, 5, at(5)).await.unwrap().is_none());
    assert_eq!(
        (ids(world, &bert.id).await.len(), world.second_factors.recovery_codes_left(&bert.id).await.unwrap()),
        (1, 3)
    );
}

pub async fn of_parallel_uses_of_one_proof_one_counts(world: &World) {
    for name in ["anna", "bert"] {
        let (user, device) = enrolled(world, name).await;
        let proof = if name == "anna" { totp(&device, 101) } else { recovery("bert a") };
        // Whichever way it is used.
        let results = in_parallel(16, |number| {
            let (factors, user, proof) = (Arc::clone(&world.second_factors), user.id.clone(), proof.clone());
            async move {
                if number % 2 == 0 {
                    let next = self::device(&format!("{number} of {user}"), &user);
                    factors.begin(&next, Some(&proof), &change()).await.unwrap()
                } else {
                    let codes = [code(&format!("x of {user}"))];
                    factors.replace_recovery_codes(&user, &codes, &proof, at(20), &change()).await.unwrap()
                }
            }
        })
        .await;
        assert_eq!(results.iter().filter(|result| **result == Proven::Done).count(), 1, "{name}: {results:?}");
    }
}

pub async fn changes_to_nobody_change_nothing(world: &World) {
    let nobody = UserId("nobody".to_owned());
    let (device, proof) = (device("device", &nobody), recovery("a"));
    let factors = &world.second_factors;
    assert_eq!(factors.begin(&device, None, &change()).await.unwrap(), Proven::ProofSpent);
    assert_eq!(factors.confirm(&confirmation(&device, 1, None), &change()).await.unwrap(), Proven::ProofSpent);
    let end = end_of(&nobody, None, at(1));
    assert_eq!(factors.remove_all(&end, None, &change()).await.unwrap(), Proven::ProofSpent);
    let replaced = factors.replace_recovery_codes(&nobody, &[code("a")], &proof, at(1), &change()).await;
    assert_eq!(replaced.unwrap(), Proven::ProofSpent);
    assert_eq!((audited(world).await, world.invalidations.newest().await.unwrap()), (0, Epoch(0)));
}

pub async fn are_listed_in_pages_and_sealed_anew(world: &World) {
    for name in ["c", "a", "b"] {
        enrolled(world, name).await;
    }
    let mut seen: Vec<SecondFactor> = Vec::new();
    loop {
        let page = world.second_factors.list(seen.last().map(|device| &device.id), 2).await.unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    let names: Vec<&str> = seen.iter().map(|device| device.id.as_str()).collect();
    assert_eq!(names, ["device of a", "device of b", "device of c"]);

    let (id, before) = (&seen[0].id, &seen[0].sealed_secret);
    assert!(!world.second_factors.reseal(id, b"something else", b"new").await.unwrap());
    assert!(world.second_factors.reseal(id, before, b"new").await.unwrap());
    assert!(!world.second_factors.reseal(id, before, b"newer").await.unwrap());
    assert!(!world.second_factors.reseal(&SecondFactorId("none".to_owned()), before, b"new").await.unwrap());
    let all = world.second_factors.list(None, 9).await.unwrap();
    assert_eq!(all[0], SecondFactor { sealed_secret: b"new".to_vec(), ..seen[0].clone() });
    assert_eq!(all[1..], seen[1..]);
}

/// Runs `count` of them at once and waits for all.
pub async fn in_parallel<T, F>(count: usize, make: impl Fn(usize) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let tasks: Vec<_> = (0..count).map(|number| tokio::spawn(make(number))).collect();
    let mut results = Vec::with_capacity(count);
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}
