//! What the process says about itself, as JSON lines on standard error.

use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;

type SetLevel = Box<dyn Fn(&str) + Send + Sync>;

/// Gives the one subscriber of the process another filter.
static RELOAD: OnceLock<SetLevel> = OnceLock::new();

/// This crate, as the origin of an event.
const OURS: &str = "portcullis";

/// Starts diagnostics. Only this crate's own events are let through, whatever the filter says beside the level: libraries
/// log request heads and statements in their debug output, and credentials with them.
pub fn start(level: &str) {
    let builder = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_events(FmtSpan::NONE)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(std::io::stderr)
        .with_env_filter(filter(level))
        .with_filter_reloading();
    let handle = builder.reload_handle();
    // A second start, as in tests, keeps the first.
    if builder.try_init().is_ok() {
        let _ = RELOAD.set(Box::new(move |level| {
            let _ = handle.reload(filter(level));
        }));
    }
}

/// Changes the level of what was started.
pub fn set_level(level: &str) {
    if let Some(reload) = RELOAD.get() {
        reload(level);
    }
}

/// `info,portcullis::edge=debug` as a filter. A level that names no part is for all of this crate.
fn filter(level: &str) -> EnvFilter {
    let none = EnvFilter::default().add_directive(LevelFilter::OFF.into());
    level.split(',').fold(none, |filter, directive| {
        let (part, level) = directive.split_once('=').unwrap_or((OURS, directive));
        let ours = part.strip_prefix(OURS).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
        match format!("{part}={level}").parse() {
            Ok(directive) if ours => filter.add_directive(directive),
            _ => filter,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::filter;

    #[test]
    fn levels_may_differ_between_parts_and_libraries_stay_silent() {
        let shown = |level: &str| {
            let mut parts: Vec<String> = filter(level).to_string().split(',').map(str::to_owned).collect();
            parts.sort();
            parts.join(" ")
        };
        assert_eq!(shown("debug"), "off portcullis=debug");
        assert_eq!(shown("warn,portcullis=debug"), "off portcullis=debug");
        assert_eq!(shown("info,portcullis::edge=trace"), "off portcullis::edge=trace portcullis=info");
        assert_eq!(shown("info,sqlx=trace,portcullis_not=trace"), "off portcullis=info");
    }
}
