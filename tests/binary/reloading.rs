//! Reading the configuration again while requests are served.

use std::os::unix::fs::PermissionsExt as _;

use rustix::process::Signal;
use serde_json::json;

use crate::harness::{CONFIGURATION, Client, Load, Place, Server, Upstream, configuration, eventually, unused};

const PUBLIC: &str = "routes:\n  - { name: open, path: /, upstream: backend, access: public }\n";

struct Office {
    upstream: Upstream,
    place: Place,
    key: String,
    server: Server,
}

impl Office {
    fn open(extra: &str) -> Self {
        let upstream = Upstream::start();
        let place = Place::prepared(upstream.address(), extra);
        let key = place.json(&["keys", "create", "--name", "robot"], "")["key"].as_str().unwrap().to_owned();
        let server = place.serve();
        Self { upstream, place, key, server }
    }

    /// Writes the configuration anew: the usual one, changed.
    fn write(&self, extra: &str, change: impl Fn(String) -> String) {
        let text = configuration("127.0.0.1:0", "127.0.0.1:0", self.upstream.address(), extra);
        self.place.write(CONFIGURATION, &change(text));
    }

    fn make_public(&self) {
        self.write("", |text| text.split("routes:").next().unwrap().to_owned() + PUBLIC);
    }
}

#[test]
fn what_the_command_takes_over_is_in_force_when_it_returns() {
    let office = Office::open("");
    let (server, place) = (&office.server, &office.place);
    assert_eq!(server.get("/", &[]).status, 401);
    let (generation, checksum) =
        (server.metric("portcullis_config_generation"), server.metric("portcullis_config_checksum"));
    assert_eq!((generation, server.metric("portcullis_config_last_reload_success")), (1.0, 1.0));
    let socket = std::fs::metadata(place.path("data/portcullis.sock")).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);

    office.make_public();
    assert_eq!(server.get("/", &[]).status, 401, "nothing is read before it is asked for");
    let told = place.run(&["reload"]);
    assert_eq!(told.success().stdout, "portcullis.yaml is in force\n");
    assert_eq!(server.get("/", &[]).status, 200);
    assert_eq!(server.metric("portcullis_config_generation"), 2.0);
    assert_ne!(server.metric("portcullis_config_checksum"), checksum);
    assert!(server.metric("portcullis_config_last_reload_timestamp_seconds") > 1e9);
    let told = place.json(&["reload"], "");
    assert_eq!(told, json!({ "done": true, "lines": ["portcullis.yaml is in force"] }));
}

#[test]
fn a_signal_does_the_same() {
    let office = Office::open("");
    office.make_public();
    office.server.signal(Signal::HUP);
    eventually("the new route", || (office.server.get("/", &[]).status == 200).then_some(()));
}

#[test]
fn a_faulty_configuration_is_refused_with_all_its_faults_and_the_one_before_stays() {
    let office = Office::open("");
    let server = &office.server;
    let faults = ["limits.body_size", "routes[0].access"];
    office.write("limits: { body_size: 1TiB }", |text| text.replace("any: [jwt, api_key]", "any: [jwt, password]"));
    server.signal(Signal::HUP);
    eventually("the refusal", || (server.metric("portcullis_config_last_reload_success") == 0.0).then_some(()));
    eventually("the log", || faults.iter().all(|fault| server.stderr().contains(fault)).then_some(()));
    assert_eq!(server.get("/", &[("X-API-Key", &office.key)]).status, 200);
    assert_eq!((server.get("/", &[]).status, server.metric("portcullis_config_generation")), (401, 1.0));
    let refused = office.place.run(&["reload"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    assert!(faults.iter().all(|fault| refused.stderr.contains(fault)), "{refused:?}");

    // What the file alone does not show is found by the process, and is refused with all the rest.
    office.write("mail: { templates: data/nowhere }\ncache: { max_age: 1s }", |text| {
        text.replace("threads: 1", "threads: 2").replace("http: \"127.0.0.1:0\"", "http: \"127.0.0.1:1\"")
    });
    let refused = office.place.run(&["reload"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    let lines: Vec<&str> = refused.stderr.lines().collect();
    for setting in ["listen.http", "cache", "workers.threads"] {
        assert!(lines.contains(&format!("restart needed: {setting}").as_str()), "{lines:?}");
    }
    assert!(lines.iter().any(|line| line.contains("data/nowhere")), "{lines:?}");
    assert_eq!(server.get("/", &[("X-API-Key", &office.key)]).status, 200);

    office.make_public();
    office.place.run(&["reload"]).success();
    assert_eq!(server.metric("portcullis_config_last_reload_success"), 1.0);
    assert_eq!(server.get("/", &[]).status, 200);
}

#[test]
fn what_is_wrong_in_the_eyes_of_the_command_is_put_to_the_process_all_the_same() {
    let office = Office::open("");
    let server = &office.server;
    for fault in ["tokens: { leeway: 1 }", "limits: { body_size: 1TiB }", "secrets: {}", "listen: { http: nowhere }"] {
        let section = fault.split(':').next().unwrap();
        office.write("", |text| {
            let kept = text.lines().filter(|line| !line.starts_with(section)).map(|line| format!("{line}\n"));
            kept.collect::<String>() + fault + "\n"
        });
        let refused = office.place.run(&["reload"]);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
        assert!(refused.stderr.contains(&format!(": {section}.")), "{refused:?}");
        assert_eq!(server.metric("portcullis_config_last_reload_success"), 0.0, "{fault}");
        office.write("", |text| text);
        office.place.run(&["reload"]).success();
        assert_eq!(server.metric("portcullis_config_last_reload_success"), 1.0);
    }
    // The process has a variable that the command has not.
    let mut command = office.place.command(&["serve"]);
    command.env("THREADS", "1");
    let control = |text: String| text.replace("ops: \"127.0.0.1:0\"", "ops: \"127.0.0.1:0\", control: other.sock");
    office.write("", |text| control(text).replace("threads: 1", "threads: \"${THREADS}\""));
    let other = Server::start(command);
    let told = office.place.run(&["reload"]);
    assert_eq!(told.success().stdout, "portcullis.yaml is in force\n");
    assert_eq!(other.metric("portcullis_config_generation"), 2.0);
    other.stop().success();
    // Nobody is at home there now, and what is said is what the command has seen.
    assert!(office.place.run(&["reload"]).refusal().contains("the environment variable THREADS is not set"));
}

#[test]
fn certificates_that_cannot_be_read_are_refused() {
    let office = Office::open("");
    office.place.write("data/ca.pem", "no certificates\n");
    office.write("", |text| {
        text.replace("upstreams:\n", "upstreams:\n  sealed: { servers: [\"https://127.0.0.1:1\"], tls: { server_name: a.example, ca: data/ca.pem } }\n")
    });
    let refused = office.place.run(&["reload"]);
    assert!(refused.refusal().contains("data/ca.pem"), "{refused:?}");
    assert_eq!(office.server.metric("portcullis_config_generation"), 1.0);
    assert_eq!(office.server.get("/", &[("X-API-Key", &office.key)]).status, 200);
}

#[test]
fn a_role_that_is_taken_away_opens_nothing_from_then_on() {
    let clerk = "roles: { clerk: { scopes: [orders:read] } }";
    let demanding = |text: String| text.replace("any: [jwt, api_key]", "any: [jwt], scopes: [orders:read]");
    let office = Office::open(clerk);
    office.write(clerk, demanding);
    office.place.run(&["reload"]).success();
    office.place.create_user("anna");
    office.place.run(&["users", "change", "anna", "--role", "clerk"]).success();
    let (token, _) = office.server.tokens("anna");
    assert_eq!(office.server.get_with_token("/", &token).status, 200);
    // The token is known to be good by now, and what it was good for is not remembered beyond this.
    office.write("roles: { clerk: { scopes: [] } }", demanding);
    office.place.run(&["reload"]).success();
    assert_eq!(office.server.get_with_token("/", &token).status, 403);
    office.write(clerk, demanding);
    office.place.run(&["reload"]).success();
    assert_eq!(office.server.get_with_token("/", &token).status, 200);
}

#[test]
fn a_request_finishes_under_the_configuration_that_it_began_with() {
    let office = Office::open("");
    let mut slow = Client::connect(office.server.http);
    slow.send("GET", "/slow/1500", &[("X-API-Key", &office.key)], b"");
    eventually("the request at the upstream", || office.upstream.seen().pop());
    // The upstream that it waits for is in the next configuration no more.
    office.write("", |text| text.replace(&office.upstream.address().to_string(), &unused().to_string()));
    office.place.run(&["reload"]).success();
    assert_eq!(office.server.get("/", &[("X-API-Key", &office.key)]).status, 502);
    let reply = slow.reply(false);
    assert_eq!((reply.status, reply.seen().target.as_str()), (200, "/slow/1500"));
    // The connection lives on, and its next request is one of today.
    assert_eq!(slow.request("GET", "/", &[("X-API-Key", &office.key)], b"").status, 502);
}

#[test]
fn steady_traffic_loses_nothing_through_reloads() {
    let office = Office::open("");
    let load = Load::start(office.server.http, &office.key);
    load.go_on(100);
    for round in 0..6 {
        office.write("", |text| {
            text + &format!("  - {{ name: r{round}, path: /r{round}, upstream: backend, access: public }}\n")
        });
        office.place.run(&["reload"]).success();
        assert_eq!(office.server.get(&format!("/r{round}"), &[]).status, 200);
        load.go_on(50);
    }
    assert_eq!(load.failures(), Vec::<String>::new());
}

#[test]
fn nobody_at_home_is_said_in_one_sentence() {
    let upstream = Upstream::start();
    let place = Place::prepared(upstream.address(), "");
    for command in ["reload", "upgrade"] {
        assert!(place.run(&[command]).refusal().starts_with("no process answers at data/portcullis.sock"));
    }
    // What a process that was killed leaves behind is in nobody's way.
    place.serve().kill();
    assert!(place.path("data/portcullis.sock").exists());
    assert!(place.run(&["reload"]).refusal().starts_with("no process answers"));
    let server = place.serve();
    place.run(&["reload"]).success();
    server.stop().success();
    assert!(!place.path("data/portcullis.sock").exists());
}
