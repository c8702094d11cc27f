//! One value of the document, read as what it should be. A value that is not notes its fault and gives `None`, and the
//! reader goes on with whatever it can.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::document::{Content, Node};
use super::environment::fill;
use super::quantity::{parse_bytes, parse_duration, show_bytes, show_duration};
use super::reading::Reading;
use super::suggestion;

#[derive(Clone)]
pub struct Value<'a> {
    pub reading: &'a Reading<'a>,
    pub node: &'a Node,
    /// From the top of the file: `routes[2].methods[0]`.
    pub path: String,
}

impl<'a> Value<'a> {
    pub fn fault(&self, problem: impl Into<String>, remedy: impl Into<String>) {
        self.reading.fault(self.node.line, &self.path, problem, remedy);
    }

    pub fn warn(&self, problem: impl Into<String>, remedy: impl Into<String>) {
        self.reading.warn(self.node.line, &self.path, problem, remedy);
    }

    pub const fn is_mapping(&self) -> bool {
        matches!(self.node.content, Content::Mapping(_))
    }

    pub const fn is_empty_list(&self) -> bool {
        matches!(&self.node.content, Content::List(items) if items.is_empty())
    }

    /// The scalar as the file has it, quoted and shortened. It is for faults: what the environment put in place of
    /// `${NAME}` may be secret, what is written may not.
    pub fn written(&self) -> String {
        let Content::Scalar(written) = &self.node.content else { return "this".to_owned() };
        let shown: String = written.chars().take(60).flat_map(char::escape_debug).collect();
        format!("\"{shown}{}\"", if written.chars().count() > 60 { "…" } else { "" })
    }

    /// The scalar with its `${NAME}` filled in, whatever characters it has, but not empty.
    pub fn raw_text(&self) -> Option<String> {
        let Content::Scalar(written) = &self.node.content else {
            let found = match self.node.content {
                Content::List(_) => "this is a list where one value belongs",
                Content::Mapping(_) => "this is a mapping where one value belongs",
                _ => "there is no value here",
            };
            self.fault(found, "write one value");
            return None;
        };
        match fill(written, self.reading.environment()) {
            Ok(text) if text.is_empty() => {
                self.fault("the value is empty", "write a value, or remove the key");
                None
            }
            Ok(text) => Some(text),
            Err(unfilled) => {
                self.fault(unfilled.to_string(), unfilled.remedy());
                None
            }
        }
    }

    /// One line of text.
    pub fn text(&self) -> Option<String> {
        let text = self.raw_text()?;
        if text.chars().any(char::is_control) {
            self.fault("the value holds a control character", "write one line of plain text");
            return None;
        }
        Some(text)
    }

    pub fn duration(&self, range: &RangeInclusive<Duration>) -> Option<Duration> {
        let Some(duration) = parse_duration(&self.text()?) else {
            let problem = format!("{} is not a duration", self.written());
            self.fault(problem, "write a whole number and ms, s, m, h or d, such as 30s");
            return None;
        };
        self.within(duration, range, |bound| show_duration(*bound))
    }

    pub fn bytes(&self, range: &RangeInclusive<u64>) -> Option<u64> {
        let Some(bytes) = parse_bytes(&self.text()?) else {
            let problem = format!("{} is not a size", self.written());
            self.fault(problem, "write a whole number and KiB, MiB or GiB, such as 64MiB, or plain bytes");
            return None;
        };
        self.within(bytes, range, |bound| show_bytes(*bound))
    }

    pub fn integer<T: FromStr + PartialOrd + Display>(&self, range: &RangeInclusive<T>) -> Option<T> {
        let text = self.text()?;
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            let remedy = format!("write a number from {} to {}", range.start(), range.end());
            self.fault(format!("{} is not a whole number", self.written()), remedy);
            return None;
        }
        // Digits that are no number of this type are a number too large for it.
        match text.parse() {
            Ok(number) => self.within(number, range, T::to_string),
            Err(_) => {
                self.too_much(range, T::to_string);
                None
            }
        }
    }

    pub fn boolean(&self) -> Option<bool> {
        match self.text()?.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                self.fault(format!("{} is neither true nor false", self.written()), "write true or false");
                None
            }
        }
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text()?;
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
        if chosen.is_none() {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            let problem = format!("{} is not one of {}", self.written(), words.join(", "));
            let remedy = suggestion::nearest(&text, words.iter().copied())
                .map_or_else(|| "write one of these".to_owned(), |word| format!("did you mean \"{word}\"?"));
            self.fault(problem, remedy);
        }
        chosen
    }

    /// Text that `T` can be read from, such as an address.
    pub fn parsed<T>(&self, parse: impl FnOnce(&str) -> Option<T>, what: &str, remedy: &str) -> Option<T> {
        let parsed = parse(&self.text()?);
        if parsed.is_none() {
            self.fault(format!("{} is not {what}", self.written()), remedy);
        }
        parsed
    }

    /// A path to a file; a relative one starts at the working directory.
    pub fn file_path(&self) -> Option<PathBuf> {
        self.text().map(|text| self.reading.resolve(&text))
    }

    pub fn list(&self) -> Vec<Self> {
        let Content::List(items) = &self.node.content else {
            self.fault("this is not a list", "write [one, two], or a line with a dash for each");
            return Vec::new();
        };
        let item = |(index, node)| Self { reading: self.reading, node, path: format!("{}[{index}]", self.path) };
        items.iter().enumerate().map(item).collect()
    }

    fn within<T: PartialOrd>(&self, value: T, range: &RangeInclusive<T>, show: impl Fn(&T) -> String) -> Option<T> {
        if value > *range.end() {
            self.too_much(range, show);
        } else if value < *range.start() {
            let remedy = format!("write at least {}", show(range.start()));
            self.fault(format!("{} is less than {}", self.written(), show(range.start())), remedy);
        } else {
            return Some(value);
        }
        None
    }

    fn too_much<T>(&self, range: &RangeInclusive<T>, show: impl Fn(&T) -> String) {
        let remedy = format!("write at most {}", show(range.end()));
        self.fault(format!("{} is more than {}", self.written(), show(range.end())), remedy);
    }
}
