//! Serving over TLS, and certificates that are renewed, broken and handed on while it goes on.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use portcullis::domain::clock::{Clock as _, SystemClock};
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, HandshakeKind};

use crate::harness::certificates::Authority;
use crate::harness::{CONFIGURATION, Client, Load, Place, Server, Upstream, eventually, unused};
use crate::upgrading::Successor;

const NAME: &str = "gateway.test";

struct Office {
    authority: Authority,
    upstream: Upstream,
    place: Place,
    key: String,
}

impl Office {
    fn prepare() -> Self {
        let authority = Authority::new();
        authority.issue("own", &[NAME]);
        let upstream = Upstream::start();
        let place = Place::prepared(upstream.address(), "");
        let key = place.json(&["keys", "create", "--name", "robot"], "")["key"].as_str().unwrap().to_owned();
        let office = Self { authority, upstream, place, key };
        office.write_https("127.0.0.1:0");
        office
    }

    fn write_https(&self, address: &str) {
        let https = format!("https: {{ address: \"{address}\", certificates: [{}] }}", self.authority.item("own"));
        self.write_listen(&format!(", {https}"));
    }

    /// Writes the configuration anew, with this behind the addresses without TLS.
    fn write_listen(&self, further: &str) {
        let extra = "limits: { drain_timeout: 20s }";
        let text = crate::harness::configuration("127.0.0.1:0", "127.0.0.1:0", self.upstream.address(), extra);
        let plain = "ops: \"127.0.0.1:0\"";
        assert!(text.contains(plain));
        self.place.write(CONFIGURATION, &text.replace(plain, &format!("{plain}{further}")));
    }

    fn connect(&self, server: &Server) -> Client {
        connect(server.https.unwrap(), &self.authority.client())
    }

    fn shown(&self, server: &Server) -> CertificateDer<'static> {
        self.connect(server).certificate().unwrap().clone()
    }

    fn load(&self, server: &Server) -> Load {
        let (address, client) = (server.https.unwrap(), self.authority.client());
        Load::through(&self.key, move || connect(address, &client))
    }

    fn status(&self, client: &mut Client) -> u16 {
        client.request("GET", "/", &[("X-API-Key", &self.key)], b"").status
    }

    fn upgrade(&self) -> Successor {
        Successor::named_in(self.place.json(&["upgrade"], "")["lines"][0].as_str().unwrap())
    }
}

fn connect(address: SocketAddr, client: &Arc<ClientConfig>) -> Client {
    Client::connect_tls(address, client, NAME).unwrap()
}

fn expiry(server: &Server) -> f64 {
    server.metric(&format!("portcullis_tls_certificate_expiry_timestamp_seconds{{name=\"{NAME}\"}}"))
}

#[test]
fn a_start_with_files_that_cannot_be_used_fails_before_any_socket_opens() {
    let office = Office::prepare();
    let address = unused();
    office.write_https(&address.to_string());
    let pem = office.authority.path("own.pem");
    fs::remove_file(&pem).unwrap();
    for command in ["serve", "check"] {
        let said = office.place.run(&[command]).refusal();
        let start = format!(
            "portcullis.yaml:1: listen.https.certificates[0].certificate: the file {} cannot be read (",
            pem.display()
        );
        assert!(said.starts_with(&start), "{said}");
        assert!(said.contains("; name a readable file of certificates in PEM"), "{said}");
    }
    assert!(TcpStream::connect(address).is_err());
    assert!(!office.place.path("data/portcullis.sock").exists());

    office.authority.issue("own", &[NAME]);
    office.authority.issue("other", &["other.test"]);
    fs::copy(office.authority.path("other.key"), office.authority.path("own.key")).unwrap();
    let said = office.place.run(&["serve"]).refusal();
    assert!(said.contains("listen.https.certificates[0].key: ") && said.contains("of another certificate"), "{said}");

    // Somebody else's key.
    office.authority.issue("own", &[NAME]);
    fs::set_permissions(office.authority.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(office.authority.path("own.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    let said = crate::harness::finish(office.place.command_for_nobody(&["check"]), "");
    assert!(said.refusal().contains("own.key cannot be read (Permission denied"), "{said:?}");
}

#[test]
fn an_address_that_is_taken_is_named() {
    let office = Office::prepare();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    office.write_https(&address.to_string());
    let said = office.place.run(&["serve"]);
    let last = said.complaint().lines().last().unwrap_or_default().to_owned();
    assert_eq!(said.code, Some(1));
    assert!(last.contains(&format!("cannot listen on {address}")), "{said:?}");
}

#[test]
fn an_expired_certificate_is_warned_of_and_served() {
    let office = Office::prepare();
    office.authority.issue_with("own", &[NAME], "ec", -30, -1);
    let checked = office.place.run(&["check"]);
    let warning = format!("warning: listen.https: the certificate for {NAME} has expired at ");
    assert!(checked.success().stderr.contains(&warning), "{checked:?}");
    let server = office.place.serve();
    assert!(server.stderr().contains(&format!("the certificate for {NAME} has expired at ")), "{}", server.stderr());
    let now = SystemClock.now().as_secs() as f64;
    assert!((-90_000.0..-80_000.0).contains(&(expiry(&server) - now)));
    let refused = Client::connect_tls(server.https.unwrap(), &office.authority.client(), NAME).err().unwrap();
    assert!(refused.to_string().contains("expired"), "{refused}");
    // Whoever renews it needs no restart.
    office.authority.issue("own", &[NAME]);
    office.place.run(&["reload"]).success();
    assert_eq!(office.status(&mut office.connect(&server)), 200);
    assert!(expiry(&server) > now);
    server.stop().success();
}

#[test]
fn a_renewed_certificate_is_shown_from_the_reload_on_and_nobody_loses_anything() {
    let office = Office::prepare();
    let server = office.place.serve();
    let load = office.load(&server);
    let first = office.authority.certificate("own");
    let mut open = office.connect(&server);
    assert_eq!(office.status(&mut open), 200);
    assert_eq!(open.certificate(), Some(&first));
    let mut slow = office.connect(&server);
    slow.send("GET", "/slow/1500", &[("X-API-Key", &office.key)], b"");
    eventually("the request at the upstream", || {
        office.upstream.seen().into_iter().find(|seen| seen.target.starts_with("/slow"))
    });
    let mut before = first.clone();
    for round in 0..5 {
        load.go_on(50);
        office.authority.issue("own", &[NAME]);
        let renewed = office.authority.certificate("own");
        assert_eq!(office.shown(&server), before, "nothing is read before it is asked for");
        if round % 2 == 0 {
            office.place.run(&["reload"]).success();
            assert_eq!(office.shown(&server), renewed);
        } else {
            server.signal(rustix::process::Signal::HUP);
            eventually("the renewed certificate", || (office.shown(&server) == renewed).then_some(()));
        }
        before = renewed;
        assert_eq!(office.status(&mut open), 200);
    }
    assert_eq!(open.certificate(), Some(&first));
    assert_eq!(slow.reply(false).status, 200);
    load.go_on(50);
    assert_eq!(load.failures(), Vec::<String>::new());
    assert_eq!(server.metric("portcullis_tls_handshakes_total{outcome=\"failed\"}"), 0.0);
    server.stop().success();
}

#[test]
fn sessions_are_taken_up_again_until_the_certificates_change() {
    let office = Office::prepare();
    let server = office.place.serve();
    let client = office.authority.client();
    let kind = || {
        let mut client = connect(server.https.unwrap(), &client);
        assert_eq!(office.status(&mut client), 200);
        client.tls().unwrap().handshake_kind().unwrap()
    };
    assert_eq!((kind(), kind()), (HandshakeKind::Full, HandshakeKind::Resumed));
    office.place.run(&["reload"]).success();
    assert_eq!(kind(), HandshakeKind::Resumed);
    office.authority.issue("own", &[NAME]);
    office.place.run(&["reload"]).success();
    assert_eq!((kind(), kind()), (HandshakeKind::Full, HandshakeKind::Resumed));
    server.stop().success();
}

#[test]
fn a_broken_renewal_is_refused_and_the_certificate_before_stays() {
    let office = Office::prepare();
    let server = office.place.serve();
    let (shown, expiring) = (office.shown(&server), expiry(&server));
    let key = fs::read(office.authority.path("own.key")).unwrap();
    office.authority.issue("other", &["other.test"]);
    let breaks: [(&str, &[u8], &str); 3] = [
        ("own.key", b"", "own.key is empty"),
        ("own.key", &fs::read(office.authority.path("other.key")).unwrap(), "own.key holds the private key of another"),
        ("own.key", &key[..key.len() / 2], "own.key holds no private key in PEM"),
    ];
    for (file, content, problem) in breaks {
        fs::write(office.authority.path(file), content).unwrap();
        assert!(office.place.run(&["reload"]).refusal().contains(problem));
        assert_eq!(server.metric("portcullis_config_last_reload_success"), 0.0);
        eventually("the reason in the log", || server.stderr().contains(problem).then_some(()));
        assert_eq!((office.shown(&server), expiry(&server)), (shown.clone(), expiring));
        assert_eq!(office.status(&mut office.connect(&server)), 200);
        fs::write(office.authority.path(file), &key).unwrap();
        office.place.run(&["reload"]).success();
        assert_eq!(server.metric("portcullis_config_last_reload_success"), 1.0);
    }
    server.stop().success();
}

#[test]
fn the_address_takes_an_upgrade_to_change_and_a_reload_says_so() {
    let office = Office::prepare();
    office.write_listen("");
    let mut server = office.place.serve();
    assert_eq!(server.https, None);
    let address = unused();
    office.write_https(&address.to_string());
    assert_eq!(office.place.run(&["reload"]).refusal(), "restart needed: listen.https.address");
    assert!(TcpStream::connect(address).is_err());
    let first = office.upgrade();
    assert_eq!(server.exit_code(), Some(0));
    assert_eq!(office.status(&mut connect(address, &office.authority.client())), 200);
    // What the process before listened on is closed when nobody wants it any more.
    office.write_listen("");
    let second = office.upgrade();
    eventually("the end of the listener", || TcpStream::connect(address).is_err().then_some(()));
    assert_eq!(server.get("/", &[("X-API-Key", &office.key)]).status, 200);
    drop(first);
    second.stop();
}

#[test]
fn steady_traffic_and_a_websocket_over_tls_survive_upgrades() {
    let office = Office::prepare();
    let mut server = office.place.serve();
    let load = office.load(&server);
    let mut socket = office.connect(&server);
    let upgrade = [
        ("X-API-Key", office.key.as_str()),
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
    let mut idle = office.connect(&server);
    assert_eq!(office.status(&mut idle), 200);
    load.go_on(100);
    // The successor reads the files for itself.
    office.authority.issue("own", &[NAME]);
    let first = office.upgrade();
    echo(b"after");
    assert_eq!(office.shown(&server), office.authority.certificate("own"));
    load.go_on(100);
    let last = idle.request("GET", "/", &[("X-API-Key", &office.key)], b"");
    assert_eq!((last.status, last.header("connection")), (200, Some("close")));
    drop(idle);
    echo(b"at the end");
    drop(socket);
    assert_eq!(server.exit_code(), Some(0), "{}", server.stderr());
    assert!(server.stderr().contains("\"complete\":true"), "{}", server.stderr());
    let second = office.upgrade();
    load.go_on(200);
    assert_eq!(load.failures(), Vec::<String>::new());
    drop(first);
    second.stop();
    assert!(TcpStream::connect(server.https.unwrap()).is_err());
}

#[test]
fn a_stop_lets_requests_over_tls_finish() {
    let office = Office::prepare();
    let server = office.place.serve();
    let mut slow = office.connect(&server);
    slow.send("GET", "/slow/1500", &[("X-API-Key", &office.key)], b"");
    eventually("the request at the upstream", || office.upstream.seen().pop());
    // It has begun to speak, and is waited for no longer than for a request.
    let silent = TcpStream::connect(server.https.unwrap()).unwrap();
    let stopped = std::thread::spawn(move || server.stop());
    let reply = slow.reply(false);
    assert_eq!((reply.status, reply.header("connection")), (200, Some("close")));
    stopped.join().unwrap().success();
    drop(silent);
}
