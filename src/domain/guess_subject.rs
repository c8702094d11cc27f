//! Whom guesses are counted against. Its text is the key that a [`super::lockout::Lockout`] is stored under.

use std::fmt;

use super::client_network::ClientNetwork;
use super::digest::Digest;
use super::user::UserId;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GuessSubject {
    /// Passwords of a user, whichever name was typed.
    Account(UserId),
    /// Passwords for a name that no user has, so that it answers as a known one does. Only its digest: people type
    /// passwords where names belong.
    Name(Digest),
    /// Second factors and recovery codes of a user, over all routes that take them.
    Codes(UserId),
    /// All guesses from one network.
    Network(ClientNetwork),
    /// Password reset mails to a user.
    ResetRequests(UserId),
    /// Password reset mails asked for from one network.
    ResetNetwork(ClientNetwork),
}

impl GuessSubject {
    /// The subject for a name that no user has, in any of its spellings. `digest` is better a keyed one: what people
    /// type is easily guessed, and a plain SHA-256 of it tells who guesses right.
    pub fn unknown_name(typed: &str, digest: impl FnOnce(&[u8]) -> Digest) -> Self {
        Self::Name(digest(fold(typed).as_bytes()))
    }

    /// The user whom it is about.
    pub const fn user(&self) -> Option<&UserId> {
        match self {
            Self::Account(user) | Self::Codes(user) | Self::ResetRequests(user) => Some(user),
            Self::Name(_) | Self::Network(_) | Self::ResetNetwork(_) => None,
        }
    }

    /// Reads back what `Display` writes, and nothing else.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, of) = text.split_once(':').filter(|(_, of)| !of.is_empty())?;
        let user = || UserId(of.to_owned());
        let subject = match kind {
            "account" => Self::Account(user()),
            "name" => Self::Name(Digest::from_hex(of).filter(|digest| digest.hex() == of)?),
            "codes" => Self::Codes(user()),
            "net" => Self::Network(ClientNetwork::parse(of)?),
            "reset" => Self::ResetRequests(user()),
            "reset-net" => Self::ResetNetwork(ClientNetwork::parse(of)?),
            _ => return None,
        };
        Some(subject)
    }
}

impl fmt::Display for GuessSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(user) => write!(f, "account:{user}"),
            Self::Name(digest) => write!(f, "name:{}", digest.hex()),
            Self::Codes(user) => write!(f, "codes:{user}"),
            Self::Network(network) => write!(f, "net:{network}"),
            Self::ResetRequests(user) => write!(f, "reset:{user}"),
            Self::ResetNetwork(network) => write!(f, "reset-net:{network}"),
        }
    }
}

/// A typed name without the differences that are none to the person who types it: white space at its ends, and case.
/// There and back again, because some letters meet their equals in upper case only (ς and σ), and some in lower case (ẞ
/// and ß).
pub fn fold(name: &str) -> String {
    let lower = name.trim().chars().flat_map(char::to_lowercase);
    lower.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> ClientNetwork {
        ClientNetwork::parse(text).unwrap()
    }

    fn first_bytes(bytes: &[u8]) -> Digest {
        Digest(std::array::from_fn(|i| bytes.get(i).copied().unwrap_or(0)))
    }

    #[test]
    fn each_subject_has_its_text_and_is_read_back_from_it() {
        let user = || UserId("3f2b:7".into());
        let zeros = "00".repeat(32);
        for (subject, text) in [
            (GuessSubject::Account(user()), "account:3f2b:7"),
            (GuessSubject::Name(Digest([0; 32])), &format!("name:{zeros}")),
            (GuessSubject::Codes(user()), "codes:3f2b:7"),
            (GuessSubject::Network(network("192.0.2.1")), "net:192.0.2.1"),
            (GuessSubject::Network(network("2001:db8::/64")), "net:2001:db8::/64"),
            (GuessSubject::ResetRequests(user()), "reset:3f2b:7"),
            (GuessSubject::ResetNetwork(network("192.0.2.1")), "reset-net:192.0.2.1"),
        ] {
            assert_eq!(subject.to_string(), text);
            assert_eq!(GuessSubject::parse(text), Some(subject), "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_subjects() {
        let capitals = format!("name:{}", "AB".repeat(32));
        for text in [
            "",
            "account",
            "account:",
            ":1",
            "Account:1",
            " account:1",
            "name:00",
            &capitals,
            "net:1",
            "net:10.0.0.0/8",
        ] {
            assert_eq!(GuessSubject::parse(text), None, "{text}");
        }
    }

    #[test]
    fn spellings_of_one_name_are_one_subject() {
        let subject = |typed: &str| GuessSubject::unknown_name(typed, first_bytes);
        for (typed, same) in [
            (" Anna\t", "anna"),
            ("ANNA@Example.org", "anna@example.org"),
            ("STRASSE", "straße"),
            ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ] {
            assert_eq!(subject(typed), subject(same), "{typed}");
        }
        assert_ne!(subject("an na"), subject("anna"));
        assert!(!subject("a secret, typed in the wrong field").to_string().contains("secret"));
    }

    #[test]
    fn what_is_folded_stays_as_it_is() {
        for c in '\0'..='\u{1ffff}' {
            let once = fold(&format!("x{c}x"));
            assert_eq!(fold(&once), once, "{c:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reading(text in "(account|name|codes|net|reset|reset-net|x)?:?.{0,70}") {
            if let Some(subject) = GuessSubject::parse(&text) {
                prop_assert_eq!(subject.to_string(), text);
            }
        }
    }
}
