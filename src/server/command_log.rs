//! The audit log of a command: the lines of the server's, in the server's file.

use std::io;
use std::sync::OnceLock;

use prometheus::IntCounter;

use crate::config::settings::LogPlace;
use crate::domain::audit::{AuditEvent, Witness};
use crate::telemetry::audit_log::AuditLog;
use crate::telemetry::line_log::LineLog;

/// Opened by the first event: most commands only look, and must not make a file that the server then cannot write.
pub struct CommandLog {
    place: LogPlace,
    log: OnceLock<Option<AuditLog>>,
}

impl CommandLog {
    pub const fn new(place: LogPlace) -> Self {
        Self { place, log: OnceLock::new() }
    }

    fn open(&self) -> Option<AuditLog> {
        // Nobody scrapes the metrics of a command.
        let dropped = IntCounter::new("dropped", "dropped").ok()?;
        // What a command prints on standard output is for whoever called it, and may be JSON itself.
        let on_stderr = || LineLog::start(Box::new(io::stderr()), dropped.clone()).ok();
        let log = match &self.place {
            LogPlace::Off => None,
            LogPlace::Stdout => on_stderr(),
            // The command is done by now. Told on the wrong channel is better than not told.
            LogPlace::File(path) => LineLog::file(path, dropped.clone()).ok().or_else(on_stderr),
        };
        log.map(AuditLog::new)
    }
}

impl Witness for CommandLog {
    fn witness(&self, event: &AuditEvent) {
        if let Some(log) = self.log.get_or_init(|| self.open()) {
            log.witness(event);
        }
    }
}
