//! One request, seen before: the bare proxy, Portcullis with each kind of credential, and HAProxy.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis::domain::signing_key::SigningAlgorithm;

use crate::haproxy::{self, Haproxy};
use crate::harness::Result;
use crate::harness::connection::Connection;
use crate::harness::load::{self, Requests};
use crate::harness::process::Process;
use crate::issuer::Issuer;
use crate::report::{self, Row, verdict};
use crate::signer::ALGORITHMS;
use crate::stage::{Stage, request, with_key, with_token};
use crate::subject::{Load, Subject, alternate};

const SECTION: &str = "request";
const SECOND: &str = "bare proxy, a second process";
const PUBLIC: &str = "Portcullis, public route";
const KEY: &str = "Portcullis, API key";
const UNCHECKED: &str = "HAProxy, nothing checked";
const LATENCY_SECONDS: u64 = 2;
/// Whose tokens the bare proxy carries: the usual one, and the longest.
const CARRIED: [SigningAlgorithm; 2] = [SigningAlgorithm::Es256, SigningAlgorithm::Rs256];
/// An authenticated request, in bare ones.
const AIM: f64 = 1.10;

fn carried_row(algorithm: SigningAlgorithm) -> String {
    format!("bare proxy, with a token of {algorithm}")
}

fn portcullis_row(algorithm: SigningAlgorithm) -> String {
    format!("Portcullis, JWT {algorithm}")
}

fn haproxy_row(algorithm: SigningAlgorithm) -> String {
    format!("HAProxy, JWT {algorithm}")
}

/// Whoever takes part. The processes end when this is dropped.
struct Field<'a> {
    stage: &'a Stage,
    subjects: Vec<Subject>,
    processes: Vec<(String, Process)>,
}

impl Field<'_> {
    fn wants(&self, row: &str) -> bool {
        self.stage.arguments.wants(SECTION, row)
    }

    fn add(&mut self, name: &str, (address, pid): (SocketAddr, u32), request: Vec<u8>) {
        if self.wants(name) {
            self.subjects.push(Subject { name: name.to_owned(), address, pid, requests: Requests::same(request) });
        }
    }

    /// Portcullis signing with this algorithm, HAProxy verifying the same token, and the bare proxy carrying it.
    fn add_algorithm(
        &mut self,
        algorithm: SigningAlgorithm,
        bare: (SocketAddr, u32),
        version: Option<&str>,
    ) -> Result<()> {
        let (carried, own, rival) = (carried_row(algorithm), portcullis_row(algorithm), haproxy_row(algorithm));
        let carried_wanted = CARRIED.contains(&algorithm) && self.wants(&carried);
        // What needs no token is asked of the one with the default algorithm.
        let default = algorithm == SigningAlgorithm::Es256;
        let others = default && [PUBLIC, KEY].iter().any(|row| self.wants(row));
        let rival_wanted = version.is_some() && self.wants(&rival);
        if !(self.wants(&own) || carried_wanted || others || rival_wanted) {
            return Ok(());
        }
        let stage = self.stage;
        let folder = stage.folder(&format!("request-{algorithm}"))?;
        let Issuer { signer, gateway } = Issuer::prepare(stage, &folder, algorithm, &[])?;
        let first = request("/public/hello", "");
        let process = if others {
            stage.time_starts("Portcullis", &gateway, &first)?.0
        } else {
            stage.serve(&gateway, &first)?
        };
        let token = gateway.sign_in()?;
        gateway.refuses(&request("/guarded/hello", ""))?;
        gateway.refuses(&with_token(&format!("{token}x")))?;
        let portcullis = (gateway.address, process.id());
        self.processes.push((own.clone(), process));
        if carried_wanted {
            self.add(&carried, bare, with_token(&token));
        }
        if default {
            self.add(PUBLIC, portcullis, first);
            self.add(KEY, portcullis, with_key("/guarded/hello", &gateway.key));
        }
        self.add(&own, portcullis, with_token(&token));
        let Some(version) = version.filter(|_| rival_wanted) else { return Ok(()) };
        let haproxy = Haproxy::start(stage, &folder, Some(&signer))?;
        match haproxy.judges(&signer, &token)? {
            true => {
                self.add(&rival, (haproxy.address, haproxy.process.id()), with_token(&token));
                self.processes.push((rival, haproxy.process));
            }
            // What it can verify, it has to let in.
            false if algorithm == SigningAlgorithm::EdDsa => {
                println!("LEFT OUT: {rival}. {version} does not verify EdDSA.");
            }
            false => return Err(format!("{rival}: a token that holds is refused")),
        }
        Ok(())
    }
}

pub fn measure(stage: &Stage) -> Result<bool> {
    let wants = |row: &str| stage.arguments.wants(SECTION, row);
    let own: Vec<String> =
        CARRIED.into_iter().map(carried_row).chain(ALGORITHMS.into_iter().map(portcullis_row)).collect();
    let wants_rivals = wants(UNCHECKED) || ALGORITHMS.map(haproxy_row).iter().any(|row| wants(row));
    let wants_own = [SECOND, PUBLIC, KEY].into_iter().any(wants) || own.iter().any(|row| wants(row));
    if !wants_own && !wants_rivals {
        return Ok(false);
    }
    let version = if wants_rivals { haproxy::version()? } else { None };
    match &version {
        Some(version) => println!("{version}"),
        None if wants_rivals => {
            println!("LEFT OUT: all rows of HAProxy. There is no haproxy in PATH; tests/prepare.sh installs it.");
        }
        None => {}
    }
    let plain = request("/public/hello", "");
    let (bare, address) = stage.bare_proxy()?;
    let bare_place = (address, bare.id());
    let base =
        Subject { name: "bare proxy".to_owned(), address, pid: bare.id(), requests: Requests::same(plain.clone()) };
    let mut field = Field { stage, subjects: vec![base], processes: Vec::new() };
    if wants(SECOND) {
        let (again, address) = stage.bare_proxy()?;
        field.add(SECOND, (address, again.id()), plain.clone());
        field.processes.push((SECOND.to_owned(), again));
    }
    for algorithm in ALGORITHMS {
        field.add_algorithm(algorithm, bare_place, version.as_deref())?;
    }
    if wants(UNCHECKED) && version.is_some() {
        let haproxy = Haproxy::start(stage, &stage.folder("request-haproxy")?, None)?;
        Connection::open(haproxy.address)?.fetch(&plain)?;
        field.add(UNCHECKED, (haproxy.address, haproxy.process.id()), plain);
        field.processes.push((UNCHECKED.to_owned(), haproxy.process));
    }

    let load = Load::new(&stage.arguments, stage.arguments.rounds, stage.arguments.requests);
    let mut rows = alternate(&field.subjects, load)?;
    for (subject, row) in field.subjects.iter().zip(&mut rows) {
        let lasting = Duration::from_secs(LATENCY_SECONDS);
        let steady = load::steady(subject.address, subject.requests.first(), stage.arguments.rate, lasting)
            .map_err(|problem| format!("{}: {problem}", subject.name))?;
        if steady.refused > 0 {
            return Err(format!("{}: {} requests were refused at a steady rate", subject.name, steady.refused));
        }
        row.latencies = steady.latencies;
    }
    report::print(&rows, load);
    println!("latency at {} requests per second", stage.arguments.rate);
    judge(&rows);
    for (name, process) in &field.processes {
        println!("{name}, after the load: {} KiB resident", process.resident_kib()?);
    }
    Ok(true)
}

fn judge(rows: &[Row]) {
    let Some(base) = rows.first() else { return };
    for name in ALGORITHMS.map(portcullis_row).iter().map(String::as_str).chain([KEY]) {
        if let Some(row) = report::find(rows, name) {
            let times = row.times(base);
            println!("{name}: {times:.3} of the bare proxy (aim {AIM}: {})", verdict(times <= AIM));
        }
    }
    for algorithm in ALGORITHMS {
        let (own, rival) = (portcullis_row(algorithm), haproxy_row(algorithm));
        if let Some((own, rival)) = report::find(rows, &own).zip(report::find(rows, &rival)) {
            let times = own.times(rival);
            println!("{}: {times:.3} of HAProxy's (aim: less: {})", own.name, verdict(times < 1.0));
        }
    }
}
