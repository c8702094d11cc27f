//! The access log and the audit log, where the settings want them.

use prometheus::IntCounter;

use super::start_error::StartError;
use crate::config::settings::LogPlace;
use crate::telemetry::access_log::AccessLog;
use crate::telemetry::audit_log::AuditLog;
use crate::telemetry::line_log::LineLog;
use crate::telemetry::metrics::Metrics;

pub fn audit_log(place: &LogPlace, metrics: &Metrics) -> Result<AuditLog, StartError> {
    line_log(place, metrics.audit_log_dropped.clone()).map(AuditLog::new)
}

pub fn access_log(place: &LogPlace, metrics: &Metrics) -> Result<AccessLog, StartError> {
    line_log(place, metrics.access_log_dropped.clone())
}

fn line_log(place: &LogPlace, dropped: IntCounter) -> Result<LineLog, StartError> {
    let opened = match place {
        LogPlace::Off => Ok(LineLog::off(dropped)),
        LogPlace::Stdout => LineLog::stdout(dropped),
        LogPlace::File(path) => LineLog::file(path, dropped),
    };
    opened.map_err(|error| StartError::Log(error.to_string()))
}
