//! Puts a guard before every connection of a Pingora application.

use std::sync::Arc;

use async_trait::async_trait;
use pingora_core::apps::ServerApp;
use pingora_core::protocols::Stream;
use pingora_core::server::ShutdownWatch;

use super::guarded_stream::{GuardedStream, WireSettings, peer_of};

/// An application that only sees what [`GuardedStream`] lets through.
pub struct GuardedApp<A> {
    inner: Arc<A>,
    settings: Arc<WireSettings>,
}

impl<A> GuardedApp<A> {
    pub fn new(inner: Arc<A>, settings: Arc<WireSettings>) -> Self {
        Self { inner, settings }
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
            let place = self
                .settings
                .connections
                .enter(&self.settings.connection_bounds, peer_of(&stream).map(|peer| peer.ip()))?;
            Box::new(GuardedStream::new(stream, Arc::clone(&self.settings), place))
        };
        A::process_new(&self.inner, guarded, shutdown).await
    }

    async fn cleanup(&self) {
        self.inner.cleanup().await;
    }
}

#[cfg(test)]
#[path = "guarded_app_tests.rs"]
mod tests;
