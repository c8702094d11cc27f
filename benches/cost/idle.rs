//! What connections cost that are kept open and send nothing.

use std::net::SocketAddr;

use serde_json::json;

use crate::harness::connection::Connection;
use crate::harness::gateway::Gateway;
use crate::harness::load::Requests;
use crate::harness::process::Process;
use crate::harness::{Result, open_files};
use crate::report;
use crate::stage::{Stage, request, with_key};
use crate::subject::{Load, Subject, alternate};

const SECTION: &str = "idle";
const CONNECTIONS: u64 = 10_000;
/// Files that whoever holds them may need beside.
const FILES_BESIDE: u64 = 256;
const AIM: f64 = 1.05;

pub fn measure(stage: &Stage) -> Result<bool> {
    let row = |proxy: &str, count: usize| format!("{proxy}, {count} idle");
    let wants = |proxy: &str| stage.arguments.wants(SECTION, &row(proxy, CONNECTIONS as usize));
    let (bare, portcullis) = ("bare proxy", "Portcullis");
    if !wants(bare) && !wants(portcullis) {
        return Ok(false);
    }
    // Two proxies are connected to from here, and Portcullis counts on a second file for each connection.
    let allowed = open_files::allow(2 * (CONNECTIONS + FILES_BESIDE));
    let count = CONNECTIONS.min((allowed / 2).saturating_sub(FILES_BESIDE)) as usize;
    println!();
    if (count as u64) < CONNECTIONS {
        println!(
            "ONLY {count} IDLE CONNECTIONS INSTEAD OF {CONNECTIONS}: {allowed} open files are allowed (ulimit -Hn)"
        );
    }
    let (mut subjects, mut running, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
    let mut add = |proxy: &str, (process, address): (Process, SocketAddr), request: &[u8], idle: usize| -> Result<()> {
        let before = process.resident_kib()?;
        let connections = open(address, request, idle).map_err(|problem| format!("{proxy}: {problem}"))?;
        if idle > 0 {
            let after = process.resident_kib()?;
            let each = after.saturating_sub(before) as f64 * 1024.0 / idle as f64;
            println!(
                "{proxy}: {before} KiB resident, with {idle} idle connections {after} KiB: {each:.0} bytes for each"
            );
        }
        let (name, requests) = (row(proxy, idle), Requests::same(request.to_vec()));
        subjects.push(Subject { name, address, pid: process.id(), requests });
        waiting.push((request.to_vec(), connections));
        running.push(process);
        Ok(())
    };
    if wants(bare) {
        let request = request("/public/hello", "");
        for idle in [0, count] {
            add(bare, stage.bare_proxy()?, &request, idle)?;
        }
    }
    if wants(portcullis) {
        let limits = json!({
            "connections": 4 * CONNECTIONS,
            "connections_per_address": 4 * CONNECTIONS,
            "idle_timeout": "10m",
        });
        for idle in [0, count] {
            let folder = stage.folder(&format!("idle-{idle}"))?;
            let gateway = Gateway::prepare(&folder, stage.upstream, &[("limits", limits.clone())])?;
            let request = with_key("/guarded/hello", &gateway.key);
            let process = stage.serve(&gateway, &request)?;
            add(portcullis, (process, gateway.address), &request, idle)?;
        }
    }
    let load = Load::lesser(&stage.arguments);
    let rows = alternate(&subjects, load)?;
    report::print(&rows, load);
    for pair in rows.chunks(2) {
        report::judge_growth(pair, AIM);
    }
    // They were open all the time, or this fails.
    for (request, mut connections) in waiting {
        connections.iter_mut().try_for_each(|connection| connection.fetch(&request))?;
    }
    Ok(true)
}

/// Each has had one answer, and waits for its next request.
fn open(address: SocketAddr, request: &[u8], count: usize) -> Result<Vec<Connection>> {
    let open = |_| {
        let mut connection = Connection::open(address)?;
        connection.fetch(request)?;
        Ok(connection)
    };
    (0..count).map(open).collect()
}
