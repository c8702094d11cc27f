//! Telling the service manager how far the process has come (`sd_notify`, systemd 255).

use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::config::environment::{Environment, ProcessEnvironment};

/// Where the manager listens, if one started us that wants to know.
const SOCKET: &str = "NOTIFY_SOCKET";

pub fn ready() {
    tell(&format!("MAINPID={}\nREADY=1", std::process::id()));
}

/// Requests are served by another process from here on; this one is not missed when it ends.
pub fn handed_over(to: u32) {
    tell(&format!("MAINPID={to}\nREADY=1"));
}

pub fn stopping() {
    tell("STOPPING=1");
}

fn tell(what: &str) {
    let Some(socket) = ProcessEnvironment.variable(SOCKET) else { return };
    if let Err(error) = send(&socket, what) {
        tracing::warn!(%error, "the service manager cannot be told");
    }
}

fn send(socket: &str, what: &str) -> io::Result<()> {
    let address = match socket.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(what.as_bytes(), &address).map(|_| ())
}
