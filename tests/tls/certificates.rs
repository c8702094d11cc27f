//! A CA of the tests' own, what it issues, and clients that trust it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use serde_json::json;
use tempfile::TempDir;

const PYTHON: &str = "/usr/bin/python3";

pub struct Authority(TempDir);

impl Authority {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// `file.pem` and `file.key`, from yesterday on for a month; in place of those that were there.
    pub fn issue(&self, file: &str, names: &[&str]) {
        self.issue_with(file, names, "ec", -1, 30);
    }

    /// With another kind of key, and from and until these days from now on.
    pub fn issue_with(&self, file: &str, names: &[&str], key: &str, from: i32, until: i32) {
        let wanted = json!([{ "file": file, "names": names, "key": key, "from": from, "until": until }]).to_string();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tls/certificates.py");
        let made = Command::new(PYTHON).arg(script).arg(self.0.path()).arg(wanted).status().unwrap();
        assert!(made.success(), "the certificates were not made");
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// The certificate in `file.pem`, as a client is shown it.
    pub fn certificate(&self, file: &str) -> CertificateDer<'static> {
        CertificateDer::from_pem_file(self.path(&format!("{file}.pem"))).unwrap()
    }

    /// An item for the list of certificates in a configuration.
    pub fn item(&self, file: &str) -> String {
        let place = self.0.path().display();
        format!("{{ certificate: \"{place}/{file}.pem\", key: \"{place}/{file}.key\" }}")
    }

    pub fn client(&self) -> Arc<ClientConfig> {
        self.client_with(&[&TLS13, &TLS12], &[b"http/1.1"])
    }

    pub fn client_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        protocols: &[&[u8]],
    ) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.path("ca.pem")).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    }
}
