//! Rows that cannot be taken over, or not as they are: each is reported, and keeps nothing else from coming along.

use portcullis::identity::import::report::Report;
use serde_json::{Value, json};

use super::repeated::Copy;
use super::{CODES, DEVICES, KEYS, OUTSTANDING, Successor, USERS, export, options, tally};

/// What is told of a row.
#[track_caller]
fn told<'a>(report: &'a Report, table: &str, id: &str) -> (bool, &'a str) {
    let row = report.rows.iter().find(|row| row.table == table && row.id == id);
    let row = row.unwrap_or_else(|| panic!("nothing is told of {table} {id}: {:#?}", report.rows));
    (row.came, &row.what)
}

#[test]
fn damaged_rows_are_told_by_table_and_id_and_do_not_stop_the_rest() {
    let successor = Successor::start("at_sign_in: false");
    let copy = Copy::of("db.sqlite3");
    copy.change(
        &successor,
        "UPDATE auth_user SET password = 'pbkdf2_sha256$1000$salt$AAAA' WHERE id = 1; \
         UPDATE auth_user SET password = 'pbkdf2_sha256$1000$salt$n0t-base64!' WHERE id = 2; \
         UPDATE auth_user SET password = 'whirlpool$salt$00' WHERE id = 3; \
         UPDATE auth_user SET password = 'pbkdf2_sha256$2000000000$salt$AAAA' WHERE id = 4; \
         UPDATE auth_user SET password = printf('%.*c', 100000000, 'x') WHERE id = 5; \
         UPDATE auth_user SET date_joined = '2999-01-01 00:00:00' WHERE id = 6; \
         UPDATE auth_user SET username = char(9) || 'tab' WHERE id = 7; \
         UPDATE auth_user SET is_active = 'maybe' WHERE id = 8; \
         UPDATE auth_user SET date_joined = 'yesterday' WHERE id = 9; \
         UPDATE auth_user SET username = CAST(x'ff00fe' AS TEXT) WHERE id = 10; \
         UPDATE auth_user SET email = 'no address' WHERE id = 11; \
         UPDATE auth_user SET password = 'scrypt$1073741824$salt$8$1$AAAA' WHERE id = 12; \
         UPDATE rest_framework_api_key_apikey SET hashed_key = 'sha512$$xyz' WHERE prefix = 'YeoO5V6K'; \
         UPDATE rest_framework_api_key_apikey SET hashed_key = 'sha1$a$' || hex(zeroblob(20)) WHERE prefix = 'duG2z8Dh'; \
         UPDATE rest_framework_api_key_apikey SET expiry_date = 'never' WHERE prefix = 'ZtQVl5CV'; \
         UPDATE rest_framework_api_key_apikey SET prefix = 'a b' WHERE prefix = 'jJDms2Xf'; \
         UPDATE rest_framework_api_key_apikey SET created = '2999-01-01 00:00:00' WHERE prefix = 'Dp0KP93w'; \
         UPDATE rest_framework_api_key_apikey SET name = printf('%.*c', 100000000, 'x') WHERE prefix = 'BH1Qohcu'; \
         UPDATE otp_totp_totpdevice SET key = 'not hex' WHERE id = 1; \
         UPDATE otp_totp_totpdevice SET key = '' WHERE id = 2; \
         UPDATE otp_totp_totpdevice SET step = 0 WHERE id = 3; \
         UPDATE otp_totp_totpdevice SET digits = 9 WHERE id = 4; \
         UPDATE otp_totp_totpdevice SET tolerance = 1000 WHERE id = 5; \
         UPDATE otp_totp_totpdevice SET last_t = 99999999999 WHERE id = 9; \
         UPDATE otp_totp_totpdevice SET user_id = 4711 WHERE id = 10; \
         UPDATE otp_static_statictoken SET token = printf('%.*c', 17, 'x') WHERE token = 'dtv76lg4'; \
         UPDATE otp_static_statictoken SET device_id = 4711 WHERE token = 'om3mmell'; \
         UPDATE token_blacklist_outstandingtoken SET expires_at = 'never' WHERE id = 2",
    );
    let report = successor.import(&copy.from(), &options());
    for (table, id, came, what) in [
        (USERS, "1", true, "wrong length"),
        (USERS, "2", true, "no base64"),
        (USERS, "3", true, "unknown algorithm"),
        (USERS, "4", true, "more work than is done"),
        (USERS, "5", true, "password is longer than 4096 bytes"),
        (USERS, "6", true, "date_joined lies in the future"),
        (USERS, "7", false, "control or invisible characters"),
        (USERS, "8", false, "is_active is neither true nor false"),
        (USERS, "9", true, "date_joined is no time"),
        (USERS, "10", false, "username is no text"),
        (USERS, "11", true, "e-mail address is none"),
        (USERS, "12", true, "more work than is done"),
        (KEYS, "YeoO5V6K", false, "no SHA-512"),
        (KEYS, "duG2z8Dh", false, "--accept-weak"),
        (KEYS, "ZtQVl5CV", false, "expiry_date is no time"),
        (KEYS, "?", false, "prefix is no prefix"),
        (KEYS, "Dp0KP93w", true, "created lies in the future"),
        (KEYS, "BH1Qohcu", false, "name is longer than 4096 bytes"),
        (DEVICES, "1", false, "key is no hex"),
        (DEVICES, "2", false, "key is empty"),
        (DEVICES, "3", false, "step is no number of seconds"),
        (DEVICES, "4", false, "digits is not 6, 7 or 8"),
        (DEVICES, "5", false, "tolerance is not 0 to 10"),
        (DEVICES, "9", true, "last_t lies in the future"),
        (DEVICES, "10", false, "its user did not come along"),
        (CODES, "3", false, "no code of 1 to 16 characters"),
        (CODES, "4", false, "its device did not come along"),
        (OUTSTANDING, "2", true, "stays dead for good"),
    ] {
        let (did, told) = told(&report, table, id);
        assert!(did == came && told.contains(what), "{table} {id}: {told}");
    }
    for row in &report.rows {
        let shown = format!("{row:?}");
        assert!(shown.len() < 500 && !shown.contains("$salt$") && !shown.contains("xxxxx"), "{shown}");
    }
    // Nobody signs in by a damaged hash, and everybody else does.
    for name in ["pbkdf2-sha256.now", "argon2.now", "bcrypt.now"] {
        for guess in ["", "x", "AAAA"] {
            assert_ne!(successor.login(name, guess).status, 200, "{name}");
        }
    }
    assert_eq!(successor.login("low.iterations", "Low-Iter-1").status, 200);
    assert_eq!(successor.login("scrypt.now", "Export1-scrypt-Aa9").status, 200);
    assert_eq!(successor.key("Dp0KP93w.Igveq107V8eVUMEB4KqTQdGdtmUZOtJ1").status, 200);
    assert_eq!(tally(&report, USERS).added, 42);
}

#[test]
fn ids_that_occur_twice_in_a_dump_are_taken_over_once() {
    let successor = Successor::start("at_sign_in: false");
    let text = std::fs::read_to_string(export("dump.json")).unwrap();
    let mut rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let twins: Vec<Value> = rows
        .iter()
        .filter(|row| row["model"].as_str().unwrap().starts_with("otp_") || row["pk"] == json!(36))
        .cloned()
        .collect();
    let devices = twins.iter().filter(|row| row["model"] == "otp_totp.totpdevice").count();
    rows.extend(twins);
    // Not an id at all, and no fields.
    rows.push(json!({ "model": "auth.user", "pk": { "a": 1 } }));
    rows.push(json!({ "model": "auth.user", "pk": "x".repeat(5000), "fields": {} }));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("dump.json");
    std::fs::write(&path, serde_json::to_string(&rows).unwrap()).unwrap();
    let report = successor.import(path.to_str().unwrap(), &options());
    assert_eq!(told(&report, USERS, "36"), (false, "the id occurs twice"));
    assert_eq!(told(&report, DEVICES, "1"), (false, "the id occurs twice"));
    assert_eq!(tally(&report, DEVICES).left, u64::try_from(devices).unwrap());
    assert_eq!((tally(&report, USERS).added, tally(&report, USERS).left), (45, 3), "{report:?}");
    assert_eq!(successor.login("low.iterations", "Low-Iter-1").status, 200);
}

#[test]
fn what_is_no_installation_says_so_and_changes_nothing() {
    let successor = Successor::start("");
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let half = std::fs::read_to_string(export("dump.json")).unwrap();
    let half = file("half.json", half.split_at(40_000).0);
    for (from, what) in [
        ("mysql://root:geheim@host/db".to_owned(), "--from is not understood"),
        (String::new(), "--from is not understood"),
        ("/no/such/dump.json".to_owned(), "cannot be opened"),
        ("sqlite:///no/such/db.sqlite3".to_owned(), "cannot be opened"),
        (file("text.json", "hello"), "cannot be read"),
        (file("object.json", "{\"model\": 1}"), "an array of objects"),
        (half, "cannot be read"),
        (format!("sqlite://{}", file("text.sqlite3", "hello")), "cannot be opened"),
        ("postgres://root:geheim@127.0.0.1:1/db".to_owned(), "cannot be opened"),
    ] {
        let fault = successor.try_import(&from, &options()).unwrap_err();
        assert!(fault.contains(what) && !fault.contains("geheim"), "{from}: {fault}");
    }
    assert_eq!(successor.world.wait(successor.world.stores.users.count()).unwrap(), 0);
}
