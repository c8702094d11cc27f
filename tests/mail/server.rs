//! Somebody else's SMTP server, as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// Debian's own, which has Debian's packages.
const PYTHON: &str = "/usr/bin/python3";
/// Far longer than anything here takes: a test that waits for what never comes fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that is killed with the test.
pub struct Server {
    child: Child,
    _stdin: ChildStdin,
    told: Receiver<Value>,
    pub port: u16,
}

impl Server {
    /// Waits until it listens.
    pub fn start(plan: &Value) -> Self {
        let mut child = Command::new(PYTHON)
            .arg(script("server.py"))
            .arg(plan.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{PYTHON}: {error}"));
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (tell, told) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                let line = line.unwrap();
                if tell.send(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))).is_err() {
                    return;
                }
            }
        });
        let mut server = Self { child, _stdin: stdin, told, port: 0 };
        let port = server.next()["port"].as_u64().expect("the first line is the port");
        server.port = u16::try_from(port).unwrap();
        server
    }

    /// What it says next.
    pub fn next(&self) -> Value {
        self.told.recv_timeout(PATIENCE).unwrap_or_else(|error| panic!("the mail server says nothing: {error}"))
    }

    /// Ends it, and gives what it said that nobody has asked for yet.
    pub fn stop(mut self) -> Vec<Value> {
        self.kill();
        self.told.iter().collect()
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A CA, a certificate for `localhost` by it, and another CA.
pub struct Certificates(TempDir);

impl Certificates {
    pub fn make() -> Self {
        let place = tempfile::tempdir().unwrap();
        let made = Command::new(PYTHON).arg(script("certificates.py")).arg(place.path()).status().unwrap();
        assert!(made.success(), "the certificates were not made");
        Self(place)
    }

    pub fn ca(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    pub fn other_ca(&self) -> PathBuf {
        self.0.path().join("other_ca.pem")
    }

    pub fn server(&self, tls: &str) -> Server {
        Server::start(&json!({ "tls": tls, "certificate": self.0.path().join("server.pem") }))
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail").join(name)
}
