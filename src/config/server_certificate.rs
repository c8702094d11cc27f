//! Certificates and their keys, from the text of PEM files. What is wrong is a clause about the file, and a remedy.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::settings::ServerCertificate;
use crate::domain::clock::Timestamp;
use crate::domain::secret::Secret;

const FIRST: &str = "name a file of PEM certificates with the server's own first, such as fullchain.pem";

type Unusable = (String, &'static str);

/// A server's certificate, followed by those that lead from it to a root.
pub struct Chain {
    certificates: Vec<CertificateDer<'static>>,
    names: Vec<String>,
    has_addresses: bool,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl Chain {
    pub fn parse(text: &str) -> Result<Self, Unusable> {
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        let certificates = certificates.map_err(|error| (format!("is not PEM: {error}"), FIRST))?;
        let Some(own) = certificates.first() else {
            return Err(("holds no certificate in PEM".to_owned(), FIRST));
        };
        let unreadable = || ("holds a certificate that cannot be read".to_owned(), FIRST);
        for certificate in &certificates {
            X509Certificate::from_der(certificate).map_err(|_| unreadable())?;
        }
        // Clients that are as strict as we are would not take it.
        ParsedCertificate::try_from(own).map_err(|_| unreadable())?;
        let (_, own) = X509Certificate::from_der(own).map_err(|_| unreadable())?;
        let alternatives = own.subject_alternative_name().map_err(|_| unreadable())?;
        let (mut names, mut has_addresses) = (Vec::new(), false);
        for name in alternatives.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::DNSName(name) => names.push(name.to_ascii_lowercase()),
                GeneralName::IPAddress(_) => has_addresses = true,
                _ => {}
            }
        }
        let at = |time: x509_parser::time::ASN1Time| Timestamp::from_secs(time.timestamp());
        let (not_before, not_after) = (at(own.validity().not_before), at(own.validity().not_after));
        Ok(Self { names, has_addresses, not_before, not_after, certificates })
    }

    /// It says for whom it is nowhere but in its subject, where nobody looks any more (RFC 9525 2).
    pub fn names_nobody(&self) -> bool {
        self.names.is_empty() && !self.has_addresses
    }

    pub fn with_key(self, text: &Secret<String>) -> Result<ServerCertificate, Unusable> {
        let text = text.expose();
        if text.contains("ENCRYPTED") {
            let remedy = "decrypt it with: openssl pkey -in OLD -out NEW, and chmod 600 NEW";
            return Err(("holds a private key that is encrypted".to_owned(), remedy));
        }
        let pem = "name the file of the certificate's private key in PEM, such as privkey.pem";
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes())
            .map_err(|_| ("holds no private key in PEM".to_owned(), pem))?;
        let kinds = "use a key for RSA of at least 2048 bits, for ECDSA on P-256 or P-384, or for Ed25519";
        let certified =
            CertifiedKey::from_der(self.certificates, key, &ring::default_provider()).map_err(|error| match error {
                Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    ("holds the private key of another certificate".to_owned(), FIRST_OF_ITS_OWN)
                }
                _ => ("holds a private key of a kind that cannot be used".to_owned(), kinds),
            })?;
        let (names, not_before, not_after) = (self.names, self.not_before, self.not_after);
        Ok(ServerCertificate { names, not_before, not_after, key: Arc::new(certified) })
    }
}

const FIRST_OF_ITS_OWN: &str =
    "name the certificate and the key that were made for each other, and put the server's own certificate first";
