//! Every algorithm that tokens may be signed with, from the configuration to the published keys.

use std::collections::BTreeMap;

use crate::harness::forge;
use crate::harness::{DJANGO_SECRET, Plan, World};

/// Members of a JWK that make a key private or shared (RFC 7518 6).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Signs in, calls through, and looks at what is published. Gives the tokens' header and the published keys.
fn walk_through(tokens: &str, environment: &[(&str, &str)]) -> (serde_json::Value, Vec<serde_json::Value>) {
    let environment: BTreeMap<String, String> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut world = World::plan(Plan { tokens: Some(tokens.to_owned()), environment, ..Plan::default() });
    world.user("anna");
    let (access, refresh) = world.sign_in("anna");
    world.get_as("/", &access).seen();
    assert_eq!(world.refresh(&refresh).status, 200);
    let published = world.get("/.well-known/jwks.json", &[]);
    assert_eq!((published.status, published.header("content-type")), (200, Some("application/jwk-set+json")));
    assert_eq!(published.header("allow"), Some("GET, HEAD, OPTIONS"));
    let keys = published.json()["keys"].as_array().unwrap().clone();
    for key in &keys {
        for member in PRIVATE {
            assert!(key.get(member).is_none(), "{member}: {key}");
        }
        assert_eq!(key["use"], "sig");
        assert!(key["kid"].is_string() && key["alg"].is_string());
    }
    world.restart();
    world.get_as("/", &access).seen();
    assert_eq!(world.get("/.well-known/jwks.json", &[]).json(), published.json(), "the keys are kept");
    (serde_json::from_str(&forge::header(&access)).unwrap(), keys)
}

#[test]
fn generated_keys_sign_and_are_published_by_their_thumbprint() {
    for (algorithm, kind) in [("ES256", "EC"), ("EdDSA", "OKP"), ("RS256", "RSA")] {
        let (header, keys) = walk_through(&format!("{{ signing: {algorithm} }}"), &[]);
        assert_eq!(header["alg"], algorithm);
        let key = keys.iter().find(|key| key["kid"] == header["kid"]).unwrap();
        assert_eq!((&key["alg"], &key["kty"]), (&header["alg"], &serde_json::json!(kind)));
        assert_eq!(keys.len(), 2, "one for tokens, another for assertions: {keys:?}");
        let members = match kind {
            "EC" => vec!["crv", "kty", "x", "y"],
            "OKP" => vec!["crv", "kty", "x"],
            _ => vec!["e", "kty", "n"],
        };
        let canonical: Vec<_> = members.iter().map(|name| format!("\"{name}\":{}", key[name])).collect();
        let canonical = format!("{{{}}}", canonical.join(","));
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, canonical.as_bytes());
        assert_eq!(key["kid"], forge::base64url(digest), "RFC 7638");
    }
}

#[test]
fn a_key_from_the_configuration_signs() {
    let key = forge::Es256::generate();
    let tokens = "{ signing: { algorithm: ES256, key: \"${PEM}\" } }";
    let (header, keys) = walk_through(tokens, &[("PEM", &key.pem)]);
    assert_eq!(header["kid"], key.kid);
    assert!(keys.iter().any(|published| published["kid"] == key.kid));
}

#[test]
fn a_shared_secret_signs_and_is_never_published() {
    let tokens = "{ signing: { algorithm: HS256, secret: \"${SECRET}\" } }";
    let (header, keys) = walk_through(tokens, &[("SECRET", DJANGO_SECRET)]);
    assert_eq!(header["alg"], "HS256");
    assert_eq!(keys.len(), 1, "only the one for assertions");
    assert!(keys.iter().all(|key| key["kty"] == "EC" && key["kid"] != header["kid"]), "{keys:?}");
    let text = format!("{keys:?}");
    assert!(!text.contains(DJANGO_SECRET) && !text.contains(&forge::base64url(DJANGO_SECRET)));
}

#[test]
fn a_secret_in_a_file_is_the_same_secret() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("secret");
    std::fs::write(&file, format!("{DJANGO_SECRET}\n")).unwrap();
    let tokens = format!("{{ signing: {{ algorithm: HS256, secret: {{ file: \"{}\" }} }} }}", file.display());
    let world = World::plan(Plan { tokens: Some(tokens), ..Plan::default() });
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    let claims = forge::claims(&access).to_string();
    let header = forge::header(&access);
    let hmac = aws_lc_rs::hmac::HMAC_SHA256;
    assert_eq!(access, forge::hmac(hmac, DJANGO_SECRET.as_bytes(), &header, &claims));
}
