//! Values other than the defaults, and what is warned of.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis::config::settings::{Compatibility, HeaderPreset, LogPlace, MailTransport, Server, Signing, SmtpTls};
use portcullis::domain::access_policy::{AccessPolicy, Kinds, SecondFactorDuty};
use portcullis::domain::lockout::LockoutPolicy;
use portcullis::domain::rate_limit::{RateLimit, RouteLimits};
use portcullis::domain::secret::Secret;
use portcullis::domain::signing_key::SigningAlgorithm;
use portcullis::routing::route::Methods;

use crate::{accepted, read, warnings, with};

#[test]
fn values_are_read_as_they_are_meant() {
    let settings = accepted(
        r#"
listen: { http: "[::]:80", ops: "[::1]:9000" }
storage: { url: "postgresql://db/x?sslmode=verify-full", migrate: manual, connections: 20 }
cache: { size: 1 GiB, max_age: 0s, stale_ok: 2m }
tokens: { access_lifetime: 250ms0 }
"#
        .replace("250ms0", "90s")
        .as_str(),
    );
    assert_eq!(settings.listen.http, "[::]:80".parse::<SocketAddr>().unwrap());
    assert_eq!((settings.storage.migrate, settings.storage.connections), (false, 20));
    assert_eq!((settings.cache.bytes, settings.cache.stale_ok), (1 << 30, Duration::from_secs(120)));
    assert_eq!(settings.tokens.access_lifetime, Duration::from_secs(90));
    assert_eq!(settings.warnings, []);

    let settings = accepted(
        "passwords: { memory: 46MiB, iterations: 1 }\nidentity: { headers: oauth2-proxy }\napi: { prefix: /auth/ }\n\
         trusted_proxies: [10.0.0.0/8, '::1']\nlog: { access: { file: /var/log/a }, level: 'warn,portcullis=debug' }\n\
         workers: { threads: 3 }\nroles: { admin: { scopes: [all] }, support: { scopes: [b, a] }, idle: { scopes: [] } }\n",
    );
    assert_eq!((settings.passwords.memory_kib, settings.passwords.iterations), (46 * 1024, 1));
    assert_eq!(settings.identity.preset, HeaderPreset::OAuth2Proxy);
    assert_eq!(settings.api.prefix, "/auth");
    assert_eq!(format!("{:?}", settings.trusted_proxies), "[10.0.0.0/8, ::1/128]");
    assert_eq!(settings.log.access, LogPlace::File("/var/log/a".into()));
    assert_eq!(settings.log.level, "warn,portcullis=debug");
    assert_eq!(settings.workers.threads, 3);
    let mut roles = settings.roles.named.iter().map(|(name, scopes)| format!("{name}: {scopes}"));
    assert_eq!(settings.roles.admin.to_string(), "all");
    assert_eq!((roles.next().as_deref(), roles.next().as_deref()), (Some("idle: "), Some("support: a b")));
    let settings = accepted("roles: { admin: {}, support: { scopes: [a] } }\n");
    let default = "audit:read keys:read keys:write sessions:write users:read users:write";
    assert_eq!(settings.roles.admin.to_string(), default, "naming others leaves it as it is");
}

#[test]
fn rules_for_passwords_and_guesses_are_read_as_they_are_meant() {
    let settings = accepted(
        "passwords: { min_length: 15, max_length: 64, similarity: false, numeric: false, context_words: [' Acme Inc ', anvils] }\n\
         lockout: { codes: { free: 2, max_failures: 7 }, shared_networks: [198.51.100.7, '2001:db8::/32'] }\n\
         tokens: { issuer: 'https://www.anvil.example/x' }",
    );
    let policy = &settings.passwords.policy;
    assert_eq!((policy.min_length, policy.max_length_bytes), (15, 64));
    assert_eq!((policy.similarity, policy.common, policy.numeric), (None, true, false));
    assert_eq!(policy.context_words, ["Acme Inc", "anvils", "https", "anvil", "example"]);
    let lockout = &settings.lockout;
    assert_eq!(
        (lockout.codes.free, lockout.codes.max_failures, lockout.codes.window),
        (2, 7, LockoutPolicy::codes().window)
    );
    assert_eq!((lockout.account, lockout.address), (LockoutPolicy::account(), LockoutPolicy::address()));
    assert_eq!(format!("{:?}", lockout.shared_networks), "[198.51.100.7/32, 2001:db8::/32]");
    assert_eq!(accepted("").passwords.policy.context_words, ["portcullis"]);
}

#[test]
fn generated_keys_are_named_by_their_algorithm() {
    for algorithm in [SigningAlgorithm::Es256, SigningAlgorithm::EdDsa, SigningAlgorithm::Rs256] {
        let settings = accepted(&format!("tokens: {{ signing: {algorithm} }}"));
        assert!(matches!(settings.tokens.signing, Signing::Generated(read) if read == algorithm));
    }
}

#[test]
fn django_compatibility_changes_the_defaults() {
    let settings = accepted("compatibility: django\ntokens: { signing: RS256 }");
    assert_eq!(settings.compatibility, Compatibility::Django);
    assert_eq!((settings.tokens.issuer, settings.tokens.audience, settings.tokens.rotate), (None, None, false));
    assert_eq!(settings.second_factor.issuer, None);
    let settings = accepted(
        "compatibility: django\ntokens: { signing: RS256, issuer: me, audience: us, rotate: true }\nsecond_factor: { issuer: Us }",
    );
    let tokens = &settings.tokens;
    assert_eq!(settings.second_factor.issuer.as_deref(), Some("Us"));
    assert_eq!((tokens.issuer.as_deref(), tokens.audience.as_deref(), tokens.rotate), (Some("me"), Some("us"), true));
    assert_eq!(warnings(&settings), ["5: compatibility"]);
}

#[test]
fn keys_come_in_authorization_where_the_file_says_so() {
    let django = "compatibility: django\ntokens: { signing: RS256 }";
    assert!(!accepted(django).keys_in_authorization);
    assert!(accepted(&format!("{django}\napi_keys: {{ in_authorization: true }}")).keys_in_authorization);
}

#[test]
fn a_second_factor_is_asked_of_whom_the_file_says() {
    let second_factor = |text: &str| accepted(&format!("second_factor: {{ {text} }}")).second_factor;
    let default = second_factor("");
    assert_eq!(default.issuer.as_deref(), Some("Portcullis"));
    assert_eq!((default.challenge_lifetime, default.challenge_attempts), (Duration::from_secs(300), 5));
    assert_eq!((default.required, default.administration), (SecondFactorDuty::Nobody, true));
    let written =
        second_factor("issuer: \"Corp: R&D\", challenge_lifetime: 1m, challenge_attempts: 1, required: admins");
    assert_eq!(written.issuer.as_deref(), Some("Corp: R&D"));
    assert_eq!((written.challenge_lifetime, written.challenge_attempts), (Duration::from_secs(60), 1));
    assert_eq!(written.required, SecondFactorDuty::Administrators);
    assert_eq!(second_factor("required: all, administration: false").required, SecondFactorDuty::Everybody);
    assert!(!second_factor("required: all, administration: false").administration);
    // As long as fits into a QR code, which tests/qr holds it to.
    let longest = "ä".repeat(32);
    assert_eq!(second_factor(&format!("issuer: {longest}")).issuer, Some(longest));
}

#[test]
fn servers_and_tls_are_read_from_both_forms() {
    let upstream = |text: &str| accepted(&format!("upstreams: {{ backend: {text} }}")).upstreams.remove(0);
    let plain = upstream("{ servers: [\"127.0.0.1:8000\", \"app:81\"], host: Backend.internal }");
    assert_eq!(plain.servers[0], Server::Address("127.0.0.1:8000".parse().unwrap()));
    assert_eq!(plain.servers[1], Server::Name { host: "app".into(), port: 81 });
    assert!(plain.tls.is_none());
    assert_eq!(plain.host.as_deref(), Some("Backend.internal"));
    let http = upstream("{ servers: [\"http://app/\"] }");
    assert_eq!(http.servers, [Server::Name { host: "app".into(), port: 80 }]);
    let https = upstream("{ servers: [\"https://api.example.com\"] }");
    assert_eq!(https.servers, [Server::Name { host: "api.example.com".into(), port: 443 }]);
    assert_eq!(https.tls.unwrap().server_name, "api.example.com");
    let named = upstream("{ servers: [\"10.0.0.1:443\"], tls: { server_name: API.example.com } }");
    assert_eq!(named.tls.unwrap().server_name, "api.example.com");
    let implied = upstream("{ servers: [\"app:443\"], tls: true }");
    assert_eq!(implied.tls.unwrap().server_name, "app");
}

#[test]
fn mail_goes_nowhere_to_the_log_a_directory_or_a_server() {
    let read = |text: &str| {
        let address = "from: \"Büro <a@b.example>\", reset_url: \"https://a.example/#{token}\"";
        accepted(&format!("mail: {{ {address}, transport: {text} }}")).mail
    };
    let mail = accepted("mail: { service: Shop, templates: texts }").mail;
    assert!(matches!(mail.transport, MailTransport::None), "and to the log only if told so");
    assert!(matches!(read("null").transport, MailTransport::None));
    assert!(matches!(read("log").transport, MailTransport::Log));
    assert_eq!((mail.from.as_str(), mail.service.as_str()), ("portcullis@localhost", "Shop"));
    assert_eq!(mail.templates, Some("/nonexistent/texts".into()));
    let MailTransport::Directory(path) = read("{ directory: out/mail }").transport else { panic!("a directory") };
    assert_eq!(path.to_str(), Some("/nonexistent/out/mail"));
    let smtp = |text: &str| match read(&format!("{{ smtp: {text} }}")).transport {
        MailTransport::Smtp(smtp) => smtp,
        other => panic!("{other:?}"),
    };
    let implicit = smtp("{ host: Mail.Example.org, hello_name: gate }");
    assert_eq!((implicit.host.as_str(), implicit.port, implicit.tls), ("mail.example.org", 465, SmtpTls::Implicit));
    assert_eq!((implicit.hello_name.as_deref(), implicit.timeout), (Some("gate"), Duration::from_secs(60)));
    assert!(implicit.credentials.is_none() && implicit.ca.is_none());
    assert_eq!(smtp("{ host: 192.0.2.1, tls: starttls }").port, 587);
    assert_eq!(smtp("{ host: 192.0.2.1, tls: starttls, port: 2525 }").port, 2525);
    for host in ["localhost", "127.0.0.9", "\"::1\""] {
        assert_eq!(smtp(&format!("{{ host: {host}, tls: none }}")).port, 25);
    }
    let link = read("log").reset_url.with(&Secret::new("abc".to_owned()));
    assert_eq!(link.expose(), "https://a.example/#abc");
}

#[test]
fn routes_are_read_with_all_their_parts() {
    let settings = accepted(
        r#"
routes:
  - { path: /a/, upstream: backend, access: public }
  - { path: /a, host: "*.Example.com", upstream: backend, access: { all: [jwt, api_key], scopes: ["b:x", "a:x"] }, strip_prefix: true }
  - { path: /b/*/c, methods: [GET, PURGE], upstream: backend, access: { any: [api_key] } }
  - { path: /b/*/c, methods: [POST], exact: true, upstream: backend, access: { all: [jwt] }, name: "/a/" }
"#,
    );
    let names: Vec<&str> = settings.routes.iter().map(|route| &*route.name).collect();
    assert_eq!(names, ["/a/#2", "*.example.com/a/", "GET,PURGE /b/*/c/", "/a/"]);
    let [public, both, key, token] = settings.routes.as_slice() else { panic!("four routes") };
    assert_eq!((&public.access, public.strip_prefix.as_deref()), (&AccessPolicy::Public, None));
    assert_eq!(public.methods, Methods::Standard);
    assert_eq!(both.access.to_string(), "jwt and api_key, scopes a:x b:x");
    assert_eq!(both.strip_prefix.as_deref(), Some("/a/"));
    assert!(matches!(&key.access, AccessPolicy::Requires(r) if r.kinds == Kinds::API_KEY));
    assert!(matches!(&token.access, AccessPolicy::Requires(r) if r.kinds == Kinds::JWT));
    assert!(token.path.exact);
}

#[test]
fn limits_are_read_from_both_forms() {
    let settings = accepted(
        "limits: { per_address: 100/second burst 20, per_principal: { rate: 10/minute, shared: false }, counters: 4096 }\n\
         routes: [{ path: /, upstream: backend, access: public, limit: { per_address: 1/hour, total: { rate: 5/second } } }]",
    );
    let shown = |limit: Option<RateLimit>| limit.map(|limit| (limit.rate.to_string(), limit.shared));
    assert_eq!(shown(settings.limits.per_address), Some(("100/second burst 20".to_owned(), true)));
    assert_eq!(shown(settings.limits.per_principal), Some(("10/minute".to_owned(), false)));
    assert_eq!((settings.limits.counters, settings.limits.connections), (4096, 8_192));
    let RouteLimits { per_address, per_principal, total } = settings.routes[0].limits;
    assert_eq!(shown(per_address), Some(("1/hour".to_owned(), true)));
    assert_eq!((shown(per_principal), shown(total)), (None, Some(("5/second".to_owned(), true))));
    let settings = accepted("");
    assert_eq!((settings.limits.per_address, settings.limits.per_principal), (None, None));
    assert!(settings.routes.iter().all(|route| route.limits.is_none()));
}

#[test]
fn many_routes_are_read_quickly_and_named_apart() {
    let routes: String =
        (0..5_000).map(|n| format!("  - {{ path: /r{n}/, upstream: backend, access: {{ any: [jwt] }} }}\n")).collect();
    assert_eq!(accepted(&format!("routes:\n{routes}")).routes.len(), 5_000);
}

#[test]
fn the_environment_fills_in_any_value() {
    let text = with(
        "listen: { http: \"127.0.0.1:${PORT}\" }\nroutes: [{ path: \"/$${P}${PORT}\", upstream: \"${UP}\", access: \"${ACCESS}\" }]",
    );
    let faults = read(&text, &[("PORT", "81"), ("UP", "backend"), ("ACCESS", "public")]).unwrap_err();
    assert!(faults.to_string().contains("a path pattern is a plain path"), "{faults}");
    let settings =
        read(&text.replace("$${P}", "$$x"), &[("PORT", "81"), ("UP", "backend"), ("ACCESS", "public")]).unwrap();
    assert_eq!(settings.listen.http.port(), 81);
    assert_eq!(settings.routes[0].path.to_string(), "/$x81/");
}

#[test]
fn weakened_settings_are_warned_of() {
    for (snippet, warned) in [
        ("listen: { ops: 0.0.0.0:9180 }", "listen.ops"),
        ("cache: { max_age: 2m }", "cache.max_age"),
        ("cache: { stale_ok: 10m }", "cache.stale_ok"),
        ("storage: { url: \"sqlite::memory:\" }", "storage.url"),
        ("tokens: { access_lifetime: 2h }", "tokens.access_lifetime"),
        ("tokens: { session_lifetime: 91d }", "tokens.session_lifetime"),
        ("tokens: { rotate: false }", "tokens.rotate"),
        ("passwords: { min_length: 7 }", "passwords.min_length"),
        ("second_factor: { challenge_lifetime: 6m }", "second_factor.challenge_lifetime"),
        ("second_factor: { at_sign_in: false }", "second_factor.at_sign_in"),
        ("second_factor: { administration: false }", "second_factor.administration"),
        ("passwords: { similarity: false }", "passwords.similarity"),
        ("passwords: { common: false }", "passwords.common"),
        ("passwords: { numeric: false }", "passwords.numeric"),
        ("audit: { keep: 89d }", "audit.keep"),
        ("lockout: { account: { delay: 9s } }", "lockout.account.delay"),
        ("lockout: { codes: { max_delay: 14m } }", "lockout.codes.max_delay"),
        ("lockout: { codes: { window: 23h } }", "lockout.codes.window"),
        ("lockout: { address: { free: 51 } }", "lockout.address.free"),
        ("lockout: { address: { max_failures: 501 } }", "lockout.address.max_failures"),
        ("lockout: { shared_networks: ['::/0'] }", "lockout.shared_networks[0]"),
        ("identity: { assertion: false }", "identity.assertion"),
        ("trusted_proxies: [0.0.0.0/0]", "trusted_proxies[0]"),
        ("limits: { header_size: 64KiB }", "limits.header_size"),
        ("limits: { header_count: 101 }", "limits.header_count"),
        ("limits: { head_timeout: 11s }", "limits.head_timeout"),
        ("limits: { unknown_keys_burst: 101 }", "limits.unknown_keys_burst"),
        ("limits: { connections: 8193 }", "limits.connections"),
        ("limits: { connections_per_address: 1001 }", "limits.connections_per_address"),
        ("log: { access: off }", "log.access"),
        ("mail: { transport: log }", "mail.transport"),
        (
            "mail: { from: a@b.example, reset_url: \"https://a.example/#{token}\", transport: { smtp: { host: a.example, port: 587 } } }",
            "mail.transport.smtp.port",
        ),
        ("mail: { reset_url: \"http://a.example/#{token}\" }", "mail.reset_url"),
        ("mail: { reset_url: \"https://a.example/{token}\" }", "mail.reset_url"),
        (
            "routes: [{ path: /, upstream: backend, access: public, forward_credentials: true }]",
            "routes[0].forward_credentials",
        ),
        ("routes: [{ path: /, upstream: backend, access: public, allow: [semicolon] }]", "routes[0].allow"),
    ] {
        assert_eq!(warnings(&accepted(snippet)), [format!("5: {warned}")], "{snippet}");
    }
    for stronger in [
        "limits: { header_size: 8KiB, head_timeout: 1s, drain_timeout: 5m }",
        "cache: { max_age: 0s }",
        "lockout: { account: { free: 3, delay: 1m, max_delay: 1h, max_failures: 20, window: 2d } }",
        "passwords: { min_length: 15, context_words: [acme] }",
    ] {
        assert_eq!(accepted(stronger).warnings, [], "{stronger}");
    }
}
