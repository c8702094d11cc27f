//! An upstream that answers with what it received, and can be told to misbehave by the path.
//!
//! | path | what it does |
//! |---|---|
//! | `/slow/<ms>` | waits before it answers |
//! | `/status/<code>` | answers with that status |
//! | `/hang-up` | closes without an answer |
//! | `/garbage` | answers with something that is not HTTP |
//! | `/cut` | announces more than it sends, then closes |
//! | `/cut-chunks` | sends a chunk and closes without the last one |
//! | `/excess` | sends a second answer that nobody asked for, in one piece with the first |
//! | `/download/<bytes>` | sends that many bytes, in chunks |
//! | `/socket` | upgrades, and then echoes bytes |
//! | anything else | 200 with a [`Seen`] |

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Shared;

/// A request as the upstream received it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    pub method: String,
    pub target: String,
    /// In order, with the names as they were written.
    pub headers: Vec<(String, String)>,
    pub body_bytes: u64,
    /// A sum over the body that changes with every byte and its place.
    pub body_sum: u64,
    /// The body's first bytes.
    pub body_start: String,
}

impl Seen {
    /// All values under a name, whatever its case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }

    /// The one value under a name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} came {} times: {:?}", all.len(), self.headers);
        all.first().copied()
    }
}

pub struct Upstream {
    address: SocketAddr,
    seen: Shared<Seen>,
    /// Connections whose peer went away before the answer was written.
    abandoned: Arc<AtomicUsize>,
    stopping: Arc<AtomicBool>,
}

/// The body sum of [`Seen`], for comparing.
pub fn sum(body: &[u8]) -> u64 {
    u64::from(crc32fast::hash(body))
}

impl Upstream {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen: Shared<Seen> = Arc::default();
        let abandoned = Arc::new(AtomicUsize::new(0));
        let stopping = Arc::new(AtomicBool::new(false));
        let (theirs, gone, stop) = (Arc::clone(&seen), Arc::clone(&abandoned), Arc::clone(&stopping));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let (seen, gone) = (Arc::clone(&theirs), Arc::clone(&gone));
                if let Ok(stream) = stream {
                    std::thread::spawn(move || serve(stream, &seen, &gone));
                }
            }
        });
        Self { address, seen, abandoned, stopping }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Everything received so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// How often a peer went away while its answer was being made.
    pub fn abandoned(&self) -> usize {
        self.abandoned.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<Seen>>, abandoned: &AtomicUsize) {
    // Head and body are written apart; the second must not wait for the first to be acknowledged.
    stream.set_nodelay(true).unwrap();
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        seen.lock().unwrap().push(request.clone());
        let path = request.target.split('?').next().unwrap().to_owned();
        let mut parts = path.trim_start_matches('/').splitn(2, '/');
        let (word, argument) = (parts.next().unwrap(), parts.next().unwrap_or_default());
        let number = argument.parse::<u64>().unwrap_or(0);
        let kept = match word {
            "hang-up" => false,
            "garbage" => last_words(&mut writer, b"this is not HTTP\r\n\r\n"),
            "cut" => last_words(&mut writer, b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort"),
            "cut-chunks" => {
                last_words(&mut writer, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n")
            }
            "excess" => {
                let first = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst";
                let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
                writer.write_all(format!("{first}{poison}").as_bytes()).is_ok()
            }
            "slow" => {
                if wait_or_leave(&reader, Duration::from_millis(number)) {
                    answer(&mut writer, 200, &request)
                } else {
                    abandoned.fetch_add(1, Ordering::SeqCst);
                    false
                }
            }
            "status" => answer(&mut writer, u16::try_from(number).unwrap_or(500), &request),
            "download" => {
                let whole = download(&mut writer, number);
                if !whole {
                    abandoned.fetch_add(1, Ordering::SeqCst);
                }
                whole
            }
            "socket" => {
                let head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
                if writer.write_all(head.as_bytes()).is_ok() {
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = reader.read(&mut buffer) {
                        if writer.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                    }
                }
                false
            }
            _ => answer(&mut writer, 200, &request),
        };
        if !kept {
            return;
        }
    }
}

/// Sends this and keeps the connection no longer.
fn last_words(writer: &mut TcpStream, bytes: &[u8]) -> bool {
    let _ = writer.write_all(bytes);
    false
}

/// Waits; `false` as soon as the peer goes away.
fn wait_or_leave(reader: &BufReader<TcpStream>, time: Duration) -> bool {
    let stream = reader.get_ref();
    stream.set_read_timeout(Some(time.max(Duration::from_millis(1)))).unwrap();
    let gone = matches!(stream.peek(&mut [0]), Ok(0));
    stream.set_read_timeout(None).unwrap();
    !gone
}

fn answer(writer: &mut TcpStream, status: u16, request: &Seen) -> bool {
    let body = serde_json::to_vec(request).unwrap();
    let length = if request.method == "HEAD" { 0 } else { body.len() };
    let head = format!(
        "HTTP/1.1 {status} Answer\r\nContent-Type: application/json\r\nContent-Length: {}\r\nX-Upstream: yes\r\n\r\n",
        body.len()
    );
    writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(&body[..length])).is_ok()
}

fn download(writer: &mut TcpStream, mut left: u64) -> bool {
    let chunk = vec![b'x'; 65_536];
    if writer.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err() {
        return false;
    }
    while left > 0 {
        let size = left.min(chunk.len() as u64) as usize;
        let framed = writer
            .write_all(format!("{size:x}\r\n").as_bytes())
            .and_then(|()| writer.write_all(&chunk[..size]))
            .and_then(|()| writer.write_all(b"\r\n"));
        if framed.is_err() {
            return false;
        }
        left -= size as u64;
    }
    writer.write_all(b"0\r\n\r\n").is_ok()
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Seen> {
    let line = line(reader)?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    loop {
        let line = self::line(reader)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let mut seen = Seen { method, target, headers, body_bytes: 0, body_sum: 0, body_start: String::new() };
    if seen.header("expect").is_some() {
        reader.get_ref().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    let mut start = Vec::new();
    // A loop over the bytes in a debug build would make a large body slow.
    let mut sum = crc32fast::Hasher::new();
    if seen.header("transfer-encoding").is_some() {
        loop {
            let size = u64::from_str_radix(self::line(reader)?.split(';').next()?, 16).ok()?;
            take(reader, size, &mut seen, &mut start, &mut sum)?;
            if size == 0 {
                while !self::line(reader)?.is_empty() {}
                break;
            }
            self::line(reader)?;
        }
    } else if let Some(length) = seen.header("content-length").map(|length| length.parse().unwrap()) {
        take(reader, length, &mut seen, &mut start, &mut sum)?;
    }
    seen.body_sum = u64::from(sum.finalize());
    seen.body_start = String::from_utf8_lossy(&start).into_owned();
    Some(seen)
}

fn take(
    reader: &mut BufReader<TcpStream>,
    mut left: u64,
    seen: &mut Seen,
    start: &mut Vec<u8>,
    sum: &mut crc32fast::Hasher,
) -> Option<()> {
    let mut buffer = vec![0; 65_536];
    while left > 0 {
        let room = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = reader.read(&mut buffer[..room]).ok().filter(|count| *count > 0)?;
        sum.update(&buffer[..count]);
        seen.body_bytes += count as u64;
        let wanted = 200_usize.saturating_sub(start.len()).min(count);
        start.extend_from_slice(&buffer[..wanted]);
        left -= count as u64;
    }
    Some(())
}

fn line(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let mut line = Vec::new();
    match reader.read_until(b'\n', &mut line) {
        Ok(0) | Err(_) => None,
        // Field values need not be UTF-8.
        Ok(_) => Some(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()),
    }
}
