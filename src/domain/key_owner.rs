//! Whom a key belongs to.

use std::fmt;

use super::user::UserId;

/// Who a key acts as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOwner {
    User(UserId),
    /// A program with no account of its own, by the name an operator gave it.
    Service(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an owner is user:<id>, or a service's name: 1 to 100 characters, without a colon, control characters, or white space \
     at either end"
)]
pub struct InvalidOwner;

impl KeyOwner {
    /// Reads what `Display` writes: `user:45`, or a service's name.
    pub fn parse(text: &str) -> Result<Self, InvalidOwner> {
        if let Some(id) = text.strip_prefix("user:") {
            let fits = !id.is_empty() && !id.chars().any(char::is_control);
            return if fits { Ok(Self::User(UserId(id.to_owned()))) } else { Err(InvalidOwner) };
        }
        let fits = (1..=100).contains(&text.chars().count());
        if fits && text.trim() == text && !text.chars().any(|c| c == ':' || c.is_control()) {
            Ok(Self::Service(text.to_owned()))
        } else {
            Err(InvalidOwner)
        }
    }

    pub const fn user(&self) -> Option<&UserId> {
        match self {
            Self::User(id) => Some(id),
            Self::Service(_) => None,
        }
    }
}

impl fmt::Display for KeyOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(f, "user:{id}"),
            Self::Service(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_read_back_from_their_text() {
        for text in ["user:45", "user:a:b", "robot", "nightly export ü", &"x".repeat(100)] {
            assert_eq!(KeyOwner::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(KeyOwner::parse("user:45").unwrap().user(), Some(&UserId("45".into())));
        assert_eq!(KeyOwner::parse("robot").unwrap().user(), None);
        for text in ["", "user:", "user:a\0b", "service:robot", "a:b", " robot", "robot\n", "a\tb", &"x".repeat(101)] {
            assert_eq!(KeyOwner::parse(text), Err(InvalidOwner), "{text:?}");
        }
    }
}
