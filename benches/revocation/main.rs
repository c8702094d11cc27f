//! How long a revoked key is still let in by another gateway, with the bus and with the log alone. `README.md` beside this
//! folder says what is measured and how.

// A program that measures reads the clock, prints what it found, and asks nobody for the time.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods)]

#[path = "../harness/mod.rs"]
mod harness;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use harness::connection::Connection;
use harness::gateway::post;
use harness::redis::Redis;
use harness::{Result, upstream};
use portcullis::config;
use portcullis::domain::audit::Initiator;
use portcullis::domain::key_owner::KeyOwner;
use portcullis::domain::key_terms::KeyTerms;
use portcullis::domain::scope::ScopeSet;
use portcullis::identity::api_keys::{Expiry, NewKey};
use portcullis::server::ground::{Administration, Nature, Stores, make_master_key};
use portcullis::server::run::{Running, back_office};
use serde_json::{Value, json};

const REVOCATIONS: usize = 200;
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    match bench() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("revocation: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn bench() -> Result<()> {
    let redis = Redis::start()?;
    println!("{REVOCATIONS} revocations, from the answer to the one who revokes to the first refusal elsewhere, in ms");
    for (what, cache) in [
        ("bus", format!("{{ redis: \"{}\", max_age: 1h, poll_interval: 60s }}", redis.url())),
        ("log alone, every 200ms", "{ max_age: 1h, poll_interval: 200ms }".to_owned()),
    ] {
        let mut times = measure(&cache)?;
        times.sort_unstable();
        let at =
            |part: usize| times.get((times.len() - 1) * part / 100).copied().unwrap_or_default().as_secs_f64() * 1e3;
        println!("{what:<24} p50 {:>7.2}  p99 {:>7.2}  most {:>7.2}", at(50), at(99), at(100));
    }
    Ok(())
}

fn measure(cache: &str) -> Result<Vec<Duration>> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let backend = upstream::start().map_err(|error| format!("no upstream: {error}"))?;
    let (one, other, admin) = gateways(folder.path(), backend, cache)?;
    let (mut here, mut there) = (Connection::open(one.http())?, Connection::open(other.http())?);
    let by_admin = format!("X-API-Key: {admin}\r\n");
    let mut times = Vec::with_capacity(REVOCATIONS);
    for _ in 0..REVOCATIONS {
        let made =
            here.exchange(&post("/api/v1/auth/keys/", &by_admin, &json!({ "name": "bench", "owner": "robot" })))?;
        let made: Value = serde_json::from_slice(&made.body).map_err(|error| format!("no key: {error}"))?;
        let text = |field: &str| made.get(field).and_then(Value::as_str).ok_or("no key was made");
        let (id, key) = (text("id")?, text("key")?);
        let request = format!("GET /guarded/ HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\n\r\n").into_bytes();
        here.fetch(&request)?;
        there.fetch(&request)?;
        let revoke = post(&format!("/api/v1/auth/keys/{id}/revoke/"), &by_admin, &json!({ "reason": "bench" }));
        let answer = here.exchange(&revoke)?;
        let revoked = Instant::now();
        if answer.status != 200 {
            return Err(format!("the revocation was answered with {}", answer.status));
        }
        while there.exchange(&request)?.status != 401 {
            if revoked.elapsed() > PATIENCE {
                return Err("a revoked key is let in for good".to_owned());
            }
        }
        times.push(revoked.elapsed());
    }
    Ok(times)
}

/// Two on one database, and the key of an administrator.
fn gateways(folder: &Path, backend: SocketAddr, cache: &str) -> Result<(Running, Running, String)> {
    let place = folder.display();
    let text = format!(
        "listen: {{ http: \"127.0.0.1:0\", ops: \"127.0.0.1:0\" }}\n\
         storage: {{ url: \"sqlite://{place}/portcullis.db\" }}\n\
         secrets: {{ master_key: {{ file: \"{place}/master.key\" }} }}\n\
         log: {{ access: off, audit: {{ file: \"{place}/audit.log\" }} }}\n\
         workers: {{ threads: 1 }}\n\
         cache: {cache}\n\
         upstreams: {{ backend: {{ servers: [\"{backend}\"] }} }}\n\
         routes: [{{ path: /guarded/, upstream: backend, access: {{ any: [jwt, api_key] }} }}]\n"
    );
    let settings = config::read(&text, "bench.yaml", folder, &BTreeMap::new()).map_err(|faults| faults.to_string())?;
    let nature = Nature::real();
    let runtime = back_office().map_err(|error| error.to_string())?;
    let admin = runtime.block_on(async {
        let stores = Stores::prepare(&settings).await.map_err(|error| error.to_string())?;
        make_master_key(&settings, &stores, nature.random.as_ref()).await.map_err(|error| error.to_string())?;
        let administration = Administration::new(&settings, &stores, &nature).map_err(|error| error.to_string())?;
        let new = NewKey {
            name: "admin".to_owned(),
            owner: KeyOwner::Service("admin".to_owned()),
            scopes: ScopeSet::parse("keys:read keys:write").map_err(|error| error.to_string())?,
            expiry: Expiry::Never,
            terms: KeyTerms::default(),
        };
        let made = administration.keys.create(new, &Initiator::operator()).await.map_err(|error| error.to_string())?;
        stores.close().await;
        Ok::<_, String>(made.1.expose().to_owned())
    })?;
    let start = || Running::start(&settings).map_err(|error| error.to_string());
    let (one, other) = (start()?, start()?);
    // Until both listen to the bus.
    std::thread::sleep(Duration::from_millis(500));
    Ok((one, other, admin))
}
