//! What is written down about requests: enough to work with, and nothing that opens a door.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

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
const ENDPOINTS: [&str; 4] = ["token/", "token/refresh/", "token/verify/", "me/"];

/// Everything of `MESSAGES`, and bodies of many kinds for our own endpoints. Returns the secrets that were in them.
fn attack(http: SocketAddr, key: &str) -> Vec<String> {
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
            let bodies = [
                json!({"username": "anna", "password": secret, "refresh": secret, "token": secret}).to_string(),
                format!("{{\"password\": {secret}}}"),
                format!("[\"{secret}\"]"),
                format!("username=anna&password={secret}&refresh={secret}&token={secret}"),
                format!("--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n{secret}\r\n--b--\r\n"),
            ];
            for body in bodies {
                let headers = [("Content-Type", content_type), ("Connection", "close")];
                let target = format!("/api/v1/auth/{endpoint}?password={secret}");
                Client::connect(http).request("POST", &target, &headers, body.as_bytes());
            }
        }
    }
    secrets
}

#[test]
fn no_secret_is_ever_logged_and_every_line_is_one_json_object() {
    let upstream = Upstream::start();
    let extra = "log: { level: trace }\nlimits: { head_timeout: 2s }";
    let place = Place::prepared(upstream.address(), extra);
    let server = place.serve();
    place.create_user("anna");
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
    let mut secrets = attack(server.http, &key);
    attack(server.ops, &key);
    secrets.extend([access, refresh, key[12..].to_owned(), PASSWORD.to_owned()]);

    let Finished { code, stdout, stderr } = server.stop();
    assert_eq!(code, Some(0));
    for (name, text) in [("stdout", &stdout), ("stderr", &stderr)] {
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"));
            assert!(value.is_object(), "{name}: {line}");
            assert!(!line.chars().any(char::is_control), "{name}: {line:?}");
            for secret in &secrets {
                // The parts of a token are secrets too: its signature above all.
                for part in secret.split('.').filter(|part| part.len() > 40).chain([secret.as_str()]) {
                    assert!(!line.contains(part), "{name} holds {part}: {line}");
                }
            }
        }
    }
    assert!(stdout.lines().count() > MESSAGES.len(), "{stdout}");
    assert!(stderr.lines().count() >= 3, "{stderr}");
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
