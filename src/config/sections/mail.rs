use std::net::IpAddr;
use std::time::Duration;

use lettre::message::Mailbox;

use super::server_address::is_name;
use crate::config::secret_value;
use crate::config::section::Section;
use crate::config::settings::{Mail, MailTransport, Smtp, SmtpTls};
use crate::config::value::Value;
use crate::domain::reset_link::{Place, ResetLink, Scheme};

const TRANSPORTS: &str = "write log, { directory: PATH } or { smtp: { host: NAME } }";
const SENDER: &str = "write ADDRESS or \"NAME <ADDRESS>\"";
const LINK: &str = "write a URL such as \"https://app.example.org/reset-password#token={token}\"";
const DEFAULT_LINK: &str = "http://localhost:3000/reset-password#token={token}";

const SECOND: Duration = Duration::from_secs(1);

/// How much of a name fits into a subject.
const SERVICE_LENGTH: usize = 100;

pub fn read(mut section: Section<'_>) -> Option<Mail> {
    let transport = match section.optional("transport") {
        Some(value) => transport(&value),
        None => Some(MailTransport::None),
    };
    let from = from(&mut section);
    let service = service(&mut section);
    let reset_url = reset_url(&mut section);
    let templates = section.optional("templates").and_then(|value| value.file_path());
    if matches!(transport, Some(MailTransport::Smtp(_))) {
        // What these are by default is for trying out: no server takes mail from there, and no reader gets there.
        for (key, remedy) in [("from", SENDER), ("reset_url", LINK)] {
            if !section.has(key) {
                section.fault(key, "this is required where mail goes out by SMTP", remedy);
            }
        }
    }
    Some(Mail { transport: transport?, from, service, reset_url: reset_url?, templates })
}

fn from(section: &mut Section<'_>) -> String {
    let parse = |text: &str| text.parse::<Mailbox>().is_ok().then(|| text.to_owned());
    let from = section.optional("from").and_then(|value| value.parsed(parse, "a mailbox", SENDER));
    from.unwrap_or_else(|| "portcullis@localhost".to_owned())
}

fn service(section: &mut Section<'_>) -> String {
    let value = section.optional("service");
    let service = value.and_then(|value| {
        let text = value.text()?;
        if text.chars().count() > SERVICE_LENGTH {
            value.fault("the name is longer than 100 characters", "choose a shorter one");
        }
        Some(text)
    });
    service.unwrap_or_else(|| "Portcullis".to_owned())
}

fn reset_url(section: &mut Section<'_>) -> Option<ResetLink> {
    let Some(value) = section.optional("reset_url") else { return ResetLink::parse(DEFAULT_LINK).ok() };
    let link = match ResetLink::parse(&value.text()?) {
        Ok(link) => link,
        Err(problem) => {
            value.fault(problem.to_string(), LINK);
            return None;
        }
    };
    if link.scheme() == Scheme::Http {
        value.warn("whoever is on the way can read the token and set the password", "write https");
    }
    if link.place() == Place::Path {
        let problem = "the token stands in the path, and so in the logs of every server on the way to the page";
        value.warn(problem, "put it behind a #, where a browser keeps it to itself");
    }
    Some(link)
}

fn transport(value: &Value<'_>) -> Option<MailTransport> {
    if !value.is_mapping() {
        return match value.text()?.as_str() {
            "log" => {
                let problem = "whoever reads the log can follow the links in mails and set passwords";
                value.warn(problem, "write it for trying out only; otherwise { directory: PATH } or { smtp: … }");
                Some(MailTransport::Log)
            }
            _ => {
                value.fault(format!("{} is no way to send mail", value.written()), TRANSPORTS);
                None
            }
        };
    }
    let mut section = Section::of(value);
    match (section.optional("directory"), section.optional("smtp")) {
        (Some(directory), None) => directory.file_path().map(MailTransport::Directory),
        (None, Some(smtp)) => self::smtp(Section::of(&smtp)).map(MailTransport::Smtp),
        (Some(_), Some(_)) => {
            value.fault("mail goes one way or the other", "keep one of directory and smtp");
            None
        }
        (None, None) => {
            value.fault("it does not say where mail goes", TRANSPORTS);
            None
        }
    }
}

fn smtp(mut section: Section<'_>) -> Option<Smtp> {
    let host = section.required("host", "write the name of the mail server").and_then(|value| {
        let parse = |text: &str| (text.parse::<IpAddr>().is_ok() || is_name(text)).then(|| text.to_ascii_lowercase());
        value.parsed(parse, "a host", "write a name or an address, without a port")
    });
    let words = [("implicit", SmtpTls::Implicit), ("starttls", SmtpTls::StartTls), ("none", SmtpTls::None)];
    let tls = section.choice("tls", SmtpTls::Implicit, &words);
    // RFC 8314 7.3, RFC 6409 3.1, RFC 5321 4.5.4.2.
    let default_port = match tls {
        SmtpTls::Implicit => 465,
        SmtpTls::StartTls => 587,
        SmtpTls::None => 25,
    };
    let port = section.integer("port", default_port, 1..=u16::MAX);
    if (tls, port) == (SmtpTls::Implicit, 587) {
        section.warn("port", "servers expect STARTTLS there", "write tls: starttls, or port 465");
    }
    let ca = section.optional("ca").and_then(|value| {
        let path = value.file_path()?;
        if !path.is_file() {
            value.fault(format!("there is no file {}", path.display()), "name a file of PEM certificates");
        }
        Some(path)
    });
    let (username, password) = (section.optional("username"), section.optional("password"));
    let credentials = match (username, password) {
        (Some(username), Some(password)) => username.text().zip(secret_value::read(&password)),
        (None, None) => None,
        (Some(_), None) => {
            section.fault("password", "a user name without a password", "write password: { file: PATH }");
            None
        }
        (None, Some(_)) => {
            section.fault("username", "a password without a user name", "write username: NAME");
            None
        }
    };
    let hello_name = section.optional("hello_name").and_then(|value| {
        let parse = |text: &str| is_name(text).then(|| text.to_owned());
        value.parsed(parse, "a host name", "write the name of this machine, such as gate.example.org")
    });
    let timeout = section.duration("timeout", 60 * SECOND, SECOND..=120 * SECOND);
    if tls == SmtpTls::None {
        if host.as_deref().is_some_and(|host| !is_loopback(host)) {
            let problem = "mail with links that let their reader in would cross a network unencrypted";
            section.fault("tls", problem, "write implicit or starttls; none is for a server on this machine");
        }
        if ca.is_some() {
            section.fault("ca", "without TLS there is no certificate to check", "remove it, or turn TLS on");
        }
    }
    Some(Smtp { host: host?, port, tls, ca, credentials, hello_name, timeout })
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
