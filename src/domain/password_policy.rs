//! What a password must be before it is set: long enough, and none of the first that a guesser tries (NIST SP 800-63B
//! 3.1.1.2). No rule asks for kinds of characters.
//!
//! The rules, their order and their sentences are those of Django's password validators, because clients show the
//! sentences and some compare them. Passwords are judged as they are; whoever strips them does it before.

mod common_passwords;
mod similarity;

use std::fmt;

use super::secret::Secret;
use super::user::User;

#[derive(Clone, Debug, PartialEq)]
pub struct PasswordPolicy {
    /// In characters.
    pub min_length: usize,
    /// What bounds the work of judging and hashing.
    pub max_length_bytes: usize,
    /// The least similarity to what is known about the user that is too much, from 0 to 1; `None` allows any.
    pub similarity: Option<f64>,
    /// Whether commonly used passwords are refused.
    pub common: bool,
    /// Whether passwords of nothing but digits are refused, of any script; fractions and the like count as digits here.
    pub numeric: bool,
    /// Words of this service, which are as common here as those that are common everywhere.
    pub context_words: Vec<String>,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self {
            min_length: 8,
            max_length_bytes: 1024,
            similarity: Some(Self::SIMILARITY),
            common: true,
            numeric: true,
            context_words: Vec::new(),
        }
    }
}

impl PasswordPolicy {
    /// Django's `max_similarity`.
    pub const SIMILARITY: f64 = 0.7;

    /// All that is wrong with a password, in the order in which it is told; nothing when it may be set.
    pub fn judge(&self, password: &str, about: &AboutUser<'_>) -> Vec<Weakness> {
        if let Some(too_long) = self.too_long(password) {
            return vec![too_long];
        }
        let similar = self.similarity.and_then(|limit| about.similar_to(password, limit)).map(Weakness::TooSimilar);
        let too_short = password.chars().count() < self.min_length;
        let numeric = self.numeric && !password.is_empty() && password.chars().all(char::is_numeric);
        [
            similar,
            too_short.then_some(Weakness::TooShort(self.min_length)),
            self.is_common(password).then_some(Weakness::TooCommon),
            numeric.then_some(Weakness::EntirelyNumeric),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The one fault that is looked for before anything that takes time, also when a password is only to be checked.
    pub fn too_long(&self, password: &str) -> Option<Weakness> {
        (password.len() > self.max_length_bytes).then_some(Weakness::TooLong(self.max_length_bytes))
    }

    fn is_common(&self, password: &str) -> bool {
        let lower = Secret::new(password.to_lowercase());
        let trimmed = lower.expose().trim_matches(is_space);
        (self.common && common_passwords::contains(trimmed))
            || self.context_words.iter().any(|word| is_decorated(trimmed, &word.to_lowercase()))
    }
}

/// White space as Python's `str.strip` knows it: the four separators of ASCII too.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The word itself, or the word with digits and signs around it: `portcullis`, `Portcullis2026!`.
fn is_decorated(password: &str, word: &str) -> bool {
    let around = password.split_once(word).filter(|_| !word.is_empty());
    around.is_some_and(|(before, after)| !before.chars().chain(after.chars()).any(char::is_alphabetic))
}

/// What a guesser may know about a user. Empty where there is nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct AboutUser<'a> {
    pub username: &'a str,
    pub first_name: &'a str,
    pub last_name: &'a str,
    pub email: &'a str,
}

impl<'a> From<&'a User> for AboutUser<'a> {
    fn from(user: &'a User) -> Self {
        let User { username, first_name, last_name, email, .. } = user;
        Self { username, first_name, last_name, email }
    }
}

impl AboutUser<'_> {
    /// The first of these that the password is too similar to.
    fn similar_to(&self, password: &str, limit: f64) -> Option<Attribute> {
        let attributes = [
            (self.username, Attribute::Username),
            (self.first_name, Attribute::FirstName),
            (self.last_name, Attribute::LastName),
            (self.email, Attribute::Email),
        ];
        let similar = attributes.into_iter().find(|(value, _)| similarity::is_similar(password, value, limit));
        similar.map(|(_, attribute)| attribute)
    }
}

/// Shown as Django's user model calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    Username,
    FirstName,
    LastName,
    Email,
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Username => "username",
            Self::FirstName => "first name",
            Self::LastName => "last name",
            Self::Email => "email address",
        })
    }
}

/// Why a password may not be set, as a sentence for whoever chose it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// Told alone: a password of this size is not looked at.
    #[error("Ensure this field has no more than {0} bytes.")]
    TooLong(usize),
    #[error("The password is too similar to the {0}.")]
    TooSimilar(Attribute),
    #[error(
        "This password is too short. It must contain at least {0} character{plural}.",
        plural = if *.0 == 1 { "" } else { "s" }
    )]
    TooShort(usize),
    #[error("This password is too common.")]
    TooCommon,
    #[error("This password is entirely numeric.")]
    EntirelyNumeric,
}

#[cfg(test)]
mod tests;
