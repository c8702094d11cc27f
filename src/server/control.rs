//! How commands reach a running process: a socket in the file system, for its owner only.
//!
//! One question and one answer on each connection, as a line of JSON.

use std::fs::{self, Permissions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use crate::config::settings::{Listen, Storage};

const QUESTION_BYTES: u64 = 16 * 1024;
const ASK_WITHIN: Duration = Duration::from_secs(2);
/// Longer than anything takes that is asked for.
const ANSWER_WITHIN: Duration = Duration::from_secs(180);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Question {
    Reload,
    Upgrade {
        /// Instead of the one that runs.
        binary: Option<PathBuf>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub done: bool,
    /// What has come of it, or all that speaks against it.
    pub lines: Vec<String>,
}

/// Where the socket of a process with these settings is.
pub fn path(listen: &Listen, storage: &Storage) -> Option<PathBuf> {
    if let Some(path) = &listen.control {
        return Some(path.clone());
    }
    let file = storage.url.expose().strip_prefix("sqlite:")?;
    let file = file.strip_prefix("//").unwrap_or(file);
    let file = file.split('?').next().filter(|file| !file.is_empty() && !file.contains(":memory:"))?;
    Some(Path::new(file).with_extension("sock"))
}

/// The process's side.
pub struct Door {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the socket: another process may have put its own in its place.
    identity: Option<(u64, u64)>,
}

impl Door {
    /// Opens it, in the place of a process that has ended, or of `predecessor`'s.
    pub fn open(path: &Path, predecessor: bool) -> io::Result<Self> {
        if !predecessor && UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process answers there"));
        }
        // Under its name it is there at once, complete, and nobody else's.
        let name = path.with_extension(format!("sock.{}", std::process::id()));
        let _ = fs::remove_file(&name);
        let listener = UnixListener::bind(&name)?;
        fs::set_permissions(&name, Permissions::from_mode(0o600))?;
        let identity = identity(&name);
        fs::rename(&name, path)?;
        Ok(Self { listener, path: path.to_owned(), identity })
    }

    /// The next question. Dropping the future loses nothing but a question that is half read.
    pub async fn next(&self) -> Call {
        loop {
            let Ok((stream, _)) = self.listener.accept().await else {
                // Most likely there are too many open files.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            // Who may send a process signals may also speak to it; the mode of the socket says the same.
            let own = rustix::process::geteuid().as_raw();
            if !stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0) {
                continue;
            }
            if let Ok(Ok(call)) = tokio::time::timeout(ASK_WITHIN, Call::read(stream)).await {
                return call;
            }
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Somebody who waits for an answer.
pub struct Call {
    pub question: Question,
    stream: tokio::net::UnixStream,
}

impl Call {
    async fn read(mut stream: tokio::net::UnixStream) -> io::Result<Self> {
        let mut line = String::new();
        tokio::io::BufReader::new((&mut stream).take(QUESTION_BYTES)).read_line(&mut line).await?;
        Ok(Self { question: serde_json::from_str(&line)?, stream })
    }

    /// Whoever has gone away in the meantime finds it in the log.
    pub async fn answer(mut self, answer: &Answer) {
        let mut line = serde_json::to_vec(answer).unwrap_or_default();
        line.push(b'\n');
        let _ = tokio::time::timeout(ASK_WITHIN, self.stream.write_all(&line)).await;
    }
}

/// The command's side: asks the process at `path`.
pub fn ask(path: &Path, question: &Question) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    let mut line = serde_json::to_vec(question)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if answer.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the process ended without an answer"));
    }
    Ok(serde_json::from_str(&answer)?)
}
