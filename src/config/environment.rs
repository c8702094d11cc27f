//! `${NAME}` in a value, and where names get their values from.

use std::collections::BTreeMap;

/// The variables a configuration may refer to.
pub trait Environment {
    /// `None` when it is not set, or is not UTF-8.
    fn variable(&self, name: &str) -> Option<String>;
}

/// The environment of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "this is the one place where the process environment is read")]
    fn variable(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }
}

/// A fixed environment, so that a test says all that is in it.
impl Environment for BTreeMap<String, String> {
    fn variable(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

/// Why a value could not be filled in. Names of variables are no secrets; what they hold is, so it is not here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfilled {
    #[error("the environment variable {0} is not set")]
    Unset(String),
    #[error("a `$` stands alone")]
    LoneDollar,
    #[error("`${{` is not followed by a name and `}}`")]
    BadName,
}

impl Unfilled {
    pub fn remedy(&self) -> String {
        match self {
            Self::Unset(name) => format!("set {name}, or write the value here if it is no secret"),
            Self::LoneDollar => "write $$ for a dollar sign, or ${NAME} for an environment variable".to_owned(),
            Self::BadName => {
                "write ${NAME}, where a name is letters, digits and underscores, and $$ for a dollar sign".to_owned()
            }
        }
    }
}

/// Whether anything in `written` comes from the environment.
pub fn refers_to_environment(written: &str) -> bool {
    written.replace("$$", "").contains("${")
}

/// Replaces each `${NAME}` and makes `$$` one dollar sign. What a variable holds is taken as it is: a dollar sign in it
/// means nothing.
pub fn fill(written: &str, environment: &dyn Environment) -> Result<String, Unfilled> {
    let mut filled = String::new();
    let mut rest = written;
    while let Some((before, after)) = rest.split_once('$') {
        filled.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            filled.push('$');
            rest = after;
            continue;
        }
        let Some(after) = after.strip_prefix('{') else { return Err(Unfilled::LoneDollar) };
        let (name, after) = after.split_once('}').ok_or(Unfilled::BadName)?;
        if !is_name(name) {
            return Err(Unfilled::BadName);
        }
        filled.push_str(&environment.variable(name).ok_or_else(|| Unfilled::Unset(name.to_owned()))?);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(written: &str) -> Result<String, Unfilled> {
        let environment = BTreeMap::from([("A".to_owned(), "one".to_owned()), ("B_2".to_owned(), "$${A}".to_owned())]);
        fill(written, &environment)
    }

    #[test]
    fn variables_are_filled_in_once() {
        assert_eq!(filled("plain").as_deref(), Ok("plain"));
        assert_eq!(filled("<${A}-${A}>").as_deref(), Ok("<one-one>"));
        assert_eq!(filled("${B_2}").as_deref(), Ok("$${A}"));
        assert_eq!(filled("pa$$word $${A}").as_deref(), Ok("pa$word ${A}"));
        assert_eq!(filled("$$$$").as_deref(), Ok("$$"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert_eq!(filled("${C}"), Err(Unfilled::Unset("C".into())));
        assert_eq!(filled("$A"), Err(Unfilled::LoneDollar));
        assert_eq!(filled("a$"), Err(Unfilled::LoneDollar));
        for text in ["${", "${}", "${A", "${1A}", "${A-b}", "${A:-x}"] {
            assert_eq!(filled(text), Err(Unfilled::BadName), "{text}");
        }
    }

    #[test]
    fn an_escaped_dollar_refers_to_nothing() {
        assert!(refers_to_environment("x${A}"));
        assert!(refers_to_environment("$$${A}"));
        assert!(!refers_to_environment("$${A}"));
        assert!(!refers_to_environment("plain"));
    }
}
