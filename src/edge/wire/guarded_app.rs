//! Puts a guard before every connection of a Pingora application.

use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora_core::apps::ServerApp;
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;

use super::guarded_stream::{GuardedStream, WireSettings, peer_of};

/// What is spoken on the sockets that connections come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Plain,
    Tls,
}

/// An application that only sees what [`GuardedStream`] lets through.
/// Both the application and the settings may be replaced, and are then for connections that come after.
pub struct GuardedApp<A> {
    inner: Arc<ArcSwap<A>>,
    settings: Arc<ArcSwap<WireSettings>>,
    transport: Transport,
    /// Whether connections that wait for their next request are told when no new ones are taken.
    tells: Box<dyn Fn() -> bool + Send + Sync>,
}

impl<A> GuardedApp<A> {
    pub fn new(
        inner: Arc<ArcSwap<A>>,
        settings: Arc<ArcSwap<WireSettings>>,
        transport: Transport,
        tells: impl Fn() -> bool + Send + Sync + 'static,
    ) -> Self {
        Self { inner, settings, transport, tells: Box::new(tells) }
    }
}

#[async_trait]
impl<A: ServerApp + Send + Sync + 'static> ServerApp for GuardedApp<A> {
    async fn process_new(self: &Arc<Self>, stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        // What the application gives back for another round is still guarded, and what the guard holds would be lost
        // behind a second one.
        let guarded: Stream = if stream.as_any().is::<GuardedStream>() {
            stream
        } else {
            let settings = self.settings.load_full();
            let client = peer_of(&stream).map(|peer| peer.ip());
            // From here on it counts, also while it only begins to speak TLS.
            let place = settings.connections.enter(&settings.connection_bounds, client)?;
            let stream = match self.transport {
                Transport::Plain => stream,
                Transport::Tls => settings.encryption.as_ref()?.begin(stream, client, settings.head_timeout).await?,
            };
            Box::new(GuardedStream::new(stream, settings, place))
        };
        A::process_new(&self.inner.load_full(), guarded, shutdown).await
    }

    async fn cleanup(&self) {
        // Closing them would race with the request that is just being sent. Where there is time they end with an answer.
        if (self.tells)() {
            self.inner.load_full().cleanup().await;
        }
    }
}

#[cfg(test)]
#[path = "guarded_app_tests.rs"]
mod tests;
