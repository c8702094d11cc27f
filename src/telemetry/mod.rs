//! Metrics with closed label sets, the access log, the audit log, and diagnostics. Names no component: whoever is counted brings only
//! words from `domain` or from the sets here.

pub mod access_log;
pub mod audit_log;
pub mod cache_metrics;
pub mod diagnostics;
pub mod limit_metrics;
pub mod line_log;
pub mod metrics;
pub mod panics;
mod registrar;
pub mod shared_metrics;
