//! An HTTP/1.1 client that sends exactly what it is told.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, StreamOwned};

pub struct Client {
    stream: BufReader<Wire>,
}

enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

#[derive(Clone, Debug)]
pub struct Reply {
    pub status: u16,
    /// In order, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Client {
    pub fn connect(address: SocketAddr) -> Self {
        Self { stream: BufReader::new(Wire::Plain(connect(address))) }
    }

    /// Over TLS, to a server that calls itself so; an error when that does not come about.
    pub fn connect_tls(address: SocketAddr, config: &Arc<ClientConfig>, name: &str) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let tls = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(tls, connect(address));
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Self { stream: BufReader::new(Wire::Tls(Box::new(stream))) })
    }

    /// What the server has shown over TLS.
    pub fn certificate(&self) -> Option<&CertificateDer<'static>> {
        self.tls()?.peer_certificates()?.first()
    }

    pub fn tls(&self) -> Option<&ClientConnection> {
        match self.stream.get_ref() {
            Wire::Plain(_) => None,
            Wire::Tls(stream) => Some(&stream.conn),
        }
    }

    /// Sends a request with a `Host`, and a `Content-Length` when there is a body, and reads the reply.
    pub fn request(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        self.send(method, target, headers, body);
        self.reply(method == "HEAD")
    }

    pub fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{method} {target} HTTP/1.1\r\n");
        let has = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
        if !has("host") {
            head.push_str("Host: gateway.test\r\n");
        }
        if !body.is_empty() && !has("content-length") && !has("transfer-encoding") {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        self.write(head.as_bytes());
        self.write(body);
    }

    pub fn write(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
        self.stream.get_mut().flush().unwrap();
    }

    /// As [`Client::write`], for when the other side may have hung up.
    pub fn try_write(&mut self, bytes: &[u8]) -> bool {
        let stream = self.stream.get_mut();
        stream.write_all(bytes).and_then(|()| stream.flush()).is_ok()
    }

    pub fn reply(&mut self, bodiless: bool) -> Reply {
        self.try_reply(bodiless).expect("the connection was closed without a reply")
    }

    /// `None` when the connection ends before a status line.
    pub fn try_reply(&mut self, bodiless: bool) -> Option<Reply> {
        loop {
            let reply = self.one_reply(bodiless)?;
            if !(100..200).contains(&reply.status) || reply.status == 101 {
                return Some(reply);
            }
        }
    }

    fn one_reply(&mut self, bodiless: bool) -> Option<Reply> {
        let status_line = self.line()?;
        let status = status_line.split(' ').nth(1).unwrap_or_else(|| panic!("{status_line:?}")).parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("{line:?}"));
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut reply = Reply { status, headers, body: Vec::new() };
        if !bodiless && status != 204 && status != 304 && status >= 200 {
            self.body(&mut reply);
        }
        Some(reply)
    }

    fn body(&mut self, reply: &mut Reply) {
        if reply.header("transfer-encoding") == Some("chunked") {
            while let Some(size) = self.line() {
                let size = usize::from_str_radix(size.split(';').next().unwrap(), 16).unwrap();
                let mut chunk = vec![0; size + 2];
                if self.stream.read_exact(&mut chunk).is_err() || size == 0 {
                    return;
                }
                reply.body.extend_from_slice(&chunk[..size]);
            }
        } else if let Some(length) = reply.header("content-length") {
            reply.body = vec![0; length.parse().unwrap()];
            self.stream.read_exact(&mut reply.body).unwrap();
        } else {
            let _ = self.stream.read_to_end(&mut reply.body);
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(line.trim_end_matches(['\r', '\n']).to_owned()),
        }
    }

    /// Sends bytes and reads until the other side closes.
    pub fn raw(mut self, bytes: &[u8]) -> Vec<u8> {
        // The gateway may refuse and close before it has read everything.
        let _ = self.try_write(bytes);
        self.rest()
    }

    /// Everything until the other side closes.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let _ = self.stream.read_to_end(&mut all);
        all
    }

    /// As [`Client::rest`]; an end that was not announced over TLS is an error.
    #[allow(dead_code, reason = "for tests of TLS")]
    pub fn read_rest(&mut self, into: &mut Vec<u8>) -> io::Result<usize> {
        self.stream.read_to_end(into)
    }

    pub fn read_exactly(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// True when the other side has closed the connection; waits for that, or for bytes that say otherwise.
    pub fn is_closed(&mut self) -> bool {
        match self.stream.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            // Silence is not an end.
            Err(error) => !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
        }
    }

    /// What was neither sent nor read through this client; for streams of bytes and half-closed connections.
    pub fn socket(&self) -> &TcpStream {
        match self.stream.get_ref() {
            Wire::Plain(stream) => stream,
            Wire::Tls(stream) => &stream.sock,
        }
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    // A test that hangs says less than one that fails.
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// All that two refusals could be told apart by: everything but the request's own number and the time of day.
    pub fn comparable(&self) -> (u16, Vec<(String, String)>, String) {
        let own = |name: &str| matches!(name, "x-request-id" | "date");
        (self.status, self.headers.iter().filter(|(name, _)| !own(name)).cloned().collect(), self.text())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// What the upstream received, from the echo in this reply.
    pub fn seen(&self) -> super::Seen {
        assert_eq!(self.status, 200, "{self:?}");
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// All values under a name, in lower case.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
    }

    pub fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }
}
