//! Words that an operator hangs on something to find it again: `team=payments`.

use std::collections::BTreeMap;

pub const MOST_LABELS: usize = 16;
const LONGEST_NAME: usize = 63;
const LONGEST_VALUE: usize = 128;

/// Names with values. Nothing is decided by them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<String, String>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLabel {
    #[error("a label's name is 1 to 63 letters, digits and . _ - /, a letter or digit first")]
    Name,
    #[error("a label's value is at most 128 characters, none of them a control character")]
    Value,
    #[error("there are at most 16 labels")]
    TooMany,
    #[error("a label is given twice")]
    Twice,
}

impl Labels {
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, InvalidLabel> {
        let mut labels = BTreeMap::new();
        for (name, value) in pairs {
            let fits = (1..=LONGEST_NAME).contains(&name.len())
                && name.starts_with(|c: char| c.is_ascii_alphanumeric())
                && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
            if !fits {
                return Err(InvalidLabel::Name);
            }
            if value.chars().count() > LONGEST_VALUE || value.chars().any(char::is_control) {
                return Err(InvalidLabel::Value);
            }
            if labels.insert(name.to_owned(), value.to_owned()).is_some() {
                return Err(InvalidLabel::Twice);
            }
            if labels.len() > MOST_LABELS {
                return Err(InvalidLabel::TooMany);
            }
        }
        Ok(Self(labels))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Reads what [`Labels::stored`] writes.
    pub fn from_stored(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let pairs: BTreeMap<String, String> = serde_json::from_str(text).ok()?;
        Self::new(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))).ok()
    }

    /// A JSON object with its members in order; nothing for none.
    pub fn stored(&self) -> String {
        if self.0.is_empty() { String::new() } else { serde_json::to_string(&self.0).unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bounds_hold() {
        let long = "v".repeat(129);
        for (pairs, fault) in [
            (vec![("", "v")], InvalidLabel::Name),
            (vec![("-a", "v")], InvalidLabel::Name),
            (vec![("a b", "v")], InvalidLabel::Name),
            (vec![("ä", "v")], InvalidLabel::Name),
            (vec![("a", "v\n")], InvalidLabel::Value),
            (vec![("a", long.as_str())], InvalidLabel::Value),
            (vec![("a", "1"), ("a", "2")], InvalidLabel::Twice),
        ] {
            assert_eq!(Labels::new(pairs.clone()), Err(fault), "{pairs:?}");
        }
        let names: Vec<String> = (0..17).map(|n| format!("n{n}")).collect();
        let pairs = |most| names.iter().take(most).map(|name| (name.as_str(), "")).collect::<Vec<_>>();
        assert!(Labels::new(pairs(16)).is_ok());
        assert_eq!(Labels::new(pairs(17)), Err(InvalidLabel::TooMany));
    }

    proptest! {
        #[test]
        fn what_is_stored_is_read_back(pairs in prop::collection::btree_map("[a-z0-9][a-z0-9./_-]{0,20}", "\\PC{0,40}", 0..16)) {
            let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            if let Ok(labels) = Labels::new(pairs) {
                prop_assert_eq!(Labels::from_stored(&labels.stored()), Some(labels));
            }
        }

        #[test]
        fn no_text_breaks_the_reading(text in "\\PC{0,60}") {
            let _ = Labels::from_stored(&text);
        }
    }
}
