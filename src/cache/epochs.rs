//! Which records are too old to be believed, whoever remembers them.
//!
//! A record that was read when this much of the log was applied tells of every change up to there. So one that is found in
//! a memory is good unless what it tells of has changed later, as far as is known here: from the log, from a message, or
//! from a change of our own. Nothing of that is asked of the memory itself, which may lose anything, and give back
//! anything that was ever put there. One that tells of more of the log than was applied here is not good yet, or it is of
//! another database.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicI64, Ordering};

use parking_lot::Mutex;

use super::Forget;
use crate::domain::invalidation::{Epoch, Invalidation, Logged};

/// So many of the last changes are told apart. Of those before, only the last is known, as if it had been of everything.
const MOST_CHANGES: usize = 16_384;
/// The log was not read yet.
const UNREAD: i64 = -1;

pub struct Epochs {
    caught_up: AtomicI64,
    changes: Mutex<Changes>,
}

#[derive(Default)]
struct Changes {
    last: HashMap<Invalidation, Epoch>,
    in_order: VecDeque<(Invalidation, Epoch)>,
    /// What is older is not believed, whatever it is about.
    floor: Epoch,
}

impl Default for Epochs {
    fn default() -> Self {
        Self { caught_up: AtomicI64::new(UNREAD), changes: Mutex::default() }
    }
}

impl Epochs {
    /// How much of the log is applied; to be asked *before* a record is read from the store. `None` before any of it is.
    pub fn caught_up(&self) -> Option<Epoch> {
        let epoch = self.caught_up.load(Ordering::Acquire);
        (epoch != UNREAD).then_some(Epoch(epoch))
    }

    /// Whether a record still is what the store holds, as far as is known here.
    pub fn admits(&self, read_at: Epoch, about: &[Invalidation]) -> bool {
        let changes = self.changes.lock();
        let unchanged = |what: &Invalidation| changes.last.get(what).is_none_or(|changed| *changed <= read_at);
        let known = self.caught_up().is_some_and(|caught_up| read_at <= caught_up);
        known && read_at >= changes.floor && about.iter().all(unchanged)
    }
}

/// Has to be told before those whom it keeps from remembering again what they have just forgotten.
impl Forget for Epochs {
    fn forget(&self, change: &Logged) {
        let mut changes = self.changes.lock();
        let known = changes.last.entry(change.what.clone()).or_default();
        if *known >= change.epoch {
            return;
        }
        *known = change.epoch;
        changes.in_order.push_back((change.what.clone(), change.epoch));
        while changes.in_order.len() > MOST_CHANGES {
            let Some((what, epoch)) = changes.in_order.pop_front() else { return };
            changes.floor = changes.floor.max(epoch);
            if changes.last.get(&what) == Some(&epoch) {
                changes.last.remove(&what);
            }
        }
    }

    fn forget_all(&self, at: Epoch) {
        self.caught_up.store(UNREAD, Ordering::Release);
        *self.changes.lock() = Changes { floor: at, ..Changes::default() };
    }

    fn caught_up(&self, at: Epoch) {
        self.caught_up.store(at.0, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::user::UserId;

    fn user(number: usize) -> Invalidation {
        Invalidation::User(UserId(number.to_string()))
    }

    fn change(number: usize, epoch: i64) -> Logged {
        Logged { epoch: Epoch(epoch), what: user(number), written_at: None }
    }

    #[test]
    fn a_record_is_as_good_as_what_is_known_of_its_subject() {
        let epochs = Epochs::default();
        assert_eq!(epochs.caught_up(), None);
        epochs.forget_all(Epoch(5));
        assert!(!epochs.admits(Epoch(5), &[user(1)]));
        Forget::caught_up(&epochs, Epoch(5));
        assert_eq!(epochs.caught_up(), Some(Epoch(5)));
        assert!(!epochs.admits(Epoch(4), &[user(1)]) && epochs.admits(Epoch(5), &[user(1)]));
        assert!(!epochs.admits(Epoch(6), &[user(1)]), "nobody here knows what came in between");
        Forget::caught_up(&epochs, Epoch(9));
        epochs.forget(&change(1, 8));
        epochs.forget(&change(1, 7));
        for (read_at, good) in [(5, false), (7, false), (8, true), (9, true)] {
            assert_eq!(epochs.admits(Epoch(read_at), &[user(1)]), good, "{read_at}");
            assert_eq!(epochs.admits(Epoch(read_at), &[user(2), user(1)]), good, "{read_at}");
            assert!(epochs.admits(Epoch(read_at), &[user(2)]));
        }
    }

    #[test]
    fn changes_that_are_too_many_to_be_told_apart_count_against_everything() {
        let epochs = Epochs::default();
        for number in 0..MOST_CHANGES + 10 {
            epochs.forget(&change(number, i64::try_from(number).unwrap() + 1));
        }
        Forget::caught_up(&epochs, Epoch(1_000_000));
        assert_eq!(epochs.changes.lock().last.len(), MOST_CHANGES);
        assert!(!epochs.admits(Epoch(9), &[user(1_000_000)]), "one of those may have been about it");
        assert!(epochs.admits(Epoch(10), &[user(1_000_000)]));
        assert!(!epochs.admits(Epoch(10), &[user(10)]) && epochs.admits(Epoch(11), &[user(10)]));
    }

    proptest! {
        /// Against a list of all changes, which is what it stands for.
        #[test]
        fn nothing_older_than_its_last_change_is_admitted(
            told in proptest::collection::vec((0_usize..5, 1_i64..40), 0..60), asked in 0_usize..5, read_at in 0_i64..40
        ) {
            let epochs = Epochs::default();
            for (number, epoch) in &told {
                epochs.forget(&change(*number, *epoch));
            }
            Forget::caught_up(&epochs, Epoch(40));
            let last = told.iter().filter(|(number, _)| *number == asked).map(|(_, epoch)| *epoch).max().unwrap_or(0);
            prop_assert_eq!(epochs.admits(Epoch(read_at), &[user(asked)]), read_at >= last);
        }
    }
}
