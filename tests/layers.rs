//! Holds the floors: every `use crate::` in `src/` points down, and inside a folder there are no circles.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Which folders each folder may import. A folder that is not listed may not exist.
const FLOORS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("routing", &["domain"]),
    ("crypto", &["domain"]),
    ("storage", &["domain"]),
    ("telemetry", &["domain"]),
    ("config", &["routing", "domain"]),
    ("backends", &["storage", "domain"]),
    ("cache", &["crypto", "storage", "telemetry", "domain"]),
    ("identity", &["crypto", "storage", "domain"]),
    ("access", &["routing", "crypto", "storage", "domain"]),
    ("jobs", &["identity", "cache", "storage", "domain"]),
    ("api", &["identity", "access", "routing", "domain"]),
    ("edge", &["api", "access", "routing", "telemetry", "domain"]),
    (
        "server",
        &[
            "edge",
            "jobs",
            "api",
            "access",
            "identity",
            "cache",
            "backends",
            "config",
            "telemetry",
            "storage",
            "crypto",
            "routing",
            "domain",
        ],
    ),
    ("cli", &["server", "config", "identity", "routing", "domain"]),
];

/// Names that hide a noun.
const NAMELESS: &[&str] = &["utils", "util", "common", "helpers", "helper", "core", "manager", "misc"];

#[test]
fn imports_point_down() {
    let allowed: BTreeMap<&str, &[&str]> = FLOORS.iter().copied().collect();
    let mut faults = Vec::new();
    for file in sources() {
        let Some(folder) = folder_of(&file) else { continue };
        let Some(below) = allowed.get(folder.as_str()) else {
            faults.push(format!("{}: the folder {folder} is on no floor", file.display()));
            continue;
        };
        for import in imports(&file) {
            let target = import.split("::").next().unwrap().to_owned();
            if target != folder && !below.contains(&target.as_str()) {
                faults.push(format!("{}: {folder} may not import {target}", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn folders_hold_no_circles() {
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in sources() {
        let from = module_of(&file);
        for import in imports(&file) {
            let target = import_module(&import);
            if target != from {
                edges.entry(from.clone()).or_default().insert(target);
            }
        }
    }
    for start in edges.keys() {
        let mut path = vec![start.clone()];
        let mut done = BTreeSet::new();
        assert!(!finds(start, start, &edges, &mut done, &mut path), "a circle: {}", path.join(" -> "));
    }
}

#[test]
fn every_file_is_named_after_its_thing() {
    for file in sources() {
        for part in file.iter() {
            let name = part.to_str().unwrap().trim_end_matches(".rs");
            assert!(!NAMELESS.contains(&name), "{}: which noun is hiding in `{name}`?", file.display());
        }
    }
}

fn finds(
    from: &str,
    goal: &str,
    edges: &BTreeMap<String, BTreeSet<String>>,
    done: &mut BTreeSet<String>,
    path: &mut Vec<String>,
) -> bool {
    for next in edges.get(from).into_iter().flatten() {
        path.push(next.clone());
        if next == goal || (done.insert(next.clone()) && finds(next, goal, edges, done, path)) {
            return true;
        }
        path.pop();
    }
    false
}

fn sources() -> Vec<PathBuf> {
    fn walk(dir: &Path, into: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, into);
            } else if path.extension().is_some_and(|e| e == "rs") {
                into.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    let mut files = Vec::new();
    walk(&root(), &mut files);
    assert!(files.len() > 10, "the sources were not found");
    files
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// `None` for `lib.rs` and `main.rs`, which stand on no floor.
fn folder_of(file: &Path) -> Option<String> {
    (file.iter().count() > 1).then(|| file.iter().next().unwrap().to_str().unwrap().to_owned())
}

/// `a/b.rs` is `a::b`; `a/mod.rs` is `a`; deeper files belong to their second level.
fn module_of(file: &Path) -> String {
    let parts: Vec<&str> = file.iter().map(|p| p.to_str().unwrap().trim_end_matches(".rs")).collect();
    match parts.as_slice() {
        [folder, "mod"] => (*folder).to_owned(),
        [folder, thing, ..] => format!("{folder}::{thing}"),
        [thing] => (*thing).to_owned(),
        [] => String::new(),
    }
}

fn import_module(import: &str) -> String {
    let mut parts = import.split("::");
    let folder = parts.next().unwrap().to_owned();
    match parts.next() {
        Some(thing)
            if root().join(&folder).join(format!("{thing}.rs")).exists()
                || root().join(&folder).join(thing).is_dir() =>
        {
            format!("{folder}::{thing}")
        }
        _ => folder,
    }
}

/// The paths after `crate::` and `super::` in `use` lines, up to and outside of test modules.
fn imports(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let own = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let mut found = Vec::new();
    let parts: Vec<&str> = file.iter().map(|p| p.to_str().unwrap()).collect();
    for line in own.lines().map(str::trim) {
        let Some(rest) = line.strip_prefix("pub use ").or_else(|| line.strip_prefix("use ")) else { continue };
        if let Some(path) = rest.strip_prefix("crate::") {
            if let Some(items) = path.strip_prefix('{') {
                found.extend(items.trim_end_matches("};").split(',').map(|i| i.trim().to_owned()));
            } else {
                found.push(clean(path));
            }
        } else if let Some(path) = rest.strip_prefix("super::") {
            // `super` is the folder for `a/b.rs`, and the second level for anything deeper.
            if parts.len() == 2 && parts[1] != "mod.rs" {
                for item in path.trim_start_matches('{').trim_end_matches("};").split(", ") {
                    found.push(format!("{}::{}", parts[0], clean(item)));
                }
            }
        }
    }
    found.retain(|import| !import.is_empty());
    found
}

fn clean(path: &str) -> String {
    path.trim_end_matches(';').replace('{', "").trim_end_matches("::").to_owned()
}
