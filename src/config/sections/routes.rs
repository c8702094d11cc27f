use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::{access, rate_limit, route_name};
use crate::config::section::Section;
use crate::config::settings::Upstream;
use crate::config::suggestion;
use crate::config::value::Value;
use crate::domain::rate_limit::RouteLimits;
use crate::routing::host::HostPattern;
use crate::routing::normal_path::Oddities;
use crate::routing::pattern::{PathPattern, Segment};
use crate::routing::route::{Methods, Route, Target};
use crate::routing::table::RouteTable;

const EXAMPLE: &str = "write routes: [{ path: /, upstream: NAME, access: { any: [jwt, api_key] } }]";

/// Each refused overlap means building the table once more, so a file full of them is told about the first ones.
const MAX_OVERLAPS: usize = 50;

/// A route that could be read, and where.
struct Found<'a> {
    route: Route,
    value: Value<'a>,
    named: bool,
}

pub fn read(root: &mut Section<'_>, upstreams: &[Upstream]) -> Vec<Route> {
    let Some(value) = root.required("routes", EXAMPLE) else { return Vec::new() };
    let items = value.list();
    if value.is_empty_list() {
        value.fault("there is no route, so every request is answered with 404", EXAMPLE);
    }
    let mut found: Vec<Found<'_>> = items.into_iter().filter_map(|item| route(item, upstreams)).collect();
    name_all(&mut found);
    refuse_overlaps(&found);
    found.into_iter().map(|found| found.route).collect()
}

fn route<'a>(value: Value<'a>, upstreams: &[Upstream]) -> Option<Found<'a>> {
    let mut section = Section::of(&value);
    let name = section.optional("name").and_then(|value| {
        let parse = |text: &str| route_name::is_name(text).then(|| text.to_owned());
        value.parsed(parse, "a name", "use 1 to 80 letters, digits, inner spaces and . _ - : / * , ( ) #")
    });
    let host = section.optional("host").map_or(Some(HostPattern::Any), |value| {
        let remedy = "write a host name without port, *.NAME for all below it, or \"*\" for all";
        value.parsed(|text| HostPattern::parse(text).ok(), "a host", remedy)
    });
    let exact = section.boolean("exact", false);
    let path_value = section.required("path", "write path: /, or a longer one");
    let path = path_value.as_ref().and_then(|value| path(value, exact));
    let methods = section.optional("methods").map_or(Some(Methods::Standard), |value| methods(&value));
    let upstream = upstream(&mut section, upstreams);
    let access = access::read(&mut section);
    let forward_credentials = section.boolean("forward_credentials", false);
    if forward_credentials {
        let problem = "the backend sees the caller's own credential and can act as the caller elsewhere";
        section.warn("forward_credentials", problem, "let the backend read the identity headers");
    }
    let strips = section.boolean("strip_prefix", false);
    let allow = section.optional("allow").map_or_else(Oddities::default, |value| oddities(&value));
    if allow.any() {
        let problem = "paths that servers read in different ways reach the backend";
        section.warn("allow", problem, "allow only what the backend needs");
    }
    let limits = limits(&mut section);
    let path = path?;
    let strip_prefix = if strips { prefix(&section, &path) } else { None };
    let (host, methods) = (host?, methods?);
    let named = name.is_some();
    let name = name.unwrap_or_else(|| route_name::describe(&methods, &host, &path));
    let route = Route {
        name: Arc::from(name),
        host,
        path,
        methods,
        target: Target::Upstream(Arc::from(upstream?)),
        access: access?,
        forward_credentials,
        strip_prefix,
        allow,
        limits,
    };
    drop(section);
    Some(Found { route, value, named })
}

fn path(value: &Value<'_>, exact: bool) -> Option<PathPattern> {
    let parsed = PathPattern::parse(&value.text()?, exact);
    parsed.inspect_err(|problem| value.fault(problem.to_string(), "write such as /api/orders/ or /files/*/meta")).ok()
}

fn methods(value: &Value<'_>) -> Option<Methods> {
    let mut methods = Vec::new();
    let items = value.list();
    if value.is_empty_list() {
        value.fault("no method is listed, so nothing matches", "list methods, or remove the key for the usual ones");
    }
    let expected = items.len();
    for item in items {
        let Some(text) = item.text() else { continue };
        if ["CONNECT", "TRACE", "TRACK"].contains(&text.to_ascii_uppercase().as_str()) {
            item.fault(format!("{} is never forwarded", item.written()), "remove it");
        } else if !is_method(&text) {
            let upper = text.to_ascii_uppercase();
            let remedy = if is_method(&upper) { format!("write {upper}") } else { "write such as GET".to_owned() };
            item.fault(format!("{} is not a method", item.written()), remedy);
        } else if methods.contains(&text) {
            item.fault(format!("{} is listed twice", item.written()), "remove one of the two");
        } else {
            methods.push(text);
        }
    }
    (!methods.is_empty() && methods.len() == expected).then_some(Methods::Listed(methods))
}

fn is_method(text: &str) -> bool {
    (1..=32).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b"-_".contains(&b))
}

fn upstream(section: &mut Section<'_>, upstreams: &[Upstream]) -> Option<String> {
    let value = section.required("upstream", "name one of the upstreams")?;
    let name = value.text()?;
    let known: Vec<&str> = upstreams.iter().map(|upstream| &*upstream.name).collect();
    if !known.contains(&name.as_str()) {
        value.fault(format!("there is no upstream named {}", value.written()), suggestion::remedy(&name, &known));
    }
    Some(name)
}

fn prefix(section: &Section<'_>, path: &PathPattern) -> Option<String> {
    if path.exact {
        section.fault("strip_prefix", "an exact path has nothing below it", "remove exact or strip_prefix");
        return None;
    }
    if path.segments.contains(&Segment::One) {
        section.fault("strip_prefix", "a path with `*` cannot be cut off", "end the path before the `*`");
        return None;
    }
    Some(path.to_string())
}

fn oddities(value: &Value<'_>) -> Oddities {
    let words = [("encoded_slash", 0), ("semicolon", 1), ("double_slash", 2)];
    let mut allowed = Oddities::default();
    for item in value.list() {
        match item.choice(&words) {
            Some(0) => allowed.encoded_slash = true,
            Some(1) => allowed.semicolon = true,
            Some(_) => allowed.double_slash = true,
            None => {}
        }
    }
    allowed
}

fn limits(section: &mut Section<'_>) -> RouteLimits {
    let mut section = section.section("limit");
    RouteLimits {
        per_address: rate_limit::read(&mut section, "per_address"),
        per_principal: rate_limit::read(&mut section, "per_principal"),
        total: rate_limit::read(&mut section, "total"),
    }
}

/// Chosen names come first, so that a derived one never takes a chosen one away.
fn name_all(found: &mut [Found<'_>]) {
    let mut taken = HashSet::new();
    for found in found.iter().filter(|found| found.named) {
        if !taken.insert(found.route.name.to_string()) {
            let problem = format!("another route is named \"{}\" too", found.route.name);
            found.value.fault(problem, "choose another name");
        }
    }
    for found in found.iter_mut().filter(|found| !found.named) {
        let name = route_name::unique(&found.route.name, &taken);
        found.route.name = Arc::from(name.as_str());
        taken.insert(name);
    }
}

fn refuse_overlaps(found: &[Found<'_>]) {
    let places: HashMap<&str, &Value<'_>> = found.iter().map(|found| (&*found.route.name, &found.value)).collect();
    let mut routes: Vec<Route> = found.iter().map(|found| found.route.clone()).collect();
    for _ in 0..MAX_OVERLAPS {
        let Err(overlap) = RouteTable::build(routes.iter().cloned()) else { return };
        let first = places.get(&*overlap.first).map_or("", |value| value.path.as_str());
        let first_line = places.get(&*overlap.first).map_or(0, |value| value.node.line);
        if let Some(second) = places.get(&*overlap.second) {
            let problem = format!("the same host, path and method are covered by {first} in line {first_line}");
            second.fault(problem, "give them different paths, hosts or methods, or remove one");
        }
        routes.retain(|route| route.name != overlap.second);
    }
}
