//! A directory of its own for each test, and the commands that run in it.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::{Finished, PASSWORD, Server, eventually, finish};

pub const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");
pub const CONFIGURATION: &str = "portcullis.yaml";

/// A working directory with a configuration, and whatever the commands that run in it leave there.
pub struct Place {
    directory: TempDir,
}

impl Place {
    /// Without a configuration.
    pub fn empty() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// With a configuration for `server`; `extra` are further top-level sections.
    pub fn configured(server: SocketAddr, extra: &str) -> Self {
        let place = Self::empty();
        place.write(CONFIGURATION, &configuration("127.0.0.1:0", "127.0.0.1:0", server, extra));
        place
    }

    /// As [`Place::configured`], with a database and a master key.
    pub fn prepared(server: SocketAddr, extra: &str) -> Self {
        let place = Self::configured(server, extra);
        place.run(&["migrate"]).success();
        place
    }

    /// As [`Place::configured`], on another store. The URL is in a file of its own.
    pub fn configured_on(url: &str, server: SocketAddr, extra: &str) -> Self {
        let place = Self::configured(server, extra);
        let text = std::fs::read_to_string(place.path(CONFIGURATION)).unwrap();
        let present = "storage: { url: \"sqlite://data/portcullis.db\" }";
        assert!(text.contains(present));
        place.write(CONFIGURATION, &text.replace(present, "storage: { url: { file: store.url } }"));
        place.write("store.url", &format!("{url}\n"));
        std::fs::set_permissions(place.path("store.url"), Permissions::from_mode(0o600)).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Every file below, by its path, with its content.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn collect(directory: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                // Of neither kind is the socket that a killed server leaves.
                if path.is_dir() {
                    collect(&path, found);
                } else if path.is_file() {
                    let content = std::fs::read(&path).unwrap();
                    found.push((path, content));
                }
            }
        }
        let mut found = Vec::new();
        collect(self.directory.path(), &mut found);
        found.sort();
        found
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PORTCULLIS);
        command.current_dir(self.directory.path()).args(arguments);
        if self.path(CONFIGURATION).exists() {
            command.args(["--config", CONFIGURATION]);
        }
        command
    }

    /// As [`Place::command`], for somebody to whom file modes mean something, as they do not to the superuser.
    pub fn command_for_nobody(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(arguments);
        if rustix::process::geteuid().is_root() {
            // Both the program and this directory may be where nobody else can look.
            std::fs::set_permissions(self.path(""), Permissions::from_mode(0o755)).unwrap();
            let program = self.path("program");
            if !program.exists() {
                // By another process: one that forks while this one writes would keep the copy from being run.
                assert!(Command::new("cp").arg(PORTCULLIS).arg(&program).status().unwrap().success());
            }
            let own = std::mem::replace(&mut command, Command::new(program));
            command.current_dir(self.path("")).args(own.get_args()).uid(65534).gid(65534);
        }
        command
    }

    /// Runs a command to its end, with nothing on standard input.
    pub fn run(&self, arguments: &[&str]) -> Finished {
        finish(self.command(arguments), "")
    }

    pub fn run_with(&self, arguments: &[&str], stdin: &str) -> Finished {
        finish(self.command(arguments), stdin)
    }

    /// Runs a command with `--output json` and reads what it printed.
    pub fn json(&self, arguments: &[&str], stdin: &str) -> Value {
        let finished = self.run_with(&[arguments, &["--output", "json"]].concat(), stdin);
        finished.success();
        serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished:?}"))
    }

    /// A user with [`PASSWORD`].
    pub fn create_user(&self, name: &str) -> Value {
        self.json(&["users", "create", "--username", name, "--password-stdin"], &format!("{PASSWORD}\n"))
    }

    /// A running `serve`, as soon as it is ready.
    pub fn serve(&self) -> Server {
        Server::start(self.command(&["serve"]))
    }

    /// A running `quickstart` on free ports, as soon as it is ready and has printed all it prints.
    pub fn quickstart(&self, arguments: &[&str]) -> Server {
        let fixed = ["quickstart", "--listen", "127.0.0.1:0", "--ops", "127.0.0.1:0"];
        let server = Server::start(self.command(&[&fixed, arguments].concat()));
        eventually("the end of the greeting", || server.stdout().contains("Press Ctrl-C to stop.").then_some(()));
        server
    }
}

pub fn configuration(http: &str, ops: &str, server: SocketAddr, extra: &str) -> String {
    format!(
        "listen: {{ http: \"{http}\", ops: \"{ops}\" }}\n\
         storage: {{ url: \"sqlite://data/portcullis.db\" }}\n\
         secrets: {{ master_key: {{ file: data/master.key }} }}\n\
         workers: {{ threads: 1 }}\n\
         {extra}\n\
         upstreams:\n  backend: {{ servers: [\"{server}\"] }}\n\
         routes:\n  - {{ name: all, path: /, upstream: backend, access: {{ any: [jwt, api_key] }} }}\n"
    )
}
