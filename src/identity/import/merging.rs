//! What becomes of a row that was taken over before.

use crate::crypto::digest::sha256;
use crate::domain::digest::Digest;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is here as it is there.
    Same,
    /// What is there is to be written here.
    Take,
    /// It was changed here, and stays so.
    Keep,
    /// It was changed on both sides, and stays as it is here.
    Conflict,
}

/// `there` and `here` are what it is now, `remembered` is what it was on both sides when it was last taken over.
pub fn judge(there: Digest, here: Digest, remembered: Digest, overwrite: bool) -> Verdict {
    if there == here {
        Verdict::Same
    } else if overwrite || here == remembered {
        Verdict::Take
    } else if there == remembered {
        Verdict::Keep
    } else {
        Verdict::Conflict
    }
}

/// Of several texts, no two lists of which are one.
pub fn digest_of(parts: &[&str]) -> Digest {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    sha256(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_here_is_left_alone_unless_it_is_to_be_overwritten() {
        let [a, b, c] = ["a", "b", "c"].map(|text| digest_of(&[text]));
        for (there, here, remembered, expected) in [
            (a, a, a, Verdict::Same),
            (b, b, a, Verdict::Same),
            (b, a, a, Verdict::Take),
            (a, b, a, Verdict::Keep),
            (b, c, a, Verdict::Conflict),
        ] {
            assert_eq!(judge(there, here, remembered, false), expected);
        }
        for (there, here, remembered) in [(a, b, a), (b, c, a), (b, a, a)] {
            assert_eq!(judge(there, here, remembered, true), Verdict::Take);
        }
        assert_ne!(digest_of(&["ab", "c"]), digest_of(&["a", "bc"]));
    }
}
