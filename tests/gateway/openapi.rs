//! The API's description: that it is served, to programs and to people, and that it tells of everything there is.

use std::collections::{BTreeMap, BTreeSet};

use portcullis::api::endpoints;
use serde_json::Value;

use crate::harness::{Plan, Reply, World};

const PREFIX: &str = "/api/v1/auth";
const OPENAPI: &str = "/api/v1/auth/openapi.json";
const DOCS: &str = "/api/v1/auth/docs/";
const STYLE: &str = "/api/v1/auth/docs/style.css";

/// Whoever calls one of the described operations, with all that it could ask for.
fn caller(world: &World) -> String {
    let scopes: BTreeSet<String> = endpoints::all(PREFIX, true, false)
        .iter()
        .flat_map(|endpoint| &endpoint.operations)
        .filter_map(|operation| operation.access.to_string().split_once("scopes ").map(|(_, scopes)| scopes.to_owned()))
        .flat_map(|scopes| scopes.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let scopes: Vec<String> = scopes.into_iter().collect();
    world.user_with("anna", true, &scopes.join(" "));
    format!("Bearer {}", world.sign_in("anna").0)
}

fn served(world: &World) -> Value {
    let reply = world.get(OPENAPI, &[]);
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")), "{reply:?}");
    reply.json()
}

/// Path and methods, as the document says.
fn described(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let paths = document["paths"].as_object().unwrap().iter();
    let methods = |item: &Value| item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
    paths.map(|(path, item)| (path.clone(), methods(item))).collect()
}

#[test]
fn the_document_is_public_and_may_be_kept() {
    let world = World::start();
    let reply = world.get(OPENAPI, &[("Authorization", "Bearer junk"), ("Accept", "application/json")]);
    assert_eq!(reply.status, 200, "it asks for no credential and looks at none");
    assert_eq!(reply.header("cache-control"), Some("public, max-age=300"));
    assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
    let document = reply.json();
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["title"], "Authentication API");
    assert_eq!(document["info"]["version"], "1");
    assert_eq!(world.get(OPENAPI, &[("Accept", "application/json; indent=2")]).json(), document);

    let head = world.request("HEAD", OPENAPI, &[], b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(world.request("POST", OPENAPI, &[], b"").status, 405);
    assert_eq!(world.get(OPENAPI, &[("Accept", "image/png")]).status, 406);
}

#[test]
fn every_path_of_the_gateways_own_is_described_and_no_other() {
    let extra = "second_factor: { administration: false }".to_owned();
    let world = World::plan(Plan { extra, ..Plan::default() });
    let described = described(&served(&world));
    let bare = |path: &str| path.trim_end_matches('/').to_owned();
    let listed: BTreeSet<String> =
        endpoints::all(PREFIX, true, true).iter().map(|endpoint| bare(&endpoint.path)).collect();
    assert_eq!(described.keys().map(|path| bare(path)).collect::<BTreeSet<_>>(), listed);

    // As a client meets them: the path is there in both forms, and has exactly the methods that are described.
    let bearer = caller(&world);
    for (path, methods) in &described {
        let path = path.split('/').map(|part| if part.starts_with('{') { "nothing" } else { part });
        let path = path.collect::<Vec<_>>().join("/");
        for form in [path.clone(), bare(&path), format!("{}/", bare(&path))] {
            let reply = world.request("OPTIONS", &form, &[("Authorization", bearer.as_str())], b"");
            assert_eq!(reply.status, 200, "OPTIONS {form}: {reply:?}");
            let allowed: BTreeSet<String> = reply.header("allow").unwrap().split(", ").map(str::to_owned).collect();
            let mut expected = methods.clone();
            expected.extend(methods.contains("GET").then(|| "HEAD".to_owned()));
            expected.insert("OPTIONS".to_owned());
            assert_eq!(allowed, expected, "{form}");
        }
    }
}

#[test]
fn what_an_operation_demands_is_what_is_described() {
    let world = World::start();
    let document = served(&world);
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let open = operation["security"].as_array().unwrap().is_empty();
            let reply = world.request(&method.to_uppercase(), &path.replace(['{', '}'], "-"), &[], b"");
            let challenged = reply.status == 401 && reply.json()["code"] == "not_authenticated";
            assert_eq!(challenged, !open, "{method} {path}: {reply:?}");
            assert_eq!(operation["responses"].get("403").is_some(), !open, "{method} {path}");
            for status in ["400", "429", "500", "503"] {
                assert!(operation["responses"].get(status).is_some(), "{method} {path}: {status}");
            }
        }
    }
}

#[test]
fn the_prefix_is_that_of_the_configuration() {
    let plan = |docs: bool| Plan { extra: format!("api: {{ prefix: /gate, docs: {docs} }}"), ..Plan::default() };
    let world = World::plan(plan(true));
    let document = world.get("/gate/openapi.json", &[]).json();
    assert!(described(&document).contains_key("/gate/token/"), "{document}");
    let page = world.get("/gate/docs/", &[]);
    assert_eq!(page.status, 200);
    assert!(links(&page).contains(&"/gate/docs/style.css".to_owned()), "{page:?}");

    let silent = World::plan(plan(false));
    for path in ["/gate/openapi.json", "/gate/docs/", "/gate/docs", "/gate/docs/style.css"] {
        assert_eq!(silent.get(path, &[]).status, 404, "{path}");
    }
    assert_eq!(silent.get("/gate/token/", &[]).status, 405, "only the description is gone");
}

/// Where a page leads.
fn links(page: &Reply) -> Vec<String> {
    let text = page.text().replace("&#x2f;", "/");
    let attributes = text.split("href=\"").skip(1);
    attributes.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn the_page_is_whole_by_itself() {
    let world = World::start();
    for path in [DOCS, DOCS.trim_end_matches('/')] {
        let page = world.get(path, &[("Accept", "text/html,application/xhtml+xml;q=0.9")]);
        assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
        let policy = page.header("content-security-policy").unwrap();
        assert_eq!(
            policy,
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(page.header("allow"), Some("GET, HEAD, OPTIONS"));
        for word in ["<script", "src=", "http://", "https://", "style="] {
            assert!(!page.text().contains(word), "{word}");
        }
        for link in links(&page).into_iter().filter(|link| !link.starts_with('#')) {
            assert!(link.starts_with(PREFIX), "{link}");
            assert_eq!(world.get(&link, &[]).status, 200, "{link}");
        }
        for path in described(&served(&world)).keys() {
            assert!(page.text().replace("&#x2f;", "/").contains(&format!("<code>{path}</code>")), "{path}");
        }
    }
    let style = world.get(STYLE, &[("Accept", "text/css,*/*;q=0.1")]);
    assert_eq!((style.status, style.header("content-type")), (200, Some("text/css; charset=utf-8")));
    assert!(!style.text().contains("url(") && !style.text().contains("@import"));
}

#[test]
fn the_page_is_an_endpoint_like_others() {
    let world = World::start();
    for (method, accept, status) in [
        ("HEAD", "text/html", 200),
        ("OPTIONS", "*/*", 200),
        ("POST", "*/*", 405),
        ("GET", "application/json", 406),
        ("GET", "image/png", 406),
    ] {
        let reply = world.request(method, DOCS, &[("Accept", accept)], b"");
        assert_eq!(reply.status, status, "{method} {accept}");
        assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"), "{method} {accept}");
    }
    assert_eq!(world.get(&format!("{DOCS}?format=json"), &[]).status, 404);
    assert_eq!(world.get(&format!("{DOCS}nothing"), &[]).status, 404);
}
