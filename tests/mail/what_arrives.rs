//! What a message is when another program has read it.

use portcullis::backends::mail::SmtpSettings;
use portcullis::domain::mail::{Message, Subject};
use portcullis::domain::secret::Secret;
use serde_json::json;

use crate::server::Server;
use crate::{LINK, carrier, carry, message, permanent, settings};

#[tokio::test]
async fn a_message_arrives_as_it_was_written() {
    let server = Server::start(&json!({}));
    let hello_name = Some("gate.example.org".to_owned());
    let carrier = carrier(SmtpSettings { hello_name, ..settings(server.port) });
    carry(&carrier, &message("anna@example.net")).await.unwrap();
    assert_eq!(
        server.next(),
        json!({
            "accepted": true,
            "hello": "gate.example.org",
            "encrypted": false,
            "user": null,
            "sender": "portcullis@example.org",
            "recipients": ["anna@example.net"],
            "headers": {
                "date": "Mon, 23 Nov 2026 04:35:00 +0000",
                "from": "Portcullis <portcullis@example.org>",
                "to": "anna@example.net",
                "message-id": "<0123abc@example.org>",
                "subject": "Reset your password",
                "auto-submitted": "auto-generated",
                "mime-version": "1.0",
                "content-type": "text/plain; charset=\"utf-8\"",
                "content-transfer-encoding": "7bit",
            },
            "type": "text/plain",
            "text": format!("Follow this link:\n{LINK}\n"),
            "html": null,
        })
    );
}

#[tokio::test]
async fn odd_text_arrives_whole_in_both_forms() {
    let server = Server::start(&json!({}));
    let text = format!(".\n..\n.Grüße 🦀 = =3D\nFrom here\n{}\n\n.\nQUIT", "long ".repeat(400).trim_end());
    let html = format!("<p>{text}</p>");
    let odd = Message {
        subject: Subject::new(&format!("Grüße, 🦀 {}", "und noch mehr ".repeat(20))),
        text: Secret::new(text.clone()),
        html: Some(Secret::new(html.clone())),
        ..message("anna@example.net")
    };
    carry(&carrier(settings(server.port)), &odd).await.unwrap();
    let told = server.next();
    assert_eq!(told["type"], "multipart/alternative");
    assert_eq!(told["text"], text);
    assert_eq!(told["html"], html);
    assert_eq!(told["headers"]["subject"], odd.subject.as_str());
    assert_eq!(server.stop(), [json!(null); 0]);
}

#[tokio::test]
async fn odd_addresses_arrive_as_one_address() {
    let server = Server::start(&json!({ "utf8": true }));
    let carrier = carrier(settings(server.port));
    for (to, recipient) in [
        ("\"a,b\"@example.net", "\"a,b\"@example.net"),
        ("o'brien+x@example.net", "o'brien+x@example.net"),
        ("anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("grüße@example.net", "grüße@example.net"),
    ] {
        carry(&carrier, &message(to)).await.unwrap();
        assert_eq!(server.next()["recipients"], json!([recipient]));
    }
}

#[tokio::test]
async fn a_server_that_reads_ascii_only_gets_no_other_address() {
    let server = Server::start(&json!({}));
    let carrier = carrier(settings(server.port));
    let problem = permanent(carry(&carrier, &message("grüße@example.net")).await);
    assert!(problem.contains("beyond ASCII"), "{problem}");
    carry(&carrier, &message("anna@bücher.example")).await.unwrap();
    assert_eq!(server.next()["recipients"], json!(["anna@xn--bcher-kva.example"]));
}
