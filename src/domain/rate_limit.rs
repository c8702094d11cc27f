//! Limits on requests: what each is called, and what is left of it.

use std::time::Duration;

use super::gcra::{Gcra, Level};
use super::rate::Rate;

/// Which limit: a closed set, for the metric and as a part of what a counter is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitName {
    Address,
    Principal,
    /// A key's own rate.
    Key,
    RouteAddress,
    RoutePrincipal,
    /// Everybody on a route together.
    Route,
    /// A key's own quota.
    KeyQuota,
}

impl LimitName {
    pub const ALL: [Self; 7] = [
        Self::Address,
        Self::Principal,
        Self::Key,
        Self::RouteAddress,
        Self::RoutePrincipal,
        Self::Route,
        Self::KeyQuota,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Principal => "principal",
            Self::Key => "key",
            Self::RouteAddress => "route_address",
            Self::RoutePrincipal => "route_principal",
            Self::Route => "route",
            Self::KeyQuota => "key_quota",
        }
    }
}

/// A rate that somebody is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub rate: Rate,
    /// Counted over all nodes, where there is something to count it with.
    pub shared: bool,
}

impl RateLimit {
    pub fn gcra(self) -> Gcra {
        Gcra::new(self.rate)
    }
}

/// The limits of one route, beside those that hold everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RouteLimits {
    pub per_address: Option<RateLimit>,
    pub per_principal: Option<RateLimit>,
    pub total: Option<RateLimit>,
}

impl RouteLimits {
    pub const fn is_none(&self) -> bool {
        self.per_address.is_none() && self.per_principal.is_none() && self.total.is_none()
    }
}

/// What a client is told of the limit that it is closest to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    pub limit: u64,
    pub remaining: u64,
    /// How long until all of it is there again.
    pub reset: Duration,
}

impl Allowance {
    pub fn of(gcra: Gcra, level: Level) -> Self {
        Self { limit: u64::from(gcra.burst()), remaining: u64::from(level.remaining), reset: level.full_in }
    }

    /// The one that will be spent first, of those that are in force.
    pub fn tighter(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) if other.remaining < one.remaining => Some(other),
            (one, other) => one.or(other),
        }
    }
}
