//! A cluster of three masters, with a replica of each where that is asked for, on loopback.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tokio::time::Instant;

use crate::redis_server::Redis;

/// All of it is killed when dropped.
pub struct ClusterSet {
    pub nodes: Vec<Redis>,
    password: String,
}

impl ClusterSet {
    pub fn start(replicas: usize) -> Self {
        Self::with(replicas, "")
    }

    /// Nodes that ask for a password, where it is not empty.
    pub fn with(replicas: usize, password: &str) -> Self {
        let signing_in = ["--requirepass", password, "--masterauth", password];
        let options = if password.is_empty() { &[] } else { signing_in.as_slice() };
        let nodes: Vec<Redis> = (0..3 * (1 + replicas)).map(|_| node(options)).collect();
        let addresses: Vec<String> = nodes.iter().map(|node| node.address().to_string()).collect();
        let replicas = ["--cluster-replicas", &replicas.to_string()];
        Self::of(
            nodes,
            &[addresses.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), &replicas].concat(),
            password,
        )
    }

    /// Three masters, known as `localhost`, and the ports at which they speak TLS. `server` holds a certificate and its key.
    pub fn with_tls(server: &Path, ca: &Path) -> (Self, Vec<u16>) {
        let (server, ca) = (server.display().to_string(), ca.display().to_string());
        let files = ["--tls-cert-file", &server, "--tls-key-file", &server, "--tls-ca-cert-file", &ca];
        let known = ["--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", "hostname"];
        let started = (0..3).map(|_| {
            let port = free_port();
            let tls = ["--tls-port", &port.to_string(), "--tls-auth-clients", "no", "--tls-cluster", "yes"];
            (node(&[tls.as_slice(), &files, &known].concat()), port)
        });
        let (nodes, ports): (Vec<Redis>, Vec<u16>) = started.unzip();
        let addresses: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        // The certificate is for another name of the same machine.
        let told = [addresses.iter().map(String::as_str).collect(), vec!["--tls", "--insecure"]].concat();
        (Self::of(nodes, &told, ""), ports)
    }

    /// `told` is what `redis-cli` needs to make them a cluster.
    fn of(nodes: Vec<Redis>, told: &[&str], password: &str) -> Self {
        let set = Self { nodes, password: password.to_owned() };
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(told).arg("--cluster-yes");
        if !password.is_empty() {
            create.env("REDISCLI_AUTH", password);
        }
        let said = create.output().unwrap();
        assert!(said.status.success(), "{said:?}");
        set.until_well();
        set
    }

    /// Until every node that runs finds all keys served, and masters have what replicas they are to have.
    pub fn until_well(&self) {
        let begun = Instant::now();
        let is_well = |node: &Redis| {
            let state = node.signed_in_cli(&self.password, &["CLUSTER", "INFO"]);
            let nodes = node.signed_in_cli(&self.password, &["CLUSTER", "NODES"]);
            let replicas = nodes.lines().filter(|line| line.contains("slave")).count();
            state.contains("cluster_state:ok") && (replicas > 0 || self.nodes.len() == 3)
        };
        while !self.nodes.iter().filter(|node| node.is_running()).all(is_well) {
            assert!(begun.elapsed() < Duration::from_secs(60), "the cluster never came to be");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| format!("redis://{}", node.address())).collect()
    }

    /// The number of the master that a key lies at.
    pub fn master_of(&self, key: &str) -> usize {
        let node = self.nodes.iter().find(|node| node.is_running()).unwrap();
        let slot: u32 = node.signed_in_cli(&self.password, &["CLUSTER", "KEYSLOT", key]).parse().unwrap();
        let nodes = node.signed_in_cli(&self.password, &["CLUSTER", "NODES"]);
        let owns = |line: &&str| {
            line.contains("master")
                && !line.contains("fail")
                && line.split(' ').skip(8).any(|range| {
                    let (first, last) = range.split_once('-').unwrap_or((range, range));
                    let bounds = first.parse::<u32>().ok().zip(last.parse::<u32>().ok());
                    bounds.is_some_and(|(first, last)| (first..=last).contains(&slot))
                })
        };
        let line = nodes.lines().find(owns).unwrap_or_else(|| panic!("nobody has {slot} in\n{nodes}"));
        let port = |node: &Redis| format!("127.0.0.1:{}@", node.address().port());
        self.nodes.iter().position(|node| line.contains(&port(node))).unwrap()
    }

    /// All keys, wherever they lie.
    pub fn keys(&self, pattern: &str) -> Vec<String> {
        let mut keys: Vec<String> = Vec::new();
        for node in self.nodes.iter().filter(|node| node.is_running()) {
            keys.extend(node.signed_in_cli(&self.password, &["KEYS", pattern]).lines().map(str::to_owned));
        }
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

fn node(further: &[&str]) -> Redis {
    let bus = free_port().to_string();
    let mut options = vec!["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "1000"];
    options.extend(["--repl-diskless-sync-delay", "0"]);
    options.extend(further);
    Redis::with(&options)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
