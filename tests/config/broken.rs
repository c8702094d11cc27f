//! Broken files, and the sentence each deserves.

use std::path::Path;

use portcullis::config;

use crate::{environment, refused, with};

/// What is written from line 5 on, and the one fault it is.
const ONE_FAULT: &[(&str, &str)] = &[
    // The document.
    (
        "tokens: { leeway: 1s",
        "6: this is not YAML: while parsing a flow mapping, did not find expected ',' or '}'; check the indentation, brackets and quotes around here",
    ),
    (
        "tokens:\n\tleeway: 1s",
        "6: this is not YAML: tabs disallowed within this context (block indentation); check the indentation, brackets and quotes around here",
    ),
    ("log: &a { level: info }\ncache: *a", "6: aliases (`*name`) are not read; write the value out"),
    ("log: { level: !!str info }", "5: tags (`!name`) are not read; write the value without its tag"),
    ("---\nlog: {}", "5: a second document starts here; remove the `---` line"),
    ("log: {}\nworkers: {}\nlog: {}", "7: log: the key is written twice, first in line 5; remove one of the two"),
    (
        "tokens:\n  leeway: 1s\n  leeway: 2s",
        "7: tokens.leeway: the key is written twice, first in line 6; remove one of the two",
    ),
    ("tokns: {}", "5: there is no key \"tokns\" here; did you mean \"tokens\"?"),
    (
        "tokens:\n  accesslifetime: 1m",
        "6: tokens: there is no key \"accesslifetime\" here; did you mean \"access_lifetime\"?",
    ),
    ("workers: { number: 1 }", "5: workers: there is no key \"number\" here; the only one here is threads"),
    (
        "secrets: { master_key: { path: k } }",
        "5: secrets.master_key.file: this is required; write { file: PATH }\n5: secrets.master_key: there is no key \"path\" here; the only one here is file",
    ),
    ("listen: 127.0.0.1:80", "5: listen: this is not a mapping; write `key: value` lines"),
    ("listen: [a]", "5: listen: this is not a mapping; write `key: value` lines"),
    ("log: { level: [info] }", "5: log.level: this is a list where one value belongs; write one value"),
    ("log: { level: { a: b } }", "5: log.level: this is a mapping where one value belongs; write one value"),
    ("log: { level: \"\" }", "5: log.level: the value is empty; write a value, or remove the key"),
    (
        "tokens: { issuer: \"a\\nb\" }",
        "5: tokens.issuer: the value holds a control character; write one line of plain text",
    ),
    // The environment.
    (
        "tokens: { issuer: \"${NOWHERE}\" }",
        "5: tokens.issuer: the environment variable NOWHERE is not set; set NOWHERE, or write the value here if it is no secret",
    ),
    (
        "tokens: { issuer: \"a$b\" }",
        "5: tokens.issuer: a `$` stands alone; write $$ for a dollar sign, or ${NAME} for an environment variable",
    ),
    (
        "tokens: { issuer: \"${A\" }",
        "5: tokens.issuer: `${` is not followed by a name and `}`; write ${NAME}, where a name is letters, digits and underscores, and $$ for a dollar sign",
    ),
    // Listen, storage, cache, secrets.
    (
        "listen: { http: localhost }",
        "5: listen.http: \"localhost\" is not an address with a port; write an address and a port, such as 127.0.0.1:8080 or [::1]:8080",
    ),
    ("listen: { http: 127.0.0.1:9180 }", "5: listen.ops: the port 9180 is taken by listen.http; choose another port"),
    (
        "storage: { migrate: auto }",
        "5: storage.url: this is required; write url: \"sqlite://data/portcullis.db\" or url: \"postgres://HOST/DATABASE\"",
    ),
    (
        "storage: { url: \"mysql://u:hunter2@db/x\" }",
        "5: storage.url: this is not the URL of a store that is known here; write url: \"sqlite://data/portcullis.db\" or url: \"postgres://HOST/DATABASE\"",
    ),
    (
        "storage: { url: \"sqlite:x\", migrate: later }",
        "5: storage.migrate: \"later\" is not one of auto, manual; write one of these",
    ),
    (
        "cache: { redis: \"http://:hunter2@r\" }",
        "5: cache.redis: this is not the URL of a Redis; write redis://HOST:PORT/DATABASE, or rediss:// for TLS",
    ),
    (
        "cache: { redis: \"redis://:hunter2@r/first\" }",
        "5: cache.redis: this is not the URL of a Redis; write redis://HOST:PORT/DATABASE, or rediss:// for TLS",
    ),
    (
        "cache: { redis: \"rediss://r#insecure\" }",
        "5: cache.redis: what follows the # is not for a server; remove it; a certificate is always checked",
    ),
    (
        "cache: { redis: { prefix: p } }",
        "5: cache.redis.url: this is required; write redis://HOST:PORT/DATABASE, or rediss:// for TLS",
    ),
    (
        "cache: { redis: { url: \"redis://r\", password: hunter2 } }",
        "5: cache.redis.password: a secret does not stand in the configuration itself; write { file: PATH }, or \"${NAME}\" for an environment variable",
    ),
    (
        "cache: { redis: { url: \"redis://r\", username: gate } }",
        "5: cache.redis.password: a user name without a password; write password: { file: PATH }",
    ),
    (
        "cache: { redis: { url: \"rediss://r\", ca: missing.pem } }",
        "5: cache.redis.ca: there is no file /nonexistent/missing.pem; name a file of PEM certificates",
    ),
    (
        "cache: { redis: { url: \"redis://r\", ca: /etc/passwd } }",
        "5: cache.redis.ca: without TLS there is no certificate to check; remove it, or write rediss:// in the URL",
    ),
    (
        "cache: { redis: { url: \"redis://r\", prefix: \"a b\" } }",
        "5: cache.redis.prefix: \"a b\" is not a prefix; write 1 to 64 letters, digits, dots, hyphens, underscores and colons",
    ),
    (
        "cache: { redis: { url: \"redis://r\", timeout: 2s } }",
        "5: cache.redis.timeout: \"2s\" is more than 1s; write at most 1s",
    ),
    (
        "cache: { redis: { url: \"redis://r\", connections: 0 } }",
        "5: cache.redis.connections: \"0\" is less than 1; write at least 1",
    ),
    (
        "cache: { redis: { url: \"redis://r\", sentinels: [\"redis://s:26379\"], master: m } }",
        "5: cache.redis.sentinels: Redis is reached in one way, and here are url and sentinels; keep one of url, sentinels and cluster",
    ),
    (
        "cache: { redis: { sentinels: [\"redis://s:26379\"], master: m, cluster: [\"redis://c\"] } }",
        "5: cache.redis.cluster: Redis is reached in one way, and here are sentinels and cluster; keep one of url, sentinels and cluster",
    ),
    (
        "cache: { redis: { cluster: [] } }",
        "5: cache.redis.cluster: no node is named; write a list of redis://HOST:PORT",
    ),
    (
        "cache: { redis: { cluster: [\"redis://:hunter2@c:port\"] } }",
        "5: cache.redis.cluster[0]: this is not the URL of a node; write redis://HOST:PORT, or rediss:// for TLS",
    ),
    (
        "cache: { redis: { cluster: [\"redis://c/1\"] } }",
        "5: cache.redis.cluster[0]: a cluster has one database only; remove the number",
    ),
    (
        "cache: { redis: { cluster: [\"redis://c\"], database: 1 } }",
        "5: cache.redis.database: a cluster has one database only; remove it",
    ),
    (
        "cache: { redis: { cluster: [\"redis://c\", \"rediss://d\"] } }",
        "5: cache.redis.cluster[1]: the nodes of a cluster are spoken to in one way: all with TLS or none, by one user; write it as the first",
    ),
    (
        "cache: { redis: { cluster: [\"redis://c\"], master: m } }",
        "5: cache.redis.master: this is for sentinels, and there are none; remove it, or name sentinels",
    ),
    (
        "cache: { redis: { sentinels: [\"redis://s:26379\"] } }",
        "5: cache.redis.master: this is required; write what `sentinel monitor` calls it, such as mymaster",
    ),
    (
        "cache: { redis: { sentinels: [\"redis://s:26379\"], master: my master } }",
        "5: cache.redis.master: \"my master\" is not the name of a master; write what `sentinel monitor` calls it, such as mymaster",
    ),
    (
        "cache: { redis: { url: \"redis://r\", master: m } }",
        "5: cache.redis.master: this is for sentinels, and there are none; remove it, or name sentinels",
    ),
    (
        "cache: { redis: { url: \"redis://r\", tls: true } }",
        "5: cache.redis.tls: this is for sentinels, and there are none; remove it: rediss:// in the URL says so",
    ),
    (
        "cache: { redis: { sentinels: [], master: m } }",
        "5: cache.redis.sentinels: no sentinel is named; write a list of redis://HOST:26379",
    ),
    (
        "cache: { redis: { sentinels: [\"s:26379\"], master: m } }",
        "5: cache.redis.sentinels[0]: this is not the URL of a sentinel; write redis://HOST:26379, or rediss:// for TLS",
    ),
    (
        "cache: { redis: { sentinels: [\"redis://s:26379/3\"], master: m } }",
        "5: cache.redis.sentinels[0]: a sentinel has no databases; write the number in `database`, which is for the master",
    ),
    (
        "cache: { redis: { sentinels: [\"redis://s:26379\", \"rediss://t:26379\"], master: m } }",
        "5: cache.redis.tls: some sentinels speak TLS and some do not, so it is not clear whether the master does; write tls: true or tls: false",
    ),
    (
        "cache: { redis: { sentinels: [\"redis://s:26379\"], master: m, sentinel_username: gate } }",
        "5: cache.redis.sentinel_password: a user name without a password; write sentinel_password: { file: PATH }",
    ),
    (
        "cache: { redis: { sentinels: [\"redis://s:26379\"], master: m, sentinel_password: hunter2 } }",
        "5: cache.redis.sentinel_password: a secret does not stand in the configuration itself; write { file: PATH }, or \"${NAME}\" for an environment variable",
    ),
    (
        "cache: { redis: { sentinels: [\"redis://s:26379\"], master: m, ca: /etc/passwd } }",
        "5: cache.redis.ca: without TLS there is no certificate to check; remove it, or write rediss:// in the URL",
    ),
    (
        "cache: { size: 64MB }",
        "5: cache.size: \"64MB\" is not a size; write a whole number and KiB, MiB or GiB, such as 64MiB, or plain bytes",
    ),
    ("cache: { size: 1KiB }", "5: cache.size: \"1KiB\" is less than 1MiB; write at least 1MiB"),
    (
        "secrets: {}",
        "5: secrets.master_key: this is required; write master_key: { file: data/master.key } or master_key: \"${PORTCULLIS_MASTER_KEY}\"",
    ),
    (
        "secrets: { master_key: \"${SHORT}\" }",
        "5: secrets.master_key: this is not a key of 32 bytes; make 64 hex digits with: openssl rand -hex 32",
    ),
    ("compatibility: djagno", "5: compatibility: \"djagno\" is not one of none, django; did you mean \"django\"?"),
    (
        "api_keys: { in_authorization: true }",
        "5: api_keys.in_authorization: without compatibility: django, Authorization holds nothing but a bearer token; write false and let clients send X-API-Key",
    ),
    // Tokens.
    (
        "compatibility: django",
        "1: tokens.signing: this is required; name the key of the Django installation: signing: { algorithm: HS256, secret: { file: PATH } }",
    ),
    (
        "tokens: { access_lifetime: 5 }",
        "5: tokens.access_lifetime: \"5\" is not a duration; write a whole number and ms, s, m, h or d, such as 30s",
    ),
    ("tokens: { leeway: 31s }", "5: tokens.leeway: \"31s\" is more than 30s; write at most 30s"),
    ("tokens: { rotate: yes }", "5: tokens.rotate: \"yes\" is neither true nor false; write true or false"),
    (
        "tokens: { access_lifetime: 2h, refresh_lifetime: 1h }",
        "5: tokens.access_lifetime: access_lifetime (2h) is longer than refresh_lifetime (1h); lower access_lifetime or raise refresh_lifetime",
    ),
    (
        "tokens:\n  session_lifetime: 12h",
        "6: tokens.session_lifetime: refresh_lifetime (1d) is longer than session_lifetime (12h); lower refresh_lifetime or raise session_lifetime",
    ),
    (
        "tokens: { signing: HS256 }",
        "5: tokens.signing: HS256 needs a secret; write signing: { algorithm: HS256, secret: { file: PATH } }",
    ),
    ("tokens: { signing: ES265 }", "5: tokens.signing: this is not a signing algorithm; did you mean \"ES256\"?"),
    (
        "tokens: { signing: none }",
        "5: tokens.signing: this is not a signing algorithm; choose from ES256, EdDSA, RS256, HS256",
    ),
    (
        "tokens: { signing: { algorithm: ES256 } }",
        "5: tokens.signing.key: this is required; write key: { file: PATH }, or signing: ES256 for a key that is made and kept here",
    ),
    (
        "tokens: { signing: { secret: { file: x } } }",
        "5: tokens.signing.algorithm: this is required; write algorithm: HS256, RS256, ES256 or EdDSA",
    ),
    (
        "tokens: { signing: { algorithm: HS256, secret: hunter2 } }",
        "5: tokens.signing.secret: a secret does not stand in the configuration itself; write { file: PATH }, or \"${NAME}\" for an environment variable",
    ),
    // Passwords, second factor, API, identity, roles, proxies, limits, log, workers.
    ("passwords: { memory: 18MiB }", "5: passwords.memory: \"18MiB\" is less than 19MiB; write at least 19MiB"),
    ("passwords: { iterations: 1 }", "5: passwords.iterations: \"1\" is less than 2; write at least 2"),
    (
        "passwords: { max_length: 99999999999999999999 }",
        "5: passwords.max_length: \"99999999999999999999\" is more than 4096; write at most 4096",
    ),
    ("passwords: { queue: -1 }", "5: passwords.queue: \"-1\" is not a whole number; write a number from 1 to 4096"),
    (
        "second_factor: { challenge_lifetime: 16m }",
        "5: second_factor.challenge_lifetime: \"16m\" is more than 15m; write at most 15m",
    ),
    (
        "second_factor: { challenge_lifetime: 59s }",
        "5: second_factor.challenge_lifetime: \"59s\" is less than 1m; write at least 1m",
    ),
    (
        "second_factor: { challenge_attempts: 6 }",
        "5: second_factor.challenge_attempts: \"6\" is more than 5; write at most 5",
    ),
    (
        "second_factor: { challenge_attempts: 0 }",
        "5: second_factor.challenge_attempts: \"0\" is less than 1; write at least 1",
    ),
    (
        "second_factor: { required: admin }",
        "5: second_factor.required: \"admin\" is not one of none, admins, all; did you mean \"admins\"?",
    ),
    (
        "second_factor: { administration: 1 }",
        "5: second_factor.administration: \"1\" is neither true nor false; write true or false",
    ),
    (
        "second_factor: { issuer: \"a\\u0000b\" }",
        "5: second_factor.issuer: the value holds a control character; write one line of plain text",
    ),
    (
        "second_factor: { issuer: \"äääääääääääääääääääääääääääääääää\" }",
        "5: second_factor.issuer: the name is longer than 64 bytes; choose a shorter one",
    ),
    (
        "second_factor: { totp: true }",
        "5: second_factor: there is no key \"totp\" here; choose from issuer, challenge_lifetime, challenge_attempts, required, at_sign_in, administration",
    ),
    (
        "passwords: { similarity: 0.7 }",
        "5: passwords.similarity: \"0.7\" is neither true nor false; write true or false",
    ),
    (
        "passwords: { context_words: acme }",
        "5: passwords.context_words: this is not a list; write [one, two], or a line with a dash for each",
    ),
    (
        "passwords: { context_words: [acme, ' a '] }",
        "5: passwords.context_words[1]: \" a \" is no word of 3 to 64 characters; write another one, or none",
    ),
    ("audit: { keep: 23h }", "5: audit.keep: \"23h\" is less than 1d; write at least 1d"),
    ("audit: { keep: 4000d }", "5: audit.keep: \"4000d\" is more than 3650d; write at most 3650d"),
    // Lockout.
    ("lockout: { account: { free: 11 } }", "5: lockout.account.free: \"11\" is more than 10; write at most 10"),
    ("lockout: { account: { free: 0 } }", "5: lockout.account.free: \"0\" is less than 1; write at least 1"),
    (
        "lockout: { account: { max_failures: 101 } }",
        "5: lockout.account.max_failures: \"101\" is more than 100; write at most 100",
    ),
    ("lockout: { codes: { free: 6 } }", "5: lockout.codes.free: \"6\" is more than 5; write at most 5"),
    ("lockout: { codes: { delay: 0s } }", "5: lockout.codes.delay: \"0s\" is less than 1s; write at least 1s"),
    (
        "lockout: { account: { max_failures: 9 } }",
        "5: lockout.account.max_failures: free (10) is more than max_failures (9); lower free or raise max_failures",
    ),
    (
        "lockout: { address: { delay: 10m } }",
        "5: lockout.address.delay: delay (10m) is more than max_delay (5m); lower delay or raise max_delay",
    ),
    (
        "lockout: { address: { window: 1m } }",
        "5: lockout.address.window: max_delay (5m) is more than window (1m); lower max_delay or raise window",
    ),
    (
        "lockout: { shared_networks: [192.0.2.1/24] }",
        "5: lockout.shared_networks[0]: \"192.0.2.1/24\" is an address inside a network; write 192.0.2.0/24",
    ),
    ("lockout: { acount: {} }", "5: lockout: there is no key \"acount\" here; did you mean \"account\"?"),
    ("api: { prefix: auth }", "5: api.prefix: a path pattern starts with /; write a plain path, such as /api/v1/auth"),
    (
        "api: { prefix: / }",
        "5: api.prefix: the gateway's own endpoints would cover every path; write a plain path, such as /api/v1/auth",
    ),
    (
        "identity: { headers: oauth-proxy }",
        "5: identity.headers: \"oauth-proxy\" is not one of portcullis, oauth2-proxy, authelia, kong, django; did you mean \"oauth2-proxy\"?",
    ),
    (
        "identity: { assertion_lifetime: 5m }",
        "5: identity.assertion_lifetime: \"5m\" is more than 1m; write at most 1m",
    ),
    ("roles: { editor: {} }", "5: roles.editor.scopes: this is required; write scopes: [some:scope], or [] for none"),
    (
        "roles: { a b: { scopes: [] } }",
        "5: roles.a b: a role's name is 1 to 64 of the characters a-z A-Z 0-9 : . _ -; rename it",
    ),
    (
        "roles: { support: { scope: [a] } }",
        "5: roles.support.scopes: this is required; write scopes: [some:scope], or [] for none\n5: roles.support: there is no key \"scope\" here; did you mean \"scopes\"?",
    ),
    (
        "roles: { admin: { scopes: [a b] } }",
        "5: roles.admin.scopes[0]: \"a b\" is no scope: a scope is 1 to 64 of the characters a-z A-Z 0-9 : . _ - / *; rename it",
    ),
    (
        "trusted_proxies: [10.0.0.1/8]",
        "5: trusted_proxies[0]: \"10.0.0.1/8\" is an address inside a network; write 10.0.0.0/8",
    ),
    (
        "trusted_proxies: 10.0.0.0/8",
        "5: trusted_proxies: this is not a list; write [one, two], or a line with a dash for each",
    ),
    (
        "trusted_proxies: [proxy]",
        "5: trusted_proxies[0]: \"proxy\" is not a network; write a network such as 10.0.0.0/8, or one address",
    ),
    ("limits: { header_size: 1GiB }", "5: limits.header_size: \"1GiB\" is more than 256KiB; write at most 256KiB"),
    ("limits: { head_timeout: 0s }", "5: limits.head_timeout: \"0s\" is less than 1s; write at least 1s"),
    (
        "limits: { header_size: 4KiB }",
        "5: limits.target_size: a request target this long does not fit into a head of header_size; lower target_size or raise header_size",
    ),
    (
        "log: { level: inof }",
        "5: log.level: \"inof\" is not a log level; write error, warn, info, debug, trace or off, or such as info,portcullis=debug",
    ),
    ("log: { access: stderr }", "5: log.access: \"stderr\" is no place for a log; write stdout, off or { file: PATH }"),
    ("workers: { threads: 0 }", "5: workers.threads: \"0\" is less than 1; write at least 1"),
    // Mail.
    (
        "mail: { transport: smtp }",
        "5: mail.transport: \"smtp\" is no way to send mail; write log, { directory: PATH } or { smtp: { host: NAME } }",
    ),
    (
        "mail: { transport: {} }",
        "5: mail.transport: it does not say where mail goes; write log, { directory: PATH } or { smtp: { host: NAME } }",
    ),
    (
        "mail: { transport: { directory: a, smtp: { host: h1.example }, file: b } }",
        "5: mail.transport: mail goes one way or the other; keep one of directory and smtp\n5: mail.transport: there is no key \"file\" here; choose from directory, smtp",
    ),
    (
        "mail: { transport: { smtp: { host: mail.example.org } } }",
        "5: mail.from: this is required where mail goes out by SMTP; write ADDRESS or \"NAME <ADDRESS>\"\n5: mail.reset_url: this is required where mail goes out by SMTP; write a URL such as \"https://app.example.org/reset-password#token={token}\"",
    ),
    (
        "mail: { transport: { smtp: {} } }",
        "5: mail.transport.smtp.host: this is required; write the name of the mail server",
    ),
    (
        "mail: { transport: { smtp: { host: \"mail.example.org:465\" } } }",
        "5: mail.transport.smtp.host: \"mail.example.org:465\" is not a host; write a name or an address, without a port",
    ),
    (
        "mail: { transport: { smtp: { host: \"a b\", port: 0, tls: ssl } } }",
        "5: mail.transport.smtp.host: \"a b\" is not a host; write a name or an address, without a port\n5: mail.transport.smtp.tls: \"ssl\" is not one of implicit, starttls, none; write one of these\n5: mail.transport.smtp.port: \"0\" is less than 1; write at least 1",
    ),
    (
        "mail:\n  from: a@b.example\n  reset_url: \"https://a.example/#{token}\"\n  transport: { smtp: { host: mail.example.org, tls: none } }",
        "8: mail.transport.smtp.tls: mail with links that let their reader in would cross a network unencrypted; write implicit or starttls; none is for a server on this machine",
    ),
    (
        "mail:\n  from: a@b.example\n  reset_url: \"https://a.example/#{token}\"\n  transport: { smtp: { host: mail.example.org, ca: nowhere.pem } }",
        "8: mail.transport.smtp.ca: there is no file /nonexistent/nowhere.pem; name a file of PEM certificates",
    ),
    (
        "mail:\n  from: a@b.example\n  reset_url: \"https://a.example/#{token}\"\n  transport: { smtp: { host: mail.example.org, username: u } }",
        "8: mail.transport.smtp.password: a user name without a password; write password: { file: PATH }",
    ),
    (
        "mail:\n  from: a@b.example\n  reset_url: \"https://a.example/#{token}\"\n  transport: { smtp: { host: mail.example.org, password: \"${SHORT}\" } }",
        "8: mail.transport.smtp.username: a password without a user name; write username: NAME",
    ),
    (
        "mail:\n  from: a@b.example\n  reset_url: \"https://a.example/#{token}\"\n  transport: { smtp: { host: mail.example.org, username: u, password: hunter2 } }",
        "8: mail.transport.smtp.password: a secret does not stand in the configuration itself; write { file: PATH }, or \"${NAME}\" for an environment variable",
    ),
    (
        "mail:\n  from: a@b.example\n  reset_url: \"https://a.example/#{token}\"\n  transport: { smtp: { host: mail.example.org, timeout: 5m, hello_name: \"a b\" } }",
        "8: mail.transport.smtp.hello_name: \"a b\" is not a host name; write the name of this machine, such as gate.example.org\n8: mail.transport.smtp.timeout: \"5m\" is more than 2m; write at most 2m",
    ),
    (
        "mail: { from: \"a@b.example, c@d.example\" }",
        "5: mail.from: \"a@b.example, c@d.example\" is not a mailbox; write ADDRESS or \"NAME <ADDRESS>\"",
    ),
    (
        "mail: { from: \"a@b.example\\r\\nBcc: c@d.example\" }",
        "5: mail.from: the value holds a control character; write one line of plain text",
    ),
    (
        "mail: { reset_url: \"https://a.example/reset\" }",
        "5: mail.reset_url: a reset link has `{token}` in it, once; write a URL such as \"https://app.example.org/reset-password#token={token}\"",
    ),
    (
        "mail: { reset_url: \"https://a.example/reset?token={token}\" }",
        "5: mail.reset_url: the token of a reset link stands behind a `#` or in the path, and nowhere else; write a URL such as \"https://app.example.org/reset-password#token={token}\"",
    ),
    (
        "mail: { reset_url: \"/reset#{token}\" }",
        "5: mail.reset_url: a reset link is an absolute http or https URL; write a URL such as \"https://app.example.org/reset-password#token={token}\"",
    ),
    (
        "mail: { reset_url: \"https://u:hunter2@a.example/#{token}\" }",
        "5: mail.reset_url: a reset link names no user; write a URL such as \"https://app.example.org/reset-password#token={token}\"",
    ),
    // Upstreams.
    (
        "upstreams: {}\nroutes: [{ path: /, upstream: x, access: public }]",
        "5: upstreams: there is no upstream; write upstreams: { backend: { servers: [\"127.0.0.1:8000\"] } }\n6: routes[0].upstream: there is no upstream named \"x\"; remove it",
    ),
    (
        "upstreams: { backend: {} }",
        "5: upstreams.backend.servers: this is required; write servers: [\"127.0.0.1:8000\"]",
    ),
    (
        "upstreams: { backend: { servers: [] } }",
        "5: upstreams.backend.servers: there is no server; write servers: [\"127.0.0.1:8000\"]",
    ),
    (
        "upstreams: { backend: { servers: \"a:1\" } }",
        "5: upstreams.backend.servers: this is not a list; write [one, two], or a line with a dash for each",
    ),
    (
        "upstreams: { backend: { servers: [backend] } }",
        "5: upstreams.backend.servers[0]: \"backend\" is not a server with its port; write HOST:PORT, http://HOST:PORT or https://HOST",
    ),
    (
        "upstreams: { backend: { servers: [\"https://h/api\"] } }",
        "5: upstreams.backend.servers[0]: \"https://h/api\" has a path, and requests keep their own; name the server only; a route's strip_prefix changes paths",
    ),
    (
        "upstreams: { backend: { servers: [\"http://u:hunter2@h\"] } }",
        "5: upstreams.backend.servers[0]: a server has no user name or password; let the gateway's identity headers speak instead",
    ),
    (
        "upstreams: { backend: { servers: [\"ftp://h\"] } }",
        "5: upstreams.backend.servers[0]: \"ftp://h\" is neither http nor https; write HOST:PORT, http://HOST:PORT or https://HOST",
    ),
    (
        "upstreams: { backend: { servers: [\"a:1\", \"A:1\"] } }",
        "5: upstreams.backend.servers: a server is listed twice; list each server once",
    ),
    (
        "upstreams: { backend: { servers: [\"http://a\", \"https://b\"] } }",
        "5: upstreams.backend.servers: some servers are http and some are https; make two upstreams of them",
    ),
    (
        "upstreams: { backend: { servers: [\"https://a\"], tls: false } }",
        "5: upstreams.backend.tls: the servers are https; write http, or tls: true",
    ),
    (
        "upstreams: { backend: { servers: [\"http://a\"], tls: { server_name: a } } }",
        "5: upstreams.backend.tls: the servers are http; write https, or tls: false",
    ),
    (
        "upstreams: { backend: { servers: [\"10.0.0.1:443\"], tls: true } }",
        "5: upstreams.backend.tls: the servers have no one name that their certificates could be checked for; write tls: { server_name: NAME }",
    ),
    (
        "upstreams: { backend: { servers: [\"a:1\"], tls: { ca: nowhere.pem } } }",
        "5: upstreams.backend.tls.ca: there is no file /nonexistent/nowhere.pem; name a file of PEM certificates",
    ),
    (
        "upstreams: { backend: { servers: [\"a:1\"], host: \"a b\" } }",
        "5: upstreams.backend.host: \"a b\" is not a host; write a host name, with or without a port",
    ),
    (
        "upstreams: { backend: { servers: [\"a:1\"] }, Big: { servers: [\"a:1\"] } }",
        "5: upstreams.Big: this is no name for an upstream; use 1 to 40 of the characters a-z 0-9 _ -",
    ),
    (
        "upstreams: { backend: { server: [a], tls: true, host: h, idle_timeout: 1s } }",
        "5: upstreams.backend.servers: this is required; write servers: [\"127.0.0.1:8000\"]\n5: upstreams.backend: there is no key \"server\" here; did you mean \"servers\"?",
    ),
    // Routes.
    (
        "routes: []",
        "5: routes: there is no route, so every request is answered with 404; write routes: [{ path: /, upstream: NAME, access: { any: [jwt, api_key] } }]",
    ),
    (
        "routes:\n  - { path: /, upstream: backnd, access: public }",
        "6: routes[0].upstream: there is no upstream named \"backnd\"; did you mean \"backend\"?",
    ),
    (
        "routes:\n  - path: /\n    upstream: backend",
        "6: routes[0].access: this is required; write public, { any: [jwt, api_key] } or { all: [jwt, api_key] }, with scopes: [NAME] if need be",
    ),
    (
        "routes: [{ upstream: backend, access: public }]",
        "5: routes[0].path: this is required; write path: /, or a longer one",
    ),
    ("routes: [{ path: /, access: public }]", "5: routes[0].upstream: this is required; name one of the upstreams"),
    (
        "routes: [{ path: /a/../b, upstream: backend, access: public }]",
        "5: routes[0].path: a path pattern is a plain path in normal form: no query, no escapes of plain characters, no dot segments, no //; write such as /api/orders/ or /files/*/meta",
    ),
    (
        "routes: [{ path: /a*, upstream: backend, access: public }]",
        "5: routes[0].path: `*` stands for one whole segment: write /files/*/meta, not /files/a*; write such as /api/orders/ or /files/*/meta",
    ),
    (
        "routes: [{ path: /, host: \"a:80\", upstream: backend, access: public }]",
        "5: routes[0].host: \"a:80\" is not a host; write a host name without port, *.NAME for all below it, or \"*\" for all",
    ),
    (
        "routes: [{ path: /, name: \"a\\\"b\", upstream: backend, access: public }]",
        "5: routes[0].name: \"a\\\"b\" is not a name; use 1 to 80 letters, digits, inner spaces and . _ - : / * , ( ) #",
    ),
    (
        "routes: [{ path: /, methods: GET, upstream: backend, access: public }]",
        "5: routes[0].methods: this is not a list; write [one, two], or a line with a dash for each",
    ),
    (
        "routes: [{ path: /, methods: [], upstream: backend, access: public }]",
        "5: routes[0].methods: no method is listed, so nothing matches; list methods, or remove the key for the usual ones",
    ),
    (
        "routes: [{ path: /, methods: [get], upstream: backend, access: public }]",
        "5: routes[0].methods[0]: \"get\" is not a method; write GET",
    ),
    (
        "routes: [{ path: /, methods: [GET, GET], upstream: backend, access: public }]",
        "5: routes[0].methods[1]: \"GET\" is listed twice; remove one of the two",
    ),
    (
        "routes: [{ path: /, methods: [GET, TRACE], upstream: backend, access: public }]",
        "5: routes[0].methods[1]: \"TRACE\" is never forwarded; remove it",
    ),
    (
        "routes: [{ path: /, upstream: backend, access: open }]",
        "5: routes[0].access: \"open\" is no access rule; write public, { any: [jwt, api_key] } or { all: [jwt, api_key] }, with scopes: [NAME] if need be",
    ),
    (
        "routes: [{ path: /, upstream: backend, access: { scopes: [a] } }]",
        "5: routes[0].access: it does not say which credentials are accepted; write public, { any: [jwt, api_key] } or { all: [jwt, api_key] }, with scopes: [NAME] if need be",
    ),
    (
        "routes: [{ path: /, upstream: backend, access: { any: [jwt], all: [jwt] } }]",
        "5: routes[0].access: `any` and `all` contradict each other; keep one of them",
    ),
    (
        "routes: [{ path: /, upstream: backend, access: { any: [] } }]",
        "5: routes[0].access.any: no credential is accepted, so nobody passes; list jwt, api_key or both",
    ),
    (
        "routes: [{ path: /, upstream: backend, access: { any: [apikey] } }]",
        "5: routes[0].access.any[0]: \"apikey\" is not one of jwt, api_key; did you mean \"api_key\"?",
    ),
    (
        "routes: [{ path: /, upstream: backend, access: { any: [jwt], scopes: [\"\"] } }]",
        "5: routes[0].access.scopes[0]: the value is empty; write a value, or remove the key",
    ),
    (
        "routes: [{ path: /, upstream: backend, access: { any: [jwt], scope: [a] } }]",
        "5: routes[0].access: there is no key \"scope\" here; did you mean \"scopes\"?",
    ),
    (
        "routes: [{ path: /a, exact: true, strip_prefix: true, upstream: backend, access: public }]",
        "5: routes[0].strip_prefix: an exact path has nothing below it; remove exact or strip_prefix",
    ),
    (
        "routes: [{ path: /a/*, strip_prefix: true, upstream: backend, access: public }]",
        "5: routes[0].strip_prefix: a path with `*` cannot be cut off; end the path before the `*`",
    ),
    (
        "routes: [{ path: /, upstream: backend, access: public, allow: [backslash] }]",
        "5: routes[0].allow[0]: \"backslash\" is not one of encoded_slash, semicolon, double_slash; write one of these",
    ),
    (
        "limits: { per_address: 100 }",
        "5: limits.per_address: \"100\" is not a rate; write such as 100/second or 1000/minute burst 50: 1 to 1000000000 per second, minute or hour",
    ),
    (
        "limits: { per_address: 100/fortnight }",
        "5: limits.per_address: \"100/fortnight\" is not a rate; write such as 100/second or 1000/minute burst 50: 1 to 1000000000 per second, minute or hour",
    ),
    (
        "limits: { per_principal: 0/minute }",
        "5: limits.per_principal: \"0/minute\" lets nobody through; write at least 1, or remove the key for no limit",
    ),
    (
        "limits: { per_principal: 99999999999/second }",
        "5: limits.per_principal: \"99999999999/second\" is not a rate; write such as 100/second or 1000/minute burst 50: 1 to 1000000000 per second, minute or hour",
    ),
    (
        "limits: { per_address: 1/hour burst 1000 }",
        "5: limits.per_address: \"1/hour burst 1000\" limits nothing: its burst takes longer than 31d to come back; lower the burst",
    ),
    (
        "limits: { per_address: { shared: true } }",
        "5: limits.per_address.rate: this is required; write { rate: 100/second }",
    ),
    (
        "limits: { per_address: { rate: 1/second, share: true } }",
        "5: limits.per_address: there is no key \"share\" here; did you mean \"shared\"?",
    ),
    ("limits: { connections: 0 }", "5: limits.connections: \"0\" is less than 1; write at least 1"),
    ("limits: { counters: 10 }", "5: limits.counters: \"10\" is less than 1024; write at least 1024"),
    (
        "routes:\n  - path: /\n    upstream: backend\n    access: public\n    limit: { total: 10/day }",
        "9: routes[0].limit.total: \"10/day\" is not a rate; write such as 100/second or 1000/minute burst 50: 1 to 1000000000 per second, minute or hour",
    ),
    (
        "routes: [{ path: /, upstream: backend, access: public, limit: { per_user: 1/second } }]",
        "5: routes[0].limit: there is no key \"per_user\" here; choose from per_address, per_principal, total",
    ),
    (
        "routes: [{ path: /, upstream: backend, access: public, limit: 10/second }]",
        "5: routes[0].limit: this is not a mapping; write `key: value` lines",
    ),
    (
        "routes:\n  - { path: /a, upstream: backend, access: public }\n  - { path: /a/, methods: [GET], upstream: backend, access: { any: [jwt] } }",
        "7: routes[1]: the same host, path and method are covered by routes[0] in line 6; give them different paths, hosts or methods, or remove one",
    ),
    (
        "routes:\n  - { name: a, path: /a, upstream: backend, access: public }\n  - { name: a, path: /b, upstream: backend, access: public }",
        "7: routes[1]: another route is named \"a\" too; choose another name",
    ),
];

#[test]
fn each_break_has_its_sentence() {
    let mut wrong = Vec::new();
    for (snippet, sentence) in ONE_FAULT {
        let found = refused(&with(snippet), &[("SHORT", "hunter2")]).join("\n");
        if found != *sentence {
            wrong.push(format!("--- {snippet}\nfound  {found}\nwanted {sentence}"));
        }
        assert!(!found.contains("hunter2"), "{found}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ONE_FAULT.len() >= 40);
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_their_lines() {
    let text = r#"listen: { http: nowhere }
tokens: { leeway: 5m, rotat: true }
upstreams:
  backend: { servers: ["127.0.0.1"] }
passwords: { memory: 1MiB }
routes:
  - { path: /, upstream: backend }
  - { path: x, upstream: other, access: { any: [cookie] } }
storage: { url: "${DATABASE_URL}" }
"#;
    let places: Vec<String> =
        refused(text, &[]).iter().map(|fault| fault.split(": ").take(2).collect::<Vec<_>>().join(": ")).collect();
    assert_eq!(
        places,
        [
            "1: listen.http",
            "1: secrets.master_key",
            "2: tokens.leeway",
            "2: tokens",
            "4: upstreams.backend.servers[0]",
            "5: passwords.memory",
            "7: routes[0].access",
            "8: routes[1].path",
            "8: routes[1].upstream",
            "8: routes[1].access.any[0]",
            "9: storage.url",
        ]
    );
}

#[test]
fn an_empty_file_is_told_what_it_lacks() {
    assert_eq!(refused("", &[]).len(), 4);
    assert_eq!(refused("just text", &[]), ["1: this is not a mapping; write `key: value` lines"]);
}

#[test]
fn a_fault_names_its_file() {
    let faults =
        config::read("listen: {}\nlog: { level: loud }\n", "config/portcullis.yaml", Path::new(""), &environment(&[]))
            .unwrap_err();
    assert!(faults.to_string().contains("config/portcullis.yaml:2: log.level: \"loud\" is not a log level; write "));
}

#[test]
fn a_file_that_cannot_be_read_is_one_fault_without_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let load = |name: &str| config::load(&folder.path().join(name), &environment(&[])).unwrap_err().to_string();
    assert!(load("missing.yaml").contains("missing.yaml: the file cannot be read (No such file"));
    assert!(load("").contains("this is not a plain file"));
    std::fs::write(folder.path().join("latin1.yaml"), b"a: \xe9\n").unwrap();
    assert!(load("latin1.yaml").contains("the file is not UTF-8"));
    std::fs::write(folder.path().join("big.yaml"), "#\n".repeat(600_000)).unwrap();
    assert!(load("big.yaml").contains("the file is larger than 1 MiB"));
}

#[test]
fn a_flood_of_overlaps_ends() {
    let routes = "  - { path: /, upstream: backend, access: public }\n".repeat(3_000);
    assert_eq!(refused(&with(&format!("routes:\n{routes}")), &[]).len(), 50);
}
