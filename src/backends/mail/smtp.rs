//! Mail to a server that takes it on (RFC 6409), one connection for each message: there are few.
//!
//! Of the two ways to encrypt, a connection that is TLS from its first byte is the better one (RFC 8314 3). STARTTLS is
//! demanded, never merely tried. The certificate is always checked.
//!
//! What a server says in words is not passed on: it may repeat what it was sent, such as the address of a link that it
//! dislikes. Its codes are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use lettre::Message as Composed;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::{ClientId, Extension};

use super::{Composer, UnusableMail};
use crate::domain::clock::Timestamp;
use crate::domain::mail::{MailId, Message, readable_error};
use crate::domain::secret::Secret;
use crate::storage::mail_carrier::{CarryError, MailCarrier};

/// For one of the server's addresses, so that one that does not answer leaves time for the next.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// To say goodbye, when the message is taken already.
const QUIT_TIMEOUT: Duration = Duration::from_secs(1);
/// "Authentication required" (RFC 4954 6).
const UNAUTHENTICATED: u16 = 530;
/// How a certificate begins in PEM (RFC 7468 5); the library takes a file without any for an empty list.
const MARK: &[u8] = b"-----BEGIN CERTIFICATE-----";

#[derive(Clone, Debug)]
pub struct SmtpSettings {
    /// A name or an address. The certificate must be for it.
    pub host: String,
    pub port: u16,
    pub tls: SmtpTls,
    /// PEM certificates to trust instead of the system's.
    pub ca: Option<PathBuf>,
    pub credentials: Option<(String, Secret<String>)>,
    /// What this end calls itself; the address literal of loopback without it.
    pub hello_name: Option<String>,
    /// For all of it, from the first packet to the server's word that it has the message.
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// From the first byte.
    Implicit,
    /// After the server was asked for it.
    StartTls,
    /// Only for a server on this machine: that is for whoever makes the settings to see to.
    None,
}

enum Security {
    Implicit(TlsParameters),
    StartTls(TlsParameters),
    None,
}

pub struct SmtpCarrier {
    composer: Composer,
    host: String,
    port: u16,
    security: Security,
    credentials: Option<(String, Secret<String>)>,
    hello: ClientId,
    timeout: Duration,
}

impl SmtpCarrier {
    /// Reads the certificates.
    pub fn new(settings: SmtpSettings, composer: Composer) -> Result<Self, UnusableMail> {
        let tls = || tls_parameters(&settings.host, settings.ca.as_deref());
        Ok(Self {
            composer,
            security: match settings.tls {
                SmtpTls::Implicit => Security::Implicit(tls()?),
                SmtpTls::StartTls => Security::StartTls(tls()?),
                SmtpTls::None => Security::None,
            },
            host: settings.host,
            port: settings.port,
            credentials: settings.credentials,
            hello: settings.hello_name.map_or_else(ClientId::default, ClientId::Domain),
            timeout: settings.timeout,
        })
    }

    async fn deliver(&self, message: &Composed) -> Result<AsyncSmtpConnection, CarryError> {
        // What goes wrong before the message is offered says nothing about the message.
        let mut connection = self.connect().await.map_err(|error| CarryError::Temporary(self.described(&error)))?;
        let international = message.envelope().to().iter().any(|to| !to.user().is_ascii());
        if international && !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            let problem = format!("{} takes no address with letters beyond ASCII before the @", self.host);
            return Err(CarryError::Permanent(problem));
        }
        let formatted = message.formatted();
        // The library begins the line of the final dot itself, so the last line of the message comes without its end.
        let body = formatted.strip_suffix(b"\r\n").unwrap_or(&formatted);
        let sent = connection.send(message.envelope(), body).await;
        sent.map(|_| connection).map_err(|error| {
            let unauthenticated = error.status().is_some_and(|code| u16::from(code) == UNAUTHENTICATED);
            let described = self.described(&error);
            if error.is_permanent() && !unauthenticated {
                CarryError::Permanent(described)
            } else {
                CarryError::Temporary(described)
            }
        })
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let implicit = match &self.security {
            Security::Implicit(tls) => Some(tls.clone()),
            Security::StartTls(_) | Security::None => None,
        };
        let server = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, Some(CONNECT_TIMEOUT), &self.hello, implicit, None).await?;
        if let Security::StartTls(tls) = &self.security {
            connection.starttls(tls.clone(), &self.hello).await?;
        }
        if let Some((username, password)) = &self.credentials {
            let credentials = Credentials::new(username.clone(), password.expose().clone());
            connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
        }
        Ok(connection)
    }

    fn described(&self, error: &SmtpError) -> String {
        let what = match error.status() {
            Some(code) => format!("answered {code}{}", enhanced_code(error)),
            None if error.is_response() => "does not speak SMTP".to_owned(),
            None => format!("was not reached: {error}"),
        };
        readable_error(&format!("{}:{} {what}", self.host, self.port))
    }
}

#[async_trait]
impl MailCarrier for SmtpCarrier {
    async fn carry(&self, message: &Message, id: &MailId, date: Timestamp) -> Result<(), CarryError> {
        let composed = self.composer.compose(message, id, date)?;
        // A connection that is cut off in the middle is dropped, and not used for anything else.
        let Ok(delivered) = tokio::time::timeout(self.timeout, self.deliver(&composed)).await else {
            let seconds = self.timeout.as_secs();
            let problem = format!("{}:{} was not done within {seconds} s", self.host, self.port);
            return Err(CarryError::Temporary(problem));
        };
        let mut connection = delivered?;
        let _ = tokio::time::timeout(QUIT_TIMEOUT, connection.quit()).await;
        Ok(())
    }
}

/// The more exact code of RFC 3463, where the answer begins with one.
fn enhanced_code(error: &SmtpError) -> String {
    let said = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let first = said.split_whitespace().next().unwrap_or_default();
    let parts: Vec<&str> = first.split('.').collect();
    let numeric = parts.iter().all(|part| (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
    if parts.len() == 3 && numeric { format!(" {first}") } else { String::new() }
}

/// The cryptography is that of the process if it has chosen one, else ring: the library asks for neither to be chosen.
fn tls_parameters(host: &str, ca: Option<&Path>) -> Result<TlsParameters, UnusableMail> {
    let mut builder = TlsParameters::builder(host.to_owned());
    if let Some(path) = ca {
        let faulty = |cause: String| UnusableMail::Certificates { path: path.to_owned(), cause };
        let pem = std::fs::read(path).map_err(|error| faulty(format!("cannot be read ({error})")))?;
        if !pem.windows(MARK.len()).any(|window| window == MARK) {
            return Err(faulty("holds no certificate in PEM".to_owned()));
        }
        let certificates =
            Certificate::from_pem(&pem).map_err(|_| faulty("holds a certificate that cannot be read".to_owned()))?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(certificates);
    }
    builder.build().map_err(|error| UnusableMail::Tls(error.to_string()))
}
