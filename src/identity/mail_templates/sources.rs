//! Where the templates are from: ours, or the operator's directory.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::{Form, KINDS, TemplateFault};

const MAX_BYTES: u64 = 256 * 1024;

macro_rules! built_in {
    ($($name:literal)+) => { [$(($name, include_str!($name))),+] };
}

const BUILT_IN: [(&str, &str); 15] = built_in![
    "password_reset.subject.txt"
    "password_reset.txt"
    "password_reset.html"
    "password_changed.subject.txt"
    "password_changed.txt"
    "password_changed.html"
    "second_factor_changed.subject.txt"
    "second_factor_changed.txt"
    "second_factor_changed.html"
    "recovery_code_used.subject.txt"
    "recovery_code_used.txt"
    "recovery_code_used.html"
    "key_reported.subject.txt"
    "key_reported.txt"
    "key_reported.html"
];

/// The text of a template, and what faults call it.
pub struct Source {
    pub file: String,
    pub text: String,
}

pub type Sources = BTreeMap<String, Source>;

/// All templates by name, with those in `directory` in the place of ours.
pub fn collect(directory: Option<&Path>) -> (Sources, Vec<TemplateFault>) {
    let built_in = |(name, text): (&str, &str)| {
        (name.to_owned(), Source { file: format!("(built in) {name}"), text: text.to_owned() })
    };
    let mut sources: Sources = BUILT_IN.into_iter().map(built_in).collect();
    let Some(directory) = directory else { return (sources, Vec::new()) };
    let (own, faults) = read(directory);
    for kind in KINDS {
        if own.contains_key(&Form::Text.name(kind)) {
            sources.remove(&Form::Html.name(kind));
        }
    }
    sources.extend(own);
    (sources, faults)
}

fn read(directory: &Path) -> (Sources, Vec<TemplateFault>) {
    let (mut sources, mut faults) = (Sources::new(), Vec::new());
    let fault = |path: &Path, problem: String| TemplateFault { file: path.display().to_string(), line: 0, problem };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return (sources, vec![fault(directory, format!("the directory cannot be read ({error})"))]),
    };
    let known: Vec<String> = KINDS.iter().flat_map(|kind| Form::ALL.map(|form| form.name(*kind))).collect();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let meant = (name.ends_with(".txt") || name.ends_with(".html")) && !name.starts_with('.');
        if known.contains(&name) {
            match read_file(&path) {
                Ok(text) => {
                    sources.insert(name, Source { file: path.display().to_string(), text });
                }
                Err(problem) => faults.push(fault(&path, problem)),
            }
        } else if meant {
            // Else a misspelt name would leave ours in force without a word.
            faults.push(fault(&path, format!("no template has this name; choose from {}", known.join(", "))));
        }
    }
    faults.sort_by(|a, b| a.file.cmp(&b.file));
    (sources, faults)
}

fn read_file(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("the file cannot be read ({error})");
    // Looked at before it is opened, because opening a pipe waits for its writer.
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("this is not a plain file".to_owned());
    }
    let mut bytes = Vec::new();
    fs::File::open(path).map_err(unreadable)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_BYTES {
        return Err("the file is larger than 256 KiB".to_owned());
    }
    String::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned())
}
