//! The texts of mails, and how an operator puts others in their place.
//!
//! A kind of mail has a subject, a text and perhaps an HTML form: `password_reset.subject.txt`, `password_reset.txt`,
//! `password_reset.html`, in the language of Jinja. A file of such a name in the operator's directory takes the place of
//! ours. Whoever brings a text without HTML gets mail without HTML, because most readers would be shown ours.
//!
//! All of them are tried at start, with every variant of their values, so that no mail fails over a slip in a template.

mod checking;
mod sources;

use std::fmt;
use std::path::Path;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};

use super::mail_values::{
    KeyReported, MailValues, PasswordChanged, PasswordReset, RecoveryCodeUsed, SecondFactorChanged,
};
use crate::domain::mail::{MailKind, Message, Subject};
use crate::domain::secret::Secret;
use crate::domain::user::Email;

/// The kinds that are written from templates.
const KINDS: [MailKind; 5] =
    [PasswordReset::KIND, PasswordChanged::KIND, SecondFactorChanged::KIND, RecoveryCodeUsed::KIND, KeyReported::KIND];

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFault {
    pub file: String,
    /// Counted from one; zero when the fault belongs to the file as a whole.
    pub line: usize,
    pub problem: String,
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// A template that went through the trial and fails all the same. Does not say with which values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the template {name} fails in line {line}")]
pub struct RenderError {
    pub name: String,
    pub line: usize,
}

pub struct Templates {
    environment: Environment<'static>,
}

/// The three forms of a mail.
#[derive(Clone, Copy)]
enum Form {
    Subject,
    Text,
    Html,
}

impl Form {
    const ALL: [Self; 3] = [Self::Subject, Self::Text, Self::Html];

    /// The ending also says whether values are escaped.
    fn name(self, kind: MailKind) -> String {
        let ending = match self {
            Self::Subject => "subject.txt",
            Self::Text => "txt",
            Self::Html => "html",
        };
        format!("{}.{ending}", kind.as_str())
    }
}

impl Templates {
    /// Reads and tries all templates. `service` is what mails call the place that they are about.
    ///
    /// # Errors
    /// Everything that is wrong with the files in `directory`.
    pub fn load(directory: Option<&Path>, service: &str) -> Result<Self, Vec<TemplateFault>> {
        let (sources, mut faults) = sources::collect(directory);
        let mut environment = Environment::new();
        // A name that nobody fills in is a slip, not an empty word.
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // A line that holds only a tag leaves no line behind.
        if let Ok(syntax) = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build() {
            environment.set_syntax(syntax);
        }
        environment.add_global("service", service);
        for (name, source) in &sources {
            if let Err(error) = environment.add_template_owned(name.clone(), source.text.clone()) {
                faults.push(checking::fault(source, &error));
            }
        }
        let templates = Self { environment };
        faults.extend(templates.check::<PasswordReset>(&sources));
        faults.extend(templates.check::<PasswordChanged>(&sources));
        faults.extend(templates.check::<SecondFactorChanged>(&sources));
        faults.extend(templates.check::<RecoveryCodeUsed>(&sources));
        faults.extend(templates.check::<KeyReported>(&sources));
        if faults.is_empty() { Ok(templates) } else { Err(faults) }
    }

    pub fn render<V: MailValues>(&self, to: Email, values: &V) -> Result<Message, RenderError> {
        let values = Value::from(Serde(values));
        let subject = self.form(Form::Subject.name(V::KIND), &values)?;
        let html = Form::Html.name(V::KIND);
        Ok(Message {
            to,
            subject: Subject::new(subject.expose()),
            text: self.form(Form::Text.name(V::KIND), &values)?,
            html: match self.environment.get_template(&html) {
                Ok(_) => Some(self.form(html, &values)?),
                Err(_) => None,
            },
        })
    }

    fn form(&self, name: String, values: &Value) -> Result<Secret<String>, RenderError> {
        let rendered = self.environment.get_template(&name).and_then(|template| template.render(values.clone()));
        rendered.map(Secret::new).map_err(|error| RenderError { line: error.line().unwrap_or(0), name })
    }
}

#[cfg(test)]
mod tests;
