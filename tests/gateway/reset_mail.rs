//! Links to somebody else's mail server, also when that is away.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Plan, World, eventually};
use crate::smtp_server::Server;

const NEW: &str = "purple monkey dishwasher";

fn by_smtp(port: u16) -> Plan {
    let extra = format!(
        "mail:\n  transport: {{ smtp: {{ host: 127.0.0.1, port: {port}, tls: none }} }}\n  \
         from: \"Our Shop <shop@example.org>\"\n  reset_url: \"https://app.example.org/reset#{{token}}\"\n"
    );
    Plan { extra, ..Plan::default() }
}

fn ask(world: &World) {
    let reply = world.post_json("/api/v1/auth/password/reset/", &json!({ "email": "ANNA@example.org" }));
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// Follows the link in both forms of a mail.
fn follow(world: &World, told: &Value) {
    assert_eq!((&told["accepted"], &told["recipients"]), (&json!(true), &json!(["anna@example.org"])), "{told}");
    let text = told["text"].as_str().unwrap();
    let link = text.lines().find(|line| line.starts_with("https://app.example.org/reset#")).unwrap();
    let html = told["html"].as_str().unwrap().replace("&#x2f;", "/");
    assert!(html.contains(&format!("href=\"{link}\"")), "{told}");
    let (_, token) = link.split_once('#').unwrap();
    let body = json!({ "token": token, "new_password": NEW });
    let reply = world.post_json("/api/v1/auth/password/reset/confirm/", &body);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(world.try_sign_in("anna", NEW).status, 200);
}

#[test]
fn a_link_and_its_notice_arrive_at_a_real_server() {
    let server = Server::start(&json!({}));
    let world = World::plan(by_smtp(server.port));
    world.user_mailed_at("anna", "anna@example.org");
    ask(&world);
    follow(&world, &server.next());
    let notice = server.next();
    assert_eq!((&notice["sender"], &notice["recipients"]), (&json!("shop@example.org"), &json!(["anna@example.org"])));
    assert!(notice["text"].as_str().unwrap().contains("was reset with a link from a mail"), "{notice}");
    eventually("both to be counted", || {
        let metrics = world.metrics();
        let line = |wanted: &str| metrics.lines().any(|line| line == wanted);
        (line("portcullis_mail_total{outcome=\"sent\"} 2") && line("portcullis_mail_waiting 0")).then_some(())
    });
}

/// Stands where the mail server is looked for, and leads there only while that is up.
struct Door {
    up: Arc<AtomicBool>,
    turned_away: Arc<AtomicUsize>,
    address: SocketAddr,
}

impl Door {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (up, turned_away) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let door = Self { up: Arc::clone(&up), turned_away: Arc::clone(&turned_away), address };
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if up.load(Ordering::SeqCst) {
                    lead(client, TcpStream::connect(("127.0.0.1", port)).unwrap());
                } else {
                    turned_away.fetch_add(1, Ordering::SeqCst);
                }
            }
        });
        door
    }
}

fn lead(client: TcpStream, server: TcpStream) {
    for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
        std::thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}

#[test]
fn a_link_waits_for_a_server_that_is_away() {
    let server = Server::start(&json!({}));
    let door = Door::to(server.port);
    let (plan, clock) = by_smtp(door.address.port()).timed();
    let mut world = World::plan(plan);
    world.user_mailed_at("anna", "anna@example.org");
    ask(&world);
    for attempt in 1..=3 {
        eventually("an attempt", || (door.turned_away.load(Ordering::SeqCst) >= attempt).then_some(()));
        let put_off = format!("portcullis_mail_total{{outcome=\"put_off\"}} {attempt}");
        eventually("it to be put off", || world.metrics().lines().any(|line| line == put_off).then_some(()));
        clock.advance(Duration::from_secs(180));
    }
    door.up.store(true, Ordering::SeqCst);
    follow(&world, &server.next());
    assert_eq!(server.next()["headers"]["subject"], "Your password at Portcullis was changed");
    world.gateway = None;
    assert!(server.stop().is_empty(), "each of them once");
}

#[test]
fn a_link_that_is_over_is_not_sent() {
    let server = Server::start(&json!({}));
    let door = Door::to(server.port);
    let (plan, clock) = by_smtp(door.address.port()).timed();
    let world = World::plan(plan);
    world.user_mailed_at("anna", "anna@example.org");
    ask(&world);
    eventually("an attempt", || (door.turned_away.load(Ordering::SeqCst) >= 1).then_some(()));
    clock.advance(Duration::from_secs(30 * 60));
    door.up.store(true, Ordering::SeqCst);
    let given_up = "portcullis_mail_total{outcome=\"given_up\"} 1";
    eventually("it to be given up", || world.metrics().lines().any(|line| line == given_up).then_some(()));
    assert!(server.stop().is_empty());
}
