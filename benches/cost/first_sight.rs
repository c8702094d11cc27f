//! A credential that this gateway has not seen before: what it costs beyond one that it has, and beyond verifying it.

use portcullis::domain::signing_key::SigningAlgorithm;
use serde_json::json;

use crate::harness::Result;
use crate::harness::load::Requests;
use crate::harness::process::Process;
use crate::issuer::Issuer;
use crate::report::{self, Row, median, verdict};
use crate::shared_keys::SharedKeys;
use crate::signer::{ALGORITHMS, Signer};
use crate::stage::{Stage, request, with_key, with_token};
use crate::store;
use crate::subject::{Load, Subject, take_turns};

const SECTION: &str = "first sight";
const SEEN_KEY: &str = "key seen before";
const STORED_KEY: &str = "new key, from the store";
const SHARED_KEY: &str = "new key, from Redis";
const NEW_SESSION: &str = "new token of a new session, ES256";
/// In a burst; each takes a credential that is used up then.
const REQUESTS: usize = 512;
/// Microseconds beyond verification.
const AIM_US: f64 = 15.0;

fn seen_row(algorithm: SigningAlgorithm) -> String {
    format!("token seen before, {algorithm}")
}

fn new_row(algorithm: SigningAlgorithm) -> String {
    format!("new token, {algorithm}")
}

/// A gateway whose tokens are measured, and what verifying one of them alone took in each round.
struct Measured {
    signer: Signer,
    token: String,
    alone: Vec<f64>,
    _process: Process,
}

pub fn measure(stage: &Stage) -> Result<bool> {
    let wants = |row: &str| stage.arguments.wants(SECTION, row);
    let algorithms: Vec<SigningAlgorithm> = ALGORITHMS
        .into_iter()
        .filter(|algorithm| wants(&seen_row(*algorithm)) || wants(&new_row(*algorithm)))
        .collect();
    let wants_keys = [SEEN_KEY, STORED_KEY, SHARED_KEY].into_iter().any(wants);
    if algorithms.is_empty() && !wants_keys && !wants(NEW_SESSION) {
        return Ok(false);
    }
    let load = Load::new(&stage.arguments, stage.arguments.fewer_rounds(), REQUESTS);
    let (bare, address) = stage.bare_proxy()?;
    let plain = Requests::same(request("/public/hello", ""));
    let mut subjects = vec![Subject { name: "bare proxy".to_owned(), address, pid: bare.id(), requests: plain }];
    let mut measured = Vec::new();
    for algorithm in ALGORITHMS {
        let keys_here = algorithm == SigningAlgorithm::Es256 && (wants_keys || wants(NEW_SESSION));
        if algorithms.contains(&algorithm) || keys_here {
            let keys_here = keys_here && wants_keys;
            measured.push(add(stage, algorithm, load, keys_here, &mut subjects)?);
        }
    }
    let shared = if wants(SHARED_KEY) { Some(SharedKeys::prepare(stage, load)?) } else { None };
    if let Some(shared) = &shared {
        subjects.push(shared.subject(SHARED_KEY)?);
    }

    let mut rows: Vec<Row> = subjects.iter().map(|subject| Row::new(&subject.name)).collect();
    for round in 0..load.rounds {
        take_turns(&subjects, &mut rows, round, load)?;
        for Measured { signer, token, alone, .. } in &mut measured {
            alone.push(signer.verification_time(token, &stage.cores)?);
        }
    }
    report::print(&rows, load);
    for Measured { signer, alone, .. } in &measured {
        let seen = report::find(&rows, &seen_row(signer.algorithm));
        let mut new = vec![new_row(signer.algorithm)];
        if signer.algorithm == SigningAlgorithm::Es256 {
            new.push(NEW_SESSION.to_owned());
        }
        for new in new {
            let Some((new, seen)) = report::find(&rows, &new).zip(seen) else { continue };
            let (more, alone) = (new.beyond(seen), median(alone.iter().copied()));
            let beyond = more - alone;
            println!(
                "{}: {more:.1} us more than when seen before, {alone:.1} us of them for the signature; beyond it \
                 {beyond:.1} us (aim {AIM_US}: {})",
                new.name,
                verdict(beyond <= AIM_US)
            );
        }
    }
    for name in [STORED_KEY, SHARED_KEY] {
        if let Some((new, seen)) = report::find(&rows, name).zip(report::find(&rows, SEEN_KEY)) {
            println!("{name}: {:.1} us more than when seen before", new.beyond(seen));
        }
    }
    if let Some(shared) = &shared {
        shared.came_from_redis(load)?;
    }
    Ok(true)
}

/// One gateway, with the rows that it serves.
fn add(
    stage: &Stage,
    algorithm: SigningAlgorithm,
    load: Load,
    with_keys: bool,
    subjects: &mut Vec<Subject>,
) -> Result<Measured> {
    let wants = |row: &str| stage.arguments.wants(SECTION, row);
    let new_session = algorithm == SigningAlgorithm::Es256 && wants(NEW_SESSION);
    let count = load.rounds * load.count;
    let folder = stage.folder(&format!("first-sight-{algorithm}"))?;
    let Issuer { signer, gateway } = Issuer::prepare(stage, &folder, algorithm, &[])?;
    let keys = if with_keys { store::fill_with_keys(&gateway.database, count + 1, count)? } else { Vec::new() };
    let process = stage.serve(&gateway, &request("/public/hello", ""))?;
    let token = gateway.sign_in()?;
    let mut add = |name: &str, requests: Requests| {
        subjects.push(Subject { name: name.to_owned(), address: gateway.address, pid: process.id(), requests });
    };
    let once = |tokens: Vec<String>| {
        Requests::once(tokens.iter().map(|token| with_token(token)).collect(), with_token(&token))
    };
    let (seen, new) = (seen_row(algorithm), new_row(algorithm));
    if wants(&seen) || wants(&new) || new_session {
        add(&seen, Requests::same(with_token(&token)));
    }
    if wants(&new) {
        add(&new, once(signer.vary(&token, count, |_, _| {})?));
    }
    if new_session {
        store::copy_session(&gateway.database, count, "first-sight-")?;
        let tokens = signer.vary(&token, count, |number, claims| {
            claims.insert("sid".to_owned(), json!(format!("first-sight-{number}")));
        })?;
        add(NEW_SESSION, once(tokens));
    }
    if with_keys {
        let seen = with_key("/guarded/hello", &gateway.key);
        add(SEEN_KEY, Requests::same(seen.clone()));
        if wants(STORED_KEY) {
            let all = keys.iter().map(|key| with_key("/guarded/hello", key)).collect();
            add(STORED_KEY, Requests::once(all, seen));
        }
    }
    Ok(Measured { signer, token, alone: Vec::new(), _process: process })
}
