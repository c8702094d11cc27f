//! What would happen to a request, without sending it.

use std::fmt::Write as _;

use super::assemble::header_names;
use super::route_table::table;
use super::start_error::StartError;
use crate::api::endpoints;
use crate::api::router::routes_to;
use crate::config::settings::Settings;
use crate::domain::access_policy::AccessPolicy;
use crate::domain::rate_limit::RateLimit;
use crate::edge::identity_headers::Attribute;
use crate::routing::host::Host;
use crate::routing::normal_path::NormalPath;
use crate::routing::route::{Route, Target};

/// The outcome of the question, as text; and whether a route was found.
pub struct Explanation {
    pub text: String,
    pub found: bool,
}

/// `url` is a path (`/orders/7?x=1`) or an absolute URL (`http://host/orders/7`).
pub fn explain(settings: &Settings, method: &str, url: &str) -> Result<Explanation, StartError> {
    let prefix = &settings.api.prefix;
    let endpoints = endpoints::all(prefix, settings.api.docs, settings.second_factor.administration);
    let own = routes_to(prefix, &endpoints).map_err(|e| StartError::Routes(e.to_string()))?;
    let table = table(settings, own)?;
    let (host, target) = split(url);
    let (raw_path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let refused = |status: u16, why: &str| Explanation { text: format!("refused: {status} {why}\n"), found: false };
    let Ok(path) = NormalPath::parse(raw_path.as_bytes()) else {
        return Ok(refused(400, "bad_path: the path is ambiguous"));
    };
    let host = host.map(|host| Host::parse(host.as_bytes()));
    let Ok(host) = host.transpose() else { return Ok(refused(400, "bad_host: the host is malformed")) };
    match table.find(host.as_ref(), &path, method) {
        Ok(route) => Ok(Explanation { text: describe(settings, route, &path, query), found: true }),
        Err(not) if not.allow.is_empty() => Ok(refused(
            crate::api::refusal::status(not.denial).as_u16(),
            &format!("{}: no route is for this request", not.denial.code()),
        )),
        Err(not) => Ok(refused(405, &format!("method_not_allowed: this path allows {}", not.allow.join(", ")))),
    }
}

fn split(url: &str) -> (Option<&str>, &str) {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    match rest {
        None => (None, url),
        Some(rest) => match rest.find('/') {
            Some(at) => {
                let (host, path) = rest.split_at(at);
                (Some(host), path)
            }
            None => (Some(rest), "/"),
        },
    }
}

fn describe(settings: &Settings, route: &Route, path: &NormalPath, query: Option<&str>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let mut line = |label: &str, value: &str| {
        let _ = writeln!(text, "{label:<10} {value}");
    };
    line("route", &route.name);
    line("pattern", &format!("{} {:?}", route.host, route.path));
    line("demands", &route.access.to_string());
    line("target", &route.target.to_string());
    for (name, limit) in limits(settings, route) {
        line("limit", &format!("{} {name}", limit.rate));
    }
    let Target::Upstream(_) = &route.target else { return text };
    let cut = route.strip_prefix.as_ref().and_then(|prefix| path.strip_prefix(prefix));
    let forwarded = cut.as_ref().unwrap_or(path).as_str();
    let forwarded = query.map_or_else(|| forwarded.to_owned(), |query| format!("{forwarded}?{query}"));
    line("forwards", &forwarded);
    if route.access == AccessPolicy::Public {
        line("identity", "none: the route is public, and what a client claims is removed");
    } else {
        for (name, attribute) in header_names(settings.identity.preset).0 {
            if *attribute != Attribute::Assertion || settings.identity.assertion {
                line("sets", &format!("{name}: {}", meaning(*attribute)));
            }
        }
    }
    let credential = if route.forward_credentials { "forwarded as it came" } else { "removed" };
    line("credential", credential);
    text
}

/// Those in force on a route, in the order in which they are asked. A key can have more.
fn limits(settings: &Settings, route: &Route) -> Vec<(&'static str, RateLimit)> {
    let identified = route.access != AccessPolicy::Public;
    [
        ("for each client network", settings.limits.per_address),
        ("for each client network on this route", route.limits.per_address),
        ("for each user and service", settings.limits.per_principal.filter(|_| identified)),
        ("for each user and service on this route", route.limits.per_principal.filter(|_| identified)),
        ("for everybody on this route together", route.limits.total),
    ]
    .into_iter()
    .filter_map(|(name, limit)| Some((name, limit?)))
    .collect()
}

const fn meaning(attribute: Attribute) -> &'static str {
    match attribute {
        Attribute::UserId => "the user's id, or service:<name>",
        Attribute::Username => "the user's name",
        Attribute::Name => "the user's name, or service:<name>",
        Attribute::Email => "the user's e-mail address",
        Attribute::Method => "jwt or api_key",
        Attribute::Scopes => "scopes, separated by spaces",
        Attribute::Groups => "scopes, separated by commas",
        Attribute::KeyId => "the API key's id",
        Attribute::Amr => "authentication methods, separated by spaces",
        Attribute::SessionId => "the session's id",
        Attribute::Assertion => "a signed JWT about the caller, for this upstream",
    }
}
