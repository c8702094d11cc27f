//! All routes, found in time that depends on the path's length and not on how many there are.
//!
//! The order of precedence: exact host, then `*.host` (longest first), then any host; among the routes of one host the
//! longest path, a literal segment before `*`, exact before prefix; the method comes last. The first host that has a
//! matching path decides, and the first path decides: a wrong method there is 405, not a weaker rule further up.

use std::collections::HashMap;
use std::sync::Arc;

use super::host::{Host, HostPattern};
use super::normal_path::NormalPath;
use super::pattern::Segment;
use super::route::Route;
use crate::domain::denial::Denial;

#[derive(Debug, Default)]
pub struct RouteTable {
    exact: HashMap<String, Node>,
    below: HashMap<String, Node>,
    any: Node,
    count: usize,
}

#[derive(Debug, Default)]
struct Node {
    literal: HashMap<String, Node>,
    one: Option<Box<Node>>,
    exact: Vec<Arc<Route>>,
    prefix: Vec<Arc<Route>>,
}

/// Two routes that no request could tell apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the routes `{first}` and `{second}` cover the same host, path and method")]
pub struct Overlap {
    pub first: Arc<str>,
    pub second: Arc<str>,
}

/// Why no route was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotRouted {
    pub denial: Denial,
    /// For `Allow`, when the path is known and the method is not.
    pub allow: Vec<String>,
}

impl RouteTable {
    pub fn build(routes: impl IntoIterator<Item = Route>) -> Result<Self, Overlap> {
        let mut table = Self::default();
        for route in routes {
            table.add(Arc::new(route))?;
        }
        Ok(table)
    }

    pub const fn len(&self) -> usize {
        self.count
    }

    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn add(&mut self, route: Arc<Route>) -> Result<(), Overlap> {
        let mut node = match &route.host {
            HostPattern::Any => &mut self.any,
            HostPattern::Exact(name) => self.exact.entry(name.clone()).or_default(),
            HostPattern::Below(name) => self.below.entry(name.clone()).or_default(),
        };
        for segment in &route.path.segments {
            node = match segment {
                Segment::Literal(text) => node.literal.entry(text.clone()).or_default(),
                Segment::One => node.one.get_or_insert_default(),
            };
        }
        let siblings = if route.path.exact { &mut node.exact } else { &mut node.prefix };
        for other in siblings.iter() {
            if route.methods.names().iter().any(|method| other.methods.include(method)) {
                return Err(Overlap { first: other.name.clone(), second: route.name.clone() });
            }
        }
        siblings.push(route);
        self.count += 1;
        Ok(())
    }

    /// Finds the one route for a request. The query never takes part.
    pub fn find(&self, host: Option<&Host>, path: &NormalPath, method: &str) -> Result<&Arc<Route>, NotRouted> {
        let found = self.find_path(host, path, method)?;
        if path.oddities().any() {
            // An odd path must be allowed by its route, and must not be another route's path to a reader that folds it.
            let folded = self.find_path(host, &path.folded(), method);
            let same = folded.is_ok_and(|route| Arc::ptr_eq(route, found));
            if !same || !path.oddities().within(found.allow) {
                return Err(NotRouted { denial: Denial::BadPath, allow: Vec::new() });
            }
        }
        Ok(found)
    }

    fn find_path(&self, host: Option<&Host>, path: &NormalPath, method: &str) -> Result<&Arc<Route>, NotRouted> {
        let mut segments: Vec<&str> = path.segments().collect();
        // A trailing slash does not make another place.
        if segments.last() == Some(&"") {
            segments.pop();
        }
        let candidates = self.hosts(host).find_map(|root| root.find(&segments));
        let Some(candidates) = candidates else {
            return Err(NotRouted { denial: Denial::NoRoute, allow: Vec::new() });
        };
        candidates.iter().find(|route| route.methods.include(method)).ok_or_else(|| {
            let mut allow: Vec<String> = candidates.iter().flat_map(|route| route.methods.names()).collect();
            allow.sort();
            allow.dedup();
            NotRouted { denial: Denial::MethodNotAllowed, allow }
        })
    }

    fn hosts(&self, host: Option<&Host>) -> impl Iterator<Item = &Node> {
        let name = host.map(Host::as_str);
        let exact = name.and_then(|name| self.exact.get(name));
        let parents =
            name.into_iter().flat_map(|name| name.match_indices('.').map(move |(at, _)| name.split_at(at + 1).1));
        let below = (!self.below.is_empty()).then_some(parents).into_iter().flatten();
        exact.into_iter().chain(below.filter_map(|parent| self.below.get(parent))).chain([&self.any])
    }
}

impl Node {
    /// The routes at the most specific place: depth first, literals before wildcards, so the first hit is the best.
    fn find(&self, segments: &[&str]) -> Option<&[Arc<Route>]> {
        let Some((first, rest)) = segments.split_first() else {
            return [&self.exact, &self.prefix].into_iter().find(|routes| !routes.is_empty()).map(Vec::as_slice);
        };
        let literal = self.literal.get(*first).and_then(|node| node.find(rest));
        let found = literal.or_else(|| {
            let one = self.one.as_ref().filter(|_| !first.is_empty())?;
            one.find(rest)
        });
        found.or_else(|| (!self.prefix.is_empty()).then_some(self.prefix.as_slice()))
    }
}

#[cfg(test)]
#[path = "table/tests.rs"]
mod tests;
