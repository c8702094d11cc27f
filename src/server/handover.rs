//! From one process to the next: the listening sockets go over a socket that is the successor's standard input, and the
//! word that it serves, or why it does not, comes back on it.
//!
//! Both listen on the same sockets for a while, so that a connection that waits to be accepted is accepted by one of them.

use std::ffi::OsStr;
use std::io::{self, IoSlice, IoSliceMut, Write as _};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use tokio::io::AsyncReadExt as _;

/// What is handed over, in this order, without TLS and with it; another version may hand over something else.
const PLAIN: &[u8] = b"portcullis 1: http ops\n";
const WITH_TLS: &[u8] = b"portcullis 1: http ops https\n";
const MOST: usize = 3;
const READY: &str = "ready\n";
/// For checks, the stores and their migrations.
const START_WITHIN: Duration = Duration::from_secs(120);
/// Of the reason why it failed.
const REASON_BYTES: u64 = 64 * 1024;

/// The sockets that a gateway listens on.
pub struct Sockets {
    pub http: TcpListener,
    pub ops: TcpListener,
    pub https: Option<TcpListener>,
}

/// The process that is to be followed, as its successor sees it.
pub struct Predecessor(UnixStream);

impl Predecessor {
    /// Takes the sockets from standard input.
    pub fn receive() -> io::Result<(Self, Sockets)> {
        let stream = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut content = [0; 64];
        let received = recvmsg(&stream, &mut [IoSliceMut::new(&mut content)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
        let mut sockets: Vec<OwnedFd> = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                sockets.extend(rights);
            }
        }
        let mut sockets = sockets.into_iter().map(TcpListener::from);
        match (content.get(..received.bytes), sockets.next(), sockets.next(), sockets.next()) {
            (Some(PLAIN), Some(http), Some(ops), None) => Ok((Self(stream), Sockets { http, ops, https: None })),
            (Some(WITH_TLS), Some(http), Some(ops), https @ Some(_)) => {
                Ok((Self(stream), Sockets { http, ops, https }))
            }
            _ => Err(io::Error::other("it hands over something else than this version expects")),
        }
    }

    /// From here on it takes no new connections.
    pub fn tell_ready(mut self) -> io::Result<()> {
        self.0.write_all(READY.as_bytes())
    }

    pub fn tell_failed(mut self, why: &str) {
        // If it has gone, nobody is left to be told.
        let _ = self.0.write_all(why.as_bytes());
    }
}

/// The process that is to take over.
pub struct Successor {
    child: Child,
    stream: UnixStream,
}

impl Successor {
    /// Starts `binary`, and gives it the sockets.
    pub fn start<S: AsRef<OsStr>>(
        binary: &Path,
        arguments: impl IntoIterator<Item = S>,
        sockets: &Sockets,
    ) -> io::Result<Self> {
        let (stream, theirs) = UnixStream::pair()?;
        let child = Command::new(binary).args(arguments).stdin(Stdio::from(OwnedFd::from(theirs))).spawn()?;
        let mut successor = Self { child, stream };
        // One that has ended already says by its silence what there is to say.
        if let Err(error) = successor.give(sockets)
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            successor.give_up();
            return Err(error);
        }
        Ok(successor)
    }

    fn give(&self, sockets: &Sockets) -> io::Result<()> {
        let mut rights = vec![sockets.http.as_fd(), sockets.ops.as_fd()];
        rights.extend(sockets.https.as_ref().map(|https| https.as_fd()));
        let content = if sockets.https.is_some() { WITH_TLS } else { PLAIN };
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !ancillary.push(SendAncillaryMessage::ScmRights(&rights)) {
            return Err(io::Error::other("the sockets do not fit into a message"));
        }
        sendmsg(&self.stream, &[IoSlice::new(content)], &mut ancillary, SendFlags::NOSIGNAL)?;
        Ok(())
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it serves. Otherwise says why it does not; it has ended then.
    pub async fn wait(&mut self) -> Result<(), String> {
        let outcome = match tokio::time::timeout(START_WITHIN, self.verdict()).await {
            Ok(Ok(text)) if text == READY => return Ok(()),
            Ok(Ok(text)) if !text.trim().is_empty() => text.trim().to_owned(),
            Ok(Ok(_)) => "the new process ended before it was ready".to_owned(),
            Ok(Err(error)) => format!("the new process cannot be heard: {error}"),
            Err(_) => format!("the new process was not ready within {} seconds", START_WITHIN.as_secs()),
        };
        self.give_up();
        Err(outcome)
    }

    /// Until a line that says that it is ready, or the end of what it has to say.
    async fn verdict(&self) -> io::Result<String> {
        let stream = self.stream.try_clone()?;
        stream.set_nonblocking(true)?;
        let mut stream = tokio::net::UnixStream::from_std(stream)?.take(REASON_BYTES);
        let mut text = Vec::new();
        let mut piece = [0; 1024];
        loop {
            // A process that ends with something unread resets the connection, and has ended all the same.
            let count = stream.read(&mut piece).await.unwrap_or(0);
            text.extend_from_slice(piece.get(..count).unwrap_or_default());
            if count == 0 || text == READY.as_bytes() {
                return Ok(String::from_utf8_lossy(&text).into_owned());
            }
        }
    }

    pub fn give_up(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_successor_is_given_up_with_a_reason() {
        let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
        let sockets = Sockets { http: bind(), ops: bind(), https: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let wait = |script: &str| {
            let mut successor = Successor::start(Path::new("/bin/sh"), ["-c", script], &sockets).unwrap();
            runtime.block_on(successor.wait())
        };
        assert_eq!(wait("exit 3"), Err("the new process ended before it was ready".to_owned()));
        assert_eq!(wait("echo no good >&0"), Err("no good".to_owned()));
        assert_eq!(wait("echo ready >&0"), Ok(()));
        assert!(Successor::start(Path::new("/nowhere/portcullis"), ["serve"], &sockets).is_err());
    }
}
