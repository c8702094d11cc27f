//! What is promised of the end of a sign-in: all of it, or nothing.

use std::sync::Arc;
use std::time::Duration;

use portcullis::domain::audit::AuditQuery;
use portcullis::domain::factor_proof::{FactorProof, RecoveryCodeId};
use portcullis::domain::guess_subject::GuessSubject;
use portcullis::domain::lockout::LockoutPolicy;
use portcullis::domain::second_factor::{SecondFactor, SecondFactorId, TotpParameters};
use portcullis::domain::session::{SessionEnd, SessionId};
use portcullis::domain::user::{PasswordHash, User, UserId};
use portcullis::storage::guesses::{Extent, Forgiveness};
use portcullis::storage::second_factors::{Confirmation, Proven, RecoveryCode};
use portcullis::storage::sessions::EndAll;
use portcullis::storage::sign_ins::{Completion, SignIn};

use crate::challenges::insert as insert_challenge;
use crate::sessions::session;
use crate::users::{insert as insert_user, setting};
use crate::{World, at, change};

pub fn sign_in(id: &str, user: &User) -> SignIn {
    SignIn {
        session: session(id, &user.id),
        password_changed_at: user.password_changed_at,
        challenge: None,
        proof: None,
        proof_demanded: true,
        forgiven: Vec::new(),
    }
}

async fn complete(world: &World, sign_in: &SignIn) -> Completion {
    world.sign_ins.complete(sign_in, &change()).await.unwrap()
}

/// A device that counts, with one recovery code.
async fn enrol(world: &World, user: &UserId) -> SecondFactorId {
    let device = SecondFactor {
        id: SecondFactorId("device".to_owned()),
        user_id: user.clone(),
        name: "Default".to_owned(),
        sealed_secret: vec![1, 2, 3],
        parameters: TotpParameters::default(),
        last_step: SecondFactor::NO_STEP,
        confirmed_at: None,
        created_at: at(0),
        last_used_at: None,
    };
    assert_eq!(world.second_factors.begin(&device, None, &change()).await.unwrap(), Proven::Done);
    let code =
        RecoveryCode { id: RecoveryCodeId("code".to_owned()), digest: portcullis::domain::digest::Digest([5; 32]) };
    let confirmation = Confirmation {
        device: device.id.clone(),
        step: 10,
        at: at(0),
        recovery_codes: Some(vec![code]),
        end: EndAll {
            user_id: user.clone(),
            why: SessionEnd::SecondFactorChange,
            at: at(0),
            keep: None,
            tokens_valid_from: at(0),
        },
    };
    assert_eq!(world.second_factors.confirm(&confirmation, &change()).await.unwrap(), Proven::Done);
    device.id
}

/// What a sign-in writes: sessions, events, the user's last sign-in, guesses.
async fn written(world: &World, user: &UserId) -> (usize, usize, Option<i64>, bool) {
    let sessions = world.sessions.list_live(user, at(3), 100).await.unwrap().len();
    let events = world.audit.list(&AuditQuery { limit: 100, ..AuditQuery::default() }).await.unwrap().len();
    let last = world.users.find(user).await.unwrap().and_then(|user| user.last_sign_in_at);
    let account = GuessSubject::Account(user.clone());
    let guesses = world.guesses.find(&account).await.unwrap().is_some();
    (sessions, events, last.map(|at| at.as_micros()), guesses)
}

async fn fail(world: &World, user: &UserId) -> Vec<Forgiveness> {
    let subject = GuessSubject::Account(user.clone());
    let policy = LockoutPolicy { window: Duration::from_secs(1000), ..LockoutPolicy::account() };
    world.guesses.reserve(&[(subject.clone(), policy)], at(0)).await.unwrap().unwrap();
    vec![Forgiveness { subject, extent: Extent::All }]
}

pub async fn open_a_session_and_use_up_what_was_shown(world: &World) {
    let anna = insert_user(world, "anna").await;
    let device = enrol(world, &anna.id).await;
    let challenge = insert_challenge(world, 1, &anna.id).await;
    let events = written(world, &anna.id).await.1;
    let whole = SignIn {
        challenge: Some(challenge.digest),
        proof: Some(FactorProof::Totp { device, step: 11 }),
        forgiven: fail(world, &anna.id).await,
        ..sign_in("s", &anna)
    };
    assert_eq!(complete(world, &whole).await, Completion::Done);
    assert_eq!(written(world, &anna.id).await, (1, events + 1, Some(at(1).as_micros()), false));
    assert_eq!(*world.sessions.find(&whole.session.id).await.unwrap().unwrap(), whole.session);
    assert_eq!(world.challenges.find(&challenge.digest, 5, at(1)).await.unwrap(), None);
    let found = world.second_factors.of_user(&anna.id).await.unwrap();
    assert_eq!((found[0].last_step, found[0].last_used_at), (11, Some(at(1))));
}

pub async fn write_nothing_when_something_has_changed_since_the_check(world: &World) {
    let anna = insert_user(world, "anna").await;
    let device = enrol(world, &anna.id).await;
    let challenge = insert_challenge(world, 1, &anna.id).await;
    let forgiven = fail(world, &anna.id).await;
    let before = written(world, &anna.id).await;
    let proof = |step| Some(FactorProof::Totp { device: device.clone(), step });
    let whole = || SignIn {
        challenge: Some(challenge.digest),
        proof: proof(11),
        forgiven: forgiven.clone(),
        ..sign_in("s", &anna)
    };
    let other_user = SignIn { session: session("s", &UserId("nobody".to_owned())), ..whole() };
    let other_password = SignIn { password_changed_at: at(77), ..whole() };
    let no_proof = SignIn { proof: None, ..whole() };
    let other_challenge = SignIn { challenge: Some(portcullis::domain::digest::Digest([9; 32])), ..whole() };
    let old_step = SignIn { proof: proof(10), ..whole() };
    let other_code = SignIn { proof: Some(FactorProof::RecoveryCode(RecoveryCodeId("none".to_owned()))), ..whole() };
    for (refused, why) in [
        (other_user, Completion::UserChanged),
        (other_password, Completion::UserChanged),
        (no_proof, Completion::UserChanged),
        (other_challenge, Completion::ChallengeSpent),
        (old_step, Completion::ProofSpent),
        (other_code, Completion::ProofSpent),
    ] {
        assert_eq!(complete(world, &refused).await, why, "{refused:?}");
        assert_eq!(written(world, &anna.id).await, before, "{refused:?}");
        assert!(world.challenges.find(&challenge.digest, 5, at(1)).await.unwrap().is_some(), "{refused:?}");
    }
    assert_eq!(world.second_factors.of_user(&anna.id).await.unwrap()[0].last_step, 10);
    // Where it is not demanded, none is needed.
    let undemanded = SignIn { proof: None, proof_demanded: false, challenge: None, ..sign_in("t", &anna) };
    assert_eq!(complete(world, &undemanded).await, Completion::Done);
    world.users.set_active(&anna.id, false, at(5), &change()).await.unwrap();
    assert_eq!(complete(world, &SignIn { challenge: None, ..whole() }).await, Completion::UserChanged);
}

pub async fn at_once_use_a_proof_up_once(world: &World) {
    let anna = insert_user(world, "anna").await;
    let device = enrol(world, &anna.id).await;
    let totp = FactorProof::Totp { device, step: 11 };
    for (round, proof) in [totp, FactorProof::RecoveryCode(RecoveryCodeId("code".to_owned()))].into_iter().enumerate() {
        let tasks: Vec<_> = (0..16)
            .map(|number| {
                let whole = SignIn { proof: Some(proof.clone()), ..sign_in(&format!("{round}-{number}"), &anna) };
                let sign_ins = Arc::clone(&world.sign_ins);
                tokio::spawn(async move { sign_ins.complete(&whole, &change()).await.unwrap() })
            })
            .collect();
        let mut done = 0;
        for task in tasks {
            match task.await.unwrap() {
                Completion::Done => done += 1,
                other => assert_eq!(other, Completion::ProofSpent),
            }
        }
        assert_eq!(done, 1);
    }
    assert_eq!(world.second_factors.recovery_codes_left(&anna.id).await.unwrap(), 0);
}

/// Whichever comes first: no session lives on that was opened with the password before.
pub async fn and_a_new_password_at_once_leave_no_session_of_the_old_one(world: &World) {
    for round in 0..8 {
        let anna = insert_user(world, &format!("anna{round}")).await;
        let new = setting(&anna.id, &PasswordHash::new("new".to_owned()), at(50));
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let (sign_ins, users) = (Arc::clone(&world.sign_ins), Arc::clone(&world.users));
                let (whole, new) = (sign_in(&format!("{round}-{number}"), &anna), new.clone());
                tokio::spawn(async move {
                    if number == 4 {
                        assert!(users.set_password(&new, &change()).await.unwrap());
                    } else {
                        sign_ins.complete(&whole, &change()).await.unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(world.sessions.list_live(&anna.id, at(60), 100).await.unwrap(), []);
    }
}

pub async fn of_old_tokens_open_a_session_only_while_those_hold(world: &World) {
    let anna = insert_user(world, "anna").await;
    let adopted = |id: &str| session(id, &anna.id);
    let adopt =
        async |id: &str, issued_at: Option<i64>| world.sessions.adopt(&adopted(id), issued_at.map(at)).await.unwrap();
    assert!(adopt("a", Some(5)).await && adopt("b", None).await);
    assert!(adopt("a", Some(5)).await, "again, which changes nothing");
    let end =
        EndAll { user_id: anna.id.clone(), why: SessionEnd::Logout, at: at(7), keep: None, tokens_valid_from: at(7) };
    assert_eq!(world.sessions.end_all(&end, &change()).await.unwrap(), Some(2));
    assert!(!adopt("c", Some(6)).await && !adopt("c", None).await);
    assert!(world.sessions.find(&SessionId("c".to_owned())).await.unwrap().is_none());
    assert!(adopt("d", Some(7)).await && adopt("e", Some(8)).await, "as young as the end, or younger");
    world.users.set_active(&anna.id, false, at(9), &change()).await.unwrap();
    assert!(!adopt("f", Some(10)).await);
    assert!(!world.sessions.adopt(&session("g", &UserId("nobody".to_owned())), Some(at(5))).await.unwrap());
}
