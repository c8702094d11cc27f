//! The annotated example is the reference, so it has to say what is so.

use std::path::Path;

use portcullis::config;

use crate::{environment, read};

const ANNOTATED: &str = include_str!("../../config/portcullis.yaml");

const MINIMAL: &str = r#"
storage: { url: "sqlite://data/portcullis.db" }
secrets: { master_key: { file: data/master.key } }
upstreams: { backend: { servers: ["127.0.0.1:8000"] } }
routes:
  - { name: health, path: /health, exact: true, methods: [GET], upstream: backend, access: public }
  - { path: /api/v1/orders/, methods: [GET], upstream: backend, access: { any: [jwt, api_key], scopes: [orders:read] } }
  - { path: /, upstream: backend, access: { any: [jwt, api_key] } }
"#;

#[test]
fn every_value_it_shows_is_the_default() {
    let (annotated, minimal) = (read(ANNOTATED, &[]).unwrap(), read(MINIMAL, &[]).unwrap());
    assert_eq!(format!("{annotated:#?}"), format!("{minimal:#?}"));
    assert_eq!(annotated.storage.url.expose(), minimal.storage.url.expose());
    assert_eq!(annotated.warnings, []);
}

#[test]
fn it_loads_from_where_it_lies() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/portcullis.yaml");
    let settings = config::load(&path, &environment(&[])).unwrap();
    let names: Vec<&str> = settings.routes.iter().map(|route| &*route.name).collect();
    assert_eq!(names, ["health", "GET /api/v1/orders/", "/"]);
}

#[test]
fn it_shows_every_key() {
    // Keys that are known but not shown come up as the choices when one is misspelt.
    for line in ANNOTATED.lines().filter(|line| !line.trim_start().starts_with('#') && line.contains(':')) {
        let key = line.trim_start().trim_start_matches("- ").split(':').next().unwrap();
        let broken = ANNOTATED.replacen(line, &line.replacen(key, "zzzzzzzzzzzz", 1), 1);
        let Err(faults) = read(&broken, &[]) else { continue };
        for fault in faults.iter().filter(|fault| fault.problem.contains("zzzzzzzzzzzz")) {
            let Some(known) = fault.remedy.strip_prefix("choose from ") else { continue };
            for key in known.split(", ") {
                assert!(ANNOTATED.contains(&format!("{key}:")), "{key} is not in the annotated example");
            }
        }
    }
}
