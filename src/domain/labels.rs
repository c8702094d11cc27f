//! Words that an operator hangs on something to find it again: `team=payments`.

use std::collections::BTreeMap;

pub const MOST_LABELS: usize = 16;
const LONGEST_NAME: usize = 63;
const LONGEST_VALUE: usize = 128;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub name: String,
    pub value: String,
}

impl Label {
    /// Reads `team=payments`.
    pub fn parse(text: &str) -> Result<Self, InvalidLabel> {
        let (name, value) = text.split_once('=').ok_or(InvalidLabel::Pair)?;
        Labels::new([(name, value)])?;
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }

    /// How it stands in what [`Labels::stored`] writes, and nothing else does: quotation marks inside of a name or value are
    /// escaped there.
    pub fn stored(&self) -> String {
        let pair = [(&self.name, &self.value)].into_iter().collect::<BTreeMap<_, _>>();
        let object = serde_json::to_string(&pair).unwrap_or_default();
        object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or_default().to_owned()
    }
}

/// Names with values. Nothing is decided by them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(BTreeMap<String, String>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLabel {
    #[error("a label is written name=value")]
    Pair,
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
        fn a_label_is_found_in_the_text_of_those_that_have_it_and_in_no_other(
            pairs in prop::collection::btree_map("[ab]{1,2}", "[ab\",:{}=]{0,6}", 0..5),
            name in "[ab]{1,2}",
            value in "[ab\",:{}=]{0,3}",
        ) {
            let labels = Labels::new(pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))).unwrap();
            let label = Label::parse(&format!("{name}={value}")).unwrap();
            prop_assert_eq!(labels.stored().contains(&label.stored()), pairs.get(&name) == Some(&value));
        }

        #[test]
        fn no_text_breaks_the_reading(text in "\\PC{0,60}") {
            let _ = Labels::from_stored(&text);
            let _ = Label::parse(&text);
        }
    }
}
