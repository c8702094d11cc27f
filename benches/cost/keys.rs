//! Whether a request costs more, or a start takes longer, the more keys there are.

use crate::harness::Result;
use crate::harness::gateway::Gateway;
use crate::harness::load::Requests;
use crate::report::{self, verdict};
use crate::stage::{Stage, with_key};
use crate::store;
use crate::subject::{Load, Subject, alternate};

const SECTION: &str = "keys";
/// Keys, and how many of them are in use, one after the other. The largest store is asked for few, too, so that what many
/// in use cost is told apart from what many cost.
const ROWS: [(usize, &[usize]); 3] = [(10, &[10]), (10_000, &[1_000]), (1_000_000, &[10, 1_000])];
const AIM: f64 = 1.05;
const AIM_START_MS: f64 = 1000.0;

fn row(size: usize, in_use: usize) -> String {
    format!("{size} keys, {in_use} in use")
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
        let Some(most) = uses.iter().copied().max() else { continue };
        let gateway = Gateway::prepare(&stage.folder(&format!("keys-{size}"))?, stage.upstream, &[])?;
        let mut keys = store::fill_with_keys(&gateway.database, size, most)?;
        keys.push(gateway.key.clone());
        let requests: Vec<Vec<u8>> = keys.iter().map(|key| with_key("/guarded/hello", key)).collect();
        let first = requests.first().map_or(&[][..], Vec::as_slice);
        let (process, start) = stage.time_starts(&format!("{size} keys"), &gateway, first)?;
        println!("{size} keys: a start (aim {AIM_START_MS} ms): {}", verdict(start < AIM_START_MS));
        for in_use in uses {
            let requests = Requests::in_turn(requests.iter().take(in_use).cloned().collect());
            let name = row(size, in_use);
            subjects.push(Subject { name, address: gateway.address, pid: process.id(), requests });
        }
        running.push((size, process));
    }
    let load = Load::lesser(&stage.arguments);
    let rows = alternate(&subjects, load)?;
    report::print(&rows, load);
    report::judge_growth(&rows, AIM);
    for (size, process) in running {
        println!("{size} keys, after the load: {} KiB resident", process.resident_kib()?);
    }
    Ok(true)
}
