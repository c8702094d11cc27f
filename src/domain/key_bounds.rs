//! All that a key is held to beside its scopes, as far as one key may be wider in it than another.

use super::api_key::ApiKey;
use super::clock::Timestamp;
use super::key_reach::KeyReach;
use super::key_terms::IdleDays;
use super::rate::{Quota, Rate};

/// How fast, and how often in a day or month, a key may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyLimits {
    pub rate: Option<Rate>,
    pub quota: Option<Quota>,
}

impl KeyLimits {
    pub const fn is_none(self) -> bool {
        self.rate.is_none() && self.quota.is_none()
    }

    fn covers(self, other: Self) -> bool {
        covers(self.rate, other.rate, |own, other| own.covers(other))
            && covers(self.quota, other.quota, |own, other| own.covers(other))
    }
}

/// Without any it is as free as a token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyBounds {
    pub reach: KeyReach,
    pub expires_at: Option<Timestamp>,
    pub idle: Option<IdleDays>,
    pub limits: KeyLimits,
}

impl KeyBounds {
    pub fn of(key: &ApiKey) -> Self {
        let terms = &key.terms;
        Self {
            reach: terms.reach.clone(),
            expires_at: key.expires_at,
            idle: terms.idle,
            limits: KeyLimits { rate: terms.rate, quota: terms.quota },
        }
    }

    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a key with the other bounds can do nothing that one with these cannot.
    pub fn covers(&self, other: &Self) -> bool {
        self.reach.covers(&other.reach)
            && covers(self.expires_at, other.expires_at, |own, other| own >= other)
            && self.covers_idle(other.idle)
            && self.limits.covers(other.limits)
    }

    /// Whether a key with these bounds lies idle as soon as one that may for so long.
    pub fn covers_idle(&self, other: Option<IdleDays>) -> bool {
        covers(self.idle, other, |own, other| own.get() >= other.get())
    }
}

/// What is not limited covers everything, and is covered by nothing else.
fn covers<T>(own: Option<T>, other: Option<T>, both: impl FnOnce(T, T) -> bool) -> bool {
    match (own, other) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(own), Some(other)) => both(own, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::network_set::NetworkSet;

    fn rate(text: &str) -> KeyBounds {
        let limits = KeyLimits { rate: Some(Rate::parse(text).unwrap()), quota: None };
        KeyBounds { limits, ..KeyBounds::default() }
    }

    fn quota(text: &str) -> KeyBounds {
        let limits = KeyLimits { rate: None, quota: Some(Quota::parse(text).unwrap()) };
        KeyBounds { limits, ..KeyBounds::default() }
    }

    fn idle(days: u64) -> KeyBounds {
        KeyBounds { idle: IdleDays::new(days), ..KeyBounds::default() }
    }

    fn end(secs: i64) -> KeyBounds {
        KeyBounds { expires_at: Some(Timestamp::from_secs(secs)), ..KeyBounds::default() }
    }

    fn network(text: &str) -> KeyBounds {
        let reach = KeyReach { networks: NetworkSet::parse(text).unwrap(), ..KeyReach::default() };
        KeyBounds { reach, ..KeyBounds::default() }
    }

    #[test]
    fn what_is_tighter_is_covered_and_what_is_looser_in_anything_is_not() {
        for (wide, narrow) in [
            (rate("60/minute"), rate("1/second burst 60")),
            (rate("60/minute"), rate("59/minute")),
            (rate("1/second burst 3600"), rate("3600/hour")),
            (quota("10/day"), quota("9/day")),
            (quota("310/month"), quota("10/day")),
            (quota("10/day"), quota("10/month")),
            (idle(30), idle(29)),
            (end(10), end(9)),
            (network("10.0.0.0/8"), network("10.1.0.0/16")),
        ] {
            for bounds in [&wide, &narrow] {
                assert!(KeyBounds::default().covers(bounds) && bounds.covers(bounds), "{bounds:?}");
                assert!(!bounds.covers(&KeyBounds::default()) && !bounds.is_none(), "{bounds:?}");
            }
            assert!(wide.covers(&narrow), "{wide:?} {narrow:?}");
        }
        for (narrow, wide) in [
            (rate("60/minute"), rate("61/minute burst 1")),
            (rate("60/minute"), rate("1/second burst 61")),
            (rate("3600/hour burst 1"), rate("61/minute burst 1")),
            (quota("9/day"), quota("10/day")),
            (quota("10/day"), quota("11/month")),
            (quota("309/month"), quota("10/day")),
            (idle(29), idle(30)),
            (end(9), end(10)),
            (network("10.1.0.0/16"), network("10.0.0.0/8")),
            (rate("1/hour"), quota("1/month")),
        ] {
            assert!(!narrow.covers(&wide), "{narrow:?} {wide:?}");
        }
    }
}
