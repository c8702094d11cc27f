//! What a change changed, for the audit: which fields, and of what is no secret and nobody's own, from what to what.

use std::fmt::Display;

/// Longest text, in characters; scopes can be many.
const LONGEST: usize = 1000;

#[derive(Debug, Default)]
pub struct Difference(Vec<String>);

impl Difference {
    /// A field whose values are not told.
    pub fn field<T: PartialEq>(mut self, name: &str, before: &T, after: &T) -> Self {
        if before != after {
            self.0.push(name.to_owned());
        }
        self
    }

    /// A field whose values are told.
    pub fn values<T: PartialEq + Display>(mut self, name: &str, before: &T, after: &T) -> Self {
        if before != after {
            self.0.push(format!("{name} [{before}] -> [{after}]"));
        }
        self
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `email; scopes [a b] -> [a]`.
    pub fn text(&self) -> String {
        self.0.join("; ").chars().take(LONGEST).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_changed_is_told_and_values_only_where_they_may_be() {
        let difference = Difference::default()
            .field("email", &"a@example.org", &"b@example.org")
            .field("first_name", &"A", &"A")
            .values("scopes", &"a b", &"")
            .values("admin", &false, &false);
        assert_eq!(difference.text(), "email; scopes [a b] -> []");
        assert!(Difference::default().field("x", &1, &1).is_empty());
        let long = "ä".repeat(5000);
        assert_eq!(Difference::default().values("x", &"", &long.as_str()).text().chars().count(), LONGEST);
    }
}
