//! What is promised of challenges, and of the end of the sign-ins that they belong to.

use std::sync::Arc;

use portcullis::domain::audit::AuditQuery;
use portcullis::domain::challenge::Challenge;
use portcullis::domain::clock::Timestamp;
use portcullis::domain::digest::Digest;
use portcullis::domain::factor_proof::{FactorProof, RecoveryCodeId};
use portcullis::domain::guess_subject::GuessSubject;
use portcullis::domain::lockout::LockoutPolicy;
use portcullis::domain::user::{PasswordHash, User, UserId};
use portcullis::storage::guesses::{Extent, Forgiveness};
use portcullis::storage::second_factors::{Confirmation, Proven};
use portcullis::storage::sign_ins::{Completion, SignIn};

use crate::second_factors::{device, end_of, enrolled, in_parallel};
use crate::sessions::session;
use crate::users::{insert as insert_user, setting};
use crate::{World, at, change};

pub fn challenge(name: &str, user: &UserId) -> Challenge {
    let mut digest = [0; 32];
    digest[..name.len()].copy_from_slice(name.as_bytes());
    Challenge {
        digest: Digest(digest),
        user_id: user.clone(),
        password_changed_at: at(1),
        created_at: at(0),
        expires_at: at(300),
        attempts: 0,
    }
}

fn sign_in(id: &str, user: &User) -> SignIn {
    SignIn {
        session: session(id, &user.id),
        password_changed_at: user.password_changed_at,
        challenge: None,
        proof: None,
        proof_demanded: true,
        forgiven: Vec::new(),
    }
}

async fn attempt(world: &World, challenge: &Challenge, most: u32, now: Timestamp) -> Option<i64> {
    let found = world.challenges.attempt(&challenge.digest, most, now).await.unwrap();
    found.map(|found| {
        assert_eq!(Challenge { attempts: 0, ..found.clone() }, *challenge);
        found.attempts
    })
}

async fn sessions(world: &World, user: &User) -> usize {
    world.sessions.list_live(&user.id, at(1), 1000).await.unwrap().len()
}

async fn audited(world: &World) -> usize {
    world.audit.list(&AuditQuery { limit: 1000, ..AuditQuery::default() }).await.unwrap().len()
}

pub async fn are_counted_before_they_are_judged(world: &World) {
    let anna = insert_user(world, "anna").await;
    let challenge = challenge("c", &anna.id);
    world.challenges.insert(&challenge, &[]).await.unwrap();
    let find = async |most| world.challenges.find(&challenge.digest, most, at(1)).await.unwrap();
    for number in 1..=3 {
        assert_eq!(find(3).await.map(|found| found.attempts), Some(number - 1), "looking at it is no attempt");
        assert_eq!(attempt(world, &challenge, 3, at(1)).await, Some(number));
    }
    assert_eq!(attempt(world, &challenge, 3, at(1)).await, None, "the cap");
    assert_eq!((find(3).await, find(4).await.map(|found| found.attempts)), (None, Some(3)));
    assert_eq!(attempt(world, &challenge, 4, at(1)).await, Some(4));
    assert_eq!(attempt(world, &self::challenge("unknown", &anna.id), 9, at(1)).await, None);
}

pub async fn are_over_at_their_time(world: &World) {
    let anna = insert_user(world, "anna").await;
    let challenge = challenge("c", &anna.id);
    world.challenges.insert(&challenge, &[]).await.unwrap();
    assert_eq!(attempt(world, &challenge, 9, Timestamp::from_micros(at(300).as_micros() - 1)).await, Some(1));
    assert_eq!(attempt(world, &challenge, 9, at(300)).await, None);
    assert_eq!(world.challenges.find(&challenge.digest, 9, at(300)).await.unwrap(), None);
}

pub async fn of_parallel_attempts_no_more_count_than_allowed(world: &World) {
    let anna = insert_user(world, "anna").await;
    let challenge = challenge("c", &anna.id);
    world.challenges.insert(&challenge, &[]).await.unwrap();
    let found = in_parallel(20, |_| {
        let (challenges, digest) = (Arc::clone(&world.challenges), challenge.digest);
        async move { challenges.attempt(&digest, 5, at(1)).await.unwrap() }
    })
    .await;
    let mut numbers: Vec<i64> = found.into_iter().flatten().map(|challenge| challenge.attempts).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
}

pub async fn the_newest_few_of_a_user_are_kept(world: &World) {
    let (anna, bert) = (insert_user(world, "anna").await, insert_user(world, "bert").await);
    let of_bert = challenge("of bert", &bert.id);
    world.challenges.insert(&of_bert, &[]).await.unwrap();
    let made: Vec<Challenge> = (0..40)
        .map(|number| Challenge { created_at: at(number), ..challenge(&format!("c{number}"), &anna.id) })
        .collect();
    for challenge in &made {
        world.challenges.insert(challenge, &[]).await.unwrap();
    }
    let mut kept = Vec::new();
    for challenge in &made {
        kept.push(attempt(world, challenge, 9, at(50)).await.is_some());
    }
    assert!(kept[..24].iter().all(|kept| !kept) && kept[24..].iter().all(|kept| *kept), "{kept:?}");
    assert_eq!(attempt(world, &of_bert, 9, at(50)).await, Some(1));
}

pub async fn making_one_takes_the_right_guess_back(world: &World) {
    let anna = insert_user(world, "anna").await;
    let (subject, policy) = (GuessSubject::Account(anna.id.clone()), LockoutPolicy::account());
    world.guesses.reserve(&[(subject.clone(), policy)], at(0)).await.unwrap().unwrap();
    let forgiven = [Forgiveness { subject: subject.clone(), extent: Extent::All }];
    world.challenges.insert(&challenge("c", &anna.id), &forgiven).await.unwrap();
    assert_eq!(world.guesses.find(&subject).await.unwrap(), None);
}

pub async fn are_void_once_the_password_or_the_user_changes(world: &World) {
    for (name, change_user) in [("anna", true), ("bert", false)] {
        let user = insert_user(world, name).await;
        let challenge = challenge(name, &user.id);
        world.challenges.insert(&challenge, &[]).await.unwrap();
        if change_user {
            let setting = setting(&user.id, &PasswordHash::new("new".to_owned()), at(10));
            assert!(world.users.set_password(&setting, &change()).await.unwrap());
        } else {
            assert!(world.users.set_active(&user.id, false, at(10), &change()).await.unwrap());
        }
        assert_eq!(attempt(world, &challenge, 9, at(20)).await, None, "{name}");
    }
}

pub async fn expired_ones_are_deleted_in_batches(world: &World) {
    let anna = insert_user(world, "anna").await;
    for number in 0..5 {
        let over = Challenge { expires_at: at(number), ..challenge(&format!("c{number}"), &anna.id) };
        world.challenges.insert(&over, &[]).await.unwrap();
    }
    for (limit, deleted) in [(2, 2), (9, 1), (9, 0)] {
        assert_eq!(world.challenges.delete_expired(at(3), limit).await.unwrap(), deleted);
    }
}

pub async fn one_of_many_sign_ins_uses_it_up(world: &World) {
    let (anna, device) = enrolled(world, "anna").await;
    let challenge = challenge("c", &anna.id);
    world.challenges.insert(&challenge, &[]).await.unwrap();
    let told = audited(world).await;
    // With proofs of their own, so that only the challenge decides.
    let results = in_parallel(16, |number| {
        let (sign_ins, step) = (Arc::clone(&world.sign_ins), 101 + number as i64);
        let sign_in = SignIn {
            challenge: Some(challenge.digest),
            proof: Some(FactorProof::Totp { device: device.id.clone(), step }),
            ..sign_in(&format!("s{number}"), &anna)
        };
        async move { sign_ins.complete(&sign_in, &change()).await.unwrap() }
    })
    .await;
    let done = results.iter().filter(|result| **result == Completion::Done).count();
    assert_eq!((done, sessions(world, &anna).await, audited(world).await), (1, 1, told + 1), "{results:?}");
    assert!(results.iter().all(|one| matches!(one, Completion::Done | Completion::ChallengeSpent)), "{results:?}");
}

pub async fn one_of_many_sign_ins_uses_a_proof_up(world: &World) {
    let (anna, device) = enrolled(world, "anna").await;
    for (round, proof) in [
        FactorProof::Totp { device: device.id.clone(), step: 101 },
        FactorProof::RecoveryCode(RecoveryCodeId("id of anna a".to_owned())),
    ]
    .into_iter()
    .enumerate()
    {
        let results = in_parallel(16, |number| {
            let sign_ins = Arc::clone(&world.sign_ins);
            let sign_in = SignIn { proof: Some(proof.clone()), ..sign_in(&format!("{round} {number}"), &anna) };
            async move { sign_ins.complete(&sign_in, &change()).await.unwrap() }
        })
        .await;
        let done = results.iter().filter(|result| **result == Completion::Done).count();
        assert_eq!((done, sessions(world, &anna).await), (1, round + 1), "{results:?}");
    }
    assert_eq!(world.second_factors.recovery_codes_left(&anna.id).await.unwrap(), 2);
}

pub async fn a_sign_in_that_is_not_completed_leaves_nothing(world: &World) {
    let (anna, device) = enrolled(world, "anna").await;
    let (subject, policy) = (GuessSubject::Codes(anna.id.clone()), LockoutPolicy::codes());
    world.guesses.reserve(&[(subject.clone(), policy)], at(0)).await.unwrap().unwrap();
    let challenge = challenge("c", &anna.id);
    world.challenges.insert(&challenge, &[]).await.unwrap();
    let proof = |step| Some(FactorProof::Totp { device: device.id.clone(), step });
    let forgiven = vec![Forgiveness { subject: subject.clone(), extent: Extent::All }];
    let base = SignIn { challenge: Some(challenge.digest), forgiven, ..sign_in("s", &anna) };
    let told = audited(world).await;
    for (sign_in, expected) in [
        (SignIn { proof: None, ..base.clone() }, Completion::UserChanged),
        (SignIn { proof: proof(100), ..base.clone() }, Completion::ProofSpent),
        (SignIn { proof: proof(101), password_changed_at: at(0), ..base.clone() }, Completion::UserChanged),
        (
            SignIn { proof: proof(101), challenge: Some(self::challenge("other", &anna.id).digest), ..base.clone() },
            Completion::ChallengeSpent,
        ),
    ] {
        assert_eq!(world.sign_ins.complete(&sign_in, &change()).await.unwrap(), expected);
    }
    assert_eq!((sessions(world, &anna).await, audited(world).await), (0, told));
    assert!(world.guesses.find(&subject).await.unwrap().is_some());
    assert_eq!(attempt(world, &challenge, 9, at(1)).await, Some(1));

    let right = SignIn { proof: proof(101), ..base };
    assert_eq!(world.sign_ins.complete(&right, &change()).await.unwrap(), Completion::Done);
    assert_eq!((sessions(world, &anna).await, audited(world).await), (1, told + 1));
    assert_eq!(world.guesses.find(&subject).await.unwrap(), None);
    let user = world.users.find(&anna.id).await.unwrap().unwrap();
    assert_eq!(user.last_sign_in_at, Some(right.session.created_at));
}

/// Whichever comes first, no session by one factor alone lives on beside a confirmed second one.
pub async fn a_sign_in_by_one_factor_and_an_enrolment_do_not_pass_each_other(world: &World) {
    for round in 0..16 {
        let anna = insert_user(world, &format!("anna{round}")).await;
        let device = device(&format!("device{round}"), &anna.id);
        world.second_factors.begin(&device, None, &change()).await.unwrap();
        let confirmation = Confirmation {
            device: device.id,
            step: 1,
            at: at(20),
            recovery_codes: None,
            end: end_of(&anna.id, None, at(20)),
        };
        let factors = Arc::clone(&world.second_factors);
        let confirming = tokio::spawn(async move { factors.confirm(&confirmation, &change()).await.unwrap() });
        let (sign_ins, sign_in) = (Arc::clone(&world.sign_ins), sign_in(&format!("s{round}"), &anna));
        let signing_in = tokio::spawn(async move { sign_ins.complete(&sign_in, &change()).await.unwrap() });
        assert_eq!(confirming.await.unwrap(), Proven::Done);
        let completion = signing_in.await.unwrap();
        assert!(matches!(completion, Completion::Done | Completion::UserChanged), "{completion:?}");
        assert_eq!(sessions(world, &anna).await, 0, "{completion:?}");
    }
}

/// One whose digest is all of this number.
pub async fn insert(world: &World, number: u8, user: &UserId) -> Challenge {
    let challenge = Challenge { digest: Digest([number; 32]), ..challenge("", user) };
    world.challenges.insert(&challenge, &[]).await.unwrap();
    challenge
}
