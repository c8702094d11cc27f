//! Steady traffic: several clients that ask again and again, some on one connection, some on a new one each time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::Client;

pub struct Load {
    over: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    pub fn start(address: SocketAddr, key: &str) -> Self {
        Self::through(key, move || Client::connect(address))
    }

    /// On connections that `connect` makes.
    pub fn through(key: &str, connect: impl Fn() -> Client + Send + Sync + 'static) -> Self {
        let connect = Arc::new(connect);
        let (over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let clients = (0..6).map(|number| {
            let (over, answered, key) = (Arc::clone(&over), Arc::clone(&answered), key.to_owned());
            let connect = Arc::clone(&connect);
            std::thread::spawn(move || ask(&*connect, &key, number % 2 == 0, &over, &answered))
        });
        Self { clients: clients.collect(), over, answered }
    }

    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::SeqCst)
    }

    /// Goes on for so many more answers.
    pub fn go_on(&self, for_answers: usize) {
        let until = self.answered() + for_answers;
        super::eventually("more answers", || (self.answered() >= until || self.has_ended()).then_some(()));
    }

    fn has_ended(&self) -> bool {
        self.clients.iter().any(JoinHandle::is_finished)
    }

    /// Stops, and tells what went wrong.
    pub fn failures(self) -> Vec<String> {
        self.over.store(true, Ordering::SeqCst);
        self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    }
}

fn ask(connect: &dyn Fn() -> Client, key: &str, keeps: bool, over: &AtomicBool, answered: &AtomicUsize) -> Vec<String> {
    let mut kept: Option<Client> = None;
    let mut failures = Vec::new();
    let mut on_connection = 0;
    while !over.load(Ordering::SeqCst) && failures.len() < 10 {
        let mut client = kept.take().unwrap_or_else(|| {
            on_connection = 0;
            connect()
        });
        on_connection += 1;
        let connection = if keeps { "keep-alive" } else { "close" };
        client.send("GET", "/steady", &[("X-API-Key", key), ("Connection", connection)], b"");
        match client.try_reply(false) {
            Some(reply) if reply.status == 200 && reply.seen().target == "/steady" => {
                answered.fetch_add(1, Ordering::SeqCst);
                if keeps && reply.header("connection") != Some("close") {
                    kept = Some(client);
                }
            }
            Some(reply) => failures.push(format!("{} {}", reply.status, reply.text())),
            None => failures.push(format!("no answer to request {on_connection} of a connection, kept: {keeps}")),
        }
    }
    failures
}
