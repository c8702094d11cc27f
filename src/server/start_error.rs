//! Why the process does not start: one clear sentence each, naming what to do.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::backends::mail::UnusableMail;
use crate::backends::redis::RefusedByRedis;
use crate::backends::sql::{CopyError, OpenError};
use crate::identity::import::ImportError;
use crate::identity::resealing::ResealError;
use crate::identity::signing_keys::KeysError;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("cannot listen on {address}: {cause}; stop whatever uses it, or set another address under `listen`")]
    Listen { address: SocketAddr, cause: String },
    #[error("{0}")]
    Store(#[from] OpenError),
    #[error("{0}")]
    Copy(#[from] CopyError),
    #[error("the database is {0} schema migration(s) behind; run `portcullis migrate`, or set `storage.migrate: auto`")]
    Pending(usize),
    #[error("there is no master key at {path}; put back the one that belongs to this database, or make one for a new database with `portcullis migrate`", path = path.display())]
    NoMasterKey { path: PathBuf },
    #[error("the master key at {path} cannot be read: {cause}", path = path.display())]
    UnreadableMasterKey { path: PathBuf, cause: String },
    #[error("the master key is not usable: {0}")]
    BadMasterKey(String),
    #[error("{0}")]
    Keys(#[from] KeysError),
    #[error("{0}")]
    Reseal(#[from] ResealError),
    #[error("{0}")]
    Import(#[from] ImportError),
    #[error("tokens.signing: {0}")]
    TokenKey(String),
    #[error("the routes cannot be built: {0}")]
    Routes(String),
    #[error(
        "upstreams: `tls.ca` differs between upstreams, and all of them share one set of trusted certificates; put all certificates in one file"
    )]
    SeveralAuthorities,
    #[error("upstreams: the certificates under `tls.ca` in {path} cannot be read: {cause}", path = path.display())]
    UnreadableAuthority { path: PathBuf, cause: String },
    #[error("a log cannot be opened: {0}")]
    Log(String),
    #[error("cache.redis: {0}")]
    Redis(#[from] RefusedByRedis),
    #[error("mail: {0}")]
    Mail(#[from] UnusableMail),
    /// Every fault has a line of its own.
    #[error("{0}")]
    MailTemplates(String),
    /// Whoever started this process to take its place waits for it.
    #[error("the sockets of the running process were not handed over: {0}")]
    Handover(String),
    /// Where the same file or variable has another content than when the process started.
    #[error("restart needed: {0}")]
    RestartNeeded(&'static str),
    #[error("the process could not start: {0}")]
    Process(String),
}
