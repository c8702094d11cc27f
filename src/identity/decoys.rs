//! What the password of nobody is compared with, as long as there are passwords that another installation has hashed.
//!
//! Checking one of those takes another time than checking one of ours. If every name that nobody has took ours, then whoever
//! takes longer would be somebody who was taken over and has not signed in since. So a name that nobody has takes the time
//! of some kind of hash, always of the same, and of each kind as often as users have it.

use parking_lot::RwLock;

use crate::crypto::keyed_digest::KeyedDigest;
use crate::crypto::stored_password;
use crate::domain::user::PasswordHash;
use crate::storage::users::ForeignPasswords;

pub struct Decoys {
    /// Nobody outside can tell what a name will take.
    names: KeyedDigest,
    foreign: RwLock<ForeignPasswords>,
}

impl Decoys {
    pub const fn new(names: KeyedDigest) -> Self {
        Self { names, foreign: RwLock::new(ForeignPasswords { users: 0, kinds: Vec::new() }) }
    }

    /// What cannot be read is checked as if it were ours.
    pub fn learn(&self, mut foreign: ForeignPasswords) {
        foreign.kinds.retain(|(_, example)| stored_password::is_readable(example));
        *self.foreign.write() = foreign;
    }

    /// `None`: one of ours.
    pub fn of(&self, name: &str) -> Option<PasswordHash> {
        let foreign = self.foreign.read();
        if foreign.kinds.is_empty() {
            return None;
        }
        // As far along all users as the name is along all digests.
        let [a, b, c, d, e, f, g, h, ..] = self.names.of(name.as_bytes()).0;
        let digest = u128::from(u64::from_be_bytes([a, b, c, d, e, f, g, h]));
        let along = (digest * u128::from(foreign.users)) >> 64;
        let mut passed = 0_u128;
        let kind = foreign.kinds.iter().find(|(count, _)| {
            passed += u128::from(*count);
            along < passed
        });
        kind.map(|(_, example)| example.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::master_key::MasterKey;
    use crate::domain::secret::Secret;

    fn decoys() -> Decoys {
        let key = MasterKey::parse(&Secret::new(format!("{}0", "1".repeat(63)))).unwrap();
        Decoys::new(key.keyed_digest("decoys"))
    }

    fn hash(iterations: u32) -> PasswordHash {
        PasswordHash::new(format!("pbkdf2_sha256${iterations}$salt$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))
    }

    #[test]
    fn each_name_takes_one_kind_and_each_kind_has_its_share_of_names() {
        let decoys = decoys();
        assert_eq!(decoys.of("anna"), None);
        let damaged = (500, PasswordHash::new("pbkdf2_sha256$x".to_owned()));
        decoys.learn(ForeignPasswords { users: 1000, kinds: vec![(100, hash(1)), damaged, (300, hash(2))] });
        let mut counts = [0, 0, 0];
        for number in 0..10_000 {
            let name = format!("user{number}");
            let decoy = decoys.of(&name);
            assert_eq!(decoys.of(&name), decoy);
            let kind = [None, Some(hash(1)), Some(hash(2))].iter().position(|kind| *kind == decoy).unwrap();
            counts[kind] += 1;
        }
        assert!((5_700..6_300).contains(&counts[0]), "{counts:?}");
        assert!((850..1_150).contains(&counts[1]) && (2_800..3_200).contains(&counts[2]), "{counts:?}");
    }

    #[test]
    fn as_users_sign_in_names_go_over_to_ours_and_none_comes_back() {
        let decoys = decoys();
        let mut foreign: Vec<bool> = vec![true; 1000];
        for left in [1000, 700, 300, 10, 0] {
            decoys.learn(ForeignPasswords { users: 1000, kinds: vec![(left, hash(1))] });
            let now: Vec<bool> = (0..1000).map(|number| decoys.of(&format!("user{number}")).is_some()).collect();
            assert!(now.iter().zip(&foreign).all(|(now, before)| !now || *before));
            foreign = now;
        }
        assert!(!foreign.contains(&true));
    }
}
