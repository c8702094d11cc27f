//! One process follows another, and nobody notices.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::harness::place::PORTCULLIS;
use crate::harness::{CONFIGURATION, Client, Load, Place, Server, Upstream, configuration, eventually};

struct Office {
    upstream: Upstream,
    place: Place,
    key: String,
}

impl Office {
    fn prepare(extra: &str) -> Self {
        let upstream = Upstream::start();
        let place = Place::prepared(upstream.address(), extra);
        let key = place.json(&["keys", "create", "--name", "robot"], "")["key"].as_str().unwrap().to_owned();
        Self { upstream, place, key }
    }

    fn status(&self, server: &Server) -> u16 {
        server.get("/", &[("X-API-Key", &self.key)]).status
    }

    fn upgrade(&self) -> Successor {
        let told = self.place.json(&["upgrade"], "");
        Successor::named_in(told["lines"][0].as_str().unwrap())
    }
}

/// A process that this one has not started, and stops all the same.
pub struct Successor(Pid);

impl Successor {
    /// `process 7 serves, and process 5 ends`
    pub fn named_in(line: &str) -> Self {
        let id = line.split(' ').nth(1).and_then(|id| id.parse().ok()).unwrap_or_else(|| panic!("{line}"));
        Self(Pid::from_raw(id).unwrap())
    }

    fn id(&self) -> u32 {
        self.0.as_raw_nonzero().get().unsigned_abs()
    }

    pub fn stop(self) {
        kill_process(self.0, Signal::TERM).unwrap();
        // Where nobody collects orphans it stays a zombie, which listens to nothing any more.
        eventually("its end", || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", self.id())).unwrap_or_default();
            (stat.is_empty() || stat.contains(") Z ")).then_some(())
        });
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        if test_kill_process(self.0).is_ok() {
            let _ = kill_process(self.0, Signal::KILL);
        }
    }
}

#[test]
fn steady_traffic_loses_nothing_through_upgrades() {
    let office = Office::prepare("");
    let mut server = office.place.serve();
    let load = Load::start(server.http, &office.key);
    load.go_on(100);
    let first = office.upgrade();
    assert_ne!(first.id(), server.id());
    load.go_on(100);
    assert_eq!(server.exit_code(), Some(0), "{}", server.stderr());
    assert_eq!(office.status(&server), 200, "the same address, another process");
    // It can be followed like the first.
    let second = office.upgrade();
    load.go_on(200);
    assert_eq!(load.failures(), Vec::<String>::new());
    // Of its own accord it reads the configuration again, and it alone is asked.
    office.place.run(&["reload"]).success();
    assert_eq!(server.metric("portcullis_config_generation"), 2.0);
    second.stop();
    assert!(std::net::TcpStream::connect(server.http).is_err());
    assert!(!office.place.path("data/portcullis.sock").exists());
}

#[test]
fn a_long_download_and_an_open_websocket_survive_to_their_end() {
    let office = Office::prepare("");
    let mut server = office.place.serve();
    let credentials = ("X-API-Key", office.key.as_str());
    let mut socket = Client::connect(server.http);
    let upgrade = [
        credentials,
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    assert_eq!(socket.request("GET", "/socket", &upgrade, b"").status, 101);
    let mut echo = |text: &[u8]| {
        socket.write(text);
        assert_eq!(socket.read_exactly(text.len()), text);
    };
    echo(b"before");
    const SIZE: usize = 64 << 20;
    let mut download = Client::connect(server.http);
    download.send("GET", &format!("/download/{SIZE}"), &[credentials], b"");
    // It is read no further, so that most of it waits where it comes from.
    download.read_exactly(1000);
    let mut idle = Client::connect(server.http);
    assert_eq!(idle.request("GET", "/", &[credentials], b"").header("connection"), Some("keep-alive"));

    let successor = office.upgrade();
    echo(b"after");
    assert_eq!(office.status(&server), 200);
    // Readiness is that of whoever takes new connections.
    for _ in 0..20 {
        assert_eq!(server.readiness(), "ok");
    }
    std::thread::sleep(Duration::from_millis(600));
    let last = idle.request("GET", "/", &[credentials], b"");
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    let rest = download.read_exactly(SIZE);
    assert!(rest.iter().filter(|byte| **byte == b'x').count() > SIZE - 100_000);
    drop(download);
    echo(b"at the end");
    drop(socket);
    assert_eq!(server.exit_code(), Some(0));
    let log = server.stderr();
    assert!(log.contains("\"complete\":true"), "{log}");
    successor.stop();
}

#[test]
fn what_never_ends_is_given_the_drain_time_and_no_more() {
    let office = Office::prepare("limits: { drain_timeout: 300ms }");
    let mut server = office.place.serve();
    let mut slow = Client::connect(server.http);
    slow.send("GET", "/slow/60000", &[("X-API-Key", &office.key)], b"");
    eventually("the request at the upstream", || office.upstream.seen().pop());
    let successor = office.upgrade();
    assert_eq!(server.exit_code(), Some(0));
    assert!(slow.try_reply(false).is_none_or(|reply| reply.status != 200));
    assert_eq!(office.status(&server), 200);
    successor.stop();
}

#[test]
fn a_successor_that_fails_leaves_the_process_as_it_was_and_says_why() {
    let office = Office::prepare("");
    let server = office.place.serve();
    let load = Load::start(server.http, &office.key);
    // The command reads the file too, so what is wrong here shows to the new process only.
    let text = configuration("127.0.0.1:0", "127.0.0.1:0", office.upstream.address(), "");
    let key = fs::read(office.place.path("data/master.key")).unwrap();
    fs::remove_file(office.place.path("data/master.key")).unwrap();
    let refused = office.place.run(&["upgrade"]);
    assert!(refused.refusal().contains("there is no master key at data/master.key"), "{refused:?}");
    fs::write(office.place.path("data/master.key"), key).unwrap();

    let nowhere = office.place.run(&["upgrade", "--binary", "nowhere"]);
    assert!(nowhere.refusal().contains("cannot be started"), "{nowhere:?}");
    let foreign = office.place.run(&["upgrade", "--binary", "/bin/false"]);
    assert!(foreign.refusal().contains("the new process ended before it was ready"), "{foreign:?}");

    office.place.write(CONFIGURATION, &text.replace("upstream: backend", "upstream: nobody"));
    server.signal(Signal::USR2);
    let named = |line: &str| line.contains("this one goes on") && line.contains("nobody");
    eventually("the reason in the log", || server.stderr().lines().any(named).then_some(()));
    office.place.write(CONFIGURATION, &text);
    assert_eq!(office.status(&server), 200);
    office.place.run(&["reload"]).success();
    load.go_on(20);
    assert_eq!(load.failures(), Vec::<String>::new());
    server.stop().success();
}

#[test]
fn a_signal_upgrades_and_what_stands_at_the_path_of_the_old_program_is_started() {
    let office = Office::prepare("");
    let program = office.place.path("portcullis");
    let copy = |name: &str| {
        let path = office.place.path(name);
        assert!(std::process::Command::new("cp").arg(PORTCULLIS).arg(&path).status().unwrap().success());
        path
    };
    copy("portcullis");
    let mut command = std::process::Command::new(&program);
    command.current_dir(office.place.path("")).args(["serve", "--config", CONFIGURATION]);
    let mut server = Server::start(command);
    // As a package manager does it: the running program has no name any more then.
    fs::rename(copy("portcullis.new"), &program).unwrap();
    server.signal(Signal::USR2);
    let line = eventually("the successor", || {
        let log = server.stderr();
        log.lines().find(|line| line.contains("another process has taken over")).map(str::to_owned)
    });
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let successor = Successor::named_in(&format!("process {}", line["successor"]));
    let exe = fs::read_link(format!("/proc/{}/exe", successor.id())).unwrap();
    assert_eq!(exe, fs::canonicalize(&program).unwrap());
    assert_eq!(server.exit_code(), Some(0));
    assert_eq!(office.status(&server), 200);
    successor.stop();
}

#[test]
fn a_changed_address_is_taken_by_the_successor() {
    let office = Office::prepare("");
    let mut server = office.place.serve();
    let other = crate::harness::unused();
    let text = configuration(&other.to_string(), "127.0.0.1:0", office.upstream.address(), "");
    office.place.write(CONFIGURATION, &text);
    assert!(office.place.run(&["reload"]).stderr.contains("restart needed: listen.http"));
    let successor = office.upgrade();
    assert_eq!(server.exit_code(), Some(0));
    assert!(std::net::TcpStream::connect(server.http).is_err());
    server.http = other;
    assert_eq!(office.status(&server), 200);
    successor.stop();
}

#[test]
fn the_service_manager_is_told_who_serves() {
    let office = Office::prepare("");
    let path = office.place.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let told = || {
        let mut buffer = [0; 256];
        let count = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..count].to_vec()).unwrap()
    };
    let mut command = office.place.command(&["serve"]);
    command.env("NOTIFY_SOCKET", &path);
    let mut server = Server::start(command);
    assert_eq!(told(), format!("MAINPID={}\nREADY=1", server.id()));
    let successor = office.upgrade();
    let expected = format!("MAINPID={}\nREADY=1", successor.id());
    // By itself, which a manager may not believe, and by the process that it knows.
    assert_eq!((told(), told()), (expected.clone(), expected));
    assert_eq!(server.exit_code(), Some(0));
    successor.stop();
    assert_eq!(told(), "STOPPING=1");
}
