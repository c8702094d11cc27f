//! One mapping of the document, asked for its keys one by one. When it goes out of scope it names every key that nobody
//! asked for: a setting that is not understood must not look as if it were in force.

use std::collections::HashMap;
use std::fmt::Display;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use super::document::{Content, Node};
use super::reading::Reading;
use super::suggestion;
use super::value::Value;

pub struct Section<'a> {
    reading: &'a Reading<'a>,
    path: String,
    line: usize,
    keys: HashMap<&'a str, Key<'a>>,
    /// In the order they were asked for, which is the order of the documentation.
    asked: Vec<String>,
    /// False when it is no mapping, which is fault enough: its keys are then not missed.
    sound: bool,
}

struct Key<'a> {
    line: usize,
    value: &'a Node,
}

impl<'a> Section<'a> {
    /// The whole document.
    pub fn root(reading: &'a Reading<'a>, node: &'a Node) -> Self {
        Self::open(reading, node, String::new())
    }

    pub fn of(value: &Value<'a>) -> Self {
        Self::open(value.reading, value.node, value.path.clone())
    }

    fn open(reading: &'a Reading<'a>, node: &'a Node, path: String) -> Self {
        let mut section = Self { reading, path, line: node.line, keys: HashMap::new(), asked: Vec::new(), sound: true };
        match &node.content {
            Content::Mapping(entries) => {
                for entry in entries {
                    if let Some(first) = section.keys.get(entry.key.as_str()) {
                        let problem = format!("the key is written twice, first in line {}", first.line);
                        reading.fault(entry.line, &section.path_of(&entry.key), problem, "remove one of the two");
                    } else {
                        section.keys.insert(&entry.key, Key { line: entry.line, value: &entry.value });
                    }
                }
            }
            Content::Nothing => {}
            Content::Scalar(_) | Content::List(_) => {
                section.sound = false;
                reading.fault(section.line, &section.path, "this is not a mapping", "write `key: value` lines");
            }
        }
        section
    }

    /// The value of a key that is written and is not null.
    pub fn optional(&mut self, key: &str) -> Option<Value<'a>> {
        self.asked.push(key.to_owned());
        let node = self.keys.get(key)?.value;
        if matches!(node.content, Content::Nothing) {
            return None;
        }
        Some(Value { reading: self.reading, node, path: self.path_of(key) })
    }

    /// The value of a key that must be written; `remedy` says what to write.
    pub fn required(&mut self, key: &str, remedy: &str) -> Option<Value<'a>> {
        let value = self.optional(key);
        if value.is_none() && self.sound {
            self.fault(key, "this is required", remedy);
        }
        value
    }

    /// The mapping below a key; an empty one when the key is not written.
    pub fn section(&mut self, key: &str) -> Self {
        match self.optional(key) {
            Some(value) => Self::of(&value),
            None => Self {
                reading: self.reading,
                path: self.path_of(key),
                line: self.line_of(key),
                keys: HashMap::new(),
                asked: Vec::new(),
                sound: self.sound,
            },
        }
    }

    /// Every key, in the order of the file: for a mapping from names that the operator chooses.
    pub fn every(&mut self) -> Vec<(&'a str, Value<'a>)> {
        let mut names: Vec<(usize, &'a str, &'a Node)> =
            self.keys.iter().map(|(name, key)| (key.line, *name, key.value)).collect();
        names.sort_by_key(|(line, name, _)| (*line, *name));
        self.asked.extend(names.iter().map(|(_, name, _)| (*name).to_owned()));
        let value = |(_, name, node)| (name, Value { reading: self.reading, node, path: self.path_of(name) });
        names.into_iter().map(value).collect()
    }

    /// Notes a fault at `key`, or where it would be.
    pub fn fault(&self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.reading.fault(self.line_of(key), &self.path_of(key), problem, remedy);
    }

    /// Notes a warning at `key`, or where it would be.
    pub fn warn(&self, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.reading.warn(self.line_of(key), &self.path_of(key), problem, remedy);
    }

    pub fn has(&self, key: &str) -> bool {
        self.keys.get(key).is_some_and(|key| !matches!(key.value.content, Content::Nothing))
    }

    pub fn duration(&mut self, key: &str, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        self.optional(key).and_then(|value| value.duration(&range)).unwrap_or(default)
    }

    pub fn bytes(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> u64 {
        self.optional(key).and_then(|value| value.bytes(&range)).unwrap_or(default)
    }

    pub fn integer<T>(&mut self, key: &str, default: T, range: RangeInclusive<T>) -> T
    where
        T: FromStr + PartialOrd + Display,
    {
        self.optional(key).and_then(|value| value.integer(&range)).unwrap_or(default)
    }

    /// `auto`, which `default` then decides from the number of processors that this process may use, or a number.
    pub fn threads(&mut self, key: &str, range: RangeInclusive<usize>, default: impl FnOnce(usize) -> usize) -> usize {
        let written = self.optional(key).and_then(|value| match &value.node.content {
            Content::Scalar(text) if text == "auto" => None,
            _ => value.integer(&range),
        });
        written.unwrap_or_else(|| default(std::thread::available_parallelism().map_or(1, NonZero::get)))
    }

    pub fn boolean(&mut self, key: &str, default: bool) -> bool {
        self.optional(key).and_then(|value| value.boolean()).unwrap_or(default)
    }

    pub fn choice<T: Copy>(&mut self, key: &str, default: T, choices: &[(&str, T)]) -> T {
        self.optional(key).and_then(|value| value.choice(choices)).unwrap_or(default)
    }

    fn path_of(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            ("", key) => key.to_owned(),
            (path, "") => path.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }

    fn line_of(&self, key: &str) -> usize {
        self.keys.get(key).map_or(self.line, |key| key.line)
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        let known: Vec<&str> = self.asked.iter().map(String::as_str).collect();
        let mut unknown: Vec<(usize, &str)> =
            self.keys.iter().map(|(name, key)| (key.line, *name)).filter(|(_, name)| !known.contains(name)).collect();
        unknown.sort_unstable();
        for (line, name) in unknown {
            let shown: String = name.chars().take(60).flat_map(char::escape_debug).collect();
            let problem = format!("there is no key \"{shown}\" here");
            self.reading.fault(line, &self.path, problem, suggestion::remedy(name, &known));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::config::document::parse;

    fn faults(text: &str, ask: impl FnOnce(&mut Section<'_>)) -> String {
        let environment = BTreeMap::from([("FIVE".to_owned(), "5".to_owned())]);
        let node = parse(text).unwrap();
        let reading = Reading::new("f", Path::new(""), &environment);
        {
            let mut root = Section::root(&reading, &node);
            ask(&mut root);
        }
        reading.into_findings().0.to_string()
    }

    #[test]
    fn keys_nobody_asked_for_are_faults() {
        let found = faults("a: 1\nab: 2\nnested:\n  x: 1\n", |root| {
            assert_eq!(root.integer("a", 0, 0..=9), 1);
            root.section("nested").optional("y");
        });
        assert_eq!(
            found,
            "f:2: there is no key \"ab\" here; did you mean \"a\"?\n\
             f:4: nested: there is no key \"x\" here; did you mean \"y\"?"
        );
    }

    #[test]
    fn the_first_of_two_equal_keys_counts_and_the_second_is_a_fault() {
        let found = faults("a: 1\nb: {}\na: 2\n", |root| {
            assert_eq!(root.integer("a", 0, 0..=9), 1);
            root.section("b");
        });
        assert_eq!(found, "f:3: a: the key is written twice, first in line 1; remove one of the two");
    }

    #[test]
    fn null_is_as_if_not_written() {
        let found = faults("a: null\nb:\nc: ~\n", |root| {
            assert_eq!(root.integer("a", 7, 0..=9), 7);
            assert!(root.section("b").boolean("x", true));
            assert!(root.required("c", "write it").is_none());
        });
        assert_eq!(found, "f:3: c: this is required; write it");
    }

    #[test]
    fn a_section_that_is_no_mapping_is_one_fault() {
        let found = faults("a: [1]\n", |root| {
            let mut section = root.section("a");
            assert!(section.required("x", "write it").is_none());
            assert!(section.section("y").required("z", "write it").is_none());
        });
        assert_eq!(found, "f:1: a: this is not a mapping; write `key: value` lines");
    }

    #[test]
    fn what_the_environment_holds_is_read_and_never_shown() {
        let found = faults("a: ${FIVE}\nb: \"${FIVE}s\"\nc: ${FIVE}\n", |root| {
            assert_eq!(root.integer("a", 0, 0..=9), 5);
            assert_eq!(root.duration("b", Duration::ZERO, Duration::ZERO..=Duration::MAX), Duration::from_secs(5));
            assert_eq!(root.integer("c", 0, 0..=4), 0);
        });
        assert_eq!(found, "f:3: c: \"${FIVE}\" is more than 4; write at most 4");
    }
}
