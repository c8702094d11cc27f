use std::time::Duration;

use super::*;
use crate::domain::client_network::ClientNetwork;
use crate::domain::user::UserId;

async fn guesses_in(dir: &tempfile::TempDir) -> SqlGuesses {
    let pool = super::super::open(&format!("sqlite://{}/g.db", dir.path().display()), true).await.unwrap();
    super::super::migrate(&pool).await.unwrap();
    SqlGuesses::new(pool)
}

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_800_000_000 + secs)
}

fn account(name: &str) -> GuessSubject {
    GuessSubject::Account(UserId(name.to_owned()))
}

fn codes(name: &str) -> GuessSubject {
    GuessSubject::Codes(UserId(name.to_owned()))
}

fn network() -> GuessSubject {
    GuessSubject::Network(ClientNetwork::of("192.0.2.1".parse().unwrap(), &[]).unwrap())
}

const POLICY: LockoutPolicy = LockoutPolicy { free: 2, delay: Duration::from_secs(10), ..LockoutPolicy::account() };

async fn failures(guesses: &SqlGuesses, subject: &GuessSubject) -> u32 {
    guesses.find(subject).await.unwrap().map_or(0, |lockout| lockout.failures)
}

#[tokio::test]
async fn a_guess_is_counted_against_all_of_its_subjects_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let guesses = guesses_in(&dir).await;
    let three = [(network(), LockoutPolicy::address()), (account("a"), POLICY), (codes("a"), LockoutPolicy::codes())];
    for number in 1..=2 {
        let counted = guesses.reserve(&three, at(number)).await.unwrap().unwrap();
        assert!(counted.iter().all(|lockout| i64::from(lockout.failures) == number));
        for (subject, _) in &three {
            let stored = guesses.find(subject).await.unwrap().unwrap();
            assert_eq!((stored.failures, stored.last_failure_at), (number as u32, Some(at(number))), "{subject}");
        }
    }
    let blocked = guesses.reserve(&three, at(3)).await.unwrap().unwrap_err();
    assert_eq!(blocked.until, at(12));
    for (subject, _) in &three {
        assert_eq!(failures(&guesses, subject).await, 2, "{subject}");
    }
    // One subject alone, and one that was not there before: nothing is left of what was turned away.
    let pair = [(account("a"), POLICY), (account("b"), POLICY)];
    assert!(guesses.reserve(&pair, at(3)).await.unwrap().is_err());
    assert!(guesses.find(&account("b")).await.unwrap().is_none());
    assert!(guesses.reserve(&pair[1..], at(3)).await.unwrap().is_ok());
    assert_eq!(failures(&guesses, &account("b")).await, 1);
}

#[tokio::test]
async fn what_was_right_is_taken_back_to_its_extent() {
    let dir = tempfile::tempdir().unwrap();
    let guesses = guesses_in(&dir).await;
    let address = LockoutPolicy::address();
    let of = |subject: GuessSubject, extent| Forgiveness { subject, extent };
    for (name, times) in [("a", 1), ("b", 1), ("c", 2)] {
        for second in 0..times {
            let pair = [(account(name), POLICY), (network(), address)];
            guesses.reserve(&pair, at(second)).await.unwrap().unwrap();
        }
    }
    assert_eq!(failures(&guesses, &network()).await, 4);

    let a = [of(account("a"), Extent::All), of(network(), Extent::One(address))];
    guesses.forgive(&a).await.unwrap();
    assert!(guesses.find(&account("a")).await.unwrap().is_none());
    assert_eq!(failures(&guesses, &network()).await, 3, "those of others stay");

    // A password and a code, each counted against the network too.
    let c = [
        of(account("c"), Extent::All),
        of(network(), Extent::One(address)),
        of(codes("c"), Extent::All),
        of(network(), Extent::One(address)),
    ];
    guesses.forgive(&c).await.unwrap();
    assert!(guesses.find(&account("c")).await.unwrap().is_none());
    assert!(guesses.find(&codes("c")).await.unwrap().is_none());
    assert_eq!(failures(&guesses, &network()).await, 1);

    guesses.forgive(&[of(account("b"), Extent::One(POLICY)), of(network(), Extent::One(address))]).await.unwrap();
    for subject in [account("b"), network()] {
        assert!(guesses.find(&subject).await.unwrap().is_none(), "nothing is left, and nothing is stored: {subject}");
    }
    guesses.forgive(&[of(account("b"), Extent::All)]).await.unwrap();
    guesses.forgive(&[]).await.unwrap();
}
