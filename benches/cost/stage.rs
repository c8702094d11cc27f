//! What all sections run on: the cores, a folder, an upstream, and the bare proxy.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::harness::Result;
use crate::harness::gateway::{self, Gateway};
use crate::harness::process::{self, Cores, Process};

const STARTS: usize = 5;

pub struct Stage {
    pub arguments: Arguments,
    pub cores: Cores,
    pub upstream: SocketAddr,
    pub place: PathBuf,
}

impl Stage {
    /// A folder that nobody else has.
    pub fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.place.join(name);
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    pub fn bare_proxy(&self) -> Result<(Process, SocketAddr)> {
        let address = process::free_address()?;
        let mut command = Command::new(example("bare_proxy")?);
        command.arg(address.to_string()).arg(self.upstream.to_string());
        let mut process = Process::start("bare_proxy", command, &self.cores)?;
        process.answers(address, &request("/", ""))?;
        Ok((process, address))
    }

    pub fn serve(&self, gateway: &Gateway, first: &[u8]) -> Result<Process> {
        let mut process = gateway.serve(&self.cores)?;
        process.answers(gateway.address, first)?;
        Ok(process)
    }

    /// Starts the gateway a few times on what is already there, and leaves the last one running. How long it takes to the
    /// complete answer to `first`: the median, in milliseconds.
    pub fn time_starts(&self, name: &str, gateway: &Gateway, first: &[u8]) -> Result<(Process, f64)> {
        let mut times = Vec::new();
        loop {
            let begin = Instant::now();
            let process = self.serve(gateway, first)?;
            times.push(begin.elapsed().as_secs_f64() * 1000.0);
            if times.len() < STARTS {
                process.stop()?;
                continue;
            }
            times.sort_unstable_by(f64::total_cmp);
            let at = |index: usize| times.get(index).copied().unwrap_or(f64::NAN);
            // What a start leaves behind settles before memory is read.
            std::thread::sleep(Duration::from_secs(2));
            println!(
                "{name}: from start to first answer {:.0} ms, from {:.0} to {:.0} ms in {STARTS} starts; idle, {} KiB \
                 resident",
                at(STARTS / 2),
                at(0),
                at(STARTS - 1),
                process.resident_kib()?
            );
            return Ok((process, at(STARTS / 2)));
        }
    }
}

/// Examples are built into a folder beside the binary; `cargo bench` alone does not build them.
fn example(name: &str) -> Result<PathBuf> {
    let path = Path::new(gateway::BINARY).with_file_name("examples").join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(format!("{} is missing; `make bench` builds it first", path.display()))
}

pub fn request(path: &str, fields: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: cost\r\nAccept: */*\r\n{fields}\r\n").into_bytes()
}

/// A request to what is guarded.
pub fn with_token(token: &str) -> Vec<u8> {
    request("/guarded/hello", &format!("Authorization: Bearer {token}\r\n"))
}

pub fn with_key(path: &str, key: &str) -> Vec<u8> {
    request(path, &format!("X-API-Key: {key}\r\n"))
}
