//! A forgotten password, across a power cut, and what the logs say of it.

use serde_json::json;

use crate::harness::{PASSWORD, Place, Server, eventually, unused};

const EXTRA: &str = "log: { level: trace }\n\
                     mail: { transport: { directory: mail }, reset_url: \"https://app.example.org/reset#{token}\" }";

fn ask(server: &Server) {
    let reply = server.post("/api/v1/auth/password/reset/", &json!({ "email": "anna@example.org" }));
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// The token of a mail that is or will be there.
fn token(place: &Place) -> String {
    let raw = eventually("the mail", || {
        let files = place.files().into_iter();
        let mut mails = files.filter(|(path, _)| path.extension().is_some_and(|extension| extension == "eml"));
        mails.next().map(|(_, content)| String::from_utf8(content).unwrap())
    });
    let (_, after) = raw.split_once("https://app.example.org/reset#").unwrap();
    after.chars().take(43).collect()
}

#[test]
fn a_request_that_was_acknowledged_is_answered_after_a_kill() {
    let place = Place::prepared(unused(), EXTRA);
    let arguments = ["users", "create", "--username", "anna", "--email", "anna@example.org", "--password-stdin"];
    place.json(&arguments, &format!("{PASSWORD}\n"));
    let server = place.serve();
    ask(&server);
    server.kill();
    let server = place.serve();
    let token = token(&place);
    let body = json!({ "token": token, "new_password": "purple monkey dishwasher" });
    let done = server.post("/api/v1/auth/password/reset/confirm/", &body);
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(server.sign_in("anna", "purple monkey dishwasher").status, 200);
    let again = server.post("/api/v1/auth/password/reset/confirm/", &body);
    assert_eq!(again.status, 400, "{again:?}");

    let ended = server.stop();
    ended.success();
    for secret in [token.as_str(), "purple monkey"] {
        assert!(!ended.stdout.contains(secret) && !ended.stderr.contains(secret), "{secret} is in the log");
    }
    assert!(ended.stdout.contains("\"password_reset\""), "{}", ended.stdout);
    let outside = place.files().into_iter().filter(|(path, _)| path.extension().is_none_or(|e| e != "eml"));
    for (path, content) in outside {
        let held = content.windows(token.len()).any(|window| window == token.as_bytes());
        assert!(!held, "the token is in {}", path.display());
    }
}
