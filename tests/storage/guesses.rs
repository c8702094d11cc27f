//! What is promised of guesses that are forgotten.

use portcullis::domain::audit::{AuditAction, AuditQuery};
use portcullis::domain::guess_subject::GuessSubject;
use portcullis::domain::lockout::LockoutPolicy;
use portcullis::domain::user::UserId;

use crate::{World, at, change_of};

pub async fn are_forgotten_together_and_told_once(world: &World) {
    let user = |id: &str| UserId(id.to_owned());
    let subjects = [
        GuessSubject::Account(user("a")),
        GuessSubject::Codes(user("a")),
        GuessSubject::ResetRequests(user("a")),
        GuessSubject::Account(user("b")),
    ];
    let counted = [0, 2, 3];
    for index in counted {
        let subject = subjects[index].clone();
        world.guesses.reserve(&[(subject, LockoutPolicy::account())], at(0)).await.unwrap().unwrap();
    }
    let unlock = change_of(AuditAction::Unlock, 1);
    let of_anna = subjects.get(..3).unwrap();
    assert!(world.guesses.unlock(of_anna, &unlock).await.unwrap(), "some of them were counted");
    assert!(!world.guesses.unlock(of_anna, &change_of(AuditAction::Unlock, 2)).await.unwrap());
    assert!(!world.guesses.unlock(&[], &change_of(AuditAction::Unlock, 3)).await.unwrap());
    for (subject, there) in subjects.iter().zip([false, false, false, true]) {
        assert_eq!(world.guesses.find(subject).await.unwrap().is_some(), there, "{subject}");
    }
    let told = world.audit.list(&AuditQuery { limit: 10, ..AuditQuery::default() }).await.unwrap();
    assert_eq!(told, [unlock.audit]);
}
