use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::Result;

/// Long for anything here, a sign-in behind a full queue on a busy machine too; a subject that hangs ends the run.
const PATIENCE: Duration = Duration::from_secs(30);

/// A keep-alive connection of HTTP/1.1 that sends one request at a time.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn is_of_upstream(&self) -> bool {
        self.status == 200 && self.body == super::upstream::BODY
    }
}

impl Connection {
    pub fn open(address: SocketAddr) -> Result<Self> {
        let open = || {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let stream = open().map_err(|error: std::io::Error| format!("no connection to {address}: {error}"))?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    pub fn exchange(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).map_err(|error| format!("the request could not be sent: {error}"))?;
        self.buffer.clear();
        let mut chunk = [0; 4096];
        loop {
            let length = self.stream.read(&mut chunk).map_err(|error| format!("no answer: {error}"))?;
            if length == 0 {
                return Err("the connection was closed before the answer was complete".to_owned());
            }
            self.buffer.extend_from_slice(chunk.get(..length).unwrap_or_default());
            if let Some(answer) = complete(&self.buffer)? {
                return Ok(answer);
            }
        }
    }

    /// An exchange that counts: answered, and by the upstream.
    pub fn fetch(&mut self, request: &[u8]) -> Result<()> {
        let answer = self.exchange(request)?;
        if answer.is_of_upstream() {
            return Ok(());
        }
        Err(format!("unexpected answer: {} {}", answer.status, String::from_utf8_lossy(&answer.body)))
    }
}

/// The answer, once all of it is there. Only what the subjects send is understood: a Content-Length.
fn complete(buffer: &[u8]) -> Result<Option<Answer>> {
    let Some(end) = memchr::memmem::find(buffer, b"\r\n\r\n") else { return Ok(None) };
    let (head, rest) = buffer.split_at(end);
    let head = std::str::from_utf8(head).map_err(|error| format!("an answer's head is not text: {error}"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| format!("an answer without a status: {head}"))?;
    let length: usize = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse().ok())
        .ok_or_else(|| format!("an answer without Content-Length: {head}"))?;
    Ok(rest.get(4..4 + length).map(|body| Answer { status, body: body.to_vec() }))
}
