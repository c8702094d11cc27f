use super::*;
use crate::domain::access_policy::AccessPolicy;
use crate::domain::rate_limit::RouteLimits;
use crate::routing::normal_path::Oddities;
use crate::routing::pattern::PathPattern;
use crate::routing::route::{Methods, Target};

fn route(name: &str, path: &str) -> Route {
    Route {
        name: name.into(),
        host: HostPattern::Any,
        path: PathPattern::parse(path, false).unwrap(),
        methods: Methods::Standard,
        target: Target::Upstream("backend".into()),
        access: AccessPolicy::Public,
        forward_credentials: false,
        strip_prefix: None,
        allow: Oddities::default(),
        limits: RouteLimits::default(),
    }
}

fn exact(name: &str, path: &str) -> Route {
    Route { path: PathPattern::parse(path, true).unwrap(), ..route(name, path) }
}

fn on_host(host: &str, route: Route) -> Route {
    Route { host: HostPattern::parse(host).unwrap(), ..route }
}

fn methods(list: &[&str], route: Route) -> Route {
    Route { methods: Methods::Listed(list.iter().map(|m| (*m).to_owned()).collect()), ..route }
}

fn find(table: &RouteTable, host: &str, path: &str, method: &str) -> String {
    let host = Host::parse(host.as_bytes()).ok();
    let path = NormalPath::parse(path.as_bytes()).unwrap();
    match table.find(host.as_ref(), &path, method) {
        Ok(route) => route.name.to_string(),
        Err(not) => format!("{} {}", not.denial.reason(), not.allow.join(",")).trim().to_owned(),
    }
}

#[test]
fn whole_segments_case_sensitive_most_specific_first() {
    let table = RouteTable::build([
        route("root", "/"),
        route("api", "/api"),
        route("orders", "/api/orders/"),
        route("any-meta", "/api/*/meta"),
        exact("one", "/api/one"),
    ])
    .unwrap();
    for (path, name) in [
        ("/", "root"),
        ("/api", "api"),
        ("/api/", "api"),
        ("/api/x/y", "api"),
        ("/apix", "root"),
        ("/API", "root"),
        ("/api.css", "root"),
        ("/api/orders", "orders"),
        ("/api/orders/", "orders"),
        ("/api/orders/1/2", "orders"),
        ("/api/ordersx", "api"),
        ("/api/7/meta", "any-meta"),
        ("/api/7/meta/deep", "any-meta"),
        ("/api/orders/meta", "orders"),
        ("/api/one", "one"),
        ("/api/one/", "one"),
        ("/api/one/two", "api"),
    ] {
        assert_eq!(find(&table, "h", path, "GET"), name, "{path}");
    }
}

#[test]
fn nothing_matches_by_default() {
    let table = RouteTable::build([route("api", "/api")]).unwrap();
    assert_eq!(find(&table, "h", "/", "GET"), "no_route");
    assert_eq!(find(&table, "h", "/apis", "GET"), "no_route");
    assert_eq!(find(&RouteTable::default(), "h", "/", "GET"), "no_route");
}

#[test]
fn a_wrong_method_at_the_best_path_does_not_fall_through() {
    let table = RouteTable::build([
        route("root", "/"),
        methods(&["GET"], route("read", "/orders")),
        methods(&["POST", "PUT"], route("write", "/orders")),
    ])
    .unwrap();
    assert_eq!(find(&table, "h", "/orders", "GET"), "read");
    assert_eq!(find(&table, "h", "/orders", "HEAD"), "read");
    assert_eq!(find(&table, "h", "/orders/1", "PUT"), "write");
    assert_eq!(find(&table, "h", "/orders", "DELETE"), "method_not_allowed GET,HEAD,POST,PUT");
    assert_eq!(find(&table, "h", "/orders", "OPTIONS"), "method_not_allowed GET,HEAD,POST,PUT");
    assert_eq!(find(&table, "h", "/other", "PROPFIND"), "method_not_allowed DELETE,GET,HEAD,OPTIONS,PATCH,POST,PUT");
}

#[test]
fn hosts_go_from_exact_to_any() {
    let table = RouteTable::build([
        route("any", "/"),
        on_host("a.example.com", route("exact", "/x")),
        on_host("*.example.com", route("below", "/")),
        on_host("*.b.example.com", route("deeper", "/")),
    ])
    .unwrap();
    assert_eq!(find(&table, "A.example.com:8080", "/x", "GET"), "exact");
    assert_eq!(find(&table, "a.example.com", "/y", "GET"), "below");
    assert_eq!(find(&table, "c.b.example.com", "/", "GET"), "deeper");
    assert_eq!(find(&table, "example.com", "/", "GET"), "any");
    assert_eq!(find(&table, "evilexample.com", "/", "GET"), "any");
}

#[test]
fn overlaps_are_refused() {
    let overlap = |routes: Vec<Route>| RouteTable::build(routes).is_err();
    assert!(overlap(vec![route("a", "/x"), route("b", "/x/")]));
    assert!(overlap(vec![methods(&["GET"], route("a", "/x")), route("b", "/x")]));
    assert!(!overlap(vec![methods(&["GET"], route("a", "/x")), methods(&["POST"], route("b", "/x"))]));
    assert!(!overlap(vec![exact("a", "/x"), route("b", "/x")]));
}

#[test]
fn odd_paths_need_a_route_that_allows_them_and_lead_nowhere_else() {
    let lenient = Route {
        allow: Oddities { encoded_slash: true, semicolon: true, double_slash: true },
        ..route("files", "/files")
    };
    let table = RouteTable::build([route("root", "/"), lenient, route("admin", "/files/admin")]).unwrap();
    assert_eq!(find(&table, "h", "/files/a%2fb", "GET"), "files");
    assert_eq!(find(&table, "h", "/files/a;v=1", "GET"), "files");
    assert_eq!(find(&table, "h", "/files//a", "GET"), "files");
    for path in
        ["/a%2fb", "/a;b", "//a", "//files/a", "/files%2fadmin", "/files//admin", "/files/admin;x/y", "/files;a/admin"]
    {
        assert_eq!(find(&table, "h", path, "GET"), "bad_path", "{path}");
    }
}

#[test]
fn ten_thousand_routes_are_each_found() {
    let table =
        RouteTable::build((0..10_000).map(|n| route(&format!("r{n}"), &format!("/s{}/r{n}", n % 100)))).unwrap();
    assert_eq!(table.len(), 10_000);
    for n in (0..10_000).step_by(997) {
        assert_eq!(find(&table, "h", &format!("/s{}/r{n}/x", n % 100), "GET"), format!("r{n}"));
    }
}
