//! Whom guesses are counted against. Its text is the key that a [`super::lockout::Lockout`] is stored under.

use std::fmt;

use super::client_network::ClientNetwork;
use super::digest::Digest;
use super::user::UserId;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum GuessSubject {
    /// Passwords of a user, whichever name was typed.
    Account(UserId),
    /// Passwords for a name that no user has, so that it answers as a known one does. Only its digest, and that a keyed one:
    /// people type passwords where names belong.
    Name(Digest),
    /// Second factors and recovery codes of a user, over all routes that take them.
    Codes(UserId),
    /// All guesses from one network.
    Network(ClientNetwork),
    /// Password reset mails to a user.
    ResetRequests(UserId),
    /// Password reset mails asked for from one network, and guesses at the tokens in them.
    ResetNetwork(ClientNetwork),
}

impl GuessSubject {
    /// In a word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Account(_) => "account",
            Self::Name(_) => "name",
            Self::Codes(_) => "codes",
            Self::Network(_) => "network",
            Self::ResetRequests(_) => "reset mails",
            Self::ResetNetwork(_) => "reset network",
        }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(text: &str) -> ClientNetwork {
        ClientNetwork::parse(text).unwrap()
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

    proptest! {
        #[test]
        fn no_text_breaks_the_reading(text in "(account|name|codes|net|reset|reset-net|x)?:?.{0,70}") {
            if let Some(subject) = GuessSubject::parse(&text) {
                prop_assert_eq!(subject.to_string(), text);
            }
        }
    }
}
