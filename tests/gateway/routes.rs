//! Which route a request takes, where the gateway's own routes and the configured ones meet.

use crate::harness::World;

#[test]
fn the_gateways_own_routes_stand_on_every_host() {
    let world = World::with_routes(
        "  - { name: tenant, host: tenant.test, path: /, upstream: backend, access: public }\n  \
           - { name: below, host: \"*.tenant.test\", path: /, upstream: backend, access: public }\n  \
           - { name: own-extra, path: /api/v1/auth/extra, upstream: backend, access: public }\n  \
           - { name: rest, path: /, upstream: backend, access: public }",
    );
    for host in ["tenant.test", "a.tenant.test", "other.test"] {
        let get = |path: &str| world.get(path, &[("Host", host)]);
        assert_eq!(get("/api/v1/auth/me/").status, 401, "{host}");
        assert!(get("/.well-known/jwks.json").json()["keys"].is_array(), "{host}");
        assert_eq!(get("/api/v1/auth/nothing-here/").code(), "not_found", "{host}");
        assert_eq!(get("/elsewhere").seen().target, "/elsewhere", "{host}");
    }
    let seen = world.get("/api/v1/auth/extra/1", &[]).seen();
    assert_eq!(seen.target, "/api/v1/auth/extra/1", "a longer path of the configuration's leads out of the prefix");
}
