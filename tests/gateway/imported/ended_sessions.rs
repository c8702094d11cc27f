//! Users who were switched off there, or got another password: what they were signed in with is dead, and stays so.

use portcullis::identity::import::ImportOptions;

use super::repeated::Copy;
use super::{Successor, options, secrets, text};
use crate::harness::postgres::PostgresServer;

/// What somebody may have kept.
struct Held {
    access: String,
    refresh: String,
}

impl Held {
    /// Those that the installation gave to `root`, or to others.
    fn from_there(refresh: usize) -> Self {
        let secrets = secrets();
        let row = &secrets["refresh_tokens"][refresh];
        Self { access: text(&secrets["access_token"], "access").to_owned(), refresh: text(row, "refresh").to_owned() }
    }

    fn from_here(successor: &Successor, username: &str, password: &str) -> Self {
        let body = successor.login(username, password).json();
        Self { access: text(&body, "access").to_owned(), refresh: text(&body, "refresh").to_owned() }
    }

    #[track_caller]
    fn assert_answered(&self, successor: &Successor, status: u16) {
        let world = &successor.world;
        let answers = (world.get_as("/p", &self.access).status, world.refresh(&self.refresh).status);
        assert_eq!(answers, (status, status));
    }
}

/// One that is in a table there, and one that is in none.
const OF_ROOT: [usize; 2] = [0, 9];
const OF_ANOTHER: usize = 8;

fn switched_off_and_on(storage: Option<String>) {
    let successor = Successor::start_on(storage, "at_sign_in: false");
    let copy = Copy::of("db.sqlite3");
    successor.import(&copy.from(), &options());
    let all = OF_ROOT.map(Held::from_there).into_iter().chain([Held::from_here(&successor, "root", "Root-1-Secret")]);
    let all: Vec<Held> = all.collect();
    let another = Held::from_there(OF_ANOTHER).refresh;
    for held in &all {
        held.assert_answered(&successor, 200);
    }
    for is_active in [0, 1] {
        copy.change(&successor, &format!("UPDATE auth_user SET is_active = {is_active} WHERE id = 45"));
        successor.import(&copy.from(), &options());
        for held in &all {
            held.assert_answered(&successor, 401);
        }
        assert_eq!(successor.world.refresh(&another).status, 200, "nobody else's");
    }
    Held::from_here(&successor, "root", "Root-1-Secret").assert_answered(&successor, 200);
}

#[test]
fn sessions_of_somebody_who_was_switched_off_there_do_not_come_back() {
    switched_off_and_on(None);
}

#[test]
fn nor_do_they_on_postgresql() {
    switched_off_and_on(Some(PostgresServer::shared().database().url()));
}

#[test]
fn a_password_that_was_changed_there_ends_sessions() {
    let successor = Successor::start("at_sign_in: false");
    let copy = Copy::of("db.sqlite3");
    successor.import(&copy.from(), &options());
    let from_there = OF_ROOT.map(Held::from_there);
    for held in &from_there {
        held.assert_answered(&successor, 200);
    }
    let become_that_of = |id: u32| {
        let hash = format!("(SELECT password FROM auth_user WHERE id = {id})");
        copy.change(&successor, &format!("UPDATE auth_user SET password = {hash} WHERE id = 45"));
    };
    become_that_of(36);
    successor.import(&copy.from(), &options());
    for held in &from_there {
        held.assert_answered(&successor, 401);
    }
    assert_eq!(successor.login("root", "Root-1-Secret").status, 401);

    // Signing in here writes the hash anew, so that the next one from there has to overwrite it.
    let from_here = Held::from_here(&successor, "root", "Low-Iter-1");
    from_here.assert_answered(&successor, 200);
    become_that_of(1);
    successor.import(&copy.from(), &ImportOptions { overwrite: true, ..options() });
    from_here.assert_answered(&successor, 401);
    Held::from_here(&successor, "root", "Export1-pbkdf2_sha256-Aa9").assert_answered(&successor, 200);
}
