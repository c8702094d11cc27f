//! Bodies of any size pass through, and only a few buffers of them are ever here.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Command;

use crate::harness::{Client, World, eventually};

const GIB: u64 = 1 << 30;
/// Far more than the buffers of a few connections, far less than a body.
const ALLOWED_GROWTH: u64 = 60 << 20;
/// Set where the process has nothing else to do.
const ALONE: &str = "PORTCULLIS_TEST_ALONE";

/// Memory is a process's, and other tests run in this one: so the test runs itself again in one of its own.
fn alone(test: &str, body: impl FnOnce()) {
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = again.args([test, "--exact", "--nocapture"]).env(ALONE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// In bytes, from a line of /proc/self/status.
fn memory(field: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

/// Runs something, and holds the peak of memory meanwhile to the bound.
fn within_bounds(what: &str, body: impl FnOnce()) {
    // The peak so far is forgotten: signing in needed much for a moment.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS");
    body();
    let grown = memory("VmHWM").saturating_sub(before);
    assert!(grown < ALLOWED_GROWTH, "{what}: {} MiB more", grown >> 20);
}

fn world() -> World {
    World::with_routes("  - { path: /, upstream: backend, access: public }")
}

/// Sends `size` bytes in pieces; gives their sum as the upstream counts it.
fn upload(client: &Client, size: u64, chunked: bool) -> u64 {
    let piece: Vec<u8> = (0..1 << 16).map(|n: u32| (n % 251) as u8).collect();
    let (mut socket, mut sum, mut left) = (client.socket(), crc32fast::Hasher::new(), size);
    while left > 0 {
        let now = &piece[..left.min(piece.len() as u64) as usize];
        if chunked {
            socket.write_all(format!("{:x}\r\n", now.len()).as_bytes()).unwrap();
        }
        socket.write_all(now).unwrap();
        if chunked {
            socket.write_all(b"\r\n").unwrap();
        }
        sum.update(now);
        left -= now.len() as u64;
    }
    if chunked {
        socket.write_all(b"0\r\n\r\n").unwrap();
    }
    u64::from(sum.finalize())
}

#[test]
fn a_gibibyte_goes_up_in_constant_memory() {
    alone("streaming::a_gibibyte_goes_up_in_constant_memory", || {
        let world = world();
        for (framing, chunked, size) in [("Content-Length", false, GIB), ("Transfer-Encoding", true, GIB / 4)] {
            within_bounds(framing, || {
                let mut client = Client::connect(world.http());
                let length = size.to_string();
                client.send("POST", "/up", &[(framing, if chunked { "chunked" } else { &length })], b"");
                let sum = upload(&client, size, chunked);
                let seen = client.reply(false).seen();
                assert_eq!((seen.body_bytes, seen.body_sum), (size, sum), "{framing}");
            });
        }
    });
}

#[test]
fn a_gibibyte_comes_down_in_constant_memory() {
    alone("streaming::a_gibibyte_comes_down_in_constant_memory", || {
        let world = world();
        within_bounds("download", || {
            let mut client = Client::connect(world.http());
            client.send("GET", &format!("/download/{GIB}"), &[], b"");
            let mut answer = BufReader::with_capacity(1 << 16, client.socket());
            let (mut line, mut chunk, mut bytes) = (String::new(), Vec::new(), 0);
            while line != "\r\n" {
                line.clear();
                answer.read_line(&mut line).unwrap();
            }
            loop {
                line.clear();
                answer.read_line(&mut line).unwrap();
                let size = usize::from_str_radix(line.trim_end(), 16).unwrap();
                chunk.resize(size + 2, 0);
                answer.read_exact(&mut chunk).unwrap();
                if size == 0 {
                    break;
                }
                assert!(chunk.ends_with(b"x\r\n"));
                bytes += size as u64;
            }
            assert_eq!(bytes, GIB);
        });
    });
}

/// An upstream is slowed down to what its reader takes; nothing piles up here.
#[test]
fn a_reader_that_does_not_read_holds_the_upstream_back() {
    alone("streaming::a_reader_that_does_not_read_holds_the_upstream_back", || {
        let world = world();
        within_bounds("slow reader", || {
            let mut client = Client::connect(world.http());
            client.send("GET", &format!("/download/{GIB}"), &[], b"");
            let mut beginning = [0; 15];
            client.socket().read_exact(&mut beginning).unwrap();
            assert_eq!(&beginning, b"HTTP/1.1 200 OK");
            // Others are served meanwhile, by the one worker that there is.
            for n in 0..200 {
                assert_eq!(world.get(&format!("/{n}"), &[]).status, 200);
            }
            assert_eq!(world.upstream.abandoned(), 0);
            drop(client);
            eventually("the upstream hears that its reader has left", || {
                (world.upstream.abandoned() == 1).then_some(())
            });
        });
    });
}

#[test]
fn a_client_that_leaves_is_soon_gone_for_the_upstream_too() {
    let world = world();
    for (path, left) in [("/slow/60000", 1), ("/download/10000000000", 2)] {
        let mut client = Client::connect(world.http());
        client.send("GET", path, &[], b"");
        eventually("the upstream has it", || world.upstream.seen().iter().any(|s| s.target == path).then_some(()));
        drop(client);
        eventually("the upstream is left", || (world.upstream.abandoned() == left).then_some(()));
    }
    let mut client = Client::connect(world.http());
    client.send("POST", "/up", &[("Content-Length", "1000000")], b"a beginning");
    drop(client);
    eventually("all are recorded", || {
        let log = world.access_log(3);
        (log.iter().filter(|line| line["reason"] == "client_gone").count() == 3).then_some(())
    });
    assert_eq!(world.upstream.seen().len(), 2, "half an upload is never a request");
    assert_eq!(world.get("/after", &[]).seen().target, "/after");
}

#[test]
fn an_upload_that_waits_to_be_asked_is_asked_only_when_it_is_admitted() {
    let world = World::start();
    let (_, key) = world.key("");
    let mut client = Client::connect(world.http());
    let waits = [("Expect", "100-continue"), ("Content-Length", "4")];
    client.send("POST", "/", &waits, b"");
    let all = client.rest();
    assert!(all.starts_with(b"HTTP/1.1 401"), "{}", all.escape_ascii());
    let mut client = Client::connect(world.http());
    client.send("POST", "/", &[waits[0], waits[1], ("X-API-Key", &key)], b"");
    let mut interim = Vec::new();
    while !interim.ends_with(b"\r\n\r\n") {
        interim.extend(client.read_exactly(1));
    }
    assert!(interim.starts_with(b"HTTP/1.1 100"), "{}", interim.escape_ascii());
    client.write(b"body");
    assert_eq!(client.reply(false).seen().body_start, "body");
}
