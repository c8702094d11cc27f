//! Those who take mail out of the house.
//!
//! `composer` turns a message into the bytes of RFC 5322, which all of them share. What can be wrong with their settings is
//! found when they are made, before anything is sent.

mod composer;
mod directory;
mod log;
mod nowhere;
mod smtp;

use std::path::PathBuf;

pub use composer::Composer;
pub use directory::DirectoryCarrier;
pub use log::LogCarrier;
pub use nowhere::NoCarrier;
pub use smtp::{SmtpCarrier, SmtpSettings, SmtpTls};

/// Why mail cannot be carried as the settings say.
#[derive(Debug, thiserror::Error)]
pub enum UnusableMail {
    #[error("the sender is not one mailbox, such as `Portcullis <portcullis@example.org>`")]
    Sender,
    #[error("the file {path} {cause}", path = path.display())]
    Certificates { path: PathBuf, cause: String },
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    #[error("the directory {path} cannot be used: {cause}", path = path.display())]
    Directory { path: PathBuf, cause: String },
}
