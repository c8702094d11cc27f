//! The key of an installation, in the hands of the benchmark: it signs further tokens, and tells rivals what to verify with.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis::crypto::jws::{self, Claims, KeyIds};
use portcullis::crypto::key_pair::{self, KeyPair};
use portcullis::crypto::key_set::KeySet;
use portcullis::domain::secret::Secret;
use portcullis::domain::signing_key::SigningAlgorithm;
use serde_json::{Value, json};

use crate::harness::Result;
use crate::harness::gateway::{random_hex, write_secret};
use crate::harness::process::{Cores, own_time};

pub const ALGORITHMS: [SigningAlgorithm; 4] =
    [SigningAlgorithm::Hs256, SigningAlgorithm::Rs256, SigningAlgorithm::Es256, SigningAlgorithm::EdDsa];
const TYPE: &str = "JWT";
/// Signatures that are verified in one go.
const VERIFIED: usize = 200;

pub struct Signer {
    pub algorithm: SigningAlgorithm,
    keys: KeySet,
    /// Where the secret or the private key is.
    private: PathBuf,
    /// The secret itself, or where the public key is in PEM.
    for_others: String,
}

impl Signer {
    /// Makes a key, as Portcullis would make it, and leaves it in this folder.
    pub fn make(algorithm: SigningAlgorithm, folder: &Path) -> Result<Self> {
        let private = folder.join("signing.key");
        if algorithm == SigningAlgorithm::Hs256 {
            let secret = random_hex(32)?;
            write_secret(&private, &secret)?;
            let key = KeyPair::from_secret(&Secret::new(secret.clone()));
            return Ok(Self { algorithm, keys: KeySet::new(Arc::new(key), []), private, for_others: secret });
        }
        let der = key_pair::generate(algorithm).map_err(|error| error.to_string())?;
        write_secret(&private, &pem("PRIVATE KEY", der.expose()))?;
        let key = KeyPair::from_pkcs8(algorithm, &der).map_err(|error| error.to_string())?;
        let public = folder.join("public.pem");
        fs::write(&public, pem("PUBLIC KEY", &public_half(algorithm, der.expose())?))
            .map_err(|error| format!("{}: {error}", public.display()))?;
        let for_others = public.display().to_string();
        Ok(Self { algorithm, keys: KeySet::new(Arc::new(key), []), private, for_others })
    }

    /// For `tokens.signing`.
    pub fn setting(&self) -> Value {
        let member = if self.algorithm == SigningAlgorithm::Hs256 { "secret" } else { "key" };
        json!({ "algorithm": self.algorithm.as_str(), member: { "file": self.private } })
    }

    /// What another program verifies with: the secret, or the path of the public key.
    pub fn for_others(&self) -> &str {
        &self.for_others
    }

    pub fn claims(&self, token: &str) -> Result<Claims> {
        jws::verify(token, &self.keys, KeyIds::Matched, Some(TYPE)).map_err(|error| error.to_string())
    }

    pub fn sign(&self, claims: &Claims) -> Result<String> {
        jws::sign(claims, self.keys.active(), TYPE, KeyIds::Matched).map_err(|error| error.to_string())
    }

    /// As many tokens as are wanted that differ from this one in their `jti`, and in what `change` does to them.
    pub fn vary(&self, token: &str, count: usize, change: impl Fn(usize, &mut Claims)) -> Result<Vec<String>> {
        let mut claims = self.claims(token)?;
        let mut vary = |number: usize| {
            claims.insert("jti".to_owned(), json!(format!("{number:032x}")));
            change(number, &mut claims);
            self.sign(&claims)
        };
        (0..count).map(&mut vary).collect()
    }

    /// Microseconds on one of the measured cores for nothing but checking this token's signature.
    pub fn verification_time(&self, token: &str, cores: &Cores) -> Result<f64> {
        let (message, signature) = token.rsplit_once('.').ok_or("a token without a signature")?;
        let work = || -> Result<f64> {
            cores.measured()?;
            let before = own_time()?;
            let verified = (0..VERIFIED).filter(|_| self.keys.active().verifies(message.as_bytes(), signature)).count();
            let spent = (own_time()? - before) / VERIFIED as f64;
            if verified == VERIFIED { Ok(spent) } else { Err("a signature does not hold".to_owned()) }
        };
        // A thread of its own, as it does not come back from that core.
        std::thread::scope(|scope| scope.spawn(work).join()).map_err(|_| "a verification panicked".to_owned())?
    }
}

/// `SubjectPublicKeyInfo` (RFC 5280 4.1) of a private key in PKCS#8.
fn public_half(algorithm: SigningAlgorithm, private: &[u8]) -> Result<Vec<u8>> {
    let rejected = |error: aws_lc_rs::error::KeyRejected| format!("{algorithm}: {error}");
    let der = match algorithm {
        SigningAlgorithm::Hs256 => return Err("HS256 has no public key".to_owned()),
        SigningAlgorithm::Rs256 => {
            let pair = aws_lc_rs::rsa::KeyPair::from_pkcs8(private).map_err(rejected)?;
            AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key())
        }
        SigningAlgorithm::Es256 => {
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private).map_err(rejected)?;
            AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key())
        }
        SigningAlgorithm::EdDsa => {
            let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(private).map_err(rejected)?;
            AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key())
        }
    };
    der.map(|der| der.as_ref().to_vec()).map_err(|_| format!("{algorithm}: the public key cannot be written"))
}

/// RFC 7468 2.
fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap_or_default()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
