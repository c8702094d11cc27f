//! Stopping: what is under way is finished, nothing new is taken, and then the process is gone.

use std::thread;

use rustix::process::Signal;

use crate::harness::{CONFIGURATION, Client, Place, Reply, Server, Upstream, configuration, eventually, unused};

/// A gateway with a key, in front of an upstream that answers as slowly as the path says.
struct Slow {
    upstream: Upstream,
    place: Place,
    key: String,
}

impl Slow {
    fn prepare(extra: &str) -> Self {
        let upstream = Upstream::start();
        let place = Place::prepared(upstream.address(), extra);
        let key = place.json(&["keys", "create", "--name", "robot"], "")["key"].as_str().unwrap().to_owned();
        Self { upstream, place, key }
    }

    /// A request that has reached the upstream and is not answered yet.
    fn request(&self, server: &Server, target: &str) -> thread::JoinHandle<Option<Reply>> {
        let (mut client, key) = (Client::connect(server.http), self.key.clone());
        client.send("GET", target, &[("X-API-Key", &key)], b"");
        eventually("the request at the upstream", || self.upstream.seen().pop());
        thread::spawn(move || client.try_reply(false))
    }
}

fn finishes_what_is_under_way(signal: Signal, name: &str) {
    let slow = Slow::prepare("");
    let server = slow.place.serve();
    let (http, ops) = (server.http, server.ops);
    let under_way = slow.request(&server, "/slow/1500");
    server.signal(signal);
    eventually("draining", || (server.readiness() == "draining").then_some(()));
    let reply = under_way.join().unwrap().expect("the request under way was dropped");
    assert_eq!((reply.status, reply.seen().target.as_str()), (200, "/slow/1500"));
    assert_eq!(reply.header("connection"), Some("close"), "the client is told to go elsewhere");
    let ended = server.ended();
    ended.success();
    assert!(ended.stderr.contains(&format!("\"signal\":\"{name}\"")), "{}", ended.stderr);
    assert!(ended.stderr.contains("\"complete\":true"), "{}", ended.stderr);
    assert!(ended.stdout.contains("/slow/1500"), "its line in the access log is missing: {}", ended.stdout);
    for address in [http, ops] {
        assert!(std::net::TcpStream::connect(address).is_err(), "{address} is still listened on");
    }
}

#[test]
fn sigterm_lets_a_request_under_way_finish() {
    finishes_what_is_under_way(Signal::TERM, "SIGTERM");
}

#[test]
fn sigint_lets_a_request_under_way_finish() {
    finishes_what_is_under_way(Signal::INT, "SIGINT");
}

#[test]
fn operators_are_answered_until_the_last_request_is() {
    let slow = Slow::prepare("");
    let server = slow.place.serve();
    let under_way = slow.request(&server, "/slow/2500");
    server.signal(Signal::TERM);
    // The door is shut first, and the operators' one is still open then.
    eventually("a shut door", || std::net::TcpStream::connect(server.http).is_err().then_some(()));
    assert_eq!(server.readiness(), "draining");
    let metrics = Client::connect(server.ops).request("GET", "/metrics", &[], b"");
    assert_eq!(metrics.status, 200);
    assert_eq!(under_way.join().unwrap().map(|reply| reply.status), Some(200));
    server.ended().success();
}

#[test]
fn a_process_may_be_stopped_the_moment_it_is_ready() {
    let slow = Slow::prepare("");
    for _ in 0..5 {
        let (http, ops) = (unused(), unused());
        let text = configuration(&http.to_string(), &ops.to_string(), slow.upstream.address(), "");
        slow.place.write(CONFIGURATION, &text);
        let server = Server::start_at(slow.place.command(&["serve"]), http, ops);
        server.stop().success();
    }
}

#[test]
fn a_request_that_never_ends_does_not_keep_the_process() {
    let slow = Slow::prepare("limits: { drain_timeout: 200ms }");
    let server = slow.place.serve();
    let under_way = slow.request(&server, "/slow/60000");
    server.signal(Signal::TERM);
    let ended = server.ended();
    assert!(ended.stderr.contains("\"complete\":false"), "{}", ended.stderr);
    assert_ne!(under_way.join().unwrap().map(|reply| reply.status), Some(200));
}

#[test]
fn an_idle_process_stops_and_starts_on_its_data_again_and_again() {
    let slow = Slow::prepare("");
    for signal in [Signal::TERM, Signal::INT, Signal::TERM] {
        let server = slow.place.serve();
        assert_eq!(server.get("/", &[("X-API-Key", &slow.key)]).status, 200);
        server.signal(signal);
        server.ended().success();
        // A clean stop leaves one file, which can be copied as it is.
        assert!(!slow.place.path("data/portcullis.db-wal").exists());
    }
}
