//! Why a call has no answer.

use deadpool_redis::redis::{ErrorKind, RedisError, ServerErrorKind};

use super::origin::Unreachable;
use crate::storage::shared_memory::Silence;

/// Never holds a URL or a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("Redis is not asked for a moment, because it did not answer")]
    Resting,
    #[error("Redis did not answer in time")]
    Late,
    #[error("Redis cannot be used: {0}")]
    Failed(String),
    /// It answers, and says no: out of memory, another type under this key, not allowed.
    #[error("Redis refuses: {0}")]
    Refused(String),
}

/// An attempt without an answer that is worth something.
#[derive(Debug)]
pub(super) enum Miss {
    Late,
    Unreachable(Unreachable),
    Error(RedisError),
}

impl Miss {
    /// `false` when Redis is there and refuses only this.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::Late | Self::Unreachable(_) => true,
            Self::Error(error) => match error.kind() {
                ErrorKind::Server(kind) => matches!(
                    kind,
                    ServerErrorKind::BusyLoading
                        | ServerErrorKind::MasterDown
                        | ServerErrorKind::ReadOnly
                        | ServerErrorKind::ClusterDown
                ),
                // A code that the library does not know: OOM, WRONGTYPE, MISCONF. Not signed in is not only about this.
                ErrorKind::Extension => error.code() == Some("NOAUTH"),
                ErrorKind::UnexpectedReturnType | ErrorKind::Client => false,
                _ => true,
            },
        }
    }

    /// Whether Redis itself has said so.
    pub fn is_said(&self) -> bool {
        matches!(self, Self::Error(error) if matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension))
    }
}

impl From<Miss> for Unavailable {
    fn from(miss: Miss) -> Self {
        let refused = !miss.is_failure();
        match miss {
            Miss::Late | Miss::Unreachable(Unreachable::Silent) => Self::Late,
            Miss::Unreachable(unreachable) => Self::Failed(unreachable.to_string()),
            Miss::Error(error) if refused => Self::Refused(error.to_string()),
            Miss::Error(error) => Self::Failed(error.to_string()),
        }
    }
}

impl From<Unavailable> for Silence {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Refused(why) => Self::Refused(why),
            other => Self::Unavailable(other.to_string()),
        }
    }
}
