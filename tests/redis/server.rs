//! A Redis of the test's own, on loopback.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Killed when dropped.
pub struct Redis {
    child: Option<Child>,
    port: u16,
    options: Vec<String>,
    directory: TempDir,
}

impl Redis {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With further options of `redis-server`; `{port}` stands for the port that it is to listen on.
    pub fn with(options: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut redis = Self { child: None, port: 0, options, directory };
        // A port that is free now may be another test's in the next moment.
        for _ in 0..5 {
            redis.port = free_port();
            if redis.try_run() {
                return redis;
            }
        }
        panic!("redis-server does not start: {}", redis.log());
    }

    fn try_run(&mut self) -> bool {
        let directory = self.directory.path();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", "", "--appendonly", "no"])
            .args(["--daemonize", "no", "--dir"])
            .arg(directory)
            .arg("--logfile")
            .arg(directory.join("redis.log"))
            .args(self.options.iter().map(|option| option.replace("{port}", &self.port.to_string())))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("redis-server: {error}"));
        self.child = Some(child);
        for _ in 0..1000 {
            if self.log().contains("Ready to accept connections") && TcpStream::connect(self.address()).is_ok() {
                return true;
            }
            if self.child.as_mut().unwrap().try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.kill();
        false
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("redis.log")).unwrap_or_default()
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// It keeps its connections and answers nothing.
    pub fn hang(&self) {
        self.signal(Signal::STOP);
    }

    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(self.child.as_ref().unwrap()), signal).unwrap();
    }

    pub fn is_running(&self) -> bool {
        self.child.is_some()
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// On the same port, with nothing in it.
    pub fn restart(&mut self) {
        self.kill();
        let _ = std::fs::remove_file(self.path("redis.log"));
        assert!(self.try_run(), "redis-server does not start again: {}", self.log());
    }

    /// What `redis-cli` prints for a command.
    pub fn cli(&self, arguments: &[&str]) -> String {
        self.signed_in_cli("", arguments)
    }

    /// The same, with a password where it is not empty.
    pub fn signed_in_cli(&self, password: &str, arguments: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--raw"]).args(arguments);
        if !password.is_empty() {
            command.env("REDISCLI_AUTH", password);
        }
        let output = command.output().unwrap_or_else(|error| panic!("redis-cli: {error}"));
        assert!(output.status.success(), "{output:?}");
        let answer = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        assert!(!answer.starts_with("ERR "), "{answer}");
        answer
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
