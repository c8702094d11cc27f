//! The guides, as a reader follows them: every command in them, in its order, against a quick start.

use std::process::Command;

use crate::harness::{Finished, Place, finish, place::PORTCULLIS};

/// What stands in the `sh` blocks of a text.
fn script(markdown: &str) -> String {
    let blocks = markdown.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.collect::<Vec<_>>().join("\n")
}

/// Where the next answer of `curl` begins in what was printed.
fn after<'a>(text: &'a str, mark: &str) -> &'a str {
    text.split_once(mark).unwrap_or_else(|| panic!("{mark} is not in {text}")).1
}

/// Runs every command of a guide in `docs/`, against a quick start in this place.
fn follow(guide: &str, place: &Place) -> Finished {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(guide);
    let guide = std::fs::read_to_string(path).unwrap();
    let server = place.quickstart(&[]);
    // The reader has started it in another terminal, on the port of the guide.
    let commands =
        script(&guide).replace("portcullis quickstart\n", "").replace("127.0.0.1:8080", &server.http.to_string());
    // Each line with a mark before it, so that an answer can be told from the next one's.
    let mut command = Command::new("bash");
    let bin = std::path::Path::new(PORTCULLIS).parent().unwrap().display().to_string();
    let commands = format!("PATH={bin}:$PATH\n{commands}");
    command.args(["-euo", "pipefail", "-v", "-c", &commands]).current_dir(place.path("."));
    finish(command, "")
}

#[test]
fn the_guide_to_api_keys_works_as_it_is_written() {
    let place = Place::empty();
    let done = follow("api-keys.md", &place);
    let said = &done.success().stdout;
    let through = after(said, "x-auth-user-id");
    let refused = after(through, "\"code\":\"key_not_valid\"");
    let listed = after(after(refused, "Changed key"), "nightly-export");
    let shown = after(listed, "\"use_count\": 1");
    assert!(listed.contains("\"rate\": null") && listed.contains("\"quota\": \"10000/day\""), "{listed}");
    let replaced = after(after(after(shown, "x-auth-user-id"), "x-auth-user-id"), "replaced by");
    assert!(replaced.contains("used 1 times since then"), "{said}");
    let leaked = after(replaced, "{\"results\":[{\"outcome\":\"revoked\"}]}");
    let refused = after(leaked, "\"code\":\"key_not_valid\"");
    let audit = after(refused, "key_revoke");
    assert!(audit.contains("anonymous") && audit.contains("Revoked key"), "{audit}");
    assert!(!audit.contains("pk_"), "{audit}");
}

#[test]
fn the_guide_to_accounts_works_as_it_is_written() {
    let place = Place::empty();
    let done = follow("accounts.md", &place);
    let (said, asked) = (&done.success().stdout, &done.stderr);

    // The phone reads the same from the picture as the program from the text.
    let mut reader = Command::new("zbarimg");
    reader.args(["--quiet", "--raw"]).arg(place.path("qr.png"));
    let scanned = finish(reader, "").success().stdout.clone();
    assert!(scanned.starts_with("otpauth://totp/"), "{scanned}");

    let me = after(said, "\"username\":\"anna\"");
    assert!(me.contains("\"assurance\":\"one_factor\""), "{said}");
    let enrolled = after(said, "2FA enabled successfully");
    let factor = after(enrolled, "\"enabled\":true");
    assert!(factor.contains("\"recovery_codes_left\":10"), "{said}");
    let lost = after(factor, "\"recovery_codes_left\":10");
    let reset = after(lost, "\"recovery_codes_left\":9");
    let ended = after(reset, "\"code\":\"session_ended\"");
    let sessions = after(ended, "\"results\":[");
    assert!(sessions.contains("\"amr\":[\"pwd\",\"recovery_code\"]"), "{said}");
    let audit = after(sessions, "\"code\":\"session_ended\"");
    for action in ["user_create", "sign_in", "second_factor_enable", "password_reset", "session_end"] {
        assert!(audit.contains(action), "{action} is not in the audit: {audit}\n{asked}");
    }
    for secret in ["anna likes long", "pk_"] {
        assert!(!audit.contains(secret), "{audit}");
    }
}
