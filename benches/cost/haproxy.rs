//! HAProxy, set up to do what a gateway does: forward what carries a token that holds, log it, and refuse the rest.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::Result;
use crate::harness::connection::Connection;
use crate::harness::process::{self, Process};
use crate::signer::Signer;
use crate::stage::{Stage, request, with_token};

const PROGRAM: &str = "haproxy";

pub struct Haproxy {
    pub process: Process,
    pub address: SocketAddr,
}

/// Its first line about itself, or `None` where it is not installed.
pub fn version() -> Result<Option<String>> {
    match Command::new(PROGRAM).arg("-v").output() {
        Ok(output) => Ok(String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{PROGRAM} -v: {error}")),
    }
}

impl Haproxy {
    /// Without a `signer` it forwards whatever comes.
    pub fn start(stage: &Stage, folder: &Path, signer: Option<&Signer>) -> Result<Self> {
        let address = process::free_address()?;
        let path = folder.join("haproxy.cfg");
        let check = signer.map(rules).unwrap_or_default();
        let upstream = stage.upstream;
        let text = format!(
            "global\n    nbthread 1\n    log stdout format raw local0\n\
             defaults\n    mode http\n    log global\n    option httplog\n    http-reuse always\n    timeout connect 5s\n    \
             timeout client 60s\n    timeout server 60s\n\
             frontend front\n    bind {address}\n{check}    default_backend back\n\
             backend back\n    server upstream {upstream}\n"
        );
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        let file = |name: &str| File::create(folder.join(name)).map_err(|error| format!("{name}: {error}"));
        let mut command = Command::new(PROGRAM);
        // In the foreground.
        command.arg("-db").arg("-f").arg(&path).stdin(Stdio::null());
        command.stdout(file("haproxy.log")?).stderr(file("haproxy.err")?);
        let mut process = Process::start(PROGRAM, command, &stage.cores)?;
        process.listens(address).map_err(|problem| {
            let said = fs::read_to_string(folder.join("haproxy.err")).unwrap_or_default();
            format!("{problem}\n{said}")
        })?;
        Ok(Self { process, address })
    }

    /// Whether it lets this token in and nothing near it: no token, another signature, one that has expired.
    pub fn judges(&self, signer: &Signer, token: &str) -> Result<bool> {
        let (message, signature) = token.rsplit_once('.').ok_or("a token without a signature")?;
        let other: String = signature.chars().rev().collect();
        let mut claims = signer.claims(token)?;
        claims.insert("exp".to_owned(), json!(1_000_000_000));
        let refused = [
            ("without a token", request("/guarded/hello", "")),
            ("with another signature", with_token(&format!("{message}.{other}"))),
            ("with an expired token", with_token(&signer.sign(&claims)?)),
        ];
        for (what, request) in refused {
            let status = Connection::open(self.address)?.exchange(&request)?.status;
            if !matches!(status, 401 | 403) {
                return Err(format!("HAProxy answered a request {what} with {status}"));
            }
        }
        Ok(Connection::open(self.address)?.exchange(&with_token(token))?.is_of_upstream())
    }
}

/// As its manual has it: the algorithm is the one that is meant, the signature holds, the token has not expired.
fn rules(signer: &Signer) -> String {
    let (algorithm, key) = (signer.algorithm, signer.for_others());
    [
        "set-var(txn.bearer) http_auth_bearer".to_owned(),
        "set-var(txn.alg) var(txn.bearer),jwt_header_query('$.alg')".to_owned(),
        "set-var(txn.exp) var(txn.bearer),jwt_payload_query('$.exp','int')".to_owned(),
        "set-var(txn.now) date()".to_owned(),
        format!("deny unless {{ var(txn.alg) -m str {algorithm} }}"),
        format!("deny unless {{ var(txn.bearer),jwt_verify(txn.alg,\"{key}\") -m int 1 }}"),
        "deny if { var(txn.exp),sub(txn.now) -m int lt 0 }".to_owned(),
    ]
    .map(|rule| format!("    http-request {rule}\n"))
    .concat()
}
