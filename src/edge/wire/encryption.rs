//! TLS, between the socket and the guard.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use pingora_core::listeners::tls::Acceptor;
use pingora_core::protocols::l4::stream::Stream as TcpStream;
use pingora_core::protocols::{Peek as _, Stream};
use rustls::crypto::ring;
use rustls::{ServerConfig, SupportedProtocolVersion};

use super::certificates::Certificates;
use crate::telemetry::tls_metrics::{HandshakeOutcome, TlsMetrics};

/// The first byte of whoever begins TLS (RFC 8446 5.1).
const HANDSHAKE: u8 = 22;

/// How connections are encrypted. Replaced as a whole, and then for connections that come after.
pub struct Encryption {
    acceptor: Acceptor,
    metrics: Arc<TlsMetrics>,
}

/// Why a connection goes no further.
enum Unusable {
    /// Closed before its first byte, as one who only looks whether anybody listens does.
    Silent,
    NotTls,
    Failed(Box<pingora_core::Error>),
}

impl Encryption {
    pub fn new(
        certificates: Certificates,
        versions: &[&'static SupportedProtocolVersion],
        metrics: Arc<TlsMetrics>,
    ) -> Result<Self, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(certificates));
        // The guard reads HTTP/1 and nothing else.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Tickets that the client keeps: what is kept here for each client would be as much as there are clients.
        config.ticketer = ring::Ticketer::new()?;
        Ok(Self { acceptor: Acceptor::from_server_config(Arc::new(config)), metrics })
    }

    /// The connection as it goes on, if it does.
    pub async fn begin(&self, stream: Stream, client: Option<IpAddr>, within: Duration) -> Option<Stream> {
        let stream = stream.into_any().downcast::<TcpStream>().ok()?;
        let (outcome, stream) = match tokio::time::timeout(within, self.shake_hands(*stream)).await {
            Ok(Ok(stream)) => (HandshakeOutcome::Completed, Some(stream)),
            Ok(Err(Unusable::Silent)) => return None,
            Ok(Err(Unusable::NotTls)) => (HandshakeOutcome::NotTls, None),
            Ok(Err(Unusable::Failed(error))) => {
                tracing::debug!(client = client.map(tracing::field::display), %error, "a TLS handshake failed");
                (HandshakeOutcome::Failed, None)
            }
            Err(_) => (HandshakeOutcome::TimedOut, None),
        };
        self.metrics.handshake(outcome);
        stream
    }

    async fn shake_hands(&self, mut stream: TcpStream) -> Result<Stream, Unusable> {
        let mut first = [0];
        stream.try_peek(&mut first).await.map_err(|_| Unusable::Silent)?;
        if first != [HANDSHAKE] {
            return Err(Unusable::NotTls);
        }
        Ok(Box::new(self.acceptor.tls_handshake(stream).await.map_err(Unusable::Failed)?))
    }
}

impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Encryption")
    }
}
