//! A long way to a server: whatever is said through it arrives later, in order, and however much is on the way.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::channel;
use std::thread::{sleep, spawn};
use std::time::Duration;

use tokio::time::Instant;

/// Where to connect instead. It is there until the process ends.
pub fn distance(server: SocketAddr, one_way: Duration) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = listener.local_addr().unwrap();
    spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(server) else { continue };
            carry(client.try_clone().unwrap(), server.try_clone().unwrap(), one_way);
            carry(server, client, one_way);
        }
    });
    near
}

fn carry(mut from: TcpStream, mut to: TcpStream, one_way: Duration) {
    to.set_nodelay(true).unwrap();
    let (send, receive) = channel::<(Instant, Vec<u8>)>();
    spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if send.send((Instant::now() + one_way, buffer[..length].to_vec())).is_err() {
                break;
            }
        }
    });
    spawn(move || {
        for (due, bytes) in receive {
            sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&bytes).is_err() {
                break;
            }
        }
        let _ = to.shutdown(Shutdown::Both);
    });
}
