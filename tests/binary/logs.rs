//! What is written down about requests: enough to work with, and nothing that opens a door.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use portcullis::domain::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::harness::{CONFIGURATION, Client, Finished, PASSWORD, Place, Server, Upstream, configuration, unused};

const HOSTILE: &str = "\x1b[31mred";

/// Bytes as they are. The answer is of no interest, only what is written about it.
fn send(address: SocketAddr, bytes: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    // It may be refused before it is complete.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

/// Heads and bodies with `{}` in the place of a secret: sound, odd and malformed ones.
const MESSAGES: [&str; 34] = [
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {}\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\nX-API-Key: {}\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nX-API-Key: {}\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nCookie: session={}\r\nProxy-Authorization: Basic {}\r\nConnection: close\r\n\r\n",
    "GET /?token={} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /?{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /?{}== HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /a?b=c&{}&d HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /../a?token={} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /a#{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET http://user:{}@a/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: user:{}@a\r\nConnection: close\r\n\r\n",
    "CONNECT user:{}@a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
    "TRACE / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nConnection: close\r\n\r\n",
    "GET /?token={} HTTP/9.9\r\nHost: a\r\n\r\n",
    "GET /?token={}\r\nHost: a\r\n\r\n",
    "GET /?token={} and more HTTP/1.1\r\nHost: a\r\n\r\n",
    "Authorization: Bearer {}\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization : Bearer {}\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\nX-API-Key: {}\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\n folded: {}\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\0\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nAuthorization: Bearer {}\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /?{} HTTP/1.1\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX-API-Key: {}\r\n\r\nzz;{}\r\n",
    "POST /api/v1/auth/token/ HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n{\"password\":\"{}",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{}",
    "\x16\x03\x01\x02\x00\x01{}",
    "GET /hang-up?token={} HTTP/1.1\r\nHost: a\r\nX-API-Key: KEY\r\nConnection: close\r\n\r\n",
    "GET /garbage?token={} HTTP/1.1\r\nHost: a\r\nX-API-Key: KEY\r\nCookie: {}\r\nConnection: close\r\n\r\n",
];

const TYPES: [&str; 4] = ["application/json", "application/x-www-form-urlencoded", "text/plain", "multipart/form-data"];
const ENDPOINTS: [&str; 18] = [
    "token/",
    "token/challenge/",
    "token/refresh/",
    "token/verify/",
    "token/blacklist/",
    "me/",
    "logout/",
    "sessions/nobody/",
    "2fa/totp/setup/",
    "2fa/totp/verify/",
    "2fa/totp/disable/",
    "2fa/recovery-codes/",
    "password/change/",
    "password/reset/",
    "password/reset/confirm/",
    "users/",
    "keys/",
    "audit/",
];
/// Fields that hold secrets, or that people type them into.
const FIELDS: [&str; 14] = [
    "username",
    "password",
    "refresh",
    "token",
    "otp",
    "recovery_code",
    "challenge",
    "old_password",
    "new_password",
    "email",
    "name",
    "secret",
    "key",
    "reason",
];

/// Everything of `MESSAGES`, and bodies of many kinds for our own endpoints, with each of the `bearers`. Returns the secrets
/// that were in them.
fn attack(http: SocketAddr, key: &str, bearers: &[String]) -> Vec<String> {
    let mut secrets = Vec::new();
    let mut secret = || {
        secrets.push(format!("S3cret{:04}Xyz", secrets.len()));
        secrets.last().unwrap().clone()
    };
    for message in MESSAGES {
        send(http, message.replace("{}", &secret()).replace("KEY", key).as_bytes());
    }
    send(http, format!("GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: {}\r\n\r\n", secret().repeat(4000)).as_bytes());
    for endpoint in ENDPOINTS {
        for content_type in TYPES {
            let secret = secret();
            let all = |join: &str, one: fn(&str, &str) -> String| FIELDS.map(|field| one(field, &secret)).join(join);
            let bodies = [
                format!("{{{}}}", all(",", |field, secret| format!("\"{field}\":\"{secret}\""))),
                format!("{{{}}}", all(",", |field, secret| format!("\"{field}\":[\"{secret}\"]"))),
                format!("{{\"password\": {secret}}}"),
                format!("{{\"{secret}\": 1"),
                format!("[\"{secret}\"]"),
                format!("\"{secret}\""),
                all("&", |field, secret| format!("{field}={secret}")),
                format!("{secret}=1&%{secret}"),
                all("", |field, secret| {
                    format!("--b\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{secret}\r\n")
                }),
                format!("--b\r\nContent-Disposition: form-data; name=\"{secret}\"; filename=\"{secret}\"\r\n\r\n"),
            ];
            for body in bodies {
                let target = format!("/api/v1/auth/{endpoint}?password={secret}&{secret}");
                let kind = if content_type.starts_with("multipart") {
                    "multipart/form-data; boundary=b"
                } else {
                    content_type
                };
                for bearer in bearers {
                    let headers = [("Content-Type", kind), ("Connection", "close"), ("Authorization", bearer.as_str())];
                    Client::connect(http).request("POST", &target, &headers, body.as_bytes());
                }
            }
        }
    }
    secrets
}

/// No line of what a process has printed holds a secret, or is anything but one JSON object.
#[track_caller]
fn assert_clean(ended: &Finished, secrets: &[String]) {
    assert_eq!(ended.code, Some(0));
    for (name, text) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"));
            assert!(value.is_object(), "{name}: {line}");
            assert!(!line.chars().any(char::is_control), "{name}: {line:?}");
            for secret in secrets {
                // The parts of a token are secrets too: its signature above all.
                for part in secret.split('.').filter(|part| part.len() > 40).chain([secret.as_str()]) {
                    assert!(!line.contains(part), "{name} holds {part}: {line}");
                }
            }
        }
    }
}

#[test]
fn no_secret_is_ever_logged_and_every_line_is_one_json_object() {
    let upstream = Upstream::start();
    let extra = "log: { level: trace }\nlimits: { head_timeout: 2s }\nmail: { transport: { directory: mail } }";
    let place = Place::prepared(upstream.address(), extra);
    let server = place.serve();
    place.create_user("anna");
    place.create_user("bert");
    let key = place.json(&["keys", "create", "--name", "robot"], "")["key"].as_str().unwrap().to_owned();
    let (access, refresh) = server.tokens("anna");
    let good = [
        server.get_with_token("/a?b=c", &access),
        server.get("/", &[("X-API-Key", &key), ("Cookie", &refresh)]),
        server.get(&format!("/?access={access}&key={key}"), &[("X-API-Key", &key)]),
        server.refresh(&refresh),
        server.get("/", &[("X-API-Key", &key), ("User-Agent", HOSTILE)]),
    ];
    for reply in good {
        assert!(matches!(reply.status, 200 | 400), "{reply:?}");
    }
    // A token that differs in its last character, and a key likewise, are still almost the true ones.
    for almost in [format!("{access}x"), format!("{}x", &access[..access.len() - 1])] {
        assert_eq!(server.get_with_token("/", &almost).status, 401);
    }
    let (of_bert, _) = server.tokens("bert");
    let mut secrets = attack(server.http, &key, &[String::new(), format!("Bearer {of_bert}")]);
    attack(server.ops, &key, &[String::new()]);
    secrets.extend([access, refresh, of_bert, key[12..].to_owned(), PASSWORD.to_owned()]);

    let ended = server.stop();
    assert_clean(&ended, &secrets);
    assert!(ended.stdout.lines().count() > MESSAGES.len(), "{}", ended.stdout);
    assert!(ended.stderr.lines().count() >= 3, "{}", ended.stderr);
}

/// The code of now (RFC 6238), by hand.
fn one_time_code(secret: &str) -> String {
    use aws_lc_rs::hmac;

    let byte = |index: usize| u8::from_str_radix(&secret[index..index + 2], 16).unwrap();
    let key: Vec<u8> = (0..secret.len()).step_by(2).map(byte).collect();
    let now = u64::try_from(SystemClock.now().as_secs()).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &key);
    let tag = hmac::sign(&key, &(now / 30).to_be_bytes());
    let tag = tag.as_ref();
    let offset = usize::from(tag[19] & 15);
    let number = u32::from_be_bytes(tag[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff;
    format!("{:06}", number % 1_000_000)
}

#[test]
fn what_a_user_types_and_is_shown_once_is_in_no_log() {
    let extra = "log: { level: trace }\nmail: { transport: { directory: mail } }";
    let place = Place::prepared(unused(), extra);
    let server = place.serve();
    place.create_user("anna");
    let mut secrets = vec![PASSWORD.to_owned()];
    let (access, refresh) = server.tokens("anna");
    let bearer = format!("Bearer {access}");
    let post = |target: &str, body: &Value| {
        let headers = [("Content-Type", "application/json"), ("Authorization", bearer.as_str())];
        let target = format!("/api/v1/auth/{target}");
        Client::connect(server.http).request("POST", &target, &headers, body.to_string().as_bytes())
    };
    let setup = post("2fa/totp/setup/", &json!({})).json();
    let secret = setup["secret"].as_str().unwrap().to_owned();
    let uri = setup["provisioning_uri"].as_str().unwrap().to_owned();
    let base32 = uri.split("secret=").nth(1).unwrap().split(['&', '%', '=']).next().unwrap().to_owned();
    // Typed wrongly, and into every field: a code that is none, and the password in the place of a name.
    let mut codes = vec![one_time_code(&secret)];
    for wrong in ["S3cret-code", "000000"] {
        assert_eq!(post("2fa/totp/verify/", &json!({ "token": wrong })).status, 400);
    }
    let confirmed = post("2fa/totp/verify/", &json!({ "token": codes[0] }));
    assert_eq!(confirmed.status, 200, "{confirmed:?}");
    let recovery: Vec<String> =
        confirmed.json()["recovery_codes"].as_array().unwrap().iter().map(|c| c.as_str().unwrap().to_owned()).collect();
    assert_eq!(recovery.len(), 10);

    let challenged = server.sign_in("anna", PASSWORD);
    let challenge = challenged.json()["challenge"].as_str().unwrap().to_owned();
    for body in [
        json!({"challenge": challenge, "otp": "S3cret-otp"}),
        json!({"challenge": format!("{challenge}x"), "otp": codes[0]}),
        json!({"challenge": challenge, "recovery_code": "S3cret-recovery"}),
    ] {
        assert_eq!(server.post("/api/v1/auth/token/challenge/", &body).status, 401);
    }
    let done =
        server.post("/api/v1/auth/token/challenge/", &json!({"challenge": challenge, "recovery_code": recovery[0]}));
    assert_eq!(done.status, 200, "{done:?}");
    let pair = [done.json()["access"].clone(), done.json()["refresh"].clone()];
    for name in [PASSWORD, "S3cret-name"] {
        assert_eq!(server.sign_in(name, "S3cret-password").status, 401);
    }
    codes.push(one_time_code(&secret));
    let change = json!({"old_password": "S3cret-old", "new_password": "S3cret-new-and-long"});
    assert_eq!(post("password/change/", &change).status, 400);
    let change = json!({"old_password": PASSWORD, "new_password": "S3cret-new-and-long"});
    assert_eq!(post("password/change/", &change).status, 200);
    assert_eq!(server.post("/api/v1/auth/token/refresh/", &json!({ "refresh": refresh })).status, 200);

    secrets.extend([access.clone(), refresh, secret, uri, base32, challenge, "S3cret-".to_owned()]);
    secrets.extend(recovery);
    secrets.extend(pair.iter().map(|token| token.as_str().unwrap().to_owned()));
    secrets.push(setup["qr_url"].as_str().unwrap()[..200].to_owned());
    // Six digits occur in any log; not as a text of their own.
    secrets.extend(codes.iter().map(|code| format!("\"{code}\"")));
    assert_clean(&server.stop(), &secrets);
}

#[test]
fn a_request_leaves_one_line_that_says_who_it_was() {
    let upstream = Upstream::start();
    let place = Place::prepared(upstream.address(), "");
    let server = place.serve();
    let user = place.create_user("anna");
    let (access, _) = server.tokens("anna");
    assert_eq!(server.get_with_token("/orders/7?page=2", &access).status, 200);
    assert_eq!(server.get("/orders/8", &[]).status, 401);
    let stdout = server.stop().stdout;
    let mut lines: Vec<Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // The sign-in is an event of the audit, too.
    let audit: Vec<Value> = lines.extract_if(.., |line| line["log"] == "audit").collect();
    assert_eq!(
        (audit.len(), &audit[0]["action"], &audit[0]["user_id"]),
        (1, &json!("sign_in"), &user["id"]),
        "{stdout}"
    );
    assert_eq!(lines.len(), 3, "{stdout}");
    let (admitted, refused) = (&lines[1], &lines[2]);
    assert_eq!((&admitted["path"], &admitted["query"]), (&json!("/orders/7"), &json!("page")));
    assert_eq!((&admitted["subject"], &admitted["auth_method"]), (&user["id"], &json!("jwt")));
    assert_eq!((&admitted["status"], &admitted["reason"]), (&json!(200), &json!("ok")));
    assert_eq!((&refused["status"], refused.get("subject")), (&json!(401), None));
    assert_ne!(refused["reason"], "ok");
}

#[test]
fn the_level_may_name_a_part() {
    for (level, shown) in [("off,portcullis::cli=info", true), ("info,portcullis::cli=off", false)] {
        let place = Place::prepared(unused(), "");
        let (http, ops) = (unused(), unused());
        let extra = format!("log: {{ level: \"{level}\" }}");
        place.write(CONFIGURATION, &configuration(&http.to_string(), &ops.to_string(), unused(), &extra));
        // It does not say where it serves, so it is told.
        let ended = Server::start_at(place.command(&["serve"]), http, ops).stop();
        let stderr = &ended.success().stderr;
        assert_eq!(stderr.contains("\"serving\""), shown, "{level}: {stderr}");
    }
}
