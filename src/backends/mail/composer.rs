//! A message as it travels: RFC 5322, with MIME (RFC 2045) where it has two forms.
//!
//! Nothing that somebody typed can add a header or a recipient. Subjects and identities are of types that hold no line
//! break, addresses are parsed, and the envelope is made from the parsed address, not from a header read again.

use std::time::{Duration, UNIX_EPOCH};

use lettre::address::Envelope;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message as Composed, MultiPart, SinglePart};
use lettre::{Address, Message as Lettre};

use super::UnusableMail;
use crate::domain::clock::Timestamp;
use crate::domain::mail::{MailId, Message};
use crate::domain::secret::Secret;
use crate::domain::user::Email;
use crate::storage::mail_carrier::CarryError;

/// Writes in the name of one sender.
#[derive(Clone, Debug)]
pub struct Composer {
    from: Mailbox,
}

impl Composer {
    /// `from` is one mailbox, with or without a name: `Portcullis <portcullis@example.org>`.
    pub fn new(from: &str) -> Result<Self, UnusableMail> {
        let Mailbox { name, email } = from.parse().map_err(|_| UnusableMail::Sender)?;
        let email = address(email.user(), email.domain()).ok_or(UnusableMail::Sender)?;
        Ok(Self { from: Mailbox::new(name, email) })
    }

    /// The Message-ID and the date are the same each time, so that a copy is known for one.
    pub fn compose(&self, message: &Message, id: &MailId, date: Timestamp) -> Result<Composed, CarryError> {
        let impossible = |what: &str| CarryError::Permanent(what.to_owned());
        let to = recipient(&message.to).ok_or_else(|| impossible("mail cannot be sent to such an address"))?;
        let envelope = Envelope::new(Some(self.from.email.clone()), vec![to.clone()])
            .map_err(|_| impossible("there is nobody to send it to"))?;
        let seconds = Duration::from_secs(u64::try_from(date.as_secs()).unwrap_or(0));
        let builder = Lettre::builder()
            .envelope(envelope)
            .date(UNIX_EPOCH + seconds)
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .message_id(Some(format!("<{id}@{}>", self.from.email.domain())))
            .subject(message.subject.as_str())
            // No answering machine answers (RFC 3834 5).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        let text = lines(&message.text);
        let composed = match &message.html {
            Some(html) => builder.multipart(MultiPart::alternative_plain_html(text, lines(html))),
            None => builder.singlepart(SinglePart::plain(text)),
        };
        composed.map_err(|error| CarryError::Permanent(format!("it cannot be written: {error}")))
    }
}

/// Lines that end as one expects: a carriage return on its own is read as the end of a line by some and not by others. The
/// last line gets its end when the message is written.
fn lines(text: &Secret<String>) -> String {
    text.expose().trim_end().replace("\r\n", "\n").replace('\r', "\n")
}

fn recipient(email: &Email) -> Option<Address> {
    let (local, domain) = email.as_str().split_once('@')?;
    address(local, domain)
}

/// An international domain in its ASCII form (RFC 5891), which every server understands.
fn address(local: &str, domain: &str) -> Option<Address> {
    let domain = if domain.is_ascii() { domain.to_owned() } else { idna::domain_to_ascii_strict(domain).ok()? };
    Address::new(local, domain).ok()
}

#[cfg(test)]
mod tests;
