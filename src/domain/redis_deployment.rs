//! The ways in which Redis is run.

use super::secret::Secret;

/// Every URL may hold a password.
#[derive(Clone, Debug, PartialEq)]
pub enum RedisDeployment {
    /// One server, or what answers in its place behind one address.
    Standalone { url: Secret<String> },
    /// A master that can change. Sentinels know which server it is at the moment.
    Sentinel(SentinelDeployment),
    /// Keys are spread over the masters of a cluster. These are some of its nodes.
    Cluster { nodes: Vec<Secret<String>> },
}

#[derive(Clone, Debug, PartialEq)]
pub struct SentinelDeployment {
    /// Of the sentinels. What signs in there is in them, or in the next two, which come before it.
    pub sentinels: Vec<Secret<String>>,
    pub username: Option<String>,
    pub password: Option<Secret<String>>,
    /// What the sentinels call the master.
    pub master: String,
    /// Whether the master speaks TLS.
    pub tls: bool,
}
