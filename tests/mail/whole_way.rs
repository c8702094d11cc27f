//! From the outbox in a database, opened and carried, to somebody else's server.

use std::sync::Arc;
use std::time::Duration;

use portcullis::backends::sql::{SqlOutbox, migrate, open};
use portcullis::crypto::master_key::MasterKey;
use portcullis::crypto::random::OsRandom;
use portcullis::domain::clock::{Clock as _, ManualClock};
use portcullis::domain::mail::MailKind;
use portcullis::domain::random::Random;
use portcullis::domain::secret::Secret;
use portcullis::domain::user::Email;
use portcullis::identity::mail_templates::Templates;
use portcullis::identity::mail_values::{Occasion, PasswordReset};
use portcullis::identity::outgoing::SealedMail;
use portcullis::jobs::send_mail::{SendMail, Tally};
use portcullis::storage::outbox::Outbox as _;
use serde_json::json;

use crate::server::Server;
use crate::{DATE, LINK, carrier, settings};

#[tokio::test]
async fn a_reset_waits_for_a_server_that_is_busy_and_arrives_once() {
    let server = Server::start(&json!({ "data": ["451 4.3.0 busy", "451 4.3.0 busy"] }));
    let place = tempfile::tempdir().unwrap();
    let pool = open(&format!("sqlite://{}", place.path().join("p.db").display()), true).await.unwrap();
    migrate(&pool).await.unwrap();
    let (outbox, clock) = (Arc::new(SqlOutbox::new(pool)), Arc::new(ManualClock::at(DATE)));
    let random: Arc<dyn Random> = Arc::new(OsRandom::new());
    let master_key = MasterKey::parse(&MasterKey::generate(random.as_ref())).unwrap();
    let sealed = Arc::new(SealedMail::new(Arc::new(master_key.into()), Arc::clone(&random)));

    let values = PasswordReset {
        occasion: Occasion { username: "anna".to_owned(), at: DATE, address: "192.0.2.7".to_owned() },
        link: Secret::new(LINK.to_owned()),
        lifetime: Duration::from_secs(1800),
    };
    let templates = Templates::load(None, "Our Shop").unwrap_or_else(|faults| panic!("{faults:?}"));
    let message = templates.render(Email::parse("anna@example.net").unwrap(), &values).unwrap();
    let entry = sealed.message(MailKind::PasswordReset, &message, clock.now()).unwrap();
    outbox.enqueue(&entry).await.unwrap();

    let job = SendMail {
        outbox: Arc::clone(&outbox) as _,
        outgoing: sealed,
        carrier: Arc::new(carrier(settings(server.port))),
        clock: Arc::clone(&clock) as _,
        random,
    };
    for _ in 0..2 {
        assert_eq!(job.run_once().await.unwrap(), Tally { put_off: 1, ..Tally::default() });
        assert_eq!(server.next()["accepted"], false);
        assert_eq!(job.run_once().await.unwrap(), Tally::default(), "not at once");
        clock.advance(Duration::from_secs(60));
    }
    assert_eq!(job.run_once().await.unwrap(), Tally { sent: 1, ..Tally::default() });
    let told = server.next();
    assert_eq!(told["accepted"], true);
    assert_eq!(told["headers"]["subject"], "Reset your password at Our Shop");
    assert_eq!(told["headers"]["message-id"], format!("<{}@example.org>", entry.id));
    assert_eq!(told["headers"]["date"], "Mon, 23 Nov 2026 04:35:00 +0000");
    for form in ["text", "html"] {
        assert!(told[form].as_str().unwrap().contains("s3cr3t-t0k3n"), "{told}");
    }
    assert!(told["text"].as_str().unwrap().contains(&format!("\n{LINK}\n")));
    assert_eq!(outbox.count().await.unwrap(), 0);
    let database: Vec<u8> = std::fs::read_dir(place.path())
        .unwrap()
        .flat_map(|file| std::fs::read(file.unwrap().path()).unwrap())
        .collect();
    assert!(!database.windows(12).any(|part| part == b"s3cr3t-t0k3n"), "the link never lay open in the database");
}
