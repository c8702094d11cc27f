//! Mail, as far as it shows before any is sent.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use portcullis::backends::sql::{SqlOutbox, open};
use portcullis::crypto::master_key::MasterKey;
use portcullis::crypto::master_keys::MasterKeys;
use portcullis::crypto::random::OsRandom;
use portcullis::domain::clock::{Clock as _, SystemClock};
use portcullis::domain::mail::{MailKind, Message, Subject};
use portcullis::domain::secret::Secret;
use portcullis::domain::user::Email;
use portcullis::identity::outgoing::SealedMail;
use portcullis::storage::outbox::Outbox as _;

use crate::harness::{Place, eventually, unused};

/// Puts a message into the outbox of a place, as a gateway does that is stopped before it sends it.
fn enqueue(place: &Place) {
    let key = std::fs::read_to_string(place.path("data/master.key")).unwrap();
    let mail = SealedMail::new(
        Arc::new(MasterKeys::from(MasterKey::parse(&Secret::new(key)).unwrap())),
        Arc::new(OsRandom::new()),
    );
    let message = Message {
        to: Email::parse("anna@example.net").unwrap(),
        subject: Subject::new("Reset your password"),
        text: Secret::new("Follow this:\nhttp://localhost:3000/reset-password#token=t0k3n\n".to_owned()),
        html: None,
    };
    let entry = mail.message(MailKind::PasswordReset, &message, SystemClock.now()).unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let pool = open(&format!("sqlite://{}", place.path("data/portcullis.db").display()), false).await.unwrap();
        SqlOutbox::new(pool.clone()).enqueue(&entry).await.unwrap();
        pool.close().await;
    });
}

#[test]
fn what_waits_from_before_is_sent_once_to_where_the_settings_say() {
    let place = Place::prepared(unused(), "mail: { transport: { directory: out }, from: \"Gate <gate@example.org>\" }");
    enqueue(&place);
    let server = place.serve();
    let files = || std::fs::read_dir(place.path("out")).unwrap().map(|file| file.unwrap().path());
    let file = eventually("the mail", || files().find(|path| path.extension().is_some_and(|end| end == "eml")));
    let text = std::fs::read_to_string(file).unwrap();
    for part in
        ["From: Gate <gate@example.org>\r\n", "To: anna@example.net\r\n", "\r\n\r\nFollow this:\r\nhttp://localhost"]
    {
        assert!(text.contains(part), "{text}");
    }
    assert!(!server.stop().success().stderr.contains("t0k3n"));
    assert_eq!(files().count(), 1);

    let place = Place::prepared(unused(), "");
    enqueue(&place);
    let server = place.serve();
    eventually("the mail", || server.stderr().contains("a mail was dropped").then_some(()));
    let said = server.stop().success().stderr.clone();
    for secret in ["t0k3n", "anna@example.net", "Follow this", "Reset your password"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }

    let place = Place::prepared(unused(), "mail: { transport: log }");
    enqueue(&place);
    let server = place.serve();
    eventually("the mail", || server.stderr().contains("a mail was sent").then_some(()));
    let said = server.stop().success().stderr.clone();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("t0k3n")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    let line: serde_json::Value = serde_json::from_str(lines[0]).unwrap();
    assert_eq!((&line["level"], &line["to"]), (&"INFO".into(), &"anna@example.net".into()));
    assert_eq!(line["subject"], "Reset your password");
    assert_eq!(line["text"], "Follow this:\nhttp://localhost:3000/reset-password#token=t0k3n\n");
}

#[test]
fn a_broken_template_is_named_with_its_line_before_anything_starts() {
    let place = Place::prepared(unused(), "mail: { templates: texts }");
    std::fs::create_dir(place.path("texts")).unwrap();
    place.write("texts/password_reset.txt", "Hello {{ username }},\n\n{{ lnik }}\n{{ link }}\n");
    let files = place.files();
    for command in ["serve", "check"] {
        let refused = place.run(&[command]);
        let sentence = refused.refusal();
        let expected = "texts/password_reset.txt:3: there is no value \"lnik\" here; choose from address, at, link, ";
        assert!(sentence.contains(expected), "{command}: {sentence}");
    }
    place.write("texts/password_changed.html", "{% if %}");
    let refused = place.run(&["check"]);
    assert_eq!((refused.code, refused.stderr.lines().count()), (Some(1), 2), "{refused:?}");
    std::fs::remove_file(place.path("texts/password_changed.html")).unwrap();
    assert!(place.files() == files, "and everything is as it was");
    place.write("texts/password_reset.txt", "{{ link }}\n");
    place.run(&["check"]).success();
    place.serve().stop().success();
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let place = Place::configured(
        unused(),
        "mail:\n  from: a@b.example\n  reset_url: \"https://a.example/#{token}\"\n  \
         transport: { smtp: { host: mail.example.org, ca: ca.pem } }",
    );
    place.write("ca.pem", "no certificate\n");
    for command in ["serve", "check"] {
        let refused = place.run(&[command]);
        assert!(refused.refusal().contains("mail: the file ca.pem holds no certificate in PEM"), "{refused:?}");
    }
}

#[test]
fn where_mail_goes_to_the_log_each_start_and_check_warn() {
    let warned = "mail is written to this log";
    let place = Place::prepared(unused(), "mail: { transport: log }");
    let json = place.json(&["check"], "");
    assert_eq!(json["warnings"].as_array().unwrap().len(), 1, "{json}");
    let ended = place.serve().stop();
    assert_eq!(ended.success().stderr.matches(warned).count(), 1, "{}", ended.stderr);
    let place = Place::prepared(unused(), "mail: { transport: { directory: out/mail } }");
    place.run(&["check"]).success();
    assert!(!place.path("out").exists(), "a check makes nothing");
    let ended = place.serve().stop();
    assert!(!ended.success().stderr.contains(warned), "{}", ended.stderr);
    assert_eq!(std::fs::metadata(place.path("out/mail")).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn what_must_be_done_is_done_also_where_nobody_can_be_told() {
    let place = Place::prepared(unused(), "mail: { templates: texts }");
    std::fs::create_dir(place.path("texts")).unwrap();
    place.create_user("anna");
    place.write("texts/password_changed.txt", "{% if %}");
    let done = place.run(&["users", "disable", "anna"]);
    done.success();
    let warned = "warning: users are not told by mail of what is changed: ";
    assert!(done.stderr.starts_with(warned) && done.stderr.contains("texts/password_changed.txt:1"), "{}", done.stderr);
    std::fs::remove_file(place.path("texts/password_changed.txt")).unwrap();
    assert_eq!(place.run(&["users", "enable", "anna"]).success().complaint(), "");
}
