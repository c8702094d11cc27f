//! Why a command did not work: one sentence for standard error, and exit code 1.

use crate::config::fault::Faults;
use crate::identity::api_keys::KeyError;
use crate::identity::users::UserError;
use crate::server::start_error::StartError;

#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Every fault has a line of its own.
    #[error("{0}")]
    Configuration(Faults),
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("{0}")]
    User(#[from] UserError),
    #[error("{0}")]
    Key(#[from] KeyError),
    #[error("{0}")]
    Input(String),
    #[error("{0}")]
    Process(#[from] std::io::Error),
    /// The answer itself was "no"; it has been printed already.
    #[error("")]
    Negative,
}

impl From<Faults> for Failure {
    fn from(faults: Faults) -> Self {
        Self::Configuration(faults)
    }
}
