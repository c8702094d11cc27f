//! Requests go through with what the upstream needs to know, and with nothing else.

use crate::harness::World;

#[test]
fn a_token_and_a_key_open_the_door_and_nothing_else_does() {
    let world = World::start();
    let user = world.user("anna");
    let (access, _) = world.sign_in("anna");
    let (key, text) = world.key("orders:read");

    let seen = world.get_as("/a/b?c=d", &access).seen();
    assert_eq!((seen.method.as_str(), seen.target.as_str()), ("GET", "/a/b?c=d"));
    assert_eq!(seen.header("x-auth-user-id"), Some(user.id.as_str()));
    assert_eq!(seen.header("x-auth-username"), Some("anna"));
    assert_eq!(seen.header("x-auth-email"), Some("someone@example.org"));
    assert_eq!(seen.header("x-auth-method"), Some("jwt"));
    assert_eq!(seen.header("x-auth-amr"), Some("pwd"));
    assert!(seen.header("x-auth-session-id").is_some());
    assert_eq!(seen.header("authorization"), None);

    let seen = world.get("/", &[("X-API-Key", &text)]).seen();
    assert_eq!(seen.header("x-auth-user-id"), Some("service:robot"));
    assert_eq!(seen.header("x-auth-method"), Some("api_key"));
    assert_eq!(seen.header("x-auth-scopes"), Some("orders:read"));
    assert_eq!(seen.header("x-auth-key-id"), Some(key.id.as_str()));
    assert_eq!(seen.header("x-api-key"), None);

    let before = world.upstream.seen().len();
    let reply = world.get("/", &[]);
    assert_eq!((reply.status, reply.code().as_str()), (401, "not_authenticated"));
    assert_eq!(reply.header("www-authenticate"), Some("Bearer realm=\"api\""));
    assert_eq!(world.upstream.seen().len(), before, "a refused request never reaches the upstream");
}
