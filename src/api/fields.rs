//! Text fields, judged as clients of Django REST framework expect: every fault collected, white space stripped.

pub mod typed;

use serde_json::{Map, Value, json};

use crate::domain::secret::Secret;
use crate::identity::code_check::CodeForm;

/// What a body said, by field name.
#[derive(Debug, Default)]
pub struct Fields {
    values: Map<String, Value>,
    faults: Map<String, Value>,
    /// Of a form or a query.
    all_texts: bool,
}

/// Stands before and after the four hex digits of a lone surrogate, which no Rust string can hold. A noncharacter, so it
/// means nothing in any text.
pub const SURROGATE_MARK: char = '\u{10FFFE}';

impl Fields {
    pub fn new(values: Map<String, Value>) -> Self {
        Self { values, ..Self::default() }
    }

    /// From a form or a query, where every value is a text.
    pub fn of_texts(values: Map<String, Value>) -> Self {
        Self { values, all_texts: true, ..Self::default() }
    }

    /// A required text. When it does not fit, the fault is noted and the text is empty: ask [`Fields::finish`] before using it.
    pub fn text(&mut self, name: &str) -> String {
        self.taken(name, read(self.values.get(name), Ends::Stripped))
    }

    /// As [`Fields::text`], for a password: compared whole, so that white space at its ends counts, unless `stripped` as it
    /// is where passwords of the Django stack are checked.
    pub fn password(&mut self, name: &str, stripped: bool) -> Secret<String> {
        let ends = if stripped { Ends::Stripped } else { Ends::Kept };
        Secret::new(self.taken(name, read(self.values.get(name), ends)))
    }

    fn taken(&mut self, name: &str, read: Result<String, String>) -> String {
        read.unwrap_or_else(|fault| {
            self.fault(name, &fault);
            String::new()
        })
    }

    /// A text that may be left out or null. When it is there, it must fit.
    pub fn optional_text(&mut self, name: &str) -> Option<String> {
        match self.values.get(name) {
            None | Some(Value::Null) => None,
            Some(_) => Some(self.text(name)),
        }
    }

    pub fn optional_secret(&mut self, name: &str) -> Option<Secret<String>> {
        self.optional_text(name).map(Secret::new)
    }

    /// A required one-time code. A code is a text: a number, and white space, are a text only where the Django stack's clients
    /// may send them.
    pub fn code(&mut self, name: &str, form: CodeForm) -> Secret<String> {
        if form == CodeForm::Exact && matches!(self.values.get(name), Some(Value::Number(_))) {
            self.fault(name, NO_TEXT);
            return Secret::new(String::new());
        }
        self.password(name, form == CodeForm::Django)
    }

    /// As [`Fields::code`], but it may be left out or null.
    pub fn optional_code(&mut self, name: &str, form: CodeForm) -> Option<Secret<String>> {
        self.has(name).then(|| self.code(name, form))
    }

    /// A text as it was sent, with its white space; whatever Python takes for false is none. Tells of nothing else but what
    /// can be no text at all.
    pub fn unjudged(&mut self, name: &str) -> Option<Secret<String>> {
        match self.values.get(name)? {
            Value::String(text) if text.contains(SURROGATE_MARK) => Some(self.password(name, false)),
            Value::String(text) => (!text.is_empty()).then(|| Secret::new(text.clone())),
            Value::Number(number) => (number.as_f64() != Some(0.0)).then(|| Secret::new(number.to_string())),
            Value::Null | Value::Bool(false) => None,
            Value::Array(list) if list.is_empty() => None,
            Value::Object(map) if map.is_empty() => None,
            Value::Bool(true) | Value::Array(_) | Value::Object(_) => {
                self.fault(name, NO_TEXT);
                None
            }
        }
    }

    /// Whether it is there and not null.
    pub fn has(&self, name: &str) -> bool {
        !matches!(self.values.get(name), None | Some(Value::Null))
    }

    pub fn fault(&mut self, name: &str, message: &str) {
        self.faults.insert(name.to_owned(), json!([message]));
    }

    /// The collected faults, if there are any.
    pub fn finish(self) -> Result<(), Value> {
        if self.faults.is_empty() { Ok(()) } else { Err(Value::Object(self.faults)) }
    }
}

const NO_TEXT: &str = "Not a valid string.";

/// White space at the ends of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    Stripped,
    Kept,
}

fn read(value: Option<&Value>, ends: Ends) -> Result<String, String> {
    let text = match value {
        None => return Err("This field is required.".to_owned()),
        Some(Value::Null) => return Err("This field may not be null.".to_owned()),
        Some(Value::Bool(_) | Value::Array(_) | Value::Object(_)) => return Err(NO_TEXT.to_owned()),
        Some(Value::Number(number)) => number.to_string(),
        Some(Value::String(text)) if ends == Ends::Stripped => strip(text).to_owned(),
        Some(Value::String(text)) => text.clone(),
    };
    // Of white space alone no password is made either.
    if strip(&text).is_empty() {
        return Err("This field may not be blank.".to_owned());
    }
    if text.contains('\0') {
        return Err("Null characters are not allowed.".to_owned());
    }
    match surrogate(&text) {
        Some(digits) => Err(format!("Surrogate characters are not allowed: U+{digits}.")),
        None => Ok(text),
    }
}

/// The hex digits of the first lone surrogate.
fn surrogate(text: &str) -> Option<&str> {
    text.split(SURROGATE_MARK)
        .skip(1)
        .find(|part| part.len() == 4 && part.starts_with('D') && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// White space as Python's `str.strip` knows it: Unicode's, and the four information separators.
fn strip(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(value: Value) -> Result<String, String> {
        let mut fields = Fields::new(json!({ "f": value }).as_object().unwrap().clone());
        let text = fields.text("f");
        fields.finish().map(|()| text).map_err(|faults| faults["f"][0].as_str().unwrap().to_owned())
    }

    #[test]
    fn texts_and_numbers_are_taken_and_stripped() {
        assert_eq!(judge(json!("  a b\u{a0}")), Ok("a b".into()));
        assert_eq!(judge(json!(5)), Ok("5".into()));
        assert_eq!(judge(json!(1.5)), Ok("1.5".into()));
        assert_eq!(judge(json!("\u{202e}rtl")), Ok("\u{202e}rtl".into()));
        for odd in ["\u{10FFFE}", "\u{10FFFE}\u{10FFFE}"] {
            assert_eq!(judge(json!(odd)), Ok(odd.into()), "a noncharacter is one all the same");
        }
    }

    #[test]
    fn a_password_is_taken_whole_where_it_is_compared_whole() {
        let judge = |value: Value, stripped| {
            let mut fields = Fields::new(json!({ "f": value }).as_object().unwrap().clone());
            let text = fields.password("f", stripped);
            fields
                .finish()
                .map(|()| text.expose().clone())
                .map_err(|faults| faults["f"][0].as_str().unwrap().to_owned())
        };
        assert_eq!(judge(json!(" a b\t"), false), Ok(" a b\t".into()));
        assert_eq!(judge(json!(" a b\t"), true), Ok("a b".into()));
        for blank in ["", "   ", "\t\u{a0}"] {
            assert_eq!(judge(json!(blank), false), Err("This field may not be blank.".into()), "{blank:?}");
        }
        assert_eq!(judge(json!("a\u{0}"), false), Err("Null characters are not allowed.".into()));
        assert_eq!(judge(json!(["a"]), false), Err("Not a valid string.".into()));
    }

    #[test]
    fn every_fault_has_its_sentence() {
        for (value, sentence) in [
            (json!(null), "This field may not be null."),
            (json!(""), "This field may not be blank."),
            (json!(" \t\u{1f}"), "This field may not be blank."),
            (json!(true), "Not a valid string."),
            (json!([1]), "Not a valid string."),
            (json!({}), "Not a valid string."),
            (json!("a\u{0}b"), "Null characters are not allowed."),
            (json!("a\u{10FFFE}D800\u{10FFFE}"), "Surrogate characters are not allowed: U+D800."),
        ] {
            assert_eq!(judge(value.clone()), Err(sentence.into()), "{value}");
        }
        let mut fields = Fields::default();
        fields.text("a");
        fields.text("b");
        let required = json!(["This field is required."]);
        assert_eq!(fields.finish().unwrap_err(), json!({"a": required, "b": required}));
    }
}
