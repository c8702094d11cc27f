use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::crypto::key_pair::generate;
use crate::domain::secret::Secret;
use crate::domain::signing_key::SigningAlgorithm;

fn pair(algorithm: SigningAlgorithm) -> Arc<KeyPair> {
    Arc::new(match algorithm {
        SigningAlgorithm::Hs256 => KeyPair::from_secret(&Secret::new("0123456789abcdef0123456789abcdef".to_owned())),
        _ => KeyPair::from_pkcs8(algorithm, &generate(algorithm).unwrap()).unwrap(),
    })
}

fn keys(algorithm: SigningAlgorithm) -> KeySet {
    KeySet::new(pair(algorithm), [])
}

fn claims() -> Claims {
    json!({"sub": "17", "exp": 4_000_000_000_u64}).as_object().unwrap().clone()
}

fn token(keys: &KeySet) -> String {
    sign(&claims(), keys.active(), "JWT", KeyIds::Matched).unwrap()
}

fn flaw(token: &str, keys: &KeySet) -> Flaw {
    verify(token, keys, KeyIds::Matched, Some("JWT")).unwrap_err().0
}

/// A token with this header and payload, rightly signed.
fn forge(header: &str, payload: &str, key: &KeyPair) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    format!("{message}.{}", key.sign(message.as_bytes()).unwrap())
}

#[test]
fn signed_claims_come_back_under_every_algorithm() {
    for algorithm in SigningAlgorithm::ALL {
        let keys = keys(algorithm);
        assert_eq!(verify(&token(&keys), &keys, KeyIds::Matched, Some("JWT")), Ok(claims()), "{algorithm}");
    }
}

#[test]
fn every_other_spelling_is_refused() {
    let keys = keys(SigningAlgorithm::Es256);
    let good = token(&keys);
    let (head, tail) = good.split_at(good.len() - 1);
    for bad in [
        format!("{good}="),
        format!("{good}."),
        format!(".{good}"),
        format!("{good}.x"),
        head.to_owned(),
        good.replace('.', ""),
        good.replace('_', "/").replace('-', "+") + " ",
        format!("{head}{}", if tail == "A" { "B" } else { "A" }),
        String::new(),
        "..".to_owned(),
        "a.b.c".to_owned(),
    ] {
        assert!(verify(&bad, &keys, KeyIds::Matched, None).is_err(), "{bad}");
    }
    assert_eq!(flaw(&"a".repeat(MAX_TOKEN_BYTES + 1), &keys), Flaw::TooLong);
}

#[test]
fn the_algorithm_is_the_keys_and_not_the_headers() {
    let keys = keys(SigningAlgorithm::Es256);
    let key = keys.active();
    for alg in [r#""none""#, r#""None""#, r#""HS256""#, r#""RS256""#, r#""es256""#, "1", "null", r#"["ES256"]"#] {
        let token = forge(&format!(r#"{{"alg":{alg},"typ":"JWT"}}"#), "{}", key);
        assert!(matches!(flaw(&token, &keys), Flaw::Algorithm | Flaw::NoKey), "{alg}");
    }
    // A public key used as an HMAC secret.
    let public = serde_json::to_string(key.public_jwk().unwrap()).unwrap();
    let confused = KeyPair::from_secret(&Secret::new(public));
    let token = forge(r#"{"alg":"HS256","typ":"JWT"}"#, "{}", &confused);
    assert_eq!(flaw(&token, &keys), Flaw::NoKey);
    // No signature at all.
    let unsigned = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode("{}"));
    assert!(verify(&unsigned, &keys, KeyIds::Matched, None).is_err());
}

#[test]
fn header_members_that_lead_elsewhere_are_refused() {
    let keys = keys(SigningAlgorithm::Es256);
    for member in [
        r#""crit":[]"#,
        r#""crit":["exp"]"#,
        r#""b64":false"#,
        r#""zip":"DEF""#,
        r#""jku":"https://evil.example/""#,
        r#""jwk":{}"#,
        r#""x5u":"https://evil.example/""#,
        r#""x5c":[]"#,
        r#""kid":1"#,
        r#""kid":["x"]"#,
    ] {
        let token = forge(&format!(r#"{{"alg":"ES256","typ":"JWT",{member}}}"#), "{}", keys.active());
        assert_eq!(flaw(&token, &keys), Flaw::HeaderMember, "{member}");
    }
    for (kid, expected) in [("../../etc/passwd", Flaw::NoKey), ("", Flaw::NoKey)] {
        let token = forge(&format!(r#"{{"alg":"ES256","typ":"JWT","kid":"{kid}"}}"#), "{}", keys.active());
        assert_eq!(flaw(&token, &keys), expected, "{kid}");
    }
}

#[test]
fn types_keep_tokens_apart() {
    let keys = keys(SigningAlgorithm::Es256);
    let assertion = sign(&claims(), keys.active(), "portcullis-assertion+jwt", KeyIds::Matched).unwrap();
    assert_eq!(flaw(&assertion, &keys), Flaw::Type);
    assert!(verify(&assertion, &keys, KeyIds::Matched, Some("portcullis-assertion+JWT")).is_ok());
}

#[test]
fn payloads_are_strict_objects() {
    let keys = keys(SigningAlgorithm::Hs256);
    for payload in ["[]", "1", "null", "", r#"{"a":1,"a":2}"#, "{}{}", "\u{feff}{}"] {
        let token = forge(r#"{"alg":"HS256","typ":"JWT"}"#, payload, keys.active());
        assert_eq!(flaw(&token, &keys), Flaw::PayloadJson, "{payload}");
    }
    let token = forge(r#"{"alg":"HS256","typ":"JWT","typ":"JWT"}"#, "{}", keys.active());
    assert_eq!(flaw(&token, &keys), Flaw::HeaderJson);
}

#[test]
fn two_keys_verify_at_once_and_kid_selects() {
    let (old, new) = (pair(SigningAlgorithm::Es256), pair(SigningAlgorithm::Es256));
    let before = KeySet::new(Arc::clone(&old), []);
    let during = KeySet::new(Arc::clone(&new), [Arc::clone(&old)]);
    let after = KeySet::new(new, []);
    let issued = token(&before);
    assert!(verify(&issued, &during, KeyIds::Matched, None).is_ok());
    assert_eq!(verify(&issued, &after, KeyIds::Matched, None), Err(NotSigned(Flaw::NoKey)));
    let anonymous = forge(r#"{"alg":"ES256","typ":"JWT"}"#, "{}", &old);
    assert!(verify(&anonymous, &during, KeyIds::Matched, None).is_err(), "no kid, two candidates");
    assert!(verify(&anonymous, &during, KeyIds::Ignored, None).is_ok());
}

#[test]
fn rfc_7515_appendix_a_1_verifies() {
    let key = URL_SAFE_NO_PAD
        .decode("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
        .unwrap();
    let decoding = jsonwebtoken::DecodingKey::from_secret(&key);
    let message = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    let verified =
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &decoding, jsonwebtoken::Algorithm::HS256);
    assert!(verified.unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn arbitrary_text_is_refused_without_a_panic(text in ".{0,200}") {
        let keys = keys(SigningAlgorithm::Hs256);
        prop_assert!(verify(&text, &keys, KeyIds::Ignored, None).is_err());
    }

    #[test]
    fn one_changed_character_breaks_a_token(position in 0usize..400, replacement in "[A-Za-z0-9._-]") {
        let keys = keys(SigningAlgorithm::Hs256);
        let good = token(&keys);
        let position = position % good.len();
        let mut bytes = good.clone().into_bytes();
        bytes[position] = replacement.as_bytes()[0];
        let changed = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(verify(&changed, &keys, KeyIds::Matched, None).is_ok(), changed == good);
    }
}
