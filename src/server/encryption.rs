//! TLS towards clients, as the configuration has it.

use std::sync::Arc;

use http::HeaderValue;
use rustls::version::{TLS12, TLS13};

use super::start_error::StartError;
use crate::config::settings::{Https, ServerCertificate, TlsVersion};
use crate::domain::clock::Timestamp;
use crate::edge::wire::{Certificates, Encryption};
use crate::telemetry::tls_metrics::TlsMetrics;

pub fn encryption(https: &Https, metrics: &Arc<TlsMetrics>) -> Result<Encryption, StartError> {
    let mut certificates = Certificates::default();
    for certificate in &https.certificates {
        certificates.add(&certificate.names, &certificate.key);
    }
    let versions: &[_] = match https.min_version {
        TlsVersion::Tls12 => &[&TLS13, &TLS12],
        TlsVersion::Tls13 => &[&TLS13],
    };
    let made = Encryption::new(certificates, versions, Arc::clone(metrics));
    made.map_err(|error| StartError::Process(format!("listen.https: {error}")))
}

/// For the host that the browser asked, and none below it: others may serve those.
pub fn hsts(https: Option<&Https>) -> Option<HeaderValue> {
    HeaderValue::from_str(&format!("max-age={}", https?.hsts?.as_secs())).ok()
}

/// When each certificate expires, by what it is called.
pub fn expiries(https: &Https) -> impl Iterator<Item = (&str, i64)> {
    https.certificates.iter().map(|certificate| (certificate.label(), certificate.not_after.as_secs()))
}

/// A sentence for each certificate that no client takes at this moment. The gateway starts all the same: what it serves
/// in the clear works, and a clock may be wrong.
pub fn untimely(https: &Https, now: Timestamp) -> Vec<String> {
    let sentence = |certificate: &ServerCertificate| {
        let name = certificate.label();
        if certificate.not_after < now {
            let since = certificate.not_after.rfc3339();
            Some(format!("listen.https: the certificate for {name} has expired at {since}; renew it and reload"))
        } else if certificate.not_before > now {
            let from = certificate.not_before.rfc3339();
            Some(format!("listen.https: the certificate for {name} is good only from {from}; check the clock"))
        } else {
            None
        }
    };
    https.certificates.iter().filter_map(sentence).collect()
}
