//! The guard before Pingora's real proxy: what it holds back must not disturb a request that is under way.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::*;
use crate::edge::wire::{ConnectionBounds, HeadLimits, Refusal, WireFault, WireObserver};

#[derive(Default)]
struct Faults(Mutex<Vec<WireFault>>);

impl WireObserver for Faults {
    fn refused(&self, refusal: &Refusal) {
        self.0.lock().unwrap().push(refusal.fault);
    }
}

struct Gateway {
    upstream: SocketAddr,
    logged: Arc<AtomicUsize>,
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora_core::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.upstream, false, String::new())))
    }

    async fn logging(&self, _: &mut Session, _: Option<&pingora_core::Error>, (): &mut ()) {
        self.logged.fetch_add(1, Ordering::Relaxed);
    }
}

struct Rig {
    client: DuplexStream,
    upstream: TcpListener,
    faults: Arc<Faults>,
    logged: Arc<AtomicUsize>,
    _shutdown: watch::Sender<bool>,
}

impl Rig {
    async fn new() -> Self {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (client, server) = tokio::io::duplex(1 << 20);
        let (faults, logged) = (Arc::new(Faults::default()), Arc::new(AtomicUsize::new(0)));
        let gateway = Gateway { upstream: upstream.local_addr().unwrap(), logged: Arc::clone(&logged) };
        let settings = WireSettings {
            limits: HeadLimits::default(),
            head_timeout: Duration::from_secs(10),
            observer: Arc::clone(&faults) as Arc<dyn WireObserver>,
            tunnels: Arc::default(),
            connections: Arc::default(),
            connection_bounds: ConnectionBounds { most: 9, most_per_network: 9, exempt: Vec::new() },
            encryption: None,
        };
        let proxy = http_proxy(&Arc::new(ServerConf::default()), gateway);
        let app = Arc::new(GuardedApp::new(
            Arc::new(ArcSwap::from_pointee(proxy)),
            Arc::new(ArcSwap::from_pointee(settings)),
            Transport::Plain,
            || true,
        ));
        let (shutdown_sender, shutdown) = watch::channel(false);
        tokio::spawn(async move { app.process_new(Box::new(server), &shutdown).await });
        Self { client, upstream, faults, logged, _shutdown: shutdown_sender }
    }

    async fn accept(&self) -> TcpStream {
        self.upstream.accept().await.unwrap().0
    }

    async fn client_reads(&mut self, end: &str) -> String {
        read_until(&mut self.client, end).await
    }
}

async fn read_until(stream: &mut (impl AsyncReadExt + Unpin), end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let byte = stream.read_u8().await.unwrap_or_else(|_| panic!("ended in {}", text.escape_ascii()));
        text.push(byte);
    }
    String::from_utf8(text).unwrap()
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

/// Long enough for the proxy to poll its client again.
async fn a_little_later() {
    tokio::time::sleep(Duration::from_millis(20)).await;
}

#[tokio::test]
async fn requests_that_come_while_an_upstream_works_are_answered_in_order() {
    let mut rig = Rig::new().await;
    rig.client.write_all(&[get("/0"), get("/1")].concat()).await.unwrap();
    let mut upstream = rig.accept().await;
    for at in 0..4 {
        assert!(read_until(&mut upstream, "\r\n\r\n").await.starts_with(&format!("GET /{at} ")));
        if at < 2 {
            rig.client.write_all(&get(&format!("/{}", at + 2))).await.unwrap();
            a_little_later().await;
        }
        upstream.write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n#{at}").as_bytes()).await.unwrap();
        let answer = rig.client_reads(&format!("#{at}")).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }
    assert_eq!(*rig.faults.0.lock().unwrap(), []);
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_while_an_upstream_works() {
    for ahead in [Vec::new(), get("/1")] {
        let rig = Rig::new().await;
        let mut client = rig.client;
        client.write_all(&[get("/0"), ahead].concat()).await.unwrap();
        let mut upstream = rig.upstream.accept().await.unwrap().0;
        read_until(&mut upstream, "\r\n\r\n").await;
        a_little_later().await;
        drop(client);
        assert_eq!(upstream.read(&mut [0]).await.unwrap(), 0, "the upstream is left in peace");
    }
}

#[tokio::test]
async fn a_websocket_with_impatient_ends() {
    let mut rig = Rig::new().await;
    let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\nearly";
    rig.client.write_all(request.as_bytes()).await.unwrap();
    let mut upstream = rig.accept().await;
    read_until(&mut upstream, "\r\n\r\n").await;
    a_little_later().await;
    let switch = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello";
    upstream.write_all(switch).await.unwrap();
    assert_eq!(read_until(&mut upstream, "early").await, "early");
    assert!(rig.client_reads("hello").await.starts_with("HTTP/1.1 101 "));
    for _ in 0..3 {
        rig.client.write_all(b"\n\0ping").await.unwrap();
        assert_eq!(read_until(&mut upstream, "ping").await, "\n\0ping");
        upstream.write_all(b"\n\0pong").await.unwrap();
        assert_eq!(rig.client_reads("pong").await, "\n\0pong");
    }
    drop(upstream);
    assert_eq!(rig.client.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn bodies_reach_the_upstream_without_extensions_and_trailers() {
    let mut rig = Rig::new().await;
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (at, byte) in format!("{head}5;x=y\r\nhello\r\n0\r\nX-User-Id: 1\r\n\r\n").bytes().enumerate() {
        rig.client.write_all(&[byte]).await.unwrap();
        if at % 8 == 0 {
            tokio::task::yield_now().await;
        }
    }
    rig.client.write_all(&get("/next")).await.unwrap();
    let mut upstream = rig.accept().await;
    read_until(&mut upstream, "\r\n\r\n").await;
    let mut body = read_until(&mut upstream, "0\r\n\r\n").await.replace("\r\n", "");
    body.retain(|byte| !byte.is_ascii_hexdigit() || byte == 'e');
    assert_eq!(body, "hello");
    upstream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    rig.client_reads("\r\n\r\n").await;
    assert!(read_until(&mut upstream, "\r\n\r\n").await.starts_with("GET /next "));
}

#[tokio::test]
async fn a_refused_request_never_reaches_the_gateway() {
    let mut rig = Rig::new().await;
    rig.client.write_all(b"GET / HTTP/1.1\nHost: a\n\n").await.unwrap();
    let mut told = String::new();
    rig.client.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"), "{told}");
    assert_eq!(told.matches("HTTP/1.1").count(), 1);
    assert_eq!(*rig.faults.0.lock().unwrap(), [WireFault::RequestLine]);
    assert_eq!(rig.logged.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn a_broken_body_is_answered_once() {
    let mut rig = Rig::new().await;
    let request = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";
    rig.client.write_all(request).await.unwrap();
    let mut upstream = rig.accept().await;
    read_until(&mut upstream, "hello\r\n").await;
    rig.client.write_all(b"+1\r\n").await.unwrap();
    let mut told = String::new();
    rig.client.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{told}");
    assert_eq!(told.matches("HTTP/1.1").count(), 1);
    drop(rig.client);
    let mut rest = Vec::new();
    let _ = upstream.read_to_end(&mut rest).await;
    assert!(!rest.ends_with(b"0\r\n\r\n"), "a truncated body must not look whole");
    assert_eq!(*rig.faults.0.lock().unwrap(), [WireFault::Chunk]);
}

#[tokio::test]
async fn an_upload_to_a_dead_upstream_is_told_so() {
    let mut rig = Rig::new().await;
    drop(std::mem::replace(&mut rig.upstream, TcpListener::bind("127.0.0.1:0").await.unwrap()));
    rig.client.write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n").await.unwrap();
    let answer = rig.client_reads("\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    rig.client.write_all(&[0; 50_000]).await.unwrap();
}
