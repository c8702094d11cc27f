//! What servers say, and what becomes of the message.

use std::io::Write as _;
use std::net::TcpListener;
use std::time::Duration;

use portcullis::backends::mail::SmtpSettings;
use serde_json::json;

use crate::server::Server;
use crate::{LINK, carrier, carry, message, permanent, settings, temporary};

#[tokio::test]
async fn not_now_is_temporary_and_the_next_attempt_is_the_same_message() {
    let server = Server::start(&json!({
        "recipients": { "anna@example.net": ["450 4.2.0 greylisted"] },
        "data": ["451 4.7.1 try again later"],
    }));
    let (carrier, message) = (carrier(settings(server.port)), message("anna@example.net"));
    let problem = temporary(carry(&carrier, &message).await);
    assert!(problem.ends_with("answered 450 4.2.0"), "{problem}");
    assert_eq!(server.next()["refused"], "anna@example.net");
    let problem = temporary(carry(&carrier, &message).await);
    assert!(problem.ends_with("answered 451 4.7.1"), "{problem}");
    let first = server.next();
    assert_eq!(first["accepted"], false);
    carry(&carrier, &message).await.unwrap();
    let second = server.next();
    assert_eq!(second["accepted"], true);
    assert_eq!(first["headers"], second["headers"]);
}

#[tokio::test]
async fn never_is_permanent() {
    let server = Server::start(&json!({
        "recipients": { "nobody@example.net": ["550 5.1.1 no such user"] },
        "data": ["554 no thanks"],
    }));
    let carrier = carrier(settings(server.port));
    let problem = permanent(carry(&carrier, &message("nobody@example.net")).await);
    assert!(problem.ends_with("answered 550 5.1.1"), "{problem}");
    let problem = permanent(carry(&carrier, &message("anna@example.net")).await);
    assert!(problem.ends_with("answered 554"), "{problem}");
}

#[tokio::test]
async fn what_a_server_repeats_is_not_repeated() {
    let server = Server::start(&json!({ "data": [format!("554 5.7.1 I dislike {LINK}")] }));
    let problem = permanent(carry(&carrier(settings(server.port)), &message("anna@example.net")).await);
    assert!(problem.ends_with("answered 554 5.7.1"), "{problem}");
}

#[tokio::test]
async fn a_server_that_is_not_there_may_be_later() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let problem = temporary(carry(&carrier(settings(free)), &message("anna@example.net")).await);
    assert!(problem.contains("was not reached"), "{problem}");
    let nowhere = carrier(SmtpSettings { host: "no-such-host.invalid".to_owned(), ..settings(25) });
    temporary(carry(&nowhere, &message("anna@example.net")).await);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let carrier = carrier(SmtpSettings { timeout: Duration::from_millis(50), ..settings(port) });
    let problem = temporary(carry(&carrier, &message("anna@example.net")).await);
    assert!(problem.contains("was not done within"), "{problem}");
}

#[tokio::test]
async fn a_server_of_another_kind_is_not_quoted() {
    for said in [&b"HTTP/1.1 400 hunter2\r\n\r\n"[..], b"\xff\xfe hunter2\r\n", b"2", b""] {
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = other.local_addr().unwrap().port();
        let speaker = std::thread::spawn(move || other.accept().unwrap().0.write_all(said).unwrap());
        let problem = temporary(carry(&carrier(settings(port)), &message("anna@example.net")).await);
        assert!(!problem.contains("hunter2"), "{problem}");
        speaker.join().unwrap();
    }
}
