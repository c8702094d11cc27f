//! What a refresh costs, and how often each step writes.

use crate::Result;
use crate::commits::Commits;
use crate::figures::verdict;
use crate::harness::connection::Connection;
use crate::harness::gateway::Gateway;
use crate::harness::process::{self, Process};
use crate::people::PASSWORD;
use crate::requests::{pair, refresh, sign_in};

const COUNTED: usize = 25;
const TIMED: usize = 400;
const AIM_US: f64 = 1000.0;

pub fn measure(gateway: &Gateway, process: &Process) -> Result<()> {
    let mut connection = Connection::open(gateway.address)?;
    let mut most = |step: &mut dyn FnMut(&mut Connection, usize) -> Result<()>| -> Result<usize> {
        let mut most = None;
        for number in 0..COUNTED {
            let before = Commits::read(&gateway.database)?;
            step(&mut connection, number)?;
            // Without a figure where the log was begun anew meanwhile.
            most = most.max(Commits::read(&gateway.database)?.since(before));
        }
        most.ok_or_else(|| "the write-ahead log was begun anew all the time".to_owned())
    };
    let mut token = String::new();
    let signing_in = most(&mut |connection, number| {
        token = pair(connection, &sign_in(&format!("user-{number}"), PASSWORD, number))?.1;
        Ok(())
    })?;
    let refusing = most(&mut |connection, number| {
        connection.exchange(&sign_in(&format!("nobody-at-all-{number}"), PASSWORD, number)).map(drop)
    })?;
    let refreshing = most(&mut |connection, _| {
        token = pair(connection, &refresh(&token))?.1;
        Ok(())
    })?;
    let before = process::cpu_time(process.id())?;
    for _ in 0..TIMED {
        token = pair(&mut connection, &refresh(&token))?.1;
    }
    let spent = process::spent(&before, &process::cpu_time(process.id())?) as f64 / 1000.0 / TIMED as f64;
    println!(
        "refresh                   {spent:6.0} us of CPU, {refreshing} write (aim 1000 us and one write: {})",
        verdict(spent < AIM_US && refreshing <= 1)
    );
    println!("sign-in                   {signing_in} writes; refused, {refusing} writes");
    Ok(())
}
