//! Which certificate a client is shown.
//!
//! The resolver that comes with rustls knows neither wildcards nor an answer for clients that name no host, or one that
//! no certificate is for.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// All certificates of a listener, in the order in which they are preferred.
#[derive(Debug, Default)]
pub struct Certificates {
    all: Vec<Arc<CertifiedKey>>,
    /// By host, or by `*.` and the host above it. Several for one name are of different kinds of key.
    by_name: HashMap<String, Vec<Arc<CertifiedKey>>>,
}

impl Certificates {
    /// `names` are in lower case.
    pub fn add(&mut self, names: &[String], key: &Arc<CertifiedKey>) {
        self.all.push(Arc::clone(key));
        for name in names {
            self.by_name.entry(name.clone()).or_default().push(Arc::clone(key));
        }
    }

    /// Without one for its host, a client is shown the first of all, and refuses it or not: who comes by an address, as a
    /// health check does, names no host.
    fn choose(&self, host: Option<&str>, schemes: &[SignatureScheme]) -> Option<&Arc<CertifiedKey>> {
        let candidates = host.and_then(|host| self.find(&host.to_ascii_lowercase())).unwrap_or(&self.all);
        let verifiable = candidates.iter().find(|key| key.key.choose_scheme(schemes).is_some());
        verifiable.or_else(|| candidates.first())
    }

    fn find(&self, host: &str) -> Option<&[Arc<CertifiedKey>]> {
        let wildcard = || host.split_once('.').and_then(|(_, above)| self.by_name.get(&format!("*.{above}")));
        self.by_name.get(host).or_else(wildcard).map(Vec::as_slice)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.choose(hello.server_name(), hello.signature_schemes()).cloned()
    }
}

#[cfg(test)]
mod tests {
    use rustls::SignatureAlgorithm;
    use rustls::sign::{Signer, SigningKey};

    use super::*;

    /// It signs nothing, and says what it would sign with.
    #[derive(Debug)]
    struct Kind(SignatureScheme);

    impl SigningKey for Kind {
        fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
            offered.contains(&self.0).then(|| Box::new(Self(self.0)) as _)
        }

        fn algorithm(&self) -> SignatureAlgorithm {
            SignatureAlgorithm::ECDSA
        }
    }

    impl Signer for Kind {
        fn sign(&self, _: &[u8]) -> Result<Vec<u8>, rustls::Error> {
            Ok(Vec::new())
        }

        fn scheme(&self) -> SignatureScheme {
            self.0
        }
    }

    const EC: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;
    const RSA: SignatureScheme = SignatureScheme::RSA_PSS_SHA256;

    fn chosen(certificates: &[(&[&str], SignatureScheme)], host: Option<&str>, schemes: &[SignatureScheme]) -> usize {
        let mut all = Certificates::default();
        let keys: Vec<_> = certificates
            .iter()
            .map(|(_, kind)| Arc::new(CertifiedKey::new(Vec::new(), Arc::new(Kind(*kind)))))
            .collect();
        for ((names, _), key) in certificates.iter().zip(&keys) {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            all.add(&names, key);
        }
        let chosen = all.choose(host, schemes).unwrap();
        keys.iter().position(|key| Arc::ptr_eq(key, chosen)).unwrap()
    }

    #[test]
    fn an_exact_name_comes_before_a_wildcard_and_a_wildcard_before_the_first() {
        let all: [(&[&str], _); 4] =
            [(&["first.test"], EC), (&["*.b.test"], EC), (&["a.b.test"], EC), (&["b.test", "*.c.test"], EC)];
        for (host, expected) in [
            (None, 0),
            (Some("first.test"), 0),
            (Some("nobody.test"), 0),
            (Some("a.b.test"), 2),
            (Some("A.B.Test"), 2),
            (Some("x.b.test"), 1),
            (Some("y.x.b.test"), 0),
            (Some("b.test"), 3),
            (Some("x.c.test"), 3),
            (Some("c.test"), 0),
            (Some("test"), 0),
            (Some(""), 0),
        ] {
            assert_eq!(chosen(&all, host, &[EC]), expected, "{host:?}");
        }
    }

    #[test]
    fn of_several_for_one_name_the_client_gets_the_first_that_it_can_verify() {
        let all: [(&[&str], _); 3] = [(&["other.test"], EC), (&["a.test"], EC), (&["a.test"], RSA)];
        assert_eq!(chosen(&all, Some("a.test"), &[RSA, EC]), 1);
        assert_eq!(chosen(&all, Some("a.test"), &[RSA]), 2);
        assert_eq!(chosen(&all, None, &[RSA]), 2);
        // It says by itself that it can do nothing with it.
        assert_eq!(chosen(&all, Some("a.test"), &[]), 1);
    }
}
