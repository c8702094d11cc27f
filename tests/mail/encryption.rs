//! TLS, which is all or nothing. No cryptography was chosen for this process beforehand.

use portcullis::backends::mail::{Composer, SmtpCarrier, SmtpSettings, SmtpTls, UnusableMail};
use serde_json::json;

use crate::server::{Certificates, Server};
use crate::{carrier, carry, message, settings, temporary};

const BOTH: [(SmtpTls, &str); 2] = [(SmtpTls::Implicit, "implicit"), (SmtpTls::StartTls, "starttls")];

#[tokio::test]
async fn mail_goes_encrypted_to_a_server_whose_certificate_holds() {
    let certificates = Certificates::make();
    for (tls, name) in BOTH {
        let server = certificates.server(name);
        let carrier = carrier(SmtpSettings {
            host: "localhost".to_owned(),
            tls,
            ca: Some(certificates.ca()),
            ..settings(server.port)
        });
        carry(&carrier, &message("anna@example.net")).await.unwrap();
        carry(&carrier, &message("bob@example.net")).await.unwrap();
        for recipient in ["anna@example.net", "bob@example.net"] {
            let told = server.next();
            assert_eq!((&told["encrypted"], &told["recipients"]), (&json!(true), &json!([recipient])), "{name}");
        }
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_or_for_another_name_is_refused() {
    let certificates = Certificates::make();
    for (tls, name) in BOTH {
        let server = certificates.server(name);
        let localhost = || "localhost".to_owned();
        for (host, ca, part) in [
            (localhost(), Some(certificates.other_ca()), "UnknownIssuer"),
            (localhost(), None, "UnknownIssuer"),
            ("127.0.0.1".to_owned(), Some(certificates.ca()), "not valid for"),
        ] {
            let carrier = carrier(SmtpSettings { host, tls, ca, ..settings(server.port) });
            let problem = temporary(carry(&carrier, &message("anna@example.net")).await);
            assert!(problem.contains(part), "{name}: {problem}");
        }
        assert_eq!(server.stop(), [json!(null); 0], "nothing was sent");
    }
}

#[tokio::test]
async fn a_server_without_starttls_gets_nothing() {
    let certificates = Certificates::make();
    let server = Server::start(&json!({ "users": { "gate": "s3cr3t" } }));
    let carrier = carrier(SmtpSettings {
        tls: SmtpTls::StartTls,
        ca: Some(certificates.ca()),
        credentials: Some(("gate".to_owned(), "s3cr3t".to_owned().into())),
        ..settings(server.port)
    });
    let problem = temporary(carry(&carrier, &message("anna@example.net")).await);
    assert!(problem.contains("STARTTLS is not supported"), "{problem}");
    assert_eq!(server.stop(), [json!(null); 0]);
}

#[tokio::test]
async fn a_server_that_speaks_in_the_clear_gets_nothing_over_tls() {
    let certificates = Certificates::make();
    let server = Server::start(&json!({}));
    let carrier =
        carrier(SmtpSettings { tls: SmtpTls::Implicit, ca: Some(certificates.ca()), ..settings(server.port) });
    temporary(carry(&carrier, &message("anna@example.net")).await);
    assert_eq!(server.stop(), [json!(null); 0]);
}

#[test]
fn certificates_that_cannot_be_read_are_found_before_anything_is_sent() {
    let place = tempfile::tempdir().unwrap();
    for (name, content, part) in [
        ("missing.pem", None, "cannot be read (No such file"),
        ("empty.pem", Some(""), "holds no certificate"),
        ("words.pem", Some("hello"), "holds no certificate"),
        ("cut.pem", Some("-----BEGIN CERTIFICATE-----\nMIIB"), "cannot be read"),
        ("odd.pem", Some("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"), "TLS cannot be set up"),
    ] {
        let path = place.path().join(name);
        if let Some(content) = content {
            std::fs::write(&path, content).unwrap();
        }
        let settings = SmtpSettings { tls: SmtpTls::Implicit, ca: Some(path), ..settings(1) };
        let composer = Composer::new("portcullis@localhost").unwrap();
        let error: UnusableMail = SmtpCarrier::new(settings, composer).err().unwrap();
        assert!(error.to_string().contains(part), "{name}: {error}");
    }
}
