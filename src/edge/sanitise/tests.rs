use super::*;

struct Zero;
impl Random for Zero {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn sanitiser() -> Sanitiser {
    Sanitiser::new(TrustedProxies::new(vec!["10.0.0.0/8".parse().unwrap()]), AuthorizationRules::default(), &Zero)
}

fn request(target: &str, headers: &[(&str, &str)]) -> RequestHeader {
    let mut request = RequestHeader::build("GET", target.as_bytes(), None).unwrap();
    for (name, value) in headers {
        request.append_header((*name).to_owned(), *value).unwrap();
    }
    request
}

fn run(peer: &str, target: &str, headers: &[(&str, &str)]) -> (Result<Sanitised, Insane>, RequestHeader) {
    let mut request = request(target, headers);
    let result = sanitiser().sanitise(&mut request, peer.parse().unwrap(), false);
    (result, request)
}

#[test]
fn forged_identity_goes_and_the_rest_stays() {
    let (result, request) = run(
        "192.0.2.1",
        "/a?b=c",
        &[
            ("Host", "h"),
            ("X-Auth-User-Id", "1"),
            ("x_auth_user_id", "1"),
            ("Remote.User", "root"),
            ("X-Forwarded-For", "1.1.1.1"),
            ("X-Request-Id", "mine"),
            ("X_API_Key", "k"),
            ("Accept", "x"),
        ],
    );
    let names: Vec<_> = request.headers.keys().map(|name| name.as_str()).collect();
    assert_eq!(names, ["host", "accept"]);
    let sanitised = result.unwrap();
    assert_eq!(sanitised.arrival.client.to_string(), "192.0.2.1");
    assert_ne!(sanitised.request_id.as_str(), "mine");
    assert_eq!(sanitised.forwarded.for_chain, "192.0.2.1");
    assert_eq!(sanitised.query.as_deref(), Some("b=c"));
    assert!(sanitised.arrival.credentials.api_key.is_absent());
}

#[test]
fn a_trusted_proxy_is_believed_about_where_it_comes_from_and_never_about_who() {
    let (result, request) = run(
        "10.0.0.1",
        "/",
        &[
            ("Host", "h"),
            ("X-Forwarded-For", "198.51.100.7"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "public.example"),
            ("X-Request-Id", "abc-1"),
            ("X-Forwarded-User", "root"),
        ],
    );
    let sanitised = result.unwrap();
    assert_eq!(sanitised.arrival.client.to_string(), "198.51.100.7");
    assert_eq!(sanitised.request_id.as_str(), "abc-1");
    assert_eq!(sanitised.forwarded.for_chain, "198.51.100.7, 10.0.0.1");
    assert_eq!(sanitised.forwarded.proto, "https");
    assert_eq!(sanitised.forwarded.host, "public.example");
    assert_eq!(request.headers.len(), 1);
}

#[test]
fn hosts_must_be_one_and_agree_with_the_target() {
    let denial = |target: &str, headers: &[(&str, &str)]| run("192.0.2.1", target, headers).0.unwrap_err().denial;
    assert_eq!(denial("/", &[]), Denial::BadHost);
    assert_eq!(denial("/", &[("Host", "a"), ("Host", "a")]), Denial::BadHost);
    assert_eq!(denial("/", &[("Host", "a b")]), Denial::BadHost);
    assert_eq!(denial("http://other/", &[("Host", "h")]), Denial::BadHost);
    let (result, _) = run("192.0.2.1", "http://h/x?y", &[("Host", "h")]);
    let sanitised = result.unwrap();
    assert_eq!((sanitised.arrival.path.as_str(), sanitised.query.as_deref()), ("/x", Some("y")));
}

#[test]
fn paths_are_judged() {
    let denial = |target: &str| run("192.0.2.1", target, &[("Host", "h")]).0.unwrap_err().denial;
    for target in ["/a/../b", "/a%2e%2e/%2e%2e", "/a\\b", "*"] {
        assert_eq!(denial(target), Denial::BadPath, "{target}");
    }
}

#[test]
fn credentials_are_read_from_their_one_place() {
    let (result, _) =
        run("192.0.2.1", "/?access_token=x", &[("Host", "h"), ("Cookie", "token=x"), ("Authorization", "Bearer t")]);
    let credentials = result.unwrap().arrival.credentials;
    assert!(matches!(credentials.bearer, Presented::WellFormed(token) if token.expose() == "t"));
    let (result, _) = run("192.0.2.1", "/?access_token=x&api_key=y", &[("Host", "h")]);
    assert!(result.unwrap().arrival.credentials.bearer.is_absent());
}

#[test]
fn only_websockets_are_upgrades() {
    let socket = [("Host", "h"), ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")];
    assert!(run("192.0.2.1", "/", &socket).1.headers.contains_key("upgrade"));
    for other in [
        vec![("Host", "h"), ("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "x")],
        vec![("Host", "h"), ("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "12")],
        vec![("Host", "h"), ("Connection", "Upgrade"), ("Upgrade", "websocket, h2c"), ("Sec-WebSocket-Version", "13")],
    ] {
        let request = run("192.0.2.1", "/", &other).1;
        assert!(!request.headers.contains_key("upgrade") && !request.headers.contains_key("http2-settings"));
    }
}
