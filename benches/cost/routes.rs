//! Whether a request costs more, or a start takes longer, the more routes there are.

use serde_json::{Value, json};

use crate::harness::Result;
use crate::harness::gateway::Gateway;
use crate::harness::load::Requests;
use crate::report;
use crate::stage::{Stage, with_key};
use crate::subject::{Load, Subject, alternate};

const SECTION: &str = "routes";
const AIM: f64 = 1.05;
/// Routes, and how many of them requests go to, one after the other.
const ROWS: [(usize, &[usize]); 2] = [(10, &[10]), (10_000, &[10, 1_000])];

fn row(size: usize, in_use: usize) -> String {
    format!("{size} routes, {in_use} in use")
}

fn path(number: usize) -> String {
    format!("/service-{number}/")
}

pub fn measure(stage: &Stage) -> Result<bool> {
    let wants = |size: usize, in_use: usize| stage.arguments.wants(SECTION, &row(size, in_use));
    if !ROWS.iter().any(|(size, uses)| uses.iter().any(|in_use| wants(*size, *in_use))) {
        return Ok(false);
    }
    println!();
    let (mut subjects, mut running) = (Vec::new(), Vec::new());
    for (at, (size, uses)) in ROWS.into_iter().enumerate() {
        // What the others are compared with is always there.
        let uses: Vec<usize> = uses.iter().copied().filter(|in_use| at == 0 || wants(size, *in_use)).collect();
        if uses.is_empty() {
            continue;
        }
        let routes: Vec<Value> = (0..size)
            .map(|number| json!({ "path": path(number), "upstream": "backend", "access": { "any": ["api_key"] } }))
            .collect();
        let folder = stage.folder(&format!("routes-{size}"))?;
        let gateway = Gateway::prepare(&folder, stage.upstream, &[("routes", json!(routes))])?;
        let request = |number: usize| with_key(&format!("{}hello", path(number)), &gateway.key);
        let (process, _) = stage.time_starts(&format!("{size} routes"), &gateway, &request(size - 1))?;
        for in_use in uses {
            // Spread over all there are.
            let requests = (0..in_use).map(|number| request(number * (size / in_use))).collect();
            let (name, requests) = (row(size, in_use), Requests::in_turn(requests));
            subjects.push(Subject { name, address: gateway.address, pid: process.id(), requests });
        }
        running.push(process);
    }
    let load = Load::lesser(&stage.arguments);
    let rows = alternate(&subjects, load)?;
    report::print(&rows, load);
    report::judge_growth(&rows, AIM);
    Ok(true)
}
