//! The client's bytes, judged before Pingora sees them.
//!
//! Pingora's own parser takes what two parsers may read differently: a bare LF, a Content-Length beside a
//! Transfer-Encoding, illegal bytes in a target. [`GuardedStream`] therefore stands between the socket and Pingora. It
//! lets through only whole request heads and whole body frames that can be read in one way, answers everything else
//! itself, and from then on looks like a connection that the client has closed.
//!
//! Where clients are served over TLS, it is spoken beneath the guard.
//!
//! [`head`], [`chunks`] and [`response_watch`] know no sockets: they take bytes and give verdicts.

pub mod chunks;
pub mod fault;
pub mod head;
pub mod response_watch;

mod certificates;
mod connections;
mod encryption;
mod farewell;
mod fields;
mod guarded_app;
mod guarded_stream;
mod host;
mod octets;
mod refusal;
mod request_line;
mod tunnels;

pub use certificates::Certificates;
pub use connections::{ConnectionBounds, Connections, Place};
pub use encryption::Encryption;
pub use fault::WireFault;
pub use fields::{BodyFraming, UpgradeKind};
pub use guarded_app::{GuardedApp, Transport};
pub use guarded_stream::{GuardedStream, WireSettings};
pub use head::{HeadLimits, HeadScanner, HeadState, RequestHead, inspect};
pub use refusal::{Refusal, WireObserver};
pub use tunnels::{Ends, Tunnel, Tunnels};
