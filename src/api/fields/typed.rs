//! Fields of other types than text, and texts that nothing else passes for. In forms and queries all is text, so a value is
//! read from its text there, and nowhere else.
//!
//! None of these is required: `None` is what was not sent, or does not fit and is noted as a fault.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::{Ends, Fields, read, strip, surrogate};
use crate::domain::clock::Timestamp;

impl Fields {
    /// One line of text, which may be empty.
    pub fn line(&mut self, name: &str, most: usize) -> Option<String> {
        match self.values.get(name)? {
            Value::Number(_) => self.misfit(name, "Not a valid string."),
            Value::String(text) if strip(text).is_empty() => Some(String::new()),
            value => match read(Some(value), Ends::Stripped) {
                Err(fault) => self.misfit(name, &fault),
                Ok(text) if text.chars().any(char::is_control) => {
                    self.misfit(name, "Control characters are not allowed.")
                }
                Ok(text) if text.chars().count() > most => {
                    self.misfit(name, &format!("Ensure this field has no more than {most} characters."))
                }
                Ok(text) => Some(text),
            },
        }
    }

    /// As [`Fields::line`], but it may not be empty.
    pub fn filled_line(&mut self, name: &str, most: usize) -> Option<String> {
        let line = self.line(name, most)?;
        if line.is_empty() { self.misfit(name, "This field may not be blank.") } else { Some(line) }
    }

    /// Notes that it is missing, if it is.
    pub fn require(&mut self, name: &str) {
        if !self.values.contains_key(name) {
            self.fault(name, "This field is required.");
        }
    }

    /// Whether it was sent, and is not null.
    pub fn is_given(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| !value.is_null())
    }

    pub fn is_null(&self, name: &str) -> bool {
        matches!(self.values.get(name), Some(Value::Null))
    }

    pub fn flag(&mut self, name: &str) -> Option<bool> {
        match self.values.get(name)? {
            Value::Bool(flag) => Some(*flag),
            Value::String(text) if self.all_texts && text == "true" => Some(true),
            Value::String(text) if self.all_texts && text == "false" => Some(false),
            Value::Null => self.misfit(name, NULL),
            _ => self.misfit(name, "Must be a valid boolean."),
        }
    }

    pub fn number(&mut self, name: &str, range: RangeInclusive<u64>) -> Option<u64> {
        let number = match self.values.get(name)? {
            Value::Number(number) if number.is_i64() || number.is_u64() => number.to_string(),
            Value::String(text) if self.all_texts => text.clone(),
            Value::Null => return self.misfit(name, NULL),
            _ => String::new(),
        };
        let digits = number.strip_prefix('-').unwrap_or(&number);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return self.misfit(name, "A valid integer is required.");
        }
        // More digits than fit are a number that is too large.
        match number.parse().unwrap_or(u64::MAX) {
            _ if number.starts_with('-') => self.too_small(name, &range),
            few if few < *range.start() => self.too_small(name, &range),
            many if many > *range.end() => {
                self.misfit(name, &format!("Ensure this value is less than or equal to {}.", range.end()))
            }
            fitting => Some(fitting),
        }
    }

    fn too_small<T>(&mut self, name: &str, range: &RangeInclusive<u64>) -> Option<T> {
        self.misfit(name, &format!("Ensure this value is greater than or equal to {}.", range.start()))
    }

    /// A point in time as RFC 3339 writes it.
    pub fn time(&mut self, name: &str) -> Option<Timestamp> {
        match self.values.get(name)? {
            Value::Null => self.misfit(name, NULL),
            Value::String(text) => match Timestamp::parse_rfc3339(text) {
                Some(time) => Some(time),
                None => self.misfit(name, WRONG_TIME),
            },
            _ => self.misfit(name, WRONG_TIME),
        }
    }

    /// A list of texts, each of which is read by `read`.
    pub fn list<T, E: ToString>(
        &mut self,
        name: &str,
        most: usize,
        read: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let items = match self.values.get(name)? {
            Value::Array(items) => items,
            Value::Null => return self.misfit(name, NULL),
            other => {
                let fault = format!("Expected a list of items but got type \"{}\".", type_name(other));
                return self.misfit(name, &fault);
            }
        };
        if items.len() > most {
            return self.misfit(name, &format!("Ensure this field has no more than {most} elements."));
        }
        let item = |item: &Value| match item {
            Value::String(text) => read(text).map_err(|fault| sentence(&fault.to_string())),
            _ => Err("Not a valid string.".to_owned()),
        };
        match items.iter().map(item).collect() {
            Ok(list) => Some(list),
            Err(fault) => self.misfit(name, &fault),
        }
    }

    /// Names with texts.
    pub fn pairs(&mut self, name: &str) -> Option<Vec<(String, String)>> {
        let members = match self.values.get(name)? {
            Value::Object(members) => members,
            Value::Null => return self.misfit(name, NULL),
            other => {
                let fault = format!("Expected a dictionary of items but got type \"{}\".", type_name(other));
                return self.misfit(name, &fault);
            }
        };
        let pair = |(name, value): (&String, &Value)| match value {
            Value::String(text) if surrogate(text).is_none() && surrogate(name).is_none() => {
                Some((name.clone(), text.clone()))
            }
            _ => None,
        };
        match members.iter().map(pair).collect() {
            Some(pairs) => Some(pairs),
            None => self.misfit(name, "Not a valid string."),
        }
    }

    fn misfit<T>(&mut self, name: &str, fault: &str) -> Option<T> {
        self.fault(name, fault);
        None
    }
}

const NULL: &str = "This field may not be null.";

const WRONG_TIME: &str =
    "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm:ss[.uuuuuu](+HH:MM|-HH:MM|Z).";

/// In Python's words.
fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// A clause, as errors have it, as a sentence.
pub fn sentence(clause: &str) -> String {
    let mut letters = clause.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).chain(['.']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::scope::Scope;

    /// What one value is read as, or the sentence that it deserves.
    fn judge<T>(fields: Fields, take: impl FnOnce(&mut Fields) -> Option<T>) -> Result<Option<T>, String> {
        let mut fields = fields;
        let taken = take(&mut fields);
        fields.finish().map(|()| taken).map_err(|faults| faults["f"][0].as_str().unwrap().to_owned())
    }

    fn body(value: &Value) -> Fields {
        Fields::new(json!({ "f": value }).as_object().unwrap().clone())
    }

    fn form(text: &str) -> Fields {
        Fields::of_texts(json!({ "f": text }).as_object().unwrap().clone())
    }

    #[test]
    fn pairs_are_texts_by_names() {
        let pairs = |value: Value| judge(body(&value), |fields| fields.pairs("f"));
        assert_eq!(pairs(json!({"a": "b", "c": ""})).unwrap().unwrap().len(), 2);
        assert_eq!(pairs(json!({})), Ok(Some(Vec::new())));
        for (value, fault) in [
            (json!(null), "This field may not be null."),
            (json!(["a"]), "Expected a dictionary of items but got type \"list\"."),
            (json!({"a": 1}), "Not a valid string."),
            (json!({"a": null}), "Not a valid string."),
            (json!({"a": "\u{10FFFE}D800\u{10FFFE}"}), "Not a valid string."),
            (json!({"\u{10FFFE}D800\u{10FFFE}": "a"}), "Not a valid string."),
        ] {
            assert_eq!(pairs(value.clone()), Err(fault.into()), "{value}");
        }
    }

    #[test]
    fn what_is_not_sent_is_no_fault() {
        let mut fields = Fields::default();
        assert_eq!((fields.line("f", 9), fields.flag("f"), fields.number("f", 0..=9)), (None, None, None));
        assert_eq!((fields.time("f"), fields.list("f", 9, Scope::parse)), (None, None));
        assert!(!fields.is_null("f"));
        fields.require("f");
        assert_eq!(fields.finish(), Err(json!({ "f": ["This field is required."] })));
    }

    #[test]
    fn a_line_is_a_text_and_nothing_that_could_pass_for_one() {
        let line = |value: Value| judge(body(&value), |fields| fields.line("f", 5));
        assert_eq!(line(json!(" a b ")), Ok(Some("a b".into())));
        assert_eq!(line(json!("  ")), Ok(Some(String::new())));
        assert_eq!(line(json!("ααααα")), Ok(Some("ααααα".into())));
        for (value, fault) in [
            (json!(5), "Not a valid string."),
            (json!(true), "Not a valid string."),
            (json!([]), "Not a valid string."),
            (json!(null), "This field may not be null."),
            (json!("a\u{0}"), "Null characters are not allowed."),
            (json!("a\nb"), "Control characters are not allowed."),
            (json!("a\u{10FFFE}D800"), "Surrogate characters are not allowed: U+D800."),
            (json!("123456"), "Ensure this field has no more than 5 characters."),
        ] {
            assert_eq!(line(value.clone()), Err(fault.into()), "{value}");
        }
        let filled = judge(body(&json!(" ")), |fields| fields.filled_line("f", 5));
        assert_eq!(filled, Err("This field may not be blank.".into()));
    }

    #[test]
    fn flags_and_numbers_are_read_from_text_only_where_all_is_text() {
        let flag = |fields: Fields| judge(fields, |fields| fields.flag("f"));
        assert_eq!(flag(body(&json!(false))), Ok(Some(false)));
        assert_eq!(flag(form("true")), Ok(Some(true)));
        for fields in [body(&json!("true")), body(&json!(1)), body(&json!([])), form("True"), form("")] {
            assert_eq!(flag(fields), Err("Must be a valid boolean.".into()));
        }
        let number = |fields: Fields| judge(fields, |fields| fields.number("f", 1..=20));
        assert_eq!((number(body(&json!(20))), number(form("020"))), (Ok(Some(20)), Ok(Some(20))));
        for fields in
            [body(&json!("5")), body(&json!(1.0)), body(&json!(true)), form(""), form("+5"), form("5 "), form("-")]
        {
            assert_eq!(number(fields), Err("A valid integer is required.".into()));
        }
        for fields in [body(&json!(0)), body(&json!(-30)), form("-1")] {
            assert_eq!(number(fields), Err("Ensure this value is greater than or equal to 1.".into()));
        }
        for fields in [body(&json!(21)), form("99999999999999999999999")] {
            assert_eq!(number(fields), Err("Ensure this value is less than or equal to 20.".into()));
        }
        for value in [flag(body(&json!(null))).unwrap_err(), number(body(&json!(null))).unwrap_err()] {
            assert_eq!(value, NULL);
        }
    }

    #[test]
    fn times_name_their_offset() {
        let time = |value: Value| judge(body(&value), |fields| fields.time("f"));
        assert_eq!(time(json!("1970-01-01T00:00:01Z")), Ok(Some(Timestamp::from_secs(1))));
        for value in [json!("1970-01-01"), json!(1), json!(""), json!({})] {
            assert_eq!(time(value), Err(WRONG_TIME.into()));
        }
        assert_eq!(time(json!(null)), Err(NULL.into()));
    }

    #[test]
    fn lists_hold_texts_that_fit() {
        let list = |value: Value| judge(body(&value), |fields| fields.list("f", 2, Scope::parse));
        assert_eq!(list(json!(["a", "b"])).unwrap().unwrap().len(), 2);
        assert_eq!(list(json!([])), Ok(Some(Vec::new())));
        for (value, fault) in [
            (json!("a"), "Expected a list of items but got type \"str\"."),
            (json!({"a": 1}), "Expected a list of items but got type \"dict\"."),
            (json!(1.5), "Expected a list of items but got type \"float\"."),
            (json!(null), NULL),
            (json!(["a", 1]), "Not a valid string."),
            (json!(["a", null]), "Not a valid string."),
            (json!(["a b"]), "A scope is 1 to 64 of the characters a-z A-Z 0-9 : . _ - / *."),
            (json!(["a", "b", "c"]), "Ensure this field has no more than 2 elements."),
        ] {
            assert_eq!(list(value.clone()), Err(fault.into()), "{value}");
        }
    }
}
