//! Signing out ends the session, all of it, and nobody else's.

use serde_json::json;

use crate::harness::{Plan, World};

const LOGOUT: &str = "/api/v1/auth/logout/";
const BLACKLIST: &str = "/api/v1/auth/token/blacklist/";
const REFRESH: &str = "/api/v1/auth/token/refresh/";

#[test]
fn logging_out_ends_this_session_and_its_tokens_at_once() {
    let world = World::start();
    world.user("anna");
    let (access, refresh) = world.sign_in("anna");
    let (elsewhere, _) = world.sign_in("anna");
    assert_eq!(world.get_as("/", &access).status, 200);
    let bearer = format!("Bearer {access}");
    let reply = world.request("POST", LOGOUT, &[("Authorization", &bearer)], b"");
    assert_eq!((reply.status, reply.json()), (200, json!({})));
    assert_eq!(world.get_as("/", &access).code(), "session_ended");
    assert_eq!(world.post_json(REFRESH, &json!({ "refresh": refresh })).json()["detail"], "Token is blacklisted");
    let again = world.request("POST", LOGOUT, &[("Authorization", &bearer)], b"");
    assert_eq!((again.status, again.code().as_str()), (401, "session_ended"));
    assert_eq!(world.get_as("/", &elsewhere).status, 200, "another sign-in of the same user goes on");
    assert_eq!(world.request("POST", LOGOUT, &[], b"").status, 401);
}

#[test]
fn a_blacklisted_refresh_token_is_dead_on_every_endpoint() {
    let world = World::start();
    world.user("anna");
    let (access, refresh) = world.sign_in("anna");
    let body = json!({ "refresh": refresh });
    let first = world.post_json(BLACKLIST, &body);
    assert_eq!((first.status, first.json()), (200, json!({})));
    for (path, body) in [
        (BLACKLIST, body.clone()),
        (REFRESH, body.clone()),
        ("/api/v1/auth/token/verify/", json!({ "token": refresh })),
        ("/api/v1/auth/token/verify/", json!({ "token": access })),
    ] {
        let reply = world.post_json(path, &body);
        assert_eq!(reply.status, 401, "{path}");
        assert_eq!(reply.json(), json!({ "detail": "Token is blacklisted", "code": "token_not_valid" }), "{path}");
    }
    let wrong = world.post_json(BLACKLIST, &json!({ "refresh": access }));
    assert_eq!(wrong.json()["detail"], "Token has wrong type");
}

#[test]
fn a_token_from_before_the_gateway_can_be_blacklisted_too() {
    use portcullis::crypto::jws::{KeyIds, sign};
    use portcullis::crypto::key_pair::KeyPair;
    use portcullis::domain::secret::Secret;

    let secret = "fIq8vK2mQx7Lw0Zt5Rb9Nc3Yh6Jp1Sd4".to_owned();
    let world = World::plan(Plan {
        extra: "compatibility: django".to_owned(),
        tokens: Some("{ signing: { algorithm: HS256, secret: \"${SIGNING}\" } }".to_owned()),
        environment: [("SIGNING".to_owned(), secret.clone())].into(),
        ..Plan::default()
    });
    let user = world.user("anna");
    let claims = json!({
        "token_type": "refresh", "exp": 4_000_000_000_u64, "iat": 1, "jti": "0123", "user_id": user.id.as_str(),
    });
    let key = KeyPair::from_secret(&Secret::new(secret));
    let token = sign(claims.as_object().unwrap(), &key, "JWT", KeyIds::Ignored).unwrap();
    let body = json!({ "refresh": token });
    assert_eq!(world.post_json(REFRESH, &body).status, 200);
    assert_eq!(world.post_json(REFRESH, &body).status, 200, "without rotation it works again and again");
    assert_eq!(world.post_json(BLACKLIST, &body).status, 200);
    for path in [REFRESH, BLACKLIST] {
        assert_eq!(world.post_json(path, &body).json()["detail"], "Token is blacklisted", "{path}");
    }
    let verify = world.post_json("/api/v1/auth/token/verify/", &json!({ "token": token }));
    assert_eq!(verify.status, 401);
}
