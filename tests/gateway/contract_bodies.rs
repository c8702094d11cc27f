//! Request bodies of the gateway's own endpoints, as existing clients send them.

use serde_json::json;

use crate::harness::{Client, Reply, World};

const VERIFY: &str = "/api/v1/auth/token/verify/";
const FORM: &str = "application/x-www-form-urlencoded";

fn post(world: &World, content_type: &str, body: &[u8]) -> Reply {
    world.request("POST", VERIFY, &[("Content-Type", content_type)], body)
}

/// A world with a token that `verify/` answers 200 to, so that an understood body shows without any hashing.
fn world_with_token() -> (World, String) {
    let world = World::start();
    world.user("anna");
    let (access, _) = world.sign_in("anna");
    (world, access)
}

#[test]
fn json_forms_and_multipart_are_read_alike() {
    let (world, token) = world_with_token();
    let as_json = json!({ "token": token }).to_string();
    for content_type in ["application/json", "Application/JSON", "application/json; charset=utf-8; x=\"y\""] {
        assert_eq!(post(&world, content_type, as_json.as_bytes()).text(), "{}", "{content_type}");
    }
    let form = format!("token=old&other=1&token={token}");
    assert_eq!(post(&world, FORM, form.as_bytes()).text(), "{}", "of a repeated field the last one counts");
    let escaped: String = token.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert_eq!(post(&world, FORM, format!("%74oken=+{escaped}%20").as_bytes()).text(), "{}");
    let part = |value: &str| format!("--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\n{value}\r\n");
    let multipart = format!("{}{}--b--\r\n", part("old"), part(&token));
    assert_eq!(post(&world, "multipart/form-data; boundary=b", multipart.as_bytes()).text(), "{}");
    let reply = post(&world, "multipart/form-data", multipart.as_bytes());
    assert_eq!(reply.status, 400);
    let detail = reply.json()["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("Multipart form parse error - "), "{detail}");
}

#[test]
fn the_charset_of_a_json_body_is_heeded_when_it_is_known() {
    let world = World::plan(crate::harness::Plan::django(""));
    world.user("zoë");
    let body = json!({"username": "zoë", "password": crate::harness::PASSWORD}).to_string();
    let latin: Vec<u8> = body.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    let wide: Vec<u8> = [0xfeff].into_iter().chain(body.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let sign_in = |parameters: &str, body: &[u8]| {
        let content_type = format!("application/json{parameters}");
        world.request("POST", "/api/v1/auth/token/", &[("Content-Type", &content_type)], body).status
    };
    for (parameters, body) in [
        ("", body.as_bytes()),
        ("; charset=UTF-8", body.as_bytes()),
        ("; charset=nonsense", body.as_bytes()),
        ("; charset=latin-1", &latin),
        ("; charset=\"ISO-8859-1\"", &latin),
        ("; charset=utf-16", &wide),
    ] {
        assert_eq!(sign_in(parameters, body), 200, "{parameters}");
    }
    assert_eq!(sign_in("; charset=ascii", body.as_bytes()), 400);
    assert_eq!(sign_in("; charset=utf-16", b"odd"), 400);
    assert_eq!(sign_in("; charset=latin-1", body.as_bytes()), 401, "read as what it says it is");
}

#[test]
fn a_file_is_no_text() {
    let world = World::start();
    let body = "--b\r\nContent-Disposition: form-data; name=\"token\"; filename=\"t.txt\"\r\n\r\nx\r\n--b--\r\n";
    let reply = post(&world, "multipart/form-data; boundary=b", body.as_bytes());
    assert_eq!((reply.status, reply.json()), (400, json!({"token": ["Not a valid string."]})));
}

#[test]
fn duplicate_members_count_once_and_unknown_ones_not_at_all() {
    let (world, token) = world_with_token();
    let body = format!(r#"{{"token":"junk","extra":{{"a":[1]}},"token":"{token}"}}"#);
    assert_eq!(post(&world, "application/json", body.as_bytes()).text(), "{}");
}

#[test]
fn a_type_that_is_not_read_is_named_in_the_refusal() {
    let world = World::start();
    for sent in ["text/plain", "application/xml", "Text/Plain; charset=utf-8", "json"] {
        let reply = post(&world, sent, b"x");
        assert_eq!((reply.status, reply.code().as_str()), (415, "unsupported_media_type"), "{sent}");
        assert_eq!(reply.json()["detail"], format!("Unsupported media type \"{sent}\" in request."));
    }
    let reply = world.request("POST", VERIFY, &[], b"{}");
    assert_eq!(reply.status, 415);
    assert_eq!(reply.json()["detail"], "Unsupported media type \"\" in request.");
    let reply =
        world.request("POST", VERIFY, &[("Content-Type", "application/json"), ("Content-Encoding", "gzip")], b"{}");
    assert_eq!(reply.status, 415, "nothing is unpacked here");
}

#[test]
fn no_body_is_an_empty_object_whatever_its_type() {
    let world = World::start();
    let required = r#"{"token":["This field is required."]}"#;
    for headers in [
        &[("Content-Type", "text/plain")][..],
        &[("Content-Type", "application/json"), ("Content-Length", "0")],
        &[("Content-Length", "0")],
        &[],
    ] {
        let reply = world.request("POST", VERIFY, headers, b"");
        assert_eq!((reply.status, reply.text().as_str()), (400, required), "{headers:?}");
    }
}

#[test]
fn chunked_bodies_are_read() {
    let (world, token) = world_with_token();
    let body = json!({ "token": token }).to_string();
    let (first, second) = body.split_at(7);
    let mut client = Client::connect(world.http());
    client.write(
        format!(
            "POST {VERIFY} HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
            first.len(),
            second.len()
        )
        .as_bytes(),
    );
    let reply = client.reply(false);
    assert_eq!((reply.status, reply.text().as_str()), (200, "{}"));
}

#[test]
fn a_client_that_waits_for_leave_to_send_its_body_gets_it() {
    let (world, token) = world_with_token();
    let body = json!({ "token": token }).to_string();
    let mut client = Client::connect(world.http());
    let length = body.len().to_string();
    let headers = [("Content-Type", "application/json"), ("Content-Length", &length), ("Expect", "100-continue")];
    client.send("POST", VERIFY, &headers, b"");
    let leave = b"HTTP/1.1 100 Continue\r\n";
    assert_eq!(client.read_exactly(leave.len()), leave);
    client.write(body.as_bytes());
    // The rest of the interim answer is an empty line, or header fields and an empty line.
    while client.read_exactly(1) != b"\n" {}
    let reply = client.reply(false);
    assert_eq!((reply.status, reply.text().as_str()), (200, "{}"));
}

#[test]
fn malformed_json_is_refused_in_words_that_clients_recognise() {
    let world = World::start();
    let deep = format!("{{\"token\":{}{}}}", "[".repeat(17), "]".repeat(17));
    for body in [
        &b"{"[..],
        b"{\"token\":}",
        b"\xef\xbb\xbf{}",
        b"{\"token\":\"\xff\"}",
        b"{\"token\":NaN}",
        b"{\"token\":Infinity}",
        b"{} x",
        b"{}{}",
        b"  \n",
        b"{'token':1}",
        deep.as_bytes(),
    ] {
        let reply = post(&world, "application/json", body);
        assert_eq!((reply.status, reply.code().as_str()), (400, "parse_error"), "{body:?}");
        let detail = reply.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.starts_with("JSON parse error - "), "{detail}");
    }
}

#[test]
fn json_that_is_no_object_is_named_by_its_type() {
    let world = World::start();
    for (body, word) in
        [("[]", "list"), ("\"x\"", "str"), ("5", "int"), ("-5", "int"), ("1.5", "float"), ("true", "bool")]
    {
        let reply = post(&world, "application/json", body.as_bytes());
        let expected = json!({"non_field_errors": [format!("Invalid data. Expected a dictionary, but got {word}.")]});
        assert_eq!((reply.status, reply.json()), (400, expected), "{body}");
    }
    let reply = post(&world, "application/json", b"null");
    assert_eq!((reply.status, reply.json()), (400, json!({"non_field_errors": ["No data provided"]})));
}

#[test]
fn text_fields_are_judged_one_by_one_and_all_faults_are_told() {
    let (world, token) = world_with_token();
    let ask = |value: &str| post(&world, "application/json", format!("{{\"token\":{value}}}").as_bytes());
    for (value, fault) in [
        ("null", "This field may not be null."),
        ("\"\"", "This field may not be blank."),
        ("\" \\t\\n\"", "This field may not be blank."),
        ("true", "Not a valid string."),
        ("[\"x\"]", "Not a valid string."),
        ("{\"x\":1}", "Not a valid string."),
        ("\"a\\u0000b\"", "Null characters are not allowed."),
        ("\"a\\ud800b\"", "Surrogate characters are not allowed: U+D800."),
    ] {
        let reply = ask(value);
        assert_eq!((reply.status, reply.json()), (400, json!({ "token": [fault] })), "{value}");
    }
    for number in ["5", "1.5", "-0"] {
        assert_eq!(ask(number).status, 401, "a number is taken as its text, which is no token");
    }
    assert_eq!(ask(&format!("\" \\t{token}\\n\"")).text(), "{}", "white space at either end is taken off");
    let reply = world.post_json("/api/v1/auth/token/", &json!({"username": null, "password": true}));
    let faults = r#"{"username":["This field may not be null."],"password":["Not a valid string."]}"#;
    assert_eq!((reply.status, reply.text().as_str()), (400, faults));
    assert_eq!(post(&world, FORM, b"token=").json(), json!({"token": ["This field may not be blank."]}));
}

#[test]
fn a_body_over_the_limit_is_refused_announced_or_not() {
    let world = World::start();
    let large = format!("{{\"token\":\"{}\"}}", "x".repeat(65_536));
    let reply = post(&world, "application/json", large.as_bytes());
    assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
    let mut client = Client::connect(world.http());
    client.write(
        format!(
            "POST {VERIFY} HTTP/1.1\r\nHost: gateway.test\r\nContent-Type: application/json\r\n\
             Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{large}\r\n0\r\n\r\n",
            large.len()
        )
        .as_bytes(),
    );
    let reply = client.reply(false);
    assert_eq!((reply.status, reply.code().as_str()), (413, "body_too_large"));
}
