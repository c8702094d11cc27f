use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Result;
use super::connection::Connection;
use super::process::{Cores, Process, free_address};

pub const BINARY: &str = env!("CARGO_BIN_EXE_portcullis");

const USERNAME: &str = "bench";
const COMMAND_PATIENCE: Duration = Duration::from_secs(60);

/// Portcullis, set up in a folder of its own.
pub struct Gateway {
    config: PathBuf,
    settings: Value,
    /// The file of its database.
    pub database: PathBuf,
    pub address: SocketAddr,
    pub ops: SocketAddr,
    password: String,
    pub key: String,
}

impl Gateway {
    /// Writes a configuration, in which `further` stands beside the rest or instead of it, and makes one user and one key.
    pub fn prepare(folder: &Path, upstream: SocketAddr, further: &[(&str, Value)]) -> Result<Self> {
        let address = free_address()?;
        let ops = free_address()?;
        let at = |name: &str| folder.join(name).display().to_string();
        let mut config = json!({
            "listen": { "http": address.to_string(), "ops": ops.to_string() },
            "storage": { "url": format!("sqlite://{}", at("portcullis.db")) },
            "secrets": { "master_key": { "file": at("master.key") } },
            // A run takes longer than tokens live by default.
            "tokens": { "access_lifetime": "1h" },
            "workers": { "threads": 1 },
            "log": { "access": { "file": at("access.log") }, "audit": { "file": at("audit.log") }, "level": "warn" },
            "upstreams": { "backend": { "servers": [upstream.to_string()] } },
            "routes": [
                { "path": "/public/", "upstream": "backend", "access": "public" },
                { "path": "/guarded/", "upstream": "backend", "access": { "any": ["jwt", "api_key"] } },
            ],
        });
        let sections = further.iter().map(|(section, value)| ((*section).to_owned(), value.clone()));
        if let Some(config) = config.as_object_mut() {
            config.extend(sections);
        }
        write_secret(&folder.join("master.key"), &random_hex(32)?)?;
        let path = folder.join("portcullis.yaml");
        write_settings(&path, &config)?;
        let (database, password) = (folder.join("portcullis.db"), random_hex(16)?);
        let mut gateway = Self { config: path, settings: config, database, address, ops, password, key: String::new() };
        gateway.command(&["migrate"], "")?;
        let user = ["users", "create", "--username", USERNAME, "--admin", "--password-stdin"];
        gateway.command(&user, &gateway.password)?;
        let made = gateway.command(&["keys", "create", "--name", "bench", "--output", "json"], "")?;
        let made: Value = serde_json::from_str(&made).unwrap_or_default();
        let key = made.get("key").and_then(Value::as_str);
        key.ok_or("`portcullis keys create --output json` printed no object with a `key`")?
            .clone_into(&mut gateway.key);
        Ok(gateway)
    }

    /// Another one on the same database, with the same settings but for where it listens and logs.
    pub fn twin(&self) -> Result<Self> {
        let (address, ops) = (free_address()?, free_address()?);
        let at = |name: &str| self.config.with_file_name(name).display().to_string();
        let mut settings = self.settings.clone();
        let (access, audit) = (at("twin-access.log"), at("twin-audit.log"));
        let own = [
            ("listen", json!({ "http": address.to_string(), "ops": ops.to_string(), "control": at("twin.sock") })),
            ("log", json!({ "access": { "file": access }, "audit": { "file": audit }, "level": "warn" })),
        ];
        if let Some(settings) = settings.as_object_mut() {
            settings.extend(own.map(|(section, value)| (section.to_owned(), value)));
        }
        let config = self.config.with_file_name("twin.yaml");
        write_settings(&config, &settings)?;
        let (database, password, key) = (self.database.clone(), self.password.clone(), self.key.clone());
        Ok(Self { config, settings, database, address, ops, password, key })
    }

    pub fn serve(&self, cores: &Cores) -> Result<Process> {
        let mut command = Command::new(BINARY);
        command.arg("serve").arg("--config").arg(&self.config);
        Process::start("portcullis serve", command, cores)
    }

    /// An access token.
    pub fn sign_in(&self) -> Result<String> {
        let body = json!({ "username": USERNAME, "password": self.password });
        let answer = Connection::open(self.address)?.exchange(&post("/api/v1/auth/token/", "", &body))?;
        let pair: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let token = pair.get("access").and_then(Value::as_str);
        token.map(str::to_owned).ok_or_else(|| format!("signing in was answered with {} and no token", answer.status))
    }

    /// Makes sure that what is measured as guarded is guarded.
    pub fn refuses(&self, request: &[u8]) -> Result<()> {
        let status = Connection::open(self.address)?.exchange(request)?.status;
        if status == 401 {
            return Ok(());
        }
        Err(format!("a request without a credential was answered with {status} instead of 401"))
    }

    /// Runs a command of the gateway to its end and returns what it printed.
    fn command(&self, arguments: &[&str], input: &str) -> Result<String> {
        let name = format!("`portcullis {}`", arguments.join(" "));
        let about = |error: std::io::Error| format!("{name}: {error}");
        let mut command = Command::new(BINARY);
        command.args(arguments).arg("--config").arg(&self.config).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.stderr(Stdio::piped()).spawn().map_err(about)?;
        if let Some(mut stdin) = child.stdin.take() {
            // A command that does not read what it is given is judged by how it ends.
            let _ = writeln!(stdin, "{input}");
        }
        let begin = Instant::now();
        while child.try_wait().map_err(about)?.is_none() {
            if begin.elapsed() > COMMAND_PATIENCE {
                child.kill().map_err(about)?;
                child.wait().map_err(about)?;
                return Err(format!("{name} did not end within {} s", COMMAND_PATIENCE.as_secs()));
            }
            thread::sleep(Duration::from_millis(5));
        }
        let output = child.wait_with_output().map_err(about)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(format!("{name} ended with {}:\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
    }
}

/// A request with a body; `fields` are further ones of the head, each with its end of line.
pub fn post(path: &str, fields: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{fields}Content-Length: {}\r\n\r\n\
         {body}",
        body.len()
    )
    .into_bytes()
}

fn write_settings(path: &Path, settings: &Value) -> Result<()> {
    // JSON is YAML.
    fs::write(path, settings.to_string()).map_err(|error| format!("{}: {error}", path.display()))
}

pub fn write_secret(path: &Path, secret: &str) -> Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| writeln!(file, "{secret}"));
    written.map_err(|error| format!("{}: {error}", path.display()))
}

pub fn random_hex(bytes: usize) -> Result<String> {
    let mut random = vec![0; bytes];
    let read = fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut random));
    read.map_err(|error| format!("no random bytes: {error}"))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}
