use std::time::Duration;

use super::listen;
use crate::config::secret_value;
use crate::config::section::Section;
use crate::config::server_certificate::Chain;
use crate::config::settings::{Https, ServerCertificate, TlsVersion};
use crate::config::value::Value;

const CERTIFICATES: &str = "write certificates: [{ certificate: fullchain.pem, key: privkey.pem }]";
const DAY: Duration = Duration::from_secs(86_400);

pub fn read(value: &Value<'_>) -> Option<Https> {
    let mut section = Section::of(value);
    let address = section
        .required("address", "write address: 0.0.0.0:8443")
        .and_then(|value| value.parsed(|text| text.parse().ok(), "an address with a port", listen::REMEDY));
    let listed = section.required("certificates", CERTIFICATES);
    if let Some(listed) = listed.as_ref().filter(|listed| listed.is_empty_list()) {
        listed.fault("there is no certificate", CERTIFICATES);
    }
    let certificates = listed.as_ref().map(Value::list).unwrap_or_default();
    let certificates = certificates.iter().filter_map(certificate).collect();
    let min_version =
        section.choice("min_version", TlsVersion::Tls12, &[("1.2", TlsVersion::Tls12), ("1.3", TlsVersion::Tls13)]);
    let hsts = section.optional("hsts").and_then(|value| value.duration(&(Duration::ZERO..=730 * DAY)));
    Some(Https { address: address?, certificates, min_version, hsts })
}

/// Both files are read here, so that what is wrong with them is found with all the rest, and when the configuration is
/// read again they are too.
fn certificate(value: &Value<'_>) -> Option<ServerCertificate> {
    let mut section = Section::of(value);
    let (certificate, key) =
        (section.required("certificate", CERTIFICATES), section.required("key", "write key: privkey.pem"));
    let chain = certificate.and_then(|value| {
        let path = value.file_path()?;
        let read = secret_value::read_secret_file(&path)
            .map_err(|problem| (problem, "name a readable file of certificates in PEM"))
            .and_then(|text| Chain::parse(text.expose()));
        let noted = read.map_err(|(problem, remedy)| {
            value.fault(format!("the file {} {problem}", path.display()), remedy);
        });
        let chain = noted.ok()?;
        if chain.names_nobody() {
            let problem = format!("the certificate in {} names no host, and clients check names", path.display());
            value.warn(problem, "have one issued that has subject alternative names");
        }
        Some(chain)
    });
    let (key, path) = key.and_then(|value| value.file_path().map(|path| (value, path)))?;
    secret_value::warn_if_shared(&key, &path);
    let text = match secret_value::read_secret_file(&path) {
        Ok(text) => text,
        Err(problem) => {
            let problem = format!("the file {} {problem}", path.display());
            key.fault(problem, "name a readable file of one private key in PEM");
            return None;
        }
    };
    match chain?.with_key(&text) {
        Ok(certificate) => Some(certificate),
        Err((problem, remedy)) => {
            key.fault(format!("the file {} {problem}", path.display()), remedy);
            None
        }
    }
}
