//! What the client is told when an upstream fails, and that nothing else fails with it.

use crate::harness::{NOBODY, Plan, Reply, World};

fn public(plan: Plan) -> World {
    World::plan(Plan { routes: Some("  - { path: /, upstream: backend, access: public }".to_owned()), ..plan })
}

/// The answer is one of ours, and the log and the metric say the same.
fn failed(world: &World, reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.code().as_str()), (status, code), "{reply:?}");
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert!(!reply.json()["detail"].as_str().unwrap().contains("127.0.0.1"), "{reply:?}");
    let line = world.access_line(reply.header("x-request-id").unwrap());
    assert_eq!((&line["status"], &line["reason"], &line["fault"]), (&status.into(), &code.into(), &"upstream".into()));
    assert!(world.counted(code) > 0);
}

#[test]
fn an_upstream_that_nobody_listens_for_is_502_and_the_gateway_serves_on() {
    let world = World::plan(Plan {
        routes: Some(
            "  - { path: /, upstream: backend, access: public }\n  \
             - { path: /good, upstream: good, access: public }"
                .to_owned(),
        ),
        servers: Some(format!("\"{NOBODY}\"")),
        upstreams: "  good: { servers: [\"{live}\"] }\n".to_owned(),
        ..Plan::default()
    });
    for method in ["GET", "POST"] {
        let reply = world.request(method, "/", &[], b"body");
        failed(&world, &reply, 502, "upstream_unreachable");
        assert_eq!(world.request(method, "/good", &[], b"body").seen().target, "/good");
    }
}

#[test]
fn a_broken_answer_is_502_and_the_gateway_serves_on() {
    let world = public(Plan::default());
    for path in ["/hang-up", "/garbage"] {
        for (method, body) in [("GET", &b""[..]), ("POST", b"body")] {
            failed(&world, &world.request(method, path, &[], body), 502, "upstream_broken");
            assert_eq!(world.get("/after", &[]).seen().target, "/after");
        }
    }
}

#[test]
fn a_slow_answer_is_504() {
    let world = public(Plan { upstream_options: ", read_timeout: 300ms".to_owned(), ..Plan::default() });
    failed(&world, &world.get("/slow/20000", &[]), 504, "upstream_timeout");
    failed(&world, &world.request("POST", "/slow/20000", &[], b"body"), 504, "upstream_timeout");
    assert_eq!(world.get("/after", &[]).seen().target, "/after");
}

/// Complete by its own framing, or visibly not.
#[test]
fn an_answer_that_is_cut_short_never_looks_whole() {
    let world = public(Plan::default());
    for path in ["/cut", "/cut-chunks"] {
        let all = world.raw(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        let text = String::from_utf8_lossy(&all).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n")
            && head.starts_with("HTTP/1.1 200")
        {
            let length = head.to_lowercase().contains("content-length: 1000") && body.len() < 1000;
            let chunks = head.to_lowercase().contains("transfer-encoding: chunked") && !body.ends_with("0\r\n\r\n");
            assert!(length || chunks, "{text}");
        } else {
            assert!(text.starts_with("HTTP/1.1 502"), "{text}");
        }
    }
    world.access_log(2).iter().for_each(|line| assert_eq!(line["reason"], "upstream_broken", "{line}"));
    assert_eq!(world.get("/after", &[]).seen().target, "/after");
}

#[test]
fn a_request_that_is_not_idempotent_is_sent_once_even_on_a_connection_that_was_used_before() {
    let world = public(Plan::default());
    for method in ["POST", "PATCH"] {
        // Leaves a connection in the pool, which the next request finds.
        assert_eq!(world.get("/warm", &[]).status, 200);
        let path = format!("/hang-up/{method}");
        assert_eq!(world.request(method, &path, &[], b"body").status, 502);
        assert_eq!(world.request(method, &path, &[], b"").status, 502);
        assert_eq!(world.upstream.seen().iter().filter(|seen| seen.target == path).count(), 2);
    }
}

#[test]
fn another_server_is_tried_when_one_refuses_the_connection() {
    let world =
        public(Plan { servers: Some(format!("\"{NOBODY}\", \"{{live}}\", \"127.0.0.2:1\"")), ..Plan::default() });
    for n in 0..9 {
        let reply = world.request("POST", &format!("/{n}"), &[], b"whole body");
        assert_eq!(reply.seen().body_start, "whole body");
    }
    assert_eq!(world.upstream.seen().len(), 9, "each arrives once");
}

/// One caller's answer must never be another's.
#[test]
fn bytes_that_nobody_asked_for_are_never_the_answer_to_the_next_request() {
    let world = public(Plan::default());
    for n in 0..5 {
        let first = world.get("/excess", &[]);
        assert!(first.status == 502 || first.text() == "first", "{first:?}");
        let target = format!("/next/{n}");
        assert_eq!(world.get(&target, &[]).seen().target, target);
    }
}

#[test]
fn an_upstreams_own_errors_pass_as_they_are() {
    let world = public(Plan::default());
    for status in [201, 400, 401, 403, 404, 429, 500, 502, 503] {
        let reply = world.get(&format!("/status/{status}"), &[]);
        assert_eq!(reply.status, status);
        assert_eq!(reply.header("x-upstream"), Some("yes"));
        assert_eq!(world.access_line(reply.header("x-request-id").unwrap())["reason"], "ok");
    }
}
