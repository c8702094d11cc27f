//! Tokens made and taken apart by hand, without the code under test.

use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::{digest, hmac, rand, signature};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn part(token: &str, index: usize) -> String {
    let part = token.split('.').nth(index).unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// The header as it is written.
pub fn header(token: &str) -> String {
    part(token, 0)
}

pub fn claims(token: &str) -> Value {
    serde_json::from_str(&part(token, 1)).unwrap()
}

/// The names of the claims in the order in which they are written.
pub fn claim_names(token: &str) -> Vec<String> {
    claims(token).as_object().unwrap().keys().cloned().collect()
}

/// `claims` with one of them set.
pub fn with(claims: &Value, name: &str, value: impl Into<Value>) -> Value {
    let mut changed = claims.clone();
    changed[name] = value.into();
    changed
}

/// `claims` with one of them taken out.
pub fn without(claims: &Value, name: &str) -> Value {
    let mut changed = claims.clone();
    changed.as_object_mut().unwrap().shift_remove(name);
    changed
}

/// Signs whatever is given as header and payload, JSON or not.
pub fn hmac(algorithm: hmac::Algorithm, secret: &[u8], header: &str, payload: &str) -> String {
    let message = format!("{}.{}", base64url(header), base64url(payload));
    let tag = hmac::sign(&hmac::Key::new(algorithm, secret), message.as_bytes());
    format!("{message}.{}", base64url(tag))
}

pub const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// A token as the Django stack makes it.
pub fn hs256(secret: &str, claims: &Value) -> String {
    hmac(hmac::HMAC_SHA256, secret.as_bytes(), HS256, &claims.to_string())
}

/// A P-256 key in the hands of the test.
pub struct Es256 {
    pair: signature::EcdsaKeyPair,
    /// PKCS#8, for the configuration.
    pub pem: String,
    /// The RFC 7638 thumbprint.
    pub kid: String,
}

impl Es256 {
    pub fn generate() -> Self {
        let algorithm = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
        let der = signature::EcdsaKeyPair::generate_pkcs8(algorithm, &rand::SystemRandom::new()).unwrap();
        let pair = signature::EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref()).unwrap();
        let pem =
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
        // An uncompressed point: 4, x, y (SEC 1, 2.3.3).
        let point = pair.public_key().as_ref().to_vec();
        let (x, y) = (base64url(&point[1..33]), base64url(&point[33..]));
        let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let kid = base64url(digest::digest(&digest::SHA256, canonical.as_bytes()));
        Self { pair, pem, kid }
    }

    pub fn header(&self) -> String {
        format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{}"}}"#, self.kid)
    }

    /// Signs whatever is given as header and payload.
    pub fn sign(&self, header: &str, payload: &str) -> String {
        let message = format!("{}.{}", base64url(header), base64url(payload));
        let signature = self.pair.sign(&rand::SystemRandom::new(), message.as_bytes()).unwrap();
        format!("{message}.{}", base64url(signature))
    }

    pub fn token(&self, claims: &Value) -> String {
        self.sign(&self.header(), &claims.to_string())
    }

    /// The public half in the forms in which somebody might mistake it for a shared secret.
    pub fn public_forms(&self) -> Vec<Vec<u8>> {
        let point = self.pair.public_key().as_ref().to_vec();
        // SubjectPublicKeyInfo for P-256 is this prefix and the point (RFC 5480 2).
        let mut der = vec![
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
            0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        der.extend_from_slice(&point);
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(&der));
        vec![point, der, pem.clone().into_bytes(), pem.trim_end().as_bytes().to_vec()]
    }
}
