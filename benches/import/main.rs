//! What it costs to take over a large Django installation: time, and the most memory that was resident. See ../README.md.

#![allow(clippy::disallowed_methods, reason = "it is time that is measured here")]

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use sqlx::{AnyConnection, AssertSqlSafe, Connection as _, Executor as _};

type Result<T> = std::result::Result<T, String>;

const PORTCULLIS: &str = env!("CARGO_BIN_EXE_portcullis");
const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gateway/imported/export/db.sqlite3");
const USERS: u32 = 100_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            say(&format!("{fault}\n"));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let place = tempfile::tempdir().map_err(|error| error.to_string())?;
    let source = place.path().join("django.sqlite3");
    fs::copy(SCHEMA, &source).map_err(|error| error.to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    runtime.block_on(fill(&source)).map_err(|error| error.to_string())?;
    fs::write(place.path().join("portcullis.yaml"), configuration(place.path())).map_err(|error| error.to_string())?;
    command(place.path(), &["migrate"])?;
    let from = format!("sqlite://{}", source.display());
    say("run                 seconds  most resident, MiB\n");
    for (name, more) in [("a trial run", &["--dry-run"][..]), ("the import", &[]), ("the import again", &[])] {
        let arguments: Vec<&str> =
            ["import", "django", "--from", &from].into_iter().chain(more.iter().copied()).collect();
        let (time, kib) = command(place.path(), &arguments)?;
        say(&format!("{name:<18}  {:>7.1}  {:>19}\n", time.as_secs_f64(), kib / 1024));
    }
    Ok(())
}

/// 100,000 users, as many keys, a tenth as many devices, and a backup code for each of those.
async fn fill(source: &Path) -> sqlx::Result<()> {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(&format!("sqlite://{}", source.display())).await?;
    let numbers =
        |most: u32| format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {most}) ");
    let (all, some) = (numbers(USERS), numbers(USERS / 10));
    for statement in [
        "DELETE FROM token_blacklist_blacklistedtoken; DELETE FROM token_blacklist_outstandingtoken; \
         DELETE FROM otp_static_statictoken; DELETE FROM otp_static_staticdevice; DELETE FROM otp_totp_totpdevice; \
         DELETE FROM rest_framework_api_key_apikey; DELETE FROM profiles_userprofile; DELETE FROM auth_user_groups; \
         DELETE FROM auth_user_user_permissions; DELETE FROM auth_user"
            .to_owned(),
        format!(
            "INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff, is_active, \
             date_joined) {all} SELECT i, 'pbkdf2_sha256$600000$' || lower(hex(randomblob(11))) || \
             '$DV1Zvzka1jyhe5pMtxND0IN9psn3vNgsgP9KySPV/Mk=', 0, 'user-' || i, 'First', 'Last', 'user-' || i || \
             '@example.test', 0, 1, '2024-05-06 07:08:09.123456' FROM n"
        ),
        format!(
            "INSERT INTO rest_framework_api_key_apikey (id, prefix, hashed_key, created, name, revoked) {all} \
             SELECT i, printf('%08d', i), 'sha512$$' || lower(hex(randomblob(64))), '2024-05-06 07:08:09', 'key ' || i, 0 \
             FROM n"
        ),
        format!(
            "INSERT INTO otp_totp_totpdevice (id, name, confirmed, key, step, t0, digits, tolerance, drift, last_t, user_id, \
             throttling_failure_count) {some} SELECT i, 'phone', 1, lower(hex(randomblob(20))), 30, 0, 6, 1, 0, -1, i, 0 \
             FROM n"
        ),
        format!(
            "INSERT INTO otp_static_staticdevice (id, name, confirmed, user_id, throttling_failure_count) {some} \
             SELECT i, 'paper', 1, i, 0 FROM n"
        ),
        format!(
            "INSERT INTO otp_static_statictoken (device_id, token) {some} SELECT i, lower(hex(randomblob(4))) FROM n"
        ),
    ] {
        connection.execute(AssertSqlSafe(statement)).await?;
    }
    connection.close().await
}

fn configuration(place: &Path) -> String {
    let place = place.display();
    format!(
        "storage: {{ url: \"sqlite://{place}/portcullis.db\" }}\n\
         secrets: {{ master_key: {{ file: \"{place}/master.key\" }} }}\n\
         upstreams: {{ nobody: {{ servers: [\"127.0.0.1:1\"] }} }}\n\
         routes: [{{ path: /, upstream: nobody, access: {{ any: [jwt] }} }}]\n"
    )
}

/// How long it ran, and the most that was resident, in KiB.
fn command(place: &Path, arguments: &[&str]) -> Result<(Duration, u64)> {
    let began = Instant::now();
    let mut child = Command::new(PORTCULLIS)
        .args(arguments)
        .args(["--config", "portcullis.yaml"])
        .current_dir(place)
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let status_file = format!("/proc/{}/status", child.id());
    let mut most = 0;
    loop {
        // It only ever grows, and is gone with the process.
        let text = fs::read_to_string(&status_file).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        most = most.max(peak.unwrap_or(0));
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) if status.success() => return Ok((began.elapsed(), most)),
            Some(status) => return Err(format!("portcullis {}: {status}", arguments.join(" "))),
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn say(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stdout().write_all(text.as_bytes());
}
