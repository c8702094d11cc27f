use crate::config::secret_value;
use crate::config::section::Section;
use crate::config::settings::{Log, LogPlace};

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

pub fn read(mut section: Section<'_>) -> Log {
    let access = place(&mut section, "access", "requests leave no trace");
    let audit = place(&mut section, "audit", "changes of identities and failed proofs are seen in the store only");
    let level = section.optional("level").and_then(|value| {
        let remedy = "write error, warn, info, debug, trace or off, or such as info,portcullis=debug";
        value.parsed(|text| is_filter(text).then(|| text.to_owned()), "a log level", remedy)
    });
    Log { access, audit, level: level.unwrap_or_else(|| "info".to_owned()) }
}

fn place(section: &mut Section<'_>, key: &str, when_off: &str) -> LogPlace {
    let place = section.optional(key).and_then(|value| {
        if value.is_mapping() {
            return secret_value::path(&value).map(LogPlace::File);
        }
        match value.text()?.as_str() {
            "stdout" => Some(LogPlace::Stdout),
            "off" => {
                value.warn(when_off, "write stdout or { file: PATH }");
                Some(LogPlace::Off)
            }
            _ => {
                value
                    .fault(format!("{} is no place for a log", value.written()), "write stdout, off or { file: PATH }");
                None
            }
        }
    });
    place.unwrap_or(LogPlace::Stdout)
}

/// The part of `tracing`'s filter language that has no surprises: there, a misspelt level is the name of a target.
fn is_filter(text: &str) -> bool {
    text.split(',').all(|directive| {
        let (target, level) = directive.split_once('=').unwrap_or(("any", directive));
        let is_target = !target.is_empty() && target.bytes().all(|b| b.is_ascii_alphanumeric() || b"_:".contains(&b));
        is_target && LEVELS.contains(&level)
    })
}
