//! Mail, to somebody else's SMTP server.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod answers;
mod encryption;
mod server;
mod signing_in;
mod what_arrives;
mod whole_way;

use std::time::Duration;

use portcullis::backends::mail::{Composer, SmtpCarrier, SmtpSettings, SmtpTls};
use portcullis::domain::clock::Timestamp;
use portcullis::domain::mail::{MailId, Message, Subject};
use portcullis::domain::secret::Secret;
use portcullis::domain::user::Email;
use portcullis::storage::mail_carrier::{CarryError, MailCarrier as _};

/// Longer than anything here takes.
const TIMEOUT: Duration = Duration::from_secs(30);
const DATE: Timestamp = Timestamp::from_secs(1_795_408_500);
const LINK: &str = "https://app.example.org/reset#token=s3cr3t-t0k3n";

fn settings(port: u16) -> SmtpSettings {
    SmtpSettings {
        host: "127.0.0.1".to_owned(),
        port,
        tls: SmtpTls::None,
        ca: None,
        credentials: None,
        hello_name: None,
        timeout: TIMEOUT,
    }
}

fn carrier(settings: SmtpSettings) -> SmtpCarrier {
    SmtpCarrier::new(settings, Composer::new("Portcullis <portcullis@example.org>").unwrap()).unwrap()
}

fn message(to: &str) -> Message {
    Message {
        to: Email::parse(to).unwrap(),
        subject: Subject::new("Reset your password"),
        text: Secret::new(format!("Follow this link:\n{LINK}\n")),
        html: None,
    }
}

async fn carry(carrier: &SmtpCarrier, message: &Message) -> Result<(), CarryError> {
    carrier.carry(message, &MailId::parse("0123abc").unwrap(), DATE).await
}

fn temporary(result: Result<(), CarryError>) -> String {
    let Err(CarryError::Temporary(text)) = result else { panic!("{result:?}") };
    text
}

fn permanent(result: Result<(), CarryError>) -> String {
    let Err(CarryError::Permanent(text)) = result else { panic!("{result:?}") };
    text
}
