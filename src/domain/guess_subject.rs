use super::digest::Digest;
use super::user::UserId;
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum GuessSubject {
    Account(UserId),
    Codes(UserId),
}
impl GuessSubject {
    pub fn as_text(&self) -> String {
        match self {
            Self::Account(id) => format!("account:{id}"),
            Self::Codes(id) => format!("codes:{id}"),
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self::Account(UserId(text.to_owned())))
    }
    pub fn all_of(id: &UserId) -> Vec<Self> {
        vec![Self::Account(id.clone())]
    }
    pub fn unused(_: Digest) {}
}
