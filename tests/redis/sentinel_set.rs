//! A master, a replica, and three sentinels over them, on loopback.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::Instant;

use crate::redis_server::Redis;

pub const MASTER: &str = "mymaster";

/// All of it is killed when dropped.
pub struct SentinelSet {
    /// The first is the master until it is killed.
    pub servers: Vec<Redis>,
    pub sentinels: Vec<Sentinel>,
}

pub struct Sentinel {
    child: Child,
    port: u16,
    password: String,
    _directory: TempDir,
}

impl SentinelSet {
    pub fn start() -> Self {
        Self::with("", "")
    }

    /// Servers and sentinels that ask for a password each, where it is not empty.
    pub fn with(password: &str, sentinel_password: &str) -> Self {
        let secured = |options: &[&str]| {
            let signing_in = ["--requirepass", password, "--masterauth", password];
            let options = [options, if password.is_empty() { &[] } else { &signing_in }].concat();
            Redis::with(&[options.as_slice(), &["--repl-diskless-sync-delay", "0"]].concat())
        };
        let master = secured(&[]);
        let replica = secured(&["--replicaof", "127.0.0.1", &master.address().port().to_string()]);
        let mut lines = vec![format!("sentinel monitor {MASTER} 127.0.0.1 {} 2", master.address().port())];
        if !password.is_empty() {
            lines.push(format!("sentinel auth-pass {MASTER} {password}"));
        }
        if !sentinel_password.is_empty() {
            lines.push(format!("requirepass {sentinel_password}"));
        }
        let sentinels = (0..3).map(|_| Sentinel::start("port", &lines, sentinel_password)).collect();
        let set = Self { servers: vec![master, replica], sentinels };
        set.until("sentinels that know each other and the replica", |said| {
            said.contains("num-slaves\n1\n") && said.contains("num-other-sentinels\n2\n")
        });
        set
    }

    /// A master and one sentinel that speak TLS only, known as `localhost`. `server` holds a certificate and its key.
    pub fn with_tls(server: &Path, ca: &Path) -> Self {
        let (server, ca) = (server.display().to_string(), ca.display().to_string());
        let tls = [
            ("tls-cert-file", server.as_str()),
            ("tls-key-file", &server),
            ("tls-ca-cert-file", &ca),
            ("tls-auth-clients", "no"),
            ("tls-replication", "yes"),
        ];
        let options = tls.iter().flat_map(|(name, value)| [format!("--{name}"), (*value).to_owned()]);
        let options: Vec<String> =
            ["--port", "0", "--tls-port", "{port}"].map(str::to_owned).into_iter().chain(options).collect();
        let master = Redis::with(&options.iter().map(String::as_str).collect::<Vec<_>>());
        let mut lines: Vec<String> = tls.iter().map(|(name, value)| format!("{name} {value}")).collect();
        lines.extend(["sentinel resolve-hostnames yes", "sentinel announce-hostnames yes"].map(str::to_owned));
        lines.push(format!("sentinel monitor {MASTER} localhost {} 1", master.address().port()));
        Self { servers: vec![master], sentinels: vec![Sentinel::start("tls-port", &lines, "")] }
    }

    fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        while !self.sentinels.iter().all(|sentinel| is_so(&sentinel.cli(&["SENTINEL", "MASTER", MASTER]))) {
            assert!(begun.elapsed() < Duration::from_secs(60), "{what} never came");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(|sentinel| format!("redis://127.0.0.1:{}", sentinel.port)).collect()
    }

    /// Whether the server with this number is the master for all sentinels from now on.
    pub fn until_master(&self, number: usize) {
        let port = format!("\nport\n{}\n", self.servers[number].address().port());
        self.until("another master", |said| said.contains(&port));
    }

    /// A sentinel that goes down as well.
    pub fn kill_sentinel(&mut self, number: usize) {
        let sentinel = &mut self.sentinels[number];
        let _ = sentinel.child.kill();
        let _ = sentinel.child.wait();
        self.sentinels.remove(number);
    }
}

impl Sentinel {
    /// `port` is the setting that says where it listens, and `lines` are what else it is told; `password` is its own.
    fn start(port_setting: &str, told: &[String], password: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("sentinel.conf");
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut lines = vec![
                "port 0".to_owned(),
                format!("{port_setting} {port}"),
                "bind 127.0.0.1".to_owned(),
                format!("dir {}", directory.path().display()),
                format!("logfile {}", directory.path().join("sentinel.log").display()),
            ];
            lines.extend_from_slice(told);
            lines.extend([
                format!("sentinel down-after-milliseconds {MASTER} 1000"),
                format!("sentinel failover-timeout {MASTER} 5000"),
            ]);
            std::fs::write(&file, lines.join("\n") + "\n").unwrap();
            let mut child = Command::new("redis-server")
                .arg(&file)
                .arg("--sentinel")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| panic!("redis-server: {error}"));
            for _ in 0..1000 {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() && child.try_wait().unwrap().is_none() {
                    return Self { child, port, password: password.to_owned(), _directory: directory };
                }
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("no sentinel starts");
    }

    pub fn cli(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("redis-cli");
        command.args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "--raw"]).args(arguments);
        if !self.password.is_empty() {
            command.env("REDISCLI_AUTH", &self.password);
        }
        String::from_utf8_lossy(&command.output().unwrap().stdout).into_owned()
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
