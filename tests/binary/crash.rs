//! What was acknowledged is there after `kill -9`, whatever else was under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use crate::harness::{PASSWORD, Place, Server, Shared, Upstream, eventually, pair, try_request};

/// Without a grace, so that the previous refresh token shows at once whether its use was kept.
pub const STRICT: &str = "tokens: { reuse_grace: 0s }";

/// A write, and how to see afterwards that it was kept.
type Write = fn(&Place, &Server) -> Box<dyn FnOnce(&Server)>;

const WRITES: [Write; 5] = [sign_in, create_user, refresh, revoke_key, disable_user];

fn sign_in(_: &Place, server: &Server) -> Box<dyn FnOnce(&Server)> {
    let (access, refresh) = server.tokens("anna");
    Box::new(move |server| {
        assert_eq!(server.get_with_token("/", &access).status, 200, "the session is gone");
        assert_eq!(server.refresh(&refresh).status, 200, "the session is gone");
    })
}

fn create_user(place: &Place, _: &Server) -> Box<dyn FnOnce(&Server)> {
    let id = place.create_user("bert")["id"].clone();
    Box::new(move |server| {
        let (access, _) = server.tokens("bert");
        assert_eq!(server.get_with_token("/", &access).seen().header("x-auth-user-id"), id.as_str());
    })
}

fn refresh(_: &Place, server: &Server) -> Box<dyn FnOnce(&Server)> {
    let (_, first) = server.tokens("anna");
    let (_, second) = pair(&server.refresh(&first));
    Box::new(move |server| {
        let (_, third) = pair(&server.refresh(&second));
        let reuse = server.refresh(&first);
        assert_eq!(reuse.status, 401, "a used refresh token works again: {reuse:?}");
        assert_eq!(server.refresh(&third).status, 401, "reuse did not end the session");
    })
}

fn revoke_key(place: &Place, _: &Server) -> Box<dyn FnOnce(&Server)> {
    let (kept, revoked) = (create_key(place), create_key(place));
    place.run(&["keys", "revoke", revoked["id"].as_str().unwrap()]).success();
    Box::new(move |server| {
        let status = |key: &Value| server.get("/", &[("X-API-Key", key["key"].as_str().unwrap())]).status;
        assert_eq!((status(&kept), status(&revoked)), (200, 401));
    })
}

fn disable_user(place: &Place, server: &Server) -> Box<dyn FnOnce(&Server)> {
    place.create_user("carl");
    let (access, refresh) = server.tokens("carl");
    place.run(&["users", "disable", "carl"]).success();
    Box::new(move |server| {
        assert_eq!(server.sign_in("carl", PASSWORD).status, 401);
        assert_eq!(server.get_with_token("/", &access).status, 401);
        assert_eq!(server.refresh(&refresh).status, 401);
    })
}

fn create_key(place: &Place) -> Value {
    place.json(&["keys", "create", "--name", "robot"], "")
}

/// Clients that sign in again and again until the server is gone, and the refresh tokens they were given.
struct Crowd {
    given: Shared<String>,
    gone: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Crowd {
    fn start(server: &Server) -> Self {
        let (given, gone): (Shared<String>, Arc<AtomicBool>) = Default::default();
        let address = server.http;
        let client = |_| {
            let (given, gone) = (Arc::clone(&given), Arc::clone(&gone));
            std::thread::spawn(move || {
                let body = json!({"username": "anna", "password": PASSWORD}).to_string();
                while !gone.load(Ordering::SeqCst) {
                    let Ok((200, reply)) = try_request(address, "POST", "/api/v1/auth/token/", &body) else { continue };
                    // A reply that was cut off acknowledges nothing.
                    let Ok(reply) = serde_json::from_str::<Value>(&reply) else { continue };
                    given.lock().unwrap().push(reply["refresh"].as_str().unwrap().to_owned());
                }
            })
        };
        let clients = (0..3).map(client).collect();
        Self { given, gone, clients }
    }

    fn given(&self) -> usize {
        self.given.lock().unwrap().len()
    }

    fn disperse(self) -> Vec<String> {
        self.gone.store(true, Ordering::SeqCst);
        for client in self.clients {
            client.join().unwrap();
        }
        self.given.lock().unwrap().clone()
    }
}

#[test]
fn an_acknowledged_write_survives_a_kill_at_once() {
    let upstream = Upstream::start();
    survives(&Place::prepared(upstream.address(), STRICT));
}

pub fn survives(place: &Place) {
    place.create_user("anna");
    let mut server = place.serve();
    for (round, write) in WRITES.iter().enumerate() {
        let crowd = Crowd::start(&server);
        eventually("sign-ins under way", || (crowd.given() >= 3).then_some(()));
        let kept = write(place, &server);
        server.kill();
        let given = crowd.disperse();
        server = place.serve();
        kept(&server);
        for token in &given {
            let reply = server.refresh(token);
            assert_eq!(reply.status, 200, "round {round}, one of {} sessions is lost: {reply:?}", given.len());
        }
    }
    server.stop().success();
}

#[test]
fn a_quick_start_survives_it_too() {
    let place = Place::empty();
    let server = place.quickstart(&[]);
    let text = server.stdout();
    let key = text.lines().find_map(|line| line.trim_start().strip_prefix("API key")).unwrap().trim().to_owned();
    server.kill();
    let server = place.quickstart(&[]);
    assert_eq!(server.get("/", &[("X-API-Key", &key)]).status, 200);
}
