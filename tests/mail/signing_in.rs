//! Servers that ask who is sending.

use portcullis::backends::mail::SmtpSettings;
use serde_json::json;

use crate::server::Server;
use crate::{carrier, carry, message, settings, temporary};

const PASSWORD: &str = "s3cr3t p@ss\u{fc}";

fn credentials(password: &str) -> Option<(String, portcullis::domain::secret::Secret<String>)> {
    Some(("gate".to_owned(), password.to_owned().into()))
}

#[tokio::test]
async fn the_right_password_opens() {
    let server = Server::start(&json!({ "users": { "gate": PASSWORD } }));
    let carrier = carrier(SmtpSettings { credentials: credentials(PASSWORD), ..settings(server.port) });
    carry(&carrier, &message("anna@example.net")).await.unwrap();
    assert_eq!(server.next()["user"], "gate");
}

/// It is the settings that are wrong, not the message, so the message waits.
#[tokio::test]
async fn a_wrong_password_or_none_is_nothing_against_the_message() {
    let server = Server::start(&json!({ "users": { "gate": PASSWORD } }));
    let wrong = carrier(SmtpSettings { credentials: credentials("wr0ng"), ..settings(server.port) });
    let problem = temporary(carry(&wrong, &message("anna@example.net")).await);
    assert!(problem.contains("535 5.7.8") && !problem.contains("wr0ng"), "{problem}");
    let none = carrier(settings(server.port));
    let problem = temporary(carry(&none, &message("anna@example.net")).await);
    assert!(problem.contains("530 5.7.0"), "{problem}");
    assert_eq!(server.stop(), [json!(null); 0]);
}

#[tokio::test]
async fn a_server_that_does_not_ask_is_not_told() {
    let server = Server::start(&json!({}));
    let carrier = carrier(SmtpSettings { credentials: credentials(PASSWORD), ..settings(server.port) });
    let problem = temporary(carry(&carrier, &message("anna@example.net")).await);
    assert!(problem.contains("No compatible authentication mechanism"), "{problem}");
}
