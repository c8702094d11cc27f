//! The backend behind every subject: one short answer to whatever is asked.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::Result;

pub const BODY: &[u8] = b"Hello, world!\n";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, world!\n";

/// Serves until the process ends, on a thread for each connection.
pub fn start() -> Result<SocketAddr> {
    let about = |error| format!("no upstream: {error}");
    let listener = TcpListener::bind("127.0.0.1:0").map_err(about)?;
    let address = listener.local_addr().map_err(about)?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream));
        }
    });
    Ok(address)
}

/// Until the proxy closes the connection, whichever way.
fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut head = Vec::with_capacity(4096);
    let mut chunk = [0; 4096];
    loop {
        let length = stream.read(&mut chunk)?;
        if length == 0 {
            return Ok(());
        }
        head.extend_from_slice(chunk.get(..length).unwrap_or_default());
        // The load sends GET only, and one request at a time.
        if head.ends_with(b"\r\n\r\n") {
            head.clear();
            stream.write_all(ANSWER)?;
        }
    }
}
