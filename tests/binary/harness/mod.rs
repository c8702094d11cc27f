//! A directory of its own for each test, and the process in it.

#[allow(dead_code)]
#[path = "../../tls/certificates.rs"]
pub mod certificates;
// The client and the upstream serve the gateway's own tests too, and each side uses its part of them.
#[allow(dead_code)]
#[path = "../../gateway/harness/client.rs"]
pub mod client;
pub mod load;
pub mod place;
#[allow(dead_code)]
#[path = "../../postgres/server.rs"]
pub mod postgres;
pub mod process;
pub mod server;
#[allow(dead_code)]
#[path = "../../gateway/harness/upstream.rs"]
pub mod upstream;

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use self::client::{Client, Reply};
pub use self::load::Load;
pub use self::place::{CONFIGURATION, Place, configuration};
pub use self::process::{Finished, finish};
pub use self::server::{Server, pair};
pub use self::upstream::{Seen, Upstream};

pub const PASSWORD: &str = "correct horse battery staple";

/// A list that threads write and tests read.
pub type Shared<T> = Arc<Mutex<Vec<T>>>;

/// One request on a connection of its own, with a server that may go away at any moment: status and body.
pub fn try_request(address: SocketAddr, method: &str, target: &str, body: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let head = format!("{method} {target} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n");
    let about = format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{about}{body}").as_bytes())?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply)?;
    let whole = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let (head, body) = reply.split_once("\r\n\r\n").ok_or_else(whole)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(whole)?;
    Ok((status, body.to_owned()))
}

/// An address that nobody answers at, or did not a moment ago.
pub fn unused() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Asks again and again until there is an answer; gives up after about twenty seconds.
#[track_caller]
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    for _ in 0..2000 {
        if let Some(answer) = ask() {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("never came: {what}");
}
