//! The trial of the templates at start.

use std::collections::BTreeSet;

use minijinja::value::Serde;
use minijinja::{Error, Template};

use super::sources::{Source, Sources};
use super::{Form, TemplateFault, Templates};
use crate::identity::mail_values::MailValues;

impl Templates {
    /// Everything that is wrong with the templates of one kind, apart from those that could not be parsed.
    pub(super) fn check<V: MailValues>(&self, sources: &Sources) -> Vec<TemplateFault> {
        let samples = V::samples();
        let known = self.known_names(&samples);
        let mut faults = Vec::new();
        for form in Form::ALL {
            let name = form.name(V::KIND);
            let (Some(source), Ok(template)) = (sources.get(&name), self.environment.get_template(&name)) else {
                continue;
            };
            let needed = match form {
                Form::Subject => &[],
                Form::Text | Form::Html => V::NEEDED,
            };
            let misnamed = misnamed(&template, source, &known, needed);
            if misnamed.is_empty() {
                faults.extend(samples.iter().find_map(|sample| try_out(&template, form, source, sample)));
            }
            faults.extend(misnamed);
        }
        faults
    }

    fn known_names<V: MailValues>(&self, samples: &[V]) -> BTreeSet<String> {
        let globals = self.environment.globals().map(|(name, _)| name.to_owned());
        let values = samples.first().and_then(|sample| serde_json::to_value(sample).ok());
        let fields = values.as_ref().and_then(|values| values.as_object()).into_iter().flat_map(|fields| fields.keys());
        globals.chain(fields.cloned()).collect()
    }
}

/// Names that nobody fills in, also in branches that no sample leads to, and those that are missing.
fn misnamed(
    template: &Template<'_, '_>,
    source: &Source,
    known: &BTreeSet<String>,
    needed: &[&str],
) -> Vec<TemplateFault> {
    let used: BTreeSet<String> = template.undeclared_variables(false).into_iter().collect();
    let unknown = used.difference(known).map(|name| TemplateFault {
        file: source.file.clone(),
        line: line_of(&source.text, name),
        problem: format!("there is no value \"{name}\" here; choose from {}", listed(known)),
    });
    let missing = needed.iter().filter(|name| !used.contains(**name)).map(|name| TemplateFault {
        file: source.file.clone(),
        line: 0,
        problem: format!("{{{{ {name} }}}} is missing, and the mail is useless without it"),
    });
    unknown.chain(missing).collect()
}

fn try_out<V: MailValues>(
    template: &Template<'_, '_>,
    form: Form,
    source: &Source,
    sample: &V,
) -> Option<TemplateFault> {
    let problem = match template.render(Serde(sample)) {
        Err(error) => return Some(fault(source, &error)),
        Ok(text) if text.trim().is_empty() => "nothing comes of this template",
        Ok(text) if matches!(form, Form::Subject) && text.trim().lines().count() > 1 => "a subject is one line",
        Ok(_) => return None,
    };
    Some(TemplateFault { file: source.file.clone(), line: 0, problem: problem.to_owned() })
}

/// What the engine found, in our words.
pub(super) fn fault(source: &Source, error: &Error) -> TemplateFault {
    let problem = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    TemplateFault { file: source.file.clone(), line: error.line().unwrap_or(0), problem }
}

/// The names of values, without the functions that the language has.
fn listed(known: &BTreeSet<String>) -> String {
    const FUNCTIONS: [&str; 4] = ["debug", "dict", "namespace", "range"];
    let values: Vec<&str> = known.iter().map(String::as_str).filter(|name| !FUNCTIONS.contains(name)).collect();
    values.join(", ")
}

/// Where a name is used first.
fn line_of(text: &str, name: &str) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let uses = |line: &str| line.split(|c| !is_word(c)).any(|word| word == name);
    text.lines().position(uses).map_or(0, |index| index + 1)
}
