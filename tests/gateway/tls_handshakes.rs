//! How connections over TLS begin: which certificate is shown, what is not spoken, and how long it may take.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use portcullis::domain::clock::{Clock as _, SystemClock};
use rustls::version::{TLS12, TLS13};

use crate::harness::certificates::Authority;
use crate::harness::{Client, Plan, World, eventually};

fn serving(https: &str, extra: &str) -> World {
    let routes = Some("  - { path: /, upstream: backend, access: public }".to_owned());
    World::plan(Plan { https: Some(https.to_owned()), routes, extra: extra.to_owned(), ..Plan::default() })
}

fn simple(authority: &Authority, further: &str, extra: &str) -> World {
    authority.issue("own", &["a.test"]);
    serving(&format!("certificates: [{}]{further}", authority.item("own")), extra)
}

/// Why it does not come about.
fn refusal(client: std::io::Result<Client>) -> String {
    client.err().expect("it was not to come about").to_string()
}

fn handshakes(world: &World, outcome: &str) -> u64 {
    let name = format!("portcullis_tls_handshakes_total{{outcome=\"{outcome}\"}} ");
    let metrics = world.metrics();
    metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}

fn connections(world: &World) -> u64 {
    let metrics = world.metrics();
    let line = metrics.lines().find_map(|line| line.strip_prefix("portcullis_connections "));
    line.unwrap().parse().unwrap()
}

#[test]
fn each_host_gets_its_certificate_and_who_names_none_gets_the_first() {
    let authority = Authority::new();
    authority.issue("first", &["first.test", "127.0.0.1.first.test"]);
    authority.issue("wild", &["*.example.test", "example.test"]);
    authority.issue("exact", &["exact.example.test"]);
    let items = ["first", "wild", "exact"].map(|file| authority.item(file)).join(", ");
    let world = serving(&format!("certificates: [{items}]"), "");
    let client = authority.client();
    for (name, file) in [
        ("first.test", "first"),
        ("example.test", "wild"),
        ("any.example.test", "wild"),
        ("EXACT.Example.TEST", "exact"),
    ] {
        let mut client = Client::connect_tls(world.https(), &client, name).unwrap();
        assert_eq!(client.certificate(), Some(&authority.certificate(file)), "{name}");
        // The request may be for another host: certificates are for connections.
        assert_eq!(client.request("GET", "/", &[("Host", "other.test")], b"").status, 200);
    }
    for name in ["a.any.example.test", "nobody.test", "127.0.0.1"] {
        let said = refusal(Client::connect_tls(world.https(), &client, name));
        assert!(said.contains("not valid for name") && said.contains("first.test"), "{name}: {said}");
    }
    let metrics = world.metrics();
    for name in ["first.test", "*.example.test", "exact.example.test"] {
        let start = format!("portcullis_tls_certificate_expiry_timestamp_seconds{{name=\"{name}\"}} ");
        let expiry: i64 = metrics.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap();
        let days = (expiry - SystemClock.now().as_secs()) / 86_400;
        assert!((29..=30).contains(&days), "{name}: {days}");
    }
}

#[test]
fn every_kind_of_key_is_served_and_the_client_gets_one_that_it_can_verify() {
    let authority = Authority::new();
    for kind in ["ec", "rsa", "ed25519"] {
        authority.issue_with(kind, &["a.test", &format!("{kind}.test")], kind, -1, 30);
    }
    let items = ["ed25519", "ec", "rsa"].map(|file| authority.item(file)).join(", ");
    let world = serving(&format!("certificates: [{items}]"), "");
    for versions in [&[&TLS12], &[&TLS13]] {
        let client = authority.client_with(versions, &[]);
        for kind in ["ec", "rsa", "ed25519"] {
            let connected = Client::connect_tls(world.https(), &client, &format!("{kind}.test")).unwrap();
            assert_eq!(connected.certificate(), Some(&authority.certificate(kind)));
        }
    }
    // As told by the schemes that it offers.
    let verified = |scheme: &str| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--output", "/dev/null", "--write-out", "%{http_code}"]);
        let port = world.https().port();
        command.args(["--resolve", &format!("a.test:{port}:127.0.0.1"), &format!("https://a.test:{port}/")]);
        command.args(["--tls-max", "1.2", "--ciphers", scheme, "--cacert"]).arg(authority.path("ca.pem"));
        let told = command.output().unwrap();
        String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr)
    };
    assert_eq!(verified("ECDHE-RSA-AES128-GCM-SHA256"), "200");
    assert_eq!(verified("ECDHE-ECDSA-AES128-GCM-SHA256"), "200");
}

/// A `ClientHello` of a version that had nothing but this.
fn old_hello(minor: u8) -> Vec<u8> {
    let mut hello = vec![3, minor];
    hello.extend([7; 32]);
    // No session, two suites of that time, no compression, and what signatures it can verify.
    hello.extend([0, 0, 4, 0xc0, 0x13, 0x00, 0x2f, 1, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3]);
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, 3, minor.min(1), 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    record
}

#[test]
fn versions_before_1_2_are_refused() {
    let world = simple(&Authority::new(), "", "");
    for minor in [0, 1, 2] {
        let answer = Client::connect(world.https()).raw(&old_hello(minor));
        // A fatal alert (RFC 8446 6.2): protocol_version.
        assert!(answer.len() == 7 && answer[0] == 21 && answer[5..] == [2, 70], "3.{minor}: {answer:?}");
    }
    eventually("three failures", || (handshakes(&world, "failed") == 3).then_some(()));
    assert_eq!(handshakes(&world, "completed"), 0);
}

#[test]
fn the_lowest_version_can_be_raised() {
    let authority = Authority::new();
    let (old, new) = {
        authority.issue("own", &["a.test"]);
        (authority.client_with(&[&TLS12], &[]), authority.client_with(&[&TLS13], &[]))
    };
    let https = format!("certificates: [{}]", authority.item("own"));
    let both = serving(&https, "");
    assert_eq!(Client::connect_tls(both.https(), &old, "a.test").unwrap().request("GET", "/", &[], b"").status, 200);
    let raised = serving(&format!("{https}, min_version: \"1.3\""), "");
    let said = refusal(Client::connect_tls(raised.https(), &old, "a.test"));
    assert!(said.contains("ProtocolVersion"), "{said}");
    assert_eq!(Client::connect_tls(raised.https(), &new, "a.test").unwrap().request("GET", "/", &[], b"").status, 200);
}

#[test]
fn http_1_1_is_all_that_is_offered() {
    let authority = Authority::new();
    let world = simple(&authority, "", "");
    let connect = |protocols: &[&[u8]]| {
        let client = authority.client_with(&[&TLS13, &TLS12], protocols);
        Client::connect_tls(world.https(), &client, "a.test")
    };
    let mut both = connect(&[b"h2", b"http/1.1"]).unwrap();
    assert_eq!(both.tls().unwrap().alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(both.request("GET", "/", &[], b"").status, 200);
    assert_eq!(connect(&[]).unwrap().request("GET", "/", &[], b"").status, 200);
    let said = refusal(connect(&[b"h2"]));
    assert!(said.contains("NoApplicationProtocol"), "{said}");
}

#[test]
fn whoever_does_not_get_on_with_it_is_let_go() {
    let authority = Authority::new();
    let world = simple(&authority, "", "limits: { head_timeout: 1s }");
    let address = world.https();
    // One says nothing, one stops in the middle, one goes on byte by byte.
    let mut silent = TcpStream::connect(address).unwrap();
    let mut halting = TcpStream::connect(address).unwrap();
    halting.write_all(&old_hello(3)[..20]).unwrap();
    let mut dripping = TcpStream::connect(address).unwrap();
    let drip = std::thread::spawn(move || {
        let endless = [&[22, 3, 1, 64, 0, 1, 0, 63, 0][..], &[0; 8000][..]].concat();
        let gone = endless.chunks(1).any(|byte| {
            std::thread::sleep(Duration::from_millis(50));
            dripping.write_all(byte).is_err()
        });
        assert!(gone, "it was listened to until the end");
    });
    eventually("three connections", || (connections(&world) == 3).then_some(()));
    for stream in [&mut silent, &mut halting] {
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let end = stream.read(&mut [0; 10]);
        assert!(matches!(end, Ok(0)) || end.is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset));
    }
    drip.join().unwrap();
    assert_eq!((handshakes(&world, "timed_out"), handshakes(&world, "failed")), (3, 0));
    eventually("their places", || (connections(&world) == 0).then_some(()));
    let client = authority.client();
    assert_eq!(Client::connect_tls(address, &client, "a.test").unwrap().request("GET", "/", &[], b"").status, 200);
    assert_eq!(handshakes(&world, "completed"), 1);
}

#[test]
fn connections_count_before_they_speak_and_together_with_those_in_the_clear() {
    let authority = Authority::new();
    let world = simple(&authority, "", "limits: { connections_per_address: 3 }");
    let client = authority.client();
    let connect = || Client::connect_tls(world.https(), &client, "a.test");
    let silent = TcpStream::connect(world.https()).unwrap();
    let plain = Client::connect(world.http());
    eventually("two connections", || (connections(&world) == 2).then_some(()));
    let mut third = connect().unwrap();
    assert_eq!(third.request("GET", "/", &[], b"").status, 200);
    assert!(connect().is_err(), "there is no room for a fourth");
    assert!(Client::connect(world.http()).is_closed());
    // It was closed before any TLS.
    assert_eq!((handshakes(&world, "failed"), handshakes(&world, "completed")), (0, 1));
    drop((silent, plain));
    eventually("room", || connect().ok().map(drop));
}

#[test]
fn what_is_no_tls_is_not_answered_and_who_says_nothing_is_no_failure() {
    let authority = Authority::new();
    let world = simple(&authority, "", "");
    let plain = Client::connect(world.https()).raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(String::from_utf8_lossy(&plain), "");
    eventually("the count", || (handshakes(&world, "not_tls") == 1).then_some(()));
    // A load balancer that looks whether anybody listens.
    drop(TcpStream::connect(world.https()).unwrap());
    // It trusts nobody's certificate, and says so.
    let stranger = Authority::new();
    stranger.issue("own", &["a.test"]);
    let said = refusal(Client::connect_tls(world.https(), &stranger.client(), "a.test"));
    assert!(said.contains("invalid peer certificate"), "{said}");
    // Bytes that only begin like TLS.
    Client::connect(world.https()).raw(&[&[22, 3, 1, 0, 4][..], b"junkjunk"].concat());
    eventually("both failures", || (handshakes(&world, "failed") == 2).then_some(()));
    eventually("their places", || (connections(&world) == 0).then_some(()));
    assert_eq!((handshakes(&world, "completed"), handshakes(&world, "timed_out")), (0, 0));
    // TLS to where it is not spoken is a request line that is none.
    assert!(Client::connect_tls(world.http(), &authority.client(), "a.test").is_err());
    assert_eq!(world.upstream.seen(), []);
}

#[test]
fn a_client_that_is_not_ours_gets_on_with_it() {
    let authority = Authority::new();
    let world = simple(&authority, "", "");
    let fetch = |address: SocketAddr, arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--max-time", "20", "--cacert"]).arg(authority.path("ca.pem"));
        command.args(["--resolve", &format!("a.test:{}:127.0.0.1", address.port())]).args(arguments);
        let told = command.arg(format!("https://a.test:{}/orders", address.port())).output().unwrap();
        String::from_utf8_lossy(&told.stdout).into_owned() + &String::from_utf8_lossy(&told.stderr)
    };
    for arguments in [&["--tlsv1.3"][..], &["--tls-max", "1.2"], &["--http2"], &["--no-alpn"]] {
        let told = fetch(world.https(), arguments);
        assert!(told.contains("\"target\":\"/orders\"") && told.contains("\"https\""), "{arguments:?}: {told}");
    }
}
