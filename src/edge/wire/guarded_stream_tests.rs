use std::net::SocketAddr;
use std::sync::Mutex;

use proptest::prelude::*;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::time::{sleep, timeout};

use super::heads::AHEAD_BYTES;
use super::*;

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const NEXT: &[u8] = b"HEAD /next HTTP/1.1\r\nHost: a\r\n\r\n";
const WEBSOCKET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
const MOMENT: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Recorder(Mutex<Vec<Refusal>>);

impl WireObserver for Recorder {
    fn refused(&self, refusal: &Refusal) {
        self.0.lock().unwrap().push(refusal.clone());
    }
}

struct Rig {
    client: DuplexStream,
    guarded: GuardedStream,
    observer: Arc<Recorder>,
}

impl Rig {
    fn new() -> Self {
        let (client, server) = tokio::io::duplex(1 << 20);
        let observer = Arc::new(Recorder::default());
        let connections = Arc::new(Connections::default());
        let connection_bounds = ConnectionBounds { most: 9, most_per_network: 9, exempt: Vec::new() };
        let place = connections.enter(&connection_bounds, None).unwrap();
        let settings = WireSettings {
            limits: HeadLimits::default(),
            head_timeout: Duration::from_secs(10),
            observer: Arc::clone(&observer) as Arc<dyn WireObserver>,
            tunnels: Arc::default(),
            connections,
            connection_bounds,
            encryption: None,
        };
        Self { client, guarded: GuardedStream::new(Box::new(server), Arc::new(settings), place), observer }
    }

    async fn sends(&mut self, bytes: &[u8]) {
        self.client.write_all(bytes).await.unwrap();
    }

    /// One read like Pingora's.
    async fn read(&mut self) -> Vec<u8> {
        let mut buffer = BytesMut::with_capacity(4096);
        self.guarded.read_buf(&mut buffer).await.unwrap();
        buffer.to_vec()
    }

    /// Whether the client is found to be gone, as Pingora asks while it waits for an upstream.
    async fn probe(&mut self) -> bool {
        let mut byte = [0];
        match timeout(MOMENT, self.guarded.read(&mut byte)).await {
            Ok(read) => {
                assert_eq!(read.unwrap(), 0, "a probe must not take a byte");
                true
            }
            Err(_) => false,
        }
    }

    async fn writes(&mut self, bytes: &[u8]) {
        self.guarded.write_all(bytes).await.unwrap();
    }

    async fn client_reads_all(&mut self) -> String {
        let mut answer = Vec::new();
        self.client.read_to_end(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    }

    /// Reads as Pingora, which sees the end, while the client reads what it is told.
    async fn parting(&mut self) -> String {
        let mut buffer = [0; 64];
        let mut answer = Vec::new();
        let read = {
            let client = async {
                self.client.read_to_end(&mut answer).await.unwrap();
                self.client.shutdown().await.unwrap();
            };
            tokio::join!(self.guarded.read(&mut buffer), client).0
        };
        assert_eq!(read.unwrap(), 0);
        assert!(self.guarded.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.is_err());
        String::from_utf8(answer).unwrap()
    }

    fn refusals(&self) -> Vec<Refusal> {
        self.observer.0.lock().unwrap().clone()
    }

    fn faults(&self) -> Vec<WireFault> {
        self.refusals().into_iter().map(|refusal| refusal.fault).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_whole_head_goes_straight_through() {
    let mut rig = Rig::new();
    for _ in 0..3 {
        rig.sends(GET).await;
        assert_eq!(rig.read().await, GET);
        assert_eq!(rig.guarded.ahead.capacity(), 0, "nothing was buffered");
        rig.writes(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_byte_by_byte() {
    let mut rig = Rig::new();
    for message in [GET, NEXT] {
        for (at, byte) in message.iter().enumerate() {
            let waits = timeout(MOMENT, rig.read()).await.is_err();
            assert!(waits, "something was given out after {at} bytes");
            rig.sends(&[*byte]).await;
        }
        assert_eq!(rig.read().await, message);
    }
}

#[tokio::test(start_paused = true)]
async fn a_leading_line_is_not_passed_on() {
    let mut rig = Rig::new();
    rig.sends(&[b"\r\n", GET].concat()).await;
    assert_eq!(rig.read().await, GET);
}

#[tokio::test(start_paused = true)]
async fn a_long_head_comes_in_parts() {
    let mut rig = Rig::new();
    let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(20_000));
    rig.sends(&[head.as_bytes(), NEXT].concat()).await;
    let mut given = Vec::new();
    while given.len() < head.len() {
        given.extend(rig.read().await);
    }
    assert_eq!(given, head.as_bytes());
    assert_eq!(rig.read().await, NEXT);
}

#[tokio::test(start_paused = true)]
async fn pipelined_requests_are_given_one_by_one() {
    let mut rig = Rig::new();
    rig.sends(&[GET, NEXT, GET].concat()).await;
    for message in [GET, NEXT, GET] {
        assert_eq!(rig.read().await, message);
        assert!(!rig.probe().await);
        rig.writes(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    }
    drop(rig.client);
    assert_eq!(rig.guarded.read(&mut [0; 9]).await.unwrap(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_an_upstream_works_is_kept() {
    let mut rig = Rig::new();
    rig.sends(GET).await;
    rig.read().await;
    assert!(!rig.probe().await);
    let (begin, end) = NEXT.split_at(9);
    rig.sends(begin).await;
    assert!(!rig.probe().await);
    assert!(!rig.probe().await);
    rig.writes(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    rig.sends(end).await;
    assert_eq!(rig.read().await, NEXT);
}

#[tokio::test(start_paused = true)]
async fn a_departure_is_seen_also_behind_pipelined_requests() {
    for ahead in [b"", NEXT, b"GE"] {
        let mut rig = Rig::new();
        rig.sends(GET).await;
        rig.read().await;
        rig.sends(ahead).await;
        assert!(!rig.probe().await);
        rig.client.shutdown().await.unwrap();
        assert!(rig.probe().await);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_kept_is_bounded() {
    let mut rig = Rig::new();
    rig.sends(GET).await;
    rig.read().await;
    rig.sends(&[b'x'; 500_000]).await;
    assert!(!rig.probe().await);
    assert!(rig.guarded.ahead.len() < 3 * AHEAD_BYTES, "{}", rig.guarded.ahead.len());
}

#[tokio::test(start_paused = true)]
async fn a_sized_body_ends_where_it_ends() {
    let post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n";
    let mut rig = Rig::new();
    rig.sends(&[post, &b"0123456789"[..], NEXT].concat()).await;
    assert_eq!(rig.read().await, post);
    assert_eq!(rig.read().await, b"0123456789");
    assert!(!rig.probe().await);
    assert_eq!(rig.read().await, NEXT);

    rig.sends(post).await;
    assert_eq!(rig.read().await, post);
    rig.sends(&[&b"0123456789"[..], NEXT].concat()).await;
    let mut one = [0];
    assert_eq!(rig.guarded.read(&mut one).await.unwrap(), 1, "a short read of a body is no probe");
    assert_eq!(rig.read().await, b"123456789");
    assert_eq!(rig.read().await, NEXT);
    assert_eq!(rig.faults(), []);
}

#[tokio::test(start_paused = true)]
async fn a_chunked_body_ends_where_it_ends_and_loses_its_trailers() {
    let post = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let body = b"5\r\nhello\r\n0\r\nX-User-Id: 1\r\n\r\n";
    for piece in [1, 7, 13, 1000] {
        let mut rig = Rig::new();
        for part in [&post[..], body, NEXT].concat().chunks(piece) {
            rig.sends(part).await;
        }
        assert_eq!(rig.read().await, post);
        let mut given = Vec::new();
        while given.len() < 15 {
            given.extend(rig.read().await);
        }
        assert_eq!(given, b"5\r\nhello\r\n0\r\n\r\n");
        assert!(!rig.probe().await);
        assert_eq!(rig.read().await, NEXT);
    }
    let mut rig = Rig::new();
    rig.sends(post).await;
    rig.read().await;
    let mut given = Vec::new();
    for byte in body {
        rig.sends(&[*byte]).await;
        while let Ok(part) = timeout(MOMENT, rig.read()).await {
            assert!(!part.is_empty(), "dropped trailers look like the end of the stream");
            given.extend(part);
            if given.len() == 15 {
                break;
            }
        }
    }
    assert_eq!(given, b"5\r\nhello\r\n0\r\n\r\n");
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_opens_with_the_upstreams_consent() {
    let mut rig = Rig::new();
    rig.sends(&[WEBSOCKET, b"\x81\x00early"].concat()).await;
    assert_eq!(rig.read().await, WEBSOCKET);
    assert!(!rig.probe().await);
    rig.writes(SWITCH).await;
    assert_eq!(rig.read().await, b"\x81\x00early");
    rig.sends(b"\n\0raw").await;
    assert_eq!(rig.read().await, b"\n\0raw");
    rig.writes(b"raw").await;
    rig.client.shutdown().await.unwrap();
    assert!(rig.read().await.is_empty());
    assert_eq!(rig.faults(), []);
}

#[tokio::test(start_paused = true)]
async fn opening_a_tunnel_wakes_its_reader() {
    let mut rig = Rig::new();
    rig.sends(&[WEBSOCKET, b"early"].concat()).await;
    assert_eq!(rig.read().await, WEBSOCKET);
    let (mut reader, mut writer) = tokio::io::split(rig.guarded);
    let reading = tokio::spawn(async move {
        let mut byte = [0];
        reader.read_exact(&mut byte).await.unwrap();
        byte
    });
    sleep(MOMENT).await;
    writer.write_all(SWITCH).await.unwrap();
    assert_eq!(timeout(MOMENT, reading).await.unwrap().unwrap(), *b"e");
}

#[tokio::test(start_paused = true)]
async fn after_a_refused_upgrade_bytes_are_http() {
    let mut rig = Rig::new();
    rig.sends(&[WEBSOCKET, NEXT, b"\x81\x00"].concat()).await;
    assert_eq!(rig.read().await, WEBSOCKET);
    rig.writes(b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(rig.read().await, NEXT);
    rig.writes(b"HTTP/1.1 200 OK\r\n\r\n").await;
    assert!(rig.parting().await.contains("HTTP/1.1 400 Bad Request\r\n"));
    assert_eq!(rig.faults(), [WireFault::RequestLine]);
}

#[tokio::test(start_paused = true)]
async fn nobody_switches_unasked() {
    for request in [GET, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"] {
        let mut rig = Rig::new();
        rig.sends(&[request, NEXT].concat()).await;
        rig.read().await;
        assert!(rig.guarded.write_all(SWITCH).await.is_err());
        assert!(rig.read().await.is_empty());
        drop(rig.guarded);
        let mut told = Vec::new();
        rig.client.read_to_end(&mut told).await.unwrap();
        assert_eq!(told, b"");
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_answered_reported_and_final() {
    let mut rig = Rig::new();
    rig.sends(b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n").await;
    assert_eq!(
        rig.parting().await,
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncache-control: no-store\r\n\
         content-length: 90\r\nconnection: close\r\n\r\n\
         {\"detail\":\"Content-Length and Transfer-Encoding exclude each other.\",\"code\":\"bad_request\"}"
    );
    let expected = Refusal {
        fault: WireFault::ConflictingFraming,
        denial: crate::domain::denial::Denial::BadRequest,
        status: 400,
        peer: None::<SocketAddr>,
        bytes: 74,
        answered: true,
    };
    assert_eq!(rig.refusals(), [expected]);
    assert!(rig.read().await.is_empty());
    assert!(rig.read().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn every_answer_says_how_long_it_is() {
    for fault in WireFault::ALL {
        let text = String::from_utf8(answer(fault)).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{text}");
        assert!(head.starts_with(&format!("HTTP/1.1 {} ", fault.status())), "{text}");
        serde_json::from_str::<serde_json::Value>(body).unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_in_the_second_request_leaves_the_first_alone() {
    let mut rig = Rig::new();
    rig.sends(&[GET, b"GET /\nHost: a\n\n"].concat()).await;
    assert_eq!(rig.read().await, GET);
    assert!(!rig.probe().await);
    rig.writes(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi").await;
    let told = rig.parting().await;
    assert!(told.starts_with("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhiHTTP/1.1 400 Bad Request\r\n"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_fault_in_a_body_is_answered_unless_an_answer_is_under_way() {
    let post = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (written, answered) in
        [("", true), ("HTTP/1.1 100 Continue\r\n\r\n", true), ("HTTP/1.1 200 OK\r\n\r\n", false), ("H", false)]
    {
        let mut rig = Rig::new();
        rig.sends(&[&post[..], b"1\r\nx\r\n+1\r\n"].concat()).await;
        assert_eq!(rig.read().await, post);
        rig.writes(written.as_bytes()).await;
        if answered {
            let told = rig.parting().await;
            assert!(told.starts_with(&format!("{written}HTTP/1.1 400 Bad Request\r\n")), "{told}");
        } else {
            assert!(rig.read().await.is_empty());
            assert!(rig.guarded.write_all(b"more").await.is_err());
            rig.guarded.shutdown().await.unwrap();
            drop(std::mem::replace(&mut rig.guarded, Rig::new().guarded));
            assert_eq!(rig.client_reads_all().await, written);
        }
        let refusals = rig.refusals();
        assert_eq!((refusals.len(), refusals[0].fault, refusals[0].answered), (1, WireFault::Chunk, answered));
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_closes_is_left_after_a_while() {
    let mut rig = Rig::new();
    rig.sends(b"\x16\x03\x01").await;
    let read = timeout(Duration::from_secs(2), rig.read()).await;
    assert!(read.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_slow_head_times_out_however_steadily_it_drips() {
    for warm in [false, true] {
        let mut rig = Rig::new();
        if warm {
            rig.sends(GET).await;
            rig.read().await;
            rig.writes(b"HTTP/1.1 204 No Content\r\n\r\n").await;
        }
        sleep(Duration::from_secs(30)).await;
        let mut client = std::mem::replace(&mut rig.client, tokio::io::duplex(1).0);
        let drip = async {
            for byte in b"GET / HTTP/1.1\r\n" {
                client.write_all(&[*byte]).await.unwrap();
                sleep(Duration::from_secs(1)).await;
            }
            client
        };
        let started = tokio::time::Instant::now();
        let (mut client, given) = tokio::join!(drip, rig.read());
        assert!(given.is_empty());
        assert!(started.elapsed() < Duration::from_secs(17));
        assert_eq!(rig.faults(), [WireFault::HeadTimeout]);
        drop(rig);
        let mut told = String::new();
        client.read_to_string(&mut told).await.unwrap();
        assert!(told.contains("HTTP/1.1 408 Request Timeout\r\n"), "{told}");
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_head_to_begin_is_not_ours_to_end() {
    let mut rig = Rig::new();
    assert!(timeout(Duration::from_secs(3600), rig.read()).await.is_err());
    assert_eq!(rig.faults(), []);
}

#[tokio::test(start_paused = true)]
async fn a_stray_empty_line_alone_is_no_request() {
    let mut rig = Rig::new();
    rig.sends(b"\r\n").await;
    assert!(rig.read().await.is_empty());
    assert_eq!(rig.faults(), []);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_ends_with_its_head() {
    let mut rig = Rig::new();
    let (begin, end) = GET.split_at(5);
    for _ in 0..3 {
        rig.sends(begin).await;
        assert!(timeout(Duration::from_secs(9), rig.read()).await.is_err());
        rig.sends(end).await;
        assert_eq!(rig.read().await, GET);
        rig.writes(b"HTTP/1.1 204 No Content\r\n\r\n").await;
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_follows_http_1_0() {
    let mut rig = Rig::new();
    let old = b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n";
    rig.sends(&[old, NEXT].concat()).await;
    assert_eq!(rig.read().await, old);
    assert!(!rig.probe().await);
    rig.writes(b"HTTP/1.1 200 OK\r\n\r\n").await;
    assert!(rig.read().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_within_a_head_is_just_gone() {
    let mut rig = Rig::new();
    rig.sends(b"GET / HT").await;
    rig.client.shutdown().await.unwrap();
    assert!(rig.read().await.is_empty());
    assert_eq!(rig.faults(), []);
}

#[tokio::test(start_paused = true)]
async fn an_early_answer_reaches_a_client_that_is_still_sending() {
    for orderly in [true, false] {
        let mut rig = Rig::new();
        rig.sends(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n").await;
        rig.read().await;
        rig.writes(b"HTTP/1.1 413 Content Too Large\r\n\r\n").await;
        if orderly {
            let closing = tokio::spawn(async move {
                rig.guarded.shutdown().await.unwrap();
            });
            rig.client.write_all(&[0; 50_000]).await.unwrap();
            assert!(!closing.is_finished());
        } else {
            drop(rig.guarded);
            sleep(MOMENT).await;
        }
        rig.client.write_all(&[0; 10_000]).await.unwrap();
        let mut told = String::new();
        rig.client.read_to_string(&mut told).await.unwrap();
        assert_eq!(told, "HTTP/1.1 413 Content Too Large\r\n\r\n");
        sleep(Duration::from_secs(2)).await;
        assert!(rig.client.write_all(b"more").await.is_err(), "lingers no longer");
    }
}

fn messages() -> impl Strategy<Value = Vec<(Vec<u8>, Vec<u8>)>> {
    let body = proptest::collection::vec(any::<u8>(), 1..60);
    let message = prop_oneof![
        Just((GET.to_vec(), Vec::new())),
        body.clone().prop_map(|body| {
            let head = format!("PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
            (head.into_bytes(), body)
        }),
        body.prop_map(|body| {
            let head = b"PUT /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            (head, [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat())
        }),
    ];
    proptest::collection::vec(message, 1..5)
}

fn paused<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(work)
}

proptest! {
    #[test]
    fn sound_messages_come_out_one_by_one_and_unchanged(
        messages in messages(),
        piece in 1..200_usize,
        room in 2..200_usize,
    ) {
        paused(async {
            let mut rig = Rig::new();
            let wire: Vec<u8> = messages.iter().flat_map(|(head, body)| [head.clone(), body.clone()].concat()).collect();
            let (mut client, mut guarded) = (rig.client, rig.guarded);
            let sending = tokio::spawn(async move {
                for part in wire.chunks(piece) {
                    client.write_all(part).await.unwrap();
                    tokio::task::yield_now().await;
                }
                client
            });
            for (head, body) in &messages {
                let expected = [head.clone(), body.clone()].concat();
                let mut given = Vec::new();
                while given.len() < expected.len() {
                    let mut buffer = vec![0; room];
                    let read = guarded.read(&mut buffer).await.unwrap();
                    assert!(read > 0);
                    given.extend_from_slice(&buffer[..read]);
                }
                assert_eq!(given, expected);
                guarded.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            }
            rig.client = sending.await.unwrap();
        });
    }

    #[test]
    fn any_bytes_end_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200), room in 2..50_usize) {
        paused(async {
            let mut rig = Rig::new();
            rig.sends(&[GET, &bytes].concat()).await;
            rig.client.shutdown().await.unwrap();
            let mut buffer = vec![0; room];
            while rig.guarded.read(&mut buffer).await.unwrap() > 0 {}
        });
    }
}
