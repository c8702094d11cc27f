//! A route: whom it is for, what it demands, where it leads.

use std::fmt;
use std::sync::Arc;

use super::host::HostPattern;
use super::normal_path::Oddities;
use super::pattern::PathPattern;
use crate::domain::access_policy::AccessPolicy;
use crate::domain::rate_limit::RouteLimits;

/// Where an admitted request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The upstream of this name.
    Upstream(Arc<str>),
    /// Served here, under this name (`POST /api/v1/auth/token/`).
    Local(Arc<str>),
    /// The gateway's own part of the path space, where nothing is served under this path.
    Nothing,
}

/// Which methods a route is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Methods {
    /// GET, HEAD, POST, PUT, DELETE, OPTIONS and PATCH.
    Standard,
    /// Exactly these; GET brings HEAD along.
    Listed(Vec<String>),
    /// Any, because the endpoint answers wrong methods itself, after authentication.
    Unfiltered,
    /// Any but these, which have routes of their own to the same endpoint; GET brings HEAD along.
    Others(Vec<String>),
}

impl Methods {
    pub const STANDARD: [&'static str; 7] = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"];

    pub fn include(&self, method: &str) -> bool {
        match self {
            Self::Standard => Self::STANDARD.contains(&method),
            Self::Listed(listed) => lists(listed, method),
            Self::Unfiltered => true,
            Self::Others(listed) => !lists(listed, method),
        }
    }

    /// For `Allow`.
    pub fn names(&self) -> Vec<String> {
        match self {
            Self::Standard | Self::Unfiltered => Self::STANDARD.map(str::to_owned).to_vec(),
            Self::Listed(listed) => {
                let mut names = listed.clone();
                if listed.iter().any(|m| m == "GET") && !listed.iter().any(|m| m == "HEAD") {
                    names.push("HEAD".to_owned());
                }
                names
            }
            Self::Others(listed) => {
                let others = Self::STANDARD.into_iter().filter(|method| !lists(listed, method));
                others.map(str::to_owned).collect()
            }
        }
    }
}

fn lists(listed: &[String], method: &str) -> bool {
    listed.iter().any(|m| m == method || (method == "HEAD" && m == "GET"))
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The label in metrics and logs: from the config, so from a closed set.
    pub name: Arc<str>,
    pub host: HostPattern,
    pub path: PathPattern,
    pub methods: Methods,
    pub target: Target,
    pub access: AccessPolicy,
    /// Forward the caller's own credential as well.
    pub forward_credentials: bool,
    /// Cut the route's own path off before forwarding.
    pub strip_prefix: Option<String>,
    pub allow: Oddities,
    pub limits: RouteLimits,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Upstream(name) => write!(f, "upstream {name}"),
            Self::Local(name) => write!(f, "served here ({name})"),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}
