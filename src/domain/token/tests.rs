use proptest::prelude::*;
use serde_json::json;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);

fn strict() -> TokenRules {
    TokenRules {
        issuer: Some("portcullis".into()),
        audience: Some("api".into()),
        leeway: Duration::ZERO,
        strict: true,
        max_access_lifetime: Duration::from_secs(300),
        max_refresh_lifetime: Duration::from_secs(86_400),
    }
}

fn django() -> TokenRules {
    TokenRules { issuer: None, audience: None, strict: false, ..strict() }
}

fn ours() -> Value {
    json!({
        "token_type": "access", "exp": 1_000_100, "iat": 999_900, "jti": "j", "user_id": "17", "sub": "17",
        "iss": "portcullis", "aud": "api", "sid": "s", "amr": ["pwd"], "auth_time": 999_900,
    })
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}

fn judge(rules: &TokenRules, claims: Value) -> Result<TokenClaims, TokenFault> {
    rules.judge(claims.as_object().unwrap().clone(), Some(TokenType::Access), NOW)
}

#[test]
fn our_own_claims_hold() {
    let claims = judge(&strict(), ours()).unwrap();
    assert_eq!(claims.user_id, Some(UserId("17".into())));
    assert_eq!(claims.session_id, Some(SessionId("s".into())));
    assert_eq!(claims.amr, ["pwd"]);
}

#[test]
fn each_demanded_claim_is_demanded_with_its_type() {
    use TokenFault::*;
    for (name, missing, wrong) in [
        ("exp", NoExpiry, Invalid),
        ("iat", Invalid, Invalid),
        ("iss", Invalid, Invalid),
        ("aud", Invalid, Invalid),
        ("sub", Invalid, Invalid),
        ("jti", NoId, Invalid),
        ("sid", Invalid, Invalid),
        ("token_type", NoType, WrongType),
    ] {
        assert_eq!(judge(&strict(), without(ours(), name)).unwrap_err(), missing, "{name} missing");
        for value in [json!(true), json!({}), json!([]), json!(null), json!(1.5)] {
            assert_eq!(judge(&strict(), with(ours(), name, value.clone())).unwrap_err(), wrong, "{name}: {value}");
        }
    }
    for value in [json!("1000100"), json!("soon"), json!(1e300), json!(i64::MAX), json!(u64::MAX)] {
        assert_eq!(judge(&strict(), with(ours(), "exp", value.clone())).unwrap_err(), Invalid, "{value}");
    }
}

#[test]
fn time_is_kept_to_the_second() {
    use TokenFault::*;
    let at = |name: &str, secs: i64| judge(&strict(), with(ours(), name, json!(secs))).map(|_| ());
    assert_eq!(at("exp", 1_000_001), Ok(()));
    assert_eq!(at("exp", 1_000_000), Err(Expired));
    assert_eq!(at("iat", 1_000_000), Ok(()));
    assert_eq!(at("iat", 1_000_001), Err(Invalid));
    assert_eq!(at("nbf", 1_000_000), Ok(()));
    assert_eq!(at("nbf", 1_000_001), Err(Invalid));
    assert_eq!(at("exp", 999_900 + 301), Err(Invalid), "longer than any of our access tokens lives");
    let lenient = TokenRules { leeway: Duration::from_secs(30), ..strict() };
    assert!(judge(&lenient, with(ours(), "exp", json!(999_971))).is_ok());
    assert_eq!(judge(&lenient, with(ours(), "exp", json!(999_970))).unwrap_err(), Expired);
}

#[test]
fn issuer_and_audience_are_compared_whole() {
    for (name, value) in [
        ("iss", json!("portcullis2")),
        ("iss", json!("portculli")),
        ("iss", json!(["portcullis"])),
        ("aud", json!("ap")),
        ("aud", json!("api2")),
        ("aud", json!(["other"])),
        ("aud", json!([["api"]])),
        ("aud", json!(["api", 1])),
    ] {
        assert_eq!(
            judge(&strict(), with(ours(), name, value.clone())).unwrap_err(),
            TokenFault::Invalid,
            "{name} {value}"
        );
    }
    assert!(judge(&strict(), with(ours(), "aud", json!(["other", "api"]))).is_ok());
}

#[test]
fn types_exclude_each_other() {
    for other in ["refresh", "challenge", "reset", "Access", ""] {
        let fault = judge(&strict(), with(ours(), "token_type", json!(other))).unwrap_err();
        assert_eq!(fault, TokenFault::WrongType, "{other}");
    }
}

#[test]
fn the_django_reading() {
    let plain = json!({"token_type": "access", "exp": 1_000_100, "jti": "j", "user_id": 17});
    let id = |claims: Value| judge(&django(), claims).unwrap().user_id.map(|id| id.0);
    assert_eq!(id(plain.clone()), Some("17".into()));
    assert_eq!(id(with(plain.clone(), "user_id", json!("17"))), Some("17".into()));
    for junk in [json!(true), json!(1.0), json!(" 1 "), json!(""), json!(null), json!([1])] {
        assert_eq!(id(with(plain.clone(), "user_id", junk.clone())), None, "{junk}");
    }
    assert!(judge(&django(), with(plain.clone(), "exp", json!(1_000_000.5))).is_err());
    assert!(judge(&django(), with(plain.clone(), "exp", json!(1_000_001.5))).is_ok());
    assert_eq!(judge(&django(), with(plain.clone(), "exp", json!("x"))).unwrap_err(), TokenFault::Invalid);
    assert_eq!(judge(&django(), with(plain.clone(), "sub", json!(17))).unwrap_err(), TokenFault::Invalid);
    assert_eq!(judge(&django(), without(plain.clone(), "jti")).unwrap_err(), TokenFault::NoId);
    assert_eq!(judge(&django(), without(plain.clone(), "exp")).unwrap_err(), TokenFault::NoExpiry);
    assert!(judge(&django(), with(plain, "aud", json!("anything"))).is_ok());
}

proptest! {
    #[test]
    fn no_claims_make_the_judge_panic(name in "(exp|iat|nbf|iss|aud|sub|jti|sid|user_id|token_type|ctr|amr|auth_time)", number: f64, whole: i64, text in ".{0,20}") {
        for value in [json!(number), json!(whole), json!(text), json!([text]), json!({"a": whole})] {
            let _ = judge(&strict(), with(ours(), &name, value.clone()));
            let _ = judge(&django(), with(ours(), &name, value));
        }
    }
}
