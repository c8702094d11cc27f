//! A running gateway, and what its clients and operators do with it.

use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::process::{Output, follow, wait};
use super::{Client, Finished, PASSWORD, Reply, eventually, try_request};

/// A running gateway, killed when dropped.
pub struct Server {
    child: Child,
    stdout: Output,
    stderr: Output,
    pub http: SocketAddr,
    pub https: Option<SocketAddr>,
    pub ops: SocketAddr,
}

impl Server {
    /// Starts it on free ports, which it says on standard error.
    pub fn start(command: Command) -> Self {
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self::spawn(command, nowhere, nowhere);
        (server.http, server.https, server.ops) = eventually("the line that says where it serves", || {
            server.lives();
            let lines = server.stderr();
            let line = lines.lines().find(|line| line.contains("\"serving\""))?;
            let line: Value = serde_json::from_str(line).ok()?;
            let address = |name: &str| line[name].as_str().map(|address| address.parse().unwrap());
            Some((address("http")?, address("https"), address("ops")?))
        });
        server.ready()
    }

    /// Starts it on the ports of its configuration.
    pub fn start_at(command: Command, http: SocketAddr, ops: SocketAddr) -> Self {
        Self::spawn(command, http, ops).ready()
    }

    fn spawn(mut command: Command, http: SocketAddr, ops: SocketAddr) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (stdout, stderr) = (follow(child.stdout.take().unwrap()), follow(child.stderr.take().unwrap()));
        Self { child, stdout, stderr, http, https: None, ops }
    }

    fn ready(mut self) -> Self {
        eventually("readiness", || {
            self.lives();
            (self.readiness() == "ok").then_some(())
        });
        self
    }

    fn lives(&mut self) {
        let ended = self.child.try_wait().unwrap();
        assert!(ended.is_none(), "ended: {ended:?} {}", self.stderr());
    }

    pub fn stdout(&self) -> String {
        self.stdout.so_far()
    }

    pub fn stderr(&self) -> String {
        self.stderr.so_far()
    }

    /// The status that `/readyz` tells, or nothing when nobody answers.
    pub fn readiness(&self) -> String {
        let Ok((code, body)) = try_request(self.ops, "GET", "/readyz", "") else { return String::new() };
        let status = serde_json::from_str::<Value>(&body).unwrap()["status"].as_str().unwrap().to_owned();
        assert_eq!(code == 200, status == "ok", "{code} {body}");
        status
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has stopped by itself, whoever else still writes to where it wrote. Its exit code.
    pub fn exit_code(&mut self) -> Option<i32> {
        wait(&mut self.child).code()
    }

    /// A metric without labels.
    pub fn metric(&self, name: &str) -> f64 {
        let text = Client::connect(self.ops).request("GET", "/metrics", &[], b"").text();
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")).map(str::to_owned));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// As a power cut would, as far as a process can tell.
    pub fn kill(mut self) {
        self.signal(Signal::KILL);
        assert_eq!(self.child.wait().unwrap().signal(), Some(9));
    }

    /// Asks it to stop and waits until it has.
    pub fn stop(self) -> Finished {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Waits until it has stopped by itself.
    pub fn ended(mut self) -> Finished {
        let status = wait(&mut self.child);
        Finished { code: status.code(), stdout: self.stdout.end(), stderr: self.stderr.end() }
    }

    pub fn get(&self, target: &str, headers: &[(&str, &str)]) -> Reply {
        Client::connect(self.http).request("GET", target, headers, b"")
    }

    pub fn get_with_token(&self, target: &str, token: &str) -> Reply {
        self.get(target, &[("Authorization", &format!("Bearer {token}"))])
    }

    pub fn post(&self, target: &str, body: &Value) -> Reply {
        let json = [("Content-Type", "application/json")];
        Client::connect(self.http).request("POST", target, &json, body.to_string().as_bytes())
    }

    /// To the upstream.
    pub fn post_with_key(&self, key: &str) -> Reply {
        Client::connect(self.http).request("POST", "/", &[("X-API-Key", key)], b"")
    }

    pub fn sign_in(&self, name: &str, password: &str) -> Reply {
        self.post("/api/v1/auth/token/", &json!({"username": name, "password": password}))
    }

    /// The access and the refresh token of a new session.
    pub fn tokens(&self, name: &str) -> (String, String) {
        pair(&self.sign_in(name, PASSWORD))
    }

    pub fn refresh(&self, token: &str) -> Reply {
        self.post("/api/v1/auth/token/refresh/", &json!({"refresh": token}))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The tokens in an answer: access, refresh.
#[track_caller]
pub fn pair(reply: &Reply) -> (String, String) {
    assert_eq!(reply.status, 200, "{reply:?}");
    let body = reply.json();
    (body["access"].as_str().unwrap().to_owned(), body["refresh"].as_str().unwrap().to_owned())
}
