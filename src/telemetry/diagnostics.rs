//! What the process says about itself, as JSON lines on standard error.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// Starts diagnostics. Only this crate's own events are let through, whatever the filter says beside the level: libraries
/// log request heads and statements in their debug output, and credentials with them.
pub fn start(level: &str) {
    let level =
        level.parse::<tracing::level_filters::LevelFilter>().unwrap_or(tracing::level_filters::LevelFilter::INFO);
    let filter = EnvFilter::default().add_directive(tracing::level_filters::LevelFilter::OFF.into());
    let filter = match format!("portcullis={level}").parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    };
    // A second start, as in tests, keeps the first.
    let _ = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_span_events(FmtSpan::NONE)
        .with_current_span(false)
        .with_span_list(false)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .try_init();
}
