//! Taking over again: what has changed there comes, what has changed here stays.

use std::path::{Path, PathBuf};

use portcullis::domain::audit::AuditAction;
use portcullis::domain::user::UserChanges;
use portcullis::identity::import::ImportOptions;
use serde_json::json;
use sqlx::{AnyConnection, Connection as _, Executor as _};
use tempfile::TempDir;

use super::{CODES, DEVICES, KEYS, OUTSTANDING, Successor, USERS, export, options, tally, user_id};
use crate::harness::operators_change;

/// A copy that a test may change.
pub struct Copy {
    _directory: TempDir,
    pub path: PathBuf,
}

impl Copy {
    pub fn of(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::copy(export(name), &path).unwrap();
        Self { _directory: directory, path }
    }

    pub fn from(&self) -> String {
        format!("sqlite://{}", self.path.display())
    }

    pub fn change(&self, successor: &Successor, statements: &str) {
        let url = self.from();
        successor.world.wait(async {
            sqlx::any::install_default_drivers();
            let mut connection = AnyConnection::connect(&url).await.unwrap();
            // Damage may be anything.
            connection.execute("PRAGMA foreign_keys = OFF").await.unwrap();
            connection.execute(sqlx::AssertSqlSafe(statements.to_owned())).await.unwrap();
            connection.close().await.unwrap();
        });
    }
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap()
}

#[test]
fn a_trial_run_counts_everything_and_leaves_nothing_behind() {
    let successor = Successor::start("");
    let copy = Copy::of("db.sqlite3");
    let before = bytes(&copy.path);
    let report = successor.import(&copy.from(), &ImportOptions { dry_run: true, ..options() });
    let users = tally(&report, USERS);
    assert_eq!((users.read, users.added, users.left), (45, 45, 0));
    assert_eq!((tally(&report, KEYS).added, tally(&report, DEVICES).added, tally(&report, CODES).added), (13, 16, 8));
    assert_eq!((report.password_formats["pbkdf2_sha256"], report.key_formats["sha512"]), (10, 5));
    assert_eq!(successor.world.wait(successor.world.stores.users.count()).unwrap(), 0);
    assert_eq!(successor.world.audited(AuditAction::Import), []);
    let real = successor.import(&copy.from(), &options());
    assert_eq!(real.tables, report.tables, "it does what the trial said");
    assert_eq!(real.rows, report.rows);
    assert_eq!(successor.world.audited(AuditAction::Import).len(), 1);
    assert_eq!(bytes(&copy.path), before, "what is taken over from is only read");
}

#[test]
fn a_second_time_changes_nothing() {
    let successor = Successor::start("");
    successor.import(export("db.sqlite3").to_str().unwrap(), &options());
    // The same rows, from elsewhere.
    for name in ["db.sqlite3", "dump.json"] {
        let report = successor.import(export(name).to_str().unwrap(), &options());
        for table in [USERS, KEYS, DEVICES, CODES, OUTSTANDING] {
            let tally = tally(&report, table);
            assert_eq!((tally.added, tally.updated, tally.kept), (0, 0, 0), "{table} of {name}: {report:?}");
        }
        assert_eq!(tally(&report, USERS).unchanged, 45);
    }
}

#[test]
fn what_changed_there_comes_and_what_changed_here_stays() {
    let successor = Successor::start("at_sign_in: false");
    let (world, copy) = (&successor.world, Copy::of("db.sqlite3"));
    successor.import(&copy.from(), &options());
    // Here: a sign-in upgrades a hash, and an operator changes a name and a key.
    assert_eq!(successor.login("low.iterations", "Low-Iter-1").status, 200);
    let changes = UserChanges { first_name: Some("Changed".to_owned()), ..UserChanges::default() };
    world.wait(world.stores.users.update(&user_id("1"), &changes, &operators_change())).unwrap();
    // There: all kinds of things.
    copy.change(
        &successor,
        "UPDATE auth_user SET email = 'new@example.test' WHERE id IN (1, 2, 36); \
         UPDATE auth_user SET is_active = 0 WHERE id = 7; \
         UPDATE otp_totp_totpdevice SET last_t = 60000001 WHERE id = 1; \
         UPDATE rest_framework_api_key_apikey SET revoked = 1 WHERE prefix = 'YeoO5V6K'; \
         DELETE FROM otp_static_statictoken WHERE token = 'dtv76lg4'; \
         INSERT INTO token_blacklist_blacklistedtoken (token_id, blacklisted_at) SELECT id, '2026-11-24 00:00:00' \
         FROM token_blacklist_outstandingtoken WHERE jti = '79dfb23d23424e1b9813cd7544690c27'",
    );
    let report = successor.import(&copy.from(), &options());
    let users = tally(&report, USERS);
    assert_eq!((users.updated, users.kept, users.unchanged), (3, 1, 41), "{report:?}");
    let user = |id| world.wait(world.stores.users.find_fresh(&user_id(id))).unwrap().unwrap();
    assert_eq!(
        (user("1").first_name.as_str(), user("1").email.as_str()),
        ("Changed", "pbkdf2-sha256.now@example.test")
    );
    assert_eq!(user("2").email, "new@example.test");
    assert_eq!(user("36").email, "new@example.test");
    assert!(user("36").password.text().starts_with("$argon2id$"), "the upgraded hash stays");
    assert!(!user("7").is_active);
    assert_eq!(tally(&report, DEVICES).updated, 1);
    assert_eq!(tally(&report, KEYS).updated, 1);
    assert_eq!(successor.key("YeoO5V6K.q5I8HVUFQ4L3Ncx5sERNDPa7TkjCwqeX").status, 401);
    assert_eq!(world.wait(world.stores.second_factors.recovery_codes_left(&user_id("45"))).unwrap(), 2);
    let token = super::secrets()["refresh_tokens"][0]["refresh"].as_str().unwrap().to_owned();
    assert_eq!(world.refresh(&token).status, 401);

    // Unless it is to be overwritten.
    let report = successor.import(&copy.from(), &ImportOptions { overwrite: true, ..options() });
    assert_eq!(tally(&report, USERS).updated, 1, "the changed name: {report:?}");
    assert!(user("36").password.text().starts_with("$argon2id$"), "the same password, in a better hash");
    assert_eq!((user("1").first_name.as_str(), user("1").email.as_str()), ("", "new@example.test"));
    assert_eq!(successor.login("low.iterations", "Low-Iter-1").status, 200);
}

#[test]
fn a_password_that_was_hashed_anew_here_was_not_changed_here() {
    let successor = Successor::start("at_sign_in: false");
    let (world, copy) = (&successor.world, Copy::of("db.sqlite3"));
    successor.import(&copy.from(), &options());
    assert_eq!(successor.login("low.iterations", "Low-Iter-1").status, 200);
    let again = |expected: (u64, u64), why: &str| {
        let report = successor.import(&copy.from(), &options());
        let users = tally(&report, USERS);
        assert_eq!((users.updated, users.kept), expected, "{why}: {report:?}");
    };
    let set_there = |from: u32| {
        let statement =
            "UPDATE auth_user SET password = (SELECT password FROM auth_user WHERE id = {from}) WHERE id = 36";
        copy.change(&successor, &statement.replace("{from}", &from.to_string()));
    };
    again((0, 0), "nothing was changed anywhere");
    again((0, 0), "nor since");
    // Changed there, once and again, with a sign-in here in between.
    for (from, password) in [(1, None), (2, None), (1, Some("kept"))] {
        let secrets = super::secrets();
        let of_user = secrets["users"].as_array().unwrap().iter().find(|user| user["id"] == from).unwrap().clone();
        let new = of_user["password"].as_str().unwrap().to_owned();
        set_there(from);
        match password {
            None => {
                again((1, 0), "changed there");
                assert_eq!(successor.login("low.iterations", "Low-Iter-1").status, 401);
                assert_eq!(successor.login("low.iterations", &new).status, 200, "{from}");
                again((0, 0), "hashed anew");
            }
            // Changed here too: that stays.
            Some(kept) => {
                let set = portcullis::domain::secret::Secret::new(format!("{kept} for ever and a day"));
                let user = world.wait(world.stores.users.find_fresh(&user_id("36"))).unwrap().unwrap();
                world.wait(world.administration.users.give_password(&user, set, &crate::harness::operator())).unwrap();
                world.settle();
                for _ in 0..2 {
                    again((0, 1), "changed here");
                    assert_eq!(successor.login("low.iterations", &format!("{kept} for ever and a day")).status, 200);
                }
            }
        }
    }
}

#[test]
fn what_was_deleted_here_does_not_come_back() {
    let successor = Successor::start("");
    let world = &successor.world;
    successor.import(export("db.sqlite3").to_str().unwrap(), &options());
    let gone = user_id("45");
    world.wait(world.stores.users.delete(&gone, successor.clock_now(), &operators_change())).unwrap();
    let report = successor.import(export("db.sqlite3").to_str().unwrap(), &options());
    assert_eq!(tally(&report, USERS).kept, 1);
    assert_eq!(world.wait(world.stores.users.find_fresh(&gone)).unwrap(), None);
    assert_eq!(tally(&report, DEVICES).left, 1, "its device: {report:?}");
    let overwriting = ImportOptions { overwrite: true, ..options() };
    let report = successor.import(export("db.sqlite3").to_str().unwrap(), &overwriting);
    assert_eq!(tally(&report, USERS).added, 1, "{report:?}");
    assert!(world.wait(world.stores.users.find_fresh(&gone)).unwrap().is_some());
}

#[test]
fn another_installation_is_not_taken_for_the_one_that_was_taken_over() {
    let successor = Successor::start("");
    successor.import(export("db.sqlite3").to_str().unwrap(), &options());
    let report = successor.import(export("older-schema.sqlite3").to_str().unwrap(), &options());
    assert_eq!((tally(&report, USERS).left, tally(&report, USERS).updated), (2, 0), "{report:?}");
    assert!(report.rows[0].what.contains("same installation"), "{report:?}");
}

#[test]
fn names_that_somebody_has_here_are_reported() {
    let successor = Successor::start("at_sign_in: false");
    successor.world.user("root");
    let report = successor.import(export("db.sqlite3").to_str().unwrap(), &options());
    assert_eq!((tally(&report, USERS).left, tally(&report, USERS).added), (1, 44));
    let root = report.rows.iter().find(|row| row.table == USERS && row.id == "45").unwrap();
    assert!(!root.came && root.what.contains("the name root"), "{root:?}");
    assert_eq!(successor.login("root", "Root-1-Secret").status, 401);
}

#[test]
fn a_custom_user_model_has_another_table_other_columns_and_uuids() {
    let successor = Successor::start("");
    let (world, copy) = (&successor.world, Copy::of("db.sqlite3"));
    copy.change(
        &successor,
        "CREATE TABLE accounts_user (uuid char(32) NOT NULL PRIMARY KEY, password varchar(128) NOT NULL, \
         email varchar(254) NOT NULL UNIQUE, is_superuser bool NOT NULL, is_active bool NOT NULL); \
         INSERT INTO accounts_user SELECT '0123456789abcdef0123456789abcdef', password, 'anna@example.test', 0, 1 \
         FROM auth_user WHERE id = 36; \
         DROP TABLE otp_totp_totpdevice; DROP TABLE rest_framework_api_key_apikey; \
         DROP TABLE token_blacklist_blacklistedtoken; DROP TABLE otp_static_statictoken",
    );
    assert_eq!(
        successor
            .try_import(&copy.from(), &ImportOptions { users: table("no_such_table", &[]), ..options() })
            .map(|_| ()),
        Err("there is no table no_such_table in it: name the table of the users with --user-table".to_owned())
    );
    let users = table("accounts_user", &["id=uuid", "username=email"]);
    let report = successor.import(&copy.from(), &ImportOptions { users, ..options() });
    assert_eq!(tally(&report, "accounts_user").added, 1, "{report:?}");
    let reply = successor.login("anna@example.test", "Low-Iter-1");
    assert_eq!(reply.status, 200, "{reply:?}");
    let access = reply.json()["access"].as_str().unwrap().to_owned();
    let id = "01234567-89ab-cdef-0123-456789abcdef";
    assert_eq!(world.get_as("/p", &access).seen().header("x-auth-user-id"), Some(id));

    // A token as that installation has made it.
    let now = successor.clock_now().as_secs();
    let claims = json!({ "token_type": "access", "exp": now + 60, "iat": now, "jti": "a", "user_id": id });
    let token = crate::harness::forge::hs256(super::SIGNING_KEY, &claims);
    assert_eq!(world.get_as("/p", &token).seen().header("x-auth-user-id"), Some(id));
}

fn table(name: &str, columns: &[&str]) -> portcullis::identity::import::UserTable {
    let mut users = portcullis::identity::import::UserTable::named(name.to_owned());
    for column in columns {
        users.rename(column).unwrap();
    }
    users
}
