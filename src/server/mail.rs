//! Mail, put together as the settings say.

use std::sync::Arc;

use super::start_error::StartError;
use crate::backends::mail::{
    Composer, DirectoryCarrier, LogCarrier, SmtpCarrier, SmtpSettings, SmtpTls as CarrierTls, UnusableMail,
};
use crate::config::settings::{Mail, MailTransport, Smtp, SmtpTls};
use crate::identity::mail_templates::Templates;
use crate::storage::mail_carrier::MailCarrier;

/// What writes mail, and what takes it away.
pub struct MailRoom {
    pub templates: Arc<Templates>,
    pub carrier: Arc<dyn MailCarrier>,
}

impl MailRoom {
    /// Finds everything that is wrong with the files that the settings name, and needs no store for it.
    pub fn open(settings: &Mail) -> Result<Self, StartError> {
        Ok(Self { templates: Arc::new(templates(settings)?), carrier: carrier(settings)? })
    }
}

/// Says so where mail reaches nobody but the readers of the log.
pub fn announce(settings: &Mail) {
    if matches!(settings.transport, MailTransport::Log) {
        tracing::warn!(
            setting = "mail.transport",
            "mail is written to this log, with links that let their reader in: not for accounts of real people"
        );
    }
}

/// As [`MailRoom::open`], but makes no directory.
pub fn check(settings: &Mail) -> Result<(), StartError> {
    templates(settings)?;
    let composer = Composer::new(&settings.from)?;
    if let MailTransport::Smtp(smtp) = &settings.transport {
        SmtpCarrier::new(smtp_settings(smtp), composer)?;
    }
    Ok(())
}

pub fn templates(settings: &Mail) -> Result<Templates, StartError> {
    Templates::load(settings.templates.as_deref(), &settings.service).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        StartError::MailTemplates(lines.join("\n"))
    })
}

fn carrier(settings: &Mail) -> Result<Arc<dyn MailCarrier>, UnusableMail> {
    let composer = Composer::new(&settings.from)?;
    Ok(match &settings.transport {
        MailTransport::Log => Arc::new(LogCarrier),
        MailTransport::Directory(path) => Arc::new(DirectoryCarrier::new(path.clone(), composer)?),
        MailTransport::Smtp(smtp) => Arc::new(SmtpCarrier::new(smtp_settings(smtp), composer)?),
    })
}

fn smtp_settings(smtp: &Smtp) -> SmtpSettings {
    SmtpSettings {
        host: smtp.host.clone(),
        port: smtp.port,
        tls: match smtp.tls {
            SmtpTls::Implicit => CarrierTls::Implicit,
            SmtpTls::StartTls => CarrierTls::StartTls,
            SmtpTls::None => CarrierTls::None,
        },
        ca: smtp.ca.clone(),
        credentials: smtp.credentials.clone(),
        hello_name: smtp.hello_name.clone(),
        timeout: smtp.timeout,
    }
}
