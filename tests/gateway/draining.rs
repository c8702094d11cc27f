//! Stopping without losing a request.

use std::net::TcpStream;

use crate::harness::{Client, World, eventually};

#[test]
fn a_request_in_flight_is_answered_while_the_gateway_drains_and_nobody_new_gets_in() {
    let mut world = World::with_routes("  - { path: /, upstream: backend, access: public }");
    let address = world.http();
    let mut waiting = Client::connect(address);
    waiting.send("GET", "/slow/2000", &[], b"");
    let mut kept = Client::connect(address);
    assert_eq!(kept.request("GET", "/before", &[], b"").header("connection"), Some("keep-alive"));
    eventually("the slow request at the upstream", || (world.upstream.seen().len() == 2).then_some(()));

    let gateway = world.gateway.take().unwrap();
    let draining = std::thread::spawn(move || gateway.drain());
    eventually("new connections are refused", || TcpStream::connect(address).is_err().then_some(()));
    let answer = waiting.reply(false);
    assert_eq!(answer.seen().target, "/slow/2000");
    assert_eq!(answer.header("connection"), Some("close"), "or the next request would be sent into a closing door");
    assert!(waiting.is_closed());
    assert!(kept.is_closed());
    assert!(draining.join().unwrap(), "everything was answered in time");
}

#[test]
fn a_connection_that_is_kept_alive_is_told_to_close_while_the_gateway_drains() {
    let mut world = World::with_routes("  - { path: /, upstream: backend, access: public }");
    let (address, ops) = (world.http(), world.ops());
    let mut slow = Client::connect(address);
    slow.send("GET", "/slow/1500", &[], b"");
    let mut busy = Client::connect(address);
    assert_eq!(busy.request("GET", "/", &[], b"").status, 200);

    let gateway = world.gateway.take().unwrap();
    let draining = std::thread::spawn(move || gateway.drain());
    // Ready for nothing new, and alive.
    eventually("the drain", || {
        let ready = Client::connect(ops).request("GET", "/readyz", &[], b"");
        (ready.status == 503 && ready.json()["status"] == "draining").then_some(())
    });
    let last = busy.request("GET", "/last", &[], b"");
    assert_eq!(last.seen().target, "/last");
    assert_eq!(last.header("connection"), Some("close"));
    assert!(busy.is_closed());
    assert_eq!(slow.reply(false).status, 200);
    assert!(draining.join().unwrap());
}

#[test]
fn what_is_still_unanswered_at_the_end_of_the_drain_timeout_is_cut_off() {
    let mut world = World::plan(crate::harness::Plan {
        routes: Some("  - { path: /, upstream: backend, access: public }".to_owned()),
        extra: "limits: { drain_timeout: 100ms }".to_owned(),
        ..crate::harness::Plan::default()
    });
    let mut waiting = Client::connect(world.http());
    waiting.send("GET", "/slow/60000", &[], b"");
    eventually("the request at the upstream", || (!world.upstream.seen().is_empty()).then_some(()));
    assert!(!world.gateway.take().unwrap().drain(), "one was not answered");
    assert!(waiting.try_reply(false).is_none());
    eventually("the upstream hears of it", || (world.upstream.abandoned() == 1).then_some(()));
}
