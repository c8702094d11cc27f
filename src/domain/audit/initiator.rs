//! Who does it.

use crate::domain::api_key::ApiKeyId;
use crate::domain::session::SessionId;
use crate::domain::user::UserId;

/// Who acts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Has shown nothing that held.
    Anonymous,
    User(UserId),
    Service(String),
    /// Whoever may use the command line.
    Operator,
    /// The gateway itself, by the clock.
    Gateway,
}

impl Actor {
    /// `user:45`, `service:reports`, or one of three words that no user or service is told by.
    pub fn as_text(&self) -> String {
        match self {
            Self::Anonymous => "anonymous".to_owned(),
            Self::User(id) => format!("user:{id}"),
            Self::Service(name) => format!("service:{name}"),
            Self::Operator => "operator".to_owned(),
            Self::Gateway => "gateway".to_owned(),
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once(':') {
            Some(("user", id)) => Some(Self::User(UserId(id.to_owned()))),
            Some(("service", name)) => Some(Self::Service(name.to_owned())),
            None if text == "anonymous" => Some(Self::Anonymous),
            None if text == "operator" => Some(Self::Operator),
            None if text == "gateway" => Some(Self::Gateway),
            _ => None,
        }
    }
}

/// Who acts, and from where: what every event that comes of one request has in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Initiator {
    pub actor: Actor,
    /// The API key that the actor showed.
    pub key_id: Option<ApiKeyId>,
    /// The session of the token that the actor showed.
    pub session_id: Option<SessionId>,
    /// The client's address, found through trusted proxies only; empty for an operator.
    pub address: String,
    /// At most 200 characters.
    pub user_agent: String,
    pub request_id: String,
}

impl Initiator {
    /// Somebody without a request.
    pub const fn without_request(actor: Actor) -> Self {
        Self {
            actor,
            key_id: None,
            session_id: None,
            address: String::new(),
            user_agent: String::new(),
            request_id: String::new(),
        }
    }

    pub const fn operator() -> Self {
        Self::without_request(Actor::Operator)
    }

    pub const fn gateway() -> Self {
        Self::without_request(Actor::Gateway)
    }
}
