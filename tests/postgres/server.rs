//! A PostgreSQL server of the tests' own: in a new directory, on a free port of loopback, gone when the tests are.
//!
//! Shared by test programs with `#[path = "../postgres/server.rs"] mod postgres;`. [`PostgresServer::shared`] is one server for
//! all tests of a program; each takes a [`Database`] of its own. A test that breaks its server starts one for itself.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};

/// Who owns the databases. Not a superuser, as in production.
pub const ROLE: &str = "portcullis";
/// Of characters that mean something in a URL.
pub const PASSWORD: &str = "p:a/s@s %w?rd#";
const PASSWORD_IN_URL: &str = "p%3Aa%2Fs%40s%20%25w%3Frd%23";
pub const ADMINISTRATOR: &str = "administrator";

/// Ends with the end of its standard input, whatever has become of the tests, and takes everything with it.
const KEEPER: &str = r#"
set -u
bin=$1
trap '' HUP INT TERM
dir=$(mktemp -d "${TMPDIR:-/tmp}/portcullis-postgres.XXXXXX") || exit 1
cd "$dir"
pid=
end() {
	if [ -n "$pid" ]; then
		kill -QUIT "$pid" 2>/dev/null
		kill -CONT "$pid" 2>/dev/null
		wait "$pid" 2>/dev/null
	fi
	pid=
}
echo "$dir"
while read -r order argument; do
	case $order in
	init)
		printf '%s\n' "$argument" >pw
		"$bin/initdb" -D data -U administrator --auth=scram-sha-256 --pwfile=pw --no-sync -E UTF8 \
			--locale=C.UTF-8 --locale-provider=icu --icu-locale=en-US >log 2>&1
		echo "$?"
		;;
	start)
		"$bin/postgres" -D data -p "$argument" -c listen_addresses=127.0.0.1 -c unix_socket_directories= \
			-c max_connections=60 -c shared_buffers=16MB -c max_wal_size=64MB >>log 2>&1 </dev/null &
		pid=$!
		echo "$pid"
		;;
	end)
		end
		echo ended
		;;
	esac
done
end
cd /
rm -rf "$dir"
"#;

pub struct PostgresServer {
    bin: PathBuf,
    directory: PathBuf,
    keeper: Mutex<Keeper>,
    port: AtomicU32,
    databases: AtomicU32,
}

struct Keeper {
    child: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    server: Option<Pid>,
}

impl Keeper {
    fn order(&mut self, order: &str) -> String {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        self.answer()
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the keeper of the server has gone");
        line.trim_end().to_owned()
    }
}

impl PostgresServer {
    /// One for all tests of this program.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<PostgresServer> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    pub fn start() -> Self {
        let bin = programs();
        let mut command = if geteuid().is_root() {
            // It does not run as the superuser.
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        let command = command.args(["-c", KEEPER, "keeper"]).arg(&bin).current_dir("/");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (orders, answers) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        let mut keeper = Keeper { child, orders, answers, server: None };
        let directory = PathBuf::from(keeper.answer());
        let done = keeper.order(&format!("init {PASSWORD}"));
        assert_eq!(done, "0", "initdb: {}", fs::read_to_string(directory.join("log")).unwrap_or_default());
        let (port, databases) = (AtomicU32::new(0), AtomicU32::new(0));
        let server = Self { bin, directory, keeper: Mutex::new(keeper), port, databases };
        server.begin_on_a_free_port();
        server.sql("postgres", &format!("CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'"));
        server
    }

    fn begin_on_a_free_port(&self) {
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            self.port.store(port.into(), Ordering::SeqCst);
            if self.begin() {
                return;
            }
        }
        panic!("the server does not start: {}", self.log());
    }

    /// Starts it again where it was. `false` when it has ended at once.
    pub fn begin(&self) -> bool {
        let order = format!("start {}", self.port());
        let pid = self.keeper.lock().unwrap().order(&order);
        let pid = Pid::from_raw(pid.parse().unwrap()).unwrap();
        self.keeper.lock().unwrap().server = Some(pid);
        for _ in 0..1000 {
            if self.psql("postgres", "SELECT 1").0 {
                return true;
            }
            if !Path::new(&format!("/proc/{}/stat", pid.as_raw_nonzero())).exists() || is_zombie(pid) {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server does not answer: {}", self.log());
    }

    /// Lets nobody finish, as a crash would.
    pub fn end(&self) {
        let mut keeper = self.keeper.lock().unwrap();
        keeper.server = None;
        assert_eq!(keeper.order("end"), "ended");
    }

    /// All its processes at once.
    pub fn kill(&self) {
        self.signal_all(Signal::KILL);
        self.end();
    }

    /// It takes what it is sent, and says nothing more.
    pub fn hang(&self) {
        self.signal_all(Signal::STOP);
    }

    pub fn go_on(&self) {
        self.signal_all(Signal::CONT);
    }

    fn signal_all(&self, signal: Signal) {
        let server = self.keeper.lock().unwrap().server.expect("it runs");
        // First the one that makes the others.
        kill_process(server, signal).unwrap();
        for child in children(server) {
            let _ = kill_process(child, signal);
        }
    }

    pub fn port(&self) -> u32 {
        self.port.load(Ordering::SeqCst)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap_or_default()
    }

    /// As a gateway is given it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{ROLE}:{PASSWORD_IN_URL}@127.0.0.1:{}/{database}?sslmode=disable", self.port())
    }

    /// What an operator may do and a gateway may not. What it printed.
    #[track_caller]
    pub fn sql(&self, database: &str, statements: &str) -> String {
        let (done, said) = self.psql(database, statements);
        assert!(done, "{statements}: {said}");
        said
    }

    fn psql(&self, database: &str, statements: &str) -> (bool, String) {
        let mut command = Command::new(self.bin.join("psql"));
        command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", ADMINISTRATOR]);
        command.args(["-p", &self.port().to_string(), "-d", database, "-c", statements]);
        let done = command.env("PGPASSWORD", PASSWORD).env("PGCONNECT_TIMEOUT", "10").output().unwrap();
        let said = [done.stdout, done.stderr].concat();
        (done.status.success(), String::from_utf8(said).unwrap().trim_end().to_owned())
    }

    /// A new, empty one.
    pub fn database(&self) -> Database<'_> {
        self.database_like("template1")
    }

    /// A new one with all that `template` holds.
    pub fn database_like(&self, template: &str) -> Database<'_> {
        let name = format!("d{}", self.databases.fetch_add(1, Ordering::SeqCst));
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER {ROLE} TEMPLATE {template}"));
        Database { server: self, name }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let mut keeper = self.keeper.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        drop(keeper.orders.take());
        let _ = keeper.child.wait();
    }
}

/// Gone when dropped.
pub struct Database<'s> {
    server: &'s PostgresServer,
    pub name: String,
}

impl Database<'_> {
    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    #[track_caller]
    pub fn sql(&self, statements: &str) -> String {
        self.server.sql(&self.name, statements)
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        // The server may be down because a test has failed.
        let _ = self.server.psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// Where Debian keeps them, the newest first.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    found.retain(|bin| bin.join("initdb").exists());
    found.sort();
    found.pop().expect("PostgreSQL is installed: see tests/prepare.sh")
}

fn children(parent: Pid) -> Vec<Pid> {
    let list = format!("/proc/{0}/task/{0}/children", parent.as_raw_nonzero());
    let list = fs::read_to_string(list).unwrap_or_default();
    list.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}

fn is_zombie(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('Z'))
}
