//! Where a key may be used: from which networks, on which routes, with which methods.

use std::fmt;
use std::net::IpAddr;

use super::denial::Denial;
use super::network_set::NetworkSet;

/// Routes and methods of one key, at most.
pub const MOST_ROUTES: usize = 64;
pub const MOST_METHODS: usize = 16;
const LONGEST_ROUTE: usize = 80;
const LONGEST_METHOD: usize = 32;

/// The name of a route, as the configuration has it. Not a path: what a request is, is decided once, by the route table, and
/// a second reading of paths would be a second opinion. A name that no route has lets nothing through.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteName(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a route's name is 1 to 80 letters, digits, inner spaces and . _ - : / * , ( ) #")]
pub struct InvalidRouteName;

impl RouteName {
    pub fn parse(text: &str) -> Result<Self, InvalidRouteName> {
        let fits = (1..=LONGEST_ROUTE).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b" ._-:/*,()#".contains(&b))
            && text.trim() == text;
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidRouteName) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A method of a request: `GET`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MethodName(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a method is for example GET: 1 to 32 upper-case letters, digits, - or _, a letter first")]
pub struct InvalidMethod;

impl MethodName {
    pub fn parse(text: &str) -> Result<Self, InvalidMethod> {
        let fits = (1..=LONGEST_METHOD).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"-_".contains(&b));
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidMethod) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Names, sorted. Empty: not limited.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NameSet<T>(Vec<T>);

pub type RouteNames = NameSet<RouteName>;
pub type MethodNames = NameSet<MethodName>;

impl<T> Default for NameSet<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Ord> NameSet<T> {
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    /// Whether everything that the other set allows is allowed by this one.
    pub fn covers(&self, other: &Self) -> bool {
        self.0.is_empty() || (!other.0.is_empty() && other.0.iter().all(|name| self.0.contains(name)))
    }
}

impl<T: Ord> FromIterator<T> for NameSet<T> {
    fn from_iter<I: IntoIterator<Item = T>>(names: I) -> Self {
        let mut names: Vec<T> = names.into_iter().collect();
        names.sort();
        names.dedup();
        Self(names)
    }
}

impl RouteNames {
    /// Reads its own text. Names may hold spaces and commas, so each has a line.
    pub fn parse(text: &str) -> Result<Self, InvalidRouteName> {
        text.lines().map(RouteName::parse).collect()
    }
}

impl MethodNames {
    /// Reads its own text: methods separated by spaces.
    pub fn parse(text: &str) -> Result<Self, InvalidMethod> {
        text.split_ascii_whitespace().map(MethodName::parse).collect()
    }

    /// GET brings HEAD along, as it does in a route.
    fn allows(&self, method: &str) -> bool {
        let lists = |listed: &MethodName| listed.0 == method || (method == "HEAD" && listed.0 == "GET");
        self.0.is_empty() || self.0.iter().any(lists)
    }
}

impl fmt::Display for RouteNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        joined(f, "\n", self.0.iter().map(RouteName::as_str))
    }
}

impl fmt::Display for MethodNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        joined(f, " ", self.0.iter().map(MethodName::as_str))
    }
}

fn joined<'a>(f: &mut fmt::Formatter<'_>, separator: &str, names: impl Iterator<Item = &'a str>) -> fmt::Result {
    for (index, name) in names.enumerate() {
        if index > 0 {
            f.write_str(separator)?;
        }
        f.write_str(name)?;
    }
    Ok(())
}

/// Empty in all three: anywhere that its scopes allow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct KeyReach {
    pub networks: NetworkSet,
    pub routes: RouteNames,
    pub methods: MethodNames,
}

impl KeyReach {
    /// Whether a request from this address, for this route, with this method may be made. The network is judged first:
    /// whoever holds a key outside its networks learns nothing else about it.
    pub fn judge(&self, client: IpAddr, route: &str, method: &str) -> Result<(), Denial> {
        if !self.networks.allows(client) {
            return Err(Denial::KeyNetwork);
        }
        let on_route = self.routes.is_empty() || self.routes.iter().any(|name| name.0 == route);
        if on_route && self.methods.allows(method) { Ok(()) } else { Err(Denial::KeyRoute) }
    }

    /// Whether everything that the other one allows is allowed by this one.
    pub fn covers(&self, other: &Self) -> bool {
        self.networks.covers(&other.networks)
            && self.routes.covers(&other.routes)
            && self.methods.covers(&other.methods)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reach(networks: &str, routes: &str, methods: &str) -> KeyReach {
        KeyReach {
            networks: NetworkSet::parse(networks).unwrap(),
            routes: RouteNames::parse(routes).unwrap(),
            methods: MethodNames::parse(methods).unwrap(),
        }
    }

    #[test]
    fn each_limit_is_judged_and_the_network_first() {
        let judge = |reach: &KeyReach, client: &str, route, method| reach.judge(client.parse().unwrap(), route, method);
        assert_eq!(judge(&KeyReach::default(), "192.0.2.1", "any", "PURGE"), Ok(()));
        let narrow = reach("192.0.2.0/24", "orders\nGET,POST /a, b/", "GET POST");
        assert_eq!(judge(&narrow, "192.0.2.1", "orders", "GET"), Ok(()));
        assert_eq!(judge(&narrow, "192.0.2.1", "GET,POST /a, b/", "HEAD"), Ok(()));
        assert_eq!(judge(&narrow, "192.0.2.1", "orders/", "GET"), Err(Denial::KeyRoute));
        assert_eq!(judge(&narrow, "192.0.2.1", "Orders", "GET"), Err(Denial::KeyRoute));
        assert_eq!(judge(&narrow, "192.0.2.1", "orders", "DELETE"), Err(Denial::KeyRoute));
        assert_eq!(judge(&narrow, "192.0.2.1", "orders", "get"), Err(Denial::KeyRoute));
        assert_eq!(judge(&narrow, "192.0.3.1", "other", "DELETE"), Err(Denial::KeyNetwork));
        assert_eq!(judge(&reach("", "", "HEAD"), "192.0.2.1", "orders", "GET"), Err(Denial::KeyRoute));
    }

    #[test]
    fn a_reach_covers_what_is_nowhere_wider() {
        let narrow = reach("10.0.0.0/8", "a\nb", "GET");
        assert!(KeyReach::default().covers(&narrow));
        assert!(!narrow.covers(&KeyReach::default()));
        assert!(narrow.covers(&reach("10.1.0.0/16", "a", "GET")));
        for wider in [
            reach("", "a", "GET"),
            reach("10.0.0.0/8", "", "GET"),
            reach("10.0.0.0/8", "a", ""),
            reach("10.0.0.0/8", "c", "GET"),
            reach("10.0.0.0/8", "a", "PUT"),
        ] {
            assert!(!narrow.covers(&wider), "{wider:?}");
        }
    }

    #[test]
    fn names_of_other_shapes_are_refused() {
        for text in ["", " a", "a ", "a\"b", "ü", &"a".repeat(81)] {
            assert_eq!(RouteName::parse(text), Err(InvalidRouteName), "{text:?}");
        }
        for text in ["", "get", "GE T", "1GET", "G\u{130}", &"A".repeat(33)] {
            assert_eq!(MethodName::parse(text), Err(InvalidMethod), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            routes in prop::collection::vec("[a-zA-Z/][a-zA-Z ,#/*]{0,20}[a-z]", 0..6),
            methods in prop::collection::vec("[A-Z][A-Z0-9_-]{0,10}", 0..6),
        ) {
            let routes: RouteNames = routes.iter().map(|name| RouteName::parse(name).unwrap()).collect();
            prop_assert_eq!(RouteNames::parse(&routes.to_string()), Ok(routes));
            let methods: MethodNames = methods.iter().map(|name| MethodName::parse(name).unwrap()).collect();
            prop_assert_eq!(MethodNames::parse(&methods.to_string()), Ok(methods));
        }

        #[test]
        fn no_text_breaks_the_reading(text in "\\PC{0,60}|[A-Z /\n]{0,40}") {
            let _ = RouteNames::parse(&text);
            let _ = MethodNames::parse(&text);
        }
    }
}
