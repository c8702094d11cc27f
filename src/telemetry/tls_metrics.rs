//! What there is to tell where clients are served over TLS.

use std::collections::BTreeMap;

use prometheus::{IntCounterVec, IntGaugeVec};

use super::metrics::Metrics;

/// How a connection to the TLS listener began. One that is closed before it says anything is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeOutcome {
    Completed,
    /// No version, cipher or protocol in common, a certificate that the client does not trust, a broken message.
    Failed,
    TimedOut,
    /// The first byte is of something else, plain HTTP most likely.
    NotTls,
}

impl HandshakeOutcome {
    const ALL: [Self; 4] = [Self::Completed, Self::Failed, Self::TimedOut, Self::NotTls];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::NotTls => "not_tls",
        }
    }
}

pub struct TlsMetrics {
    handshakes: IntCounterVec,
    expiry: IntGaugeVec,
}

impl TlsMetrics {
    /// Among the metrics from here on. Without a TLS listener there are none of these, so that no alarm stands on a zero.
    pub fn register(metrics: &Metrics) -> Result<Self, prometheus::Error> {
        let new = metrics.registrar();
        let handshakes =
            new.counters("portcullis_tls_handshakes_total", "Beginnings of TLS connections by outcome.", &["outcome"])?;
        let expiry = new.gauges(
            "portcullis_tls_certificate_expiry_timestamp_seconds",
            "When the certificate in force for a name expires, in seconds since 1970.",
            &["name"],
        )?;
        for outcome in HandshakeOutcome::ALL {
            handshakes.with_label_values(&[outcome.as_str()]);
        }
        Ok(Self { handshakes, expiry })
    }

    pub fn handshake(&self, outcome: HandshakeOutcome) {
        self.handshakes.with_label_values(&[outcome.as_str()]).inc();
    }

    /// All certificates in force: a name of each, and when it expires. Of two with one name the first to expire counts.
    pub fn certificates<'a>(&self, expiries: impl IntoIterator<Item = (&'a str, i64)>) {
        let mut earliest = BTreeMap::new();
        for (name, expiry) in expiries {
            let known = earliest.entry(name).or_insert(expiry);
            *known = expiry.min(*known);
        }
        self.expiry.reset();
        for (name, expiry) in earliest {
            self.expiry.with_label_values(&[name]).set(expiry);
        }
    }
}
