//! A key that signs, or only verifies, pinned to one algorithm for its whole life.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

use crate::domain::secret::Secret;
use crate::domain::signing_key::SigningAlgorithm;

pub struct KeyPair {
    algorithm: SigningAlgorithm,
    kid: String,
    signing: EncodingKey,
    verifying: DecodingKey,
    /// Absent for a shared secret, which is never published.
    public: Option<Jwk>,
}

impl std::fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyPair({} {})", self.algorithm, self.kid)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    #[error("it is not a private key in PKCS#8 PEM for {0}")]
    NotReadable(SigningAlgorithm),
    #[error("{0} keys are shared secrets and cannot be generated")]
    NotGenerated(SigningAlgorithm),
    #[error("the cryptographic library could not make a key")]
    Generation,
}

/// The library's name for one of our algorithms.
pub const fn library_algorithm(algorithm: SigningAlgorithm) -> Algorithm {
    match algorithm {
        SigningAlgorithm::Es256 => Algorithm::ES256,
        SigningAlgorithm::EdDsa => Algorithm::EdDSA,
        SigningAlgorithm::Rs256 => Algorithm::RS256,
        SigningAlgorithm::Hs256 => Algorithm::HS256,
    }
}

/// Makes a private key, in PKCS#8 DER.
pub fn generate(algorithm: SigningAlgorithm) -> Result<Secret<Vec<u8>>, BadKey> {
    let random = SystemRandom::new();
    let der = match algorithm {
        SigningAlgorithm::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map(|document| document.as_ref().to_vec()),
        SigningAlgorithm::EdDsa => {
            // Version 1, without the public key: the form that the JWT library reads.
            Ed25519KeyPair::generate_pkcs8v1(&random).map(|document| document.as_ref().to_vec())
        }
        SigningAlgorithm::Rs256 => {
            aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa3072).and_then(|pair| {
                AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).map(|der| der.as_ref().to_vec())
            })
        }
        SigningAlgorithm::Hs256 => return Err(BadKey::NotGenerated(algorithm)),
    };
    der.map(Secret::new).map_err(|_| BadKey::Generation)
}

impl KeyPair {
    /// From a private key in PKCS#8 DER.
    pub fn from_pkcs8(algorithm: SigningAlgorithm, der: &Secret<Vec<u8>>) -> Result<Self, BadKey> {
        let body = Secret::new(STANDARD.encode(der.expose()));
        let pem = Secret::new(format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", body.expose()));
        Self::from_pem(algorithm, &pem)
    }

    /// From a private key in PKCS#8 PEM (RFC 7468 10).
    pub fn from_pem(algorithm: SigningAlgorithm, pem: &Secret<String>) -> Result<Self, BadKey> {
        let bytes = pem.expose().as_bytes();
        let unreadable = |_| BadKey::NotReadable(algorithm);
        let signing = match algorithm {
            SigningAlgorithm::Es256 => EncodingKey::from_ec_pem(bytes),
            SigningAlgorithm::EdDsa => EncodingKey::from_ed_pem(bytes),
            SigningAlgorithm::Rs256 => EncodingKey::from_rsa_pem(bytes),
            SigningAlgorithm::Hs256 => return Err(BadKey::NotGenerated(algorithm)),
        }
        .map_err(unreadable)?;
        let mut public = Jwk::from_encoding_key(&signing, library_algorithm(algorithm)).map_err(unreadable)?;
        let verifying = DecodingKey::from_jwk(&public).map_err(unreadable)?;
        let kid = public.thumbprint(ThumbprintHash::SHA256).map_err(unreadable)?;
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        let pair = Self { algorithm, kid, signing, verifying, public: Some(public) };
        // A key for another curve, or an RSA key that is too short, parses and then cannot sign what it verifies.
        let probe = pair.sign(b"probe").map_err(|_| BadKey::NotReadable(algorithm))?;
        if pair.verifies(b"probe", &probe) { Ok(pair) } else { Err(BadKey::NotReadable(algorithm)) }
    }

    /// From a shared secret, for HS256. Its `kid` says nothing about the secret.
    pub fn from_secret(secret: &Secret<String>) -> Self {
        let bytes = secret.expose().as_bytes();
        Self {
            algorithm: SigningAlgorithm::Hs256,
            kid: "hs256".to_owned(),
            signing: EncodingKey::from_secret(bytes),
            verifying: DecodingKey::from_secret(bytes),
            public: None,
        }
    }

    pub const fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    /// The RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The public half as a JWK (RFC 7517), without any private member.
    pub fn public_jwk(&self) -> Option<&Jwk> {
        self.public.as_ref().filter(|jwk| !matches!(jwk.algorithm, AlgorithmParameters::OctetKey(_)))
    }

    /// Signs; the signature comes in base64url.
    pub fn sign(&self, message: &[u8]) -> Result<String, SigningFailed> {
        jsonwebtoken::crypto::sign(message, &self.signing, library_algorithm(self.algorithm))
            .map_err(|e| SigningFailed(e.to_string()))
    }

    /// Checks a signature in base64url. Any fault is "no".
    pub fn verifies(&self, message: &[u8], signature: &str) -> bool {
        jsonwebtoken::crypto::verify(signature, message, &self.verifying, library_algorithm(self.algorithm))
            .unwrap_or(false)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the key could not sign: {0}")]
pub struct SigningFailed(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_generated_key_signs_and_publishes_only_its_public_half() {
        for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa, SigningAlgorithm::Rs256] {
            let der = generate(algorithm).unwrap();
            let pair = KeyPair::from_pkcs8(algorithm, &der).unwrap();
            let signature = pair.sign(b"message").unwrap();
            assert!(pair.verifies(b"message", &signature));
            assert!(!pair.verifies(b"messagE", &signature));
            assert!(!pair.verifies(b"message", ""));
            let jwk = serde_json::to_value(pair.public_jwk().unwrap()).unwrap();
            assert_eq!(jwk["alg"], algorithm.as_str());
            assert_eq!(jwk["use"], "sig");
            assert_eq!(jwk["kid"], pair.kid());
            for private in ["d", "p", "q", "dp", "dq", "qi", "k", "oth"] {
                assert!(jwk.get(private).is_none(), "{private}");
            }
            assert_eq!(KeyPair::from_pkcs8(algorithm, &der).unwrap().kid(), pair.kid(), "the kid is a thumbprint");
        }
    }

    #[test]
    fn a_key_of_one_kind_is_refused_for_another() {
        let der = generate(SigningAlgorithm::Es256).unwrap();
        for algorithm in [SigningAlgorithm::EdDsa, SigningAlgorithm::Rs256] {
            assert!(KeyPair::from_pkcs8(algorithm, &der).is_err());
        }
        assert!(KeyPair::from_pem(SigningAlgorithm::Es256, &Secret::new("nonsense".to_owned())).is_err());
    }

    #[test]
    fn a_shared_secret_is_never_published() {
        let pair = KeyPair::from_secret(&Secret::new("0123456789abcdef0123456789abcdef".to_owned()));
        assert!(pair.public_jwk().is_none());
        assert!(pair.verifies(b"m", &pair.sign(b"m").unwrap()));
    }
}
