use crate::config::secret_strength::{is_hex, weakness};
use crate::config::secret_value;
use crate::config::section::Section;
use crate::config::settings::{Compatibility, Signing};
use crate::config::suggestion;
use crate::config::value::Value;
use crate::domain::secret::Secret;
use crate::domain::signing_key::SigningAlgorithm;

const SHARED: &str = "write signing: { algorithm: HS256, secret: { file: PATH } }";
const PEM: &str = "write key: { file: PATH }, or signing: ES256 for a key that is made and kept here";
const STRONGER: &str = "make one with: openssl rand -base64 48";

/// `tokens.signing`: the name of an algorithm, or an algorithm and its key.
pub fn read(tokens: &mut Section<'_>, compatibility: Compatibility) -> Option<Signing> {
    let default = Signing::Generated(SigningAlgorithm::Es256);
    let value = if compatibility == Compatibility::Django {
        tokens.required(
            "signing",
            "name the key of the Django installation: signing: { algorithm: HS256, secret: { file: PATH } }",
        )?
    } else {
        let Some(value) = tokens.optional("signing") else { return Some(default) };
        value
    };
    if value.is_mapping() {
        return with_key(&value, compatibility);
    }
    match algorithm(&value)? {
        SigningAlgorithm::Hs256 => {
            value.fault("HS256 needs a secret", SHARED);
            None
        }
        algorithm => Some(Signing::Generated(algorithm)),
    }
}

fn with_key(value: &Value<'_>, compatibility: Compatibility) -> Option<Signing> {
    let mut section = Section::of(value);
    let algorithm = section.required("algorithm", "write algorithm: HS256, RS256, ES256 or EdDSA");
    let (secret, key) = (section.optional("secret"), section.optional("key"));
    let algorithm = self::algorithm(&algorithm?)?;
    if algorithm == SigningAlgorithm::Hs256 {
        if key.is_some() {
            section.fault("key", "HS256 has a secret and no key", SHARED);
        }
        let Some(secret) = secret else {
            section.fault("secret", "this is required", SHARED);
            return None;
        };
        let text = secret_value::read(&secret)?;
        judge_secret(&secret, &text, compatibility);
        return Some(Signing::SharedSecret(text));
    }
    if secret.is_some() {
        section.fault("secret", format!("{algorithm} has a key and no secret"), PEM);
    }
    let Some(key) = key else {
        section.fault("key", "this is required", PEM);
        return None;
    };
    let pem = secret_value::read(&key)?;
    judge_pem(&key, &pem);
    Some(Signing::Pem { algorithm, pem })
}

/// Not quoted when it is none: a secret is easily written one level too high.
fn algorithm(value: &Value<'_>) -> Option<SigningAlgorithm> {
    let text = value.text()?;
    let algorithm = SigningAlgorithm::parse(&text);
    if algorithm.is_none() {
        let names = SigningAlgorithm::ALL.map(SigningAlgorithm::as_str);
        value.fault("this is not a signing algorithm", suggestion::remedy(&text, &names));
    }
    algorithm
}

/// An HMAC secret can be guessed by whoever holds one token (RFC 8725 3.5), so a weak one is no key at all. The key of
/// an existing Django installation may be somewhat weaker, because changing it there ends every session.
fn judge_secret(value: &Value<'_>, secret: &Secret<String>, compatibility: Compatibility) {
    let django = compatibility == Compatibility::Django;
    let text = secret.expose();
    let weak = |problem: &str| {
        if django {
            value.warn(problem, STRONGER);
        } else {
            value.fault(problem, STRONGER);
        }
    };
    // What everybody knows of it adds nothing.
    let own = text.strip_prefix("django-insecure-").unwrap_or(text);
    if own.len() < 16 {
        return value.fault("the secret is shorter than 16 bytes, so whoever holds a token can guess it", STRONGER);
    }
    if let Some(problem) = weakness(own) {
        return value.fault(problem, STRONGER);
    }
    if own != text {
        weak("the secret begins with django-insecure-, so it was made for development");
    } else if text.len() < 32 {
        weak("the secret is shorter than 32 bytes");
    } else if is_hex(text) && text.len() < 64 {
        weak("the secret is of hex digits, which need 64 of them for 32 bytes");
    }
}

/// Whether it is a private key in the one container that is read; what is inside is looked at where it is used.
fn judge_pem(value: &Value<'_>, pem: &Secret<String>) {
    let text = pem.expose();
    let convert = "convert it with: openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW";
    if text.contains("-----BEGIN PRIVATE KEY-----") && text.contains("-----END PRIVATE KEY-----") {
        return;
    }
    if text.contains("PUBLIC KEY-----") || text.contains("BEGIN CERTIFICATE") {
        value.fault("this is public, and signing needs the private key", "name the private key in PKCS#8 PEM");
    } else if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        value.fault("the private key is encrypted", convert);
    } else if text.contains("PRIVATE KEY-----") {
        value.fault("the private key is not in PKCS#8", convert);
    } else {
        value.fault(
            "this is not a private key in PEM",
            "make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        );
    }
}
