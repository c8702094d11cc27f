//! A start that cannot be: one clear sentence, exit code 1, and everything as it was.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::harness::{CONFIGURATION, Finished, Place, configuration, finish, unused};

/// Every command that opens the database.
const OPENING: [&[&str]; 4] = [&["serve"], &["migrate"], &["users", "list"], &["keys", "create", "--name", "a"]];

/// A place whose server has run once, so that there are sealed keys in the database.
fn used() -> Place {
    let place = Place::prepared(unused(), "");
    place.serve().stop().success();
    place
}

/// All files but those that SQLite keeps beside an open database; its log holds nothing new.
fn kept(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = place.files();
    files.retain(|(path, content)| {
        let name = path.to_string_lossy();
        assert!(!name.ends_with("-wal") || content.is_empty(), "something was written to {name}");
        !name.ends_with("-wal") && !name.ends_with("-shm")
    });
    files
}

/// Runs a command that must be refused with a sentence that holds `expected`, and must leave every file as it is.
#[track_caller]
fn refused(place: &Place, arguments: &[&str], expected: &str) {
    let before = kept(place);
    let said = place.run(arguments);
    assert!(said.refusal().contains(expected), "{arguments:?}: {said:?}");
    assert!(kept(place) == before, "{arguments:?} changed a file");
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let place = Place::empty();
    std::fs::create_dir(place.path("directory")).unwrap();
    std::fs::write(place.path("latin1.yaml"), [b'#', 0xE9]).unwrap();
    for command in ["serve", "check", "migrate"] {
        refused(&place, &[command, "--config", "missing.yaml"], "missing.yaml: the file cannot be read");
        refused(&place, &[command], "config/portcullis.yaml: the file cannot be read");
        refused(&place, &[command, "--config", "directory"], "directory: this is not a plain file");
        refused(&place, &[command, "--config", "latin1.yaml"], "latin1.yaml: the file is not UTF-8");
    }
    let place = Place::configured(unused(), "");
    std::fs::set_permissions(place.path(CONFIGURATION), Permissions::from_mode(0o000)).unwrap();
    let said = finish(place.command_for_nobody(&["serve"]), "");
    assert!(said.refusal().contains("portcullis.yaml: the file cannot be read (Permission denied"), "{said:?}");
}

#[test]
fn all_faults_of_a_configuration_are_told_at_once_each_with_its_line() {
    let place = Place::empty();
    let text = "listen: { http: nowhere }\n\
                storage: { url: \"sqlite://data/portcullis.db\" }\n\
                secrets: { master_key: abc }\n\
                tokens: { access_lifetime: 5 }\n\
                upstreams:\n  backend: { servers: [\"127.0.0.1:1\"], conect_timeout: 1s }\n\
                routes:\n  - { path: /, upstream: other, access: public }\n";
    place.write(CONFIGURATION, text);
    for command in [&["serve"][..], &["check"], &["migrate"], &["users", "list"]] {
        let Finished { code, stdout, stderr } = place.run(command);
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{command:?}: {stderr}");
        let lines: Vec<&str> = stderr.lines().collect();
        assert_eq!(lines.len(), 5, "{command:?}: {stderr}");
        for (line, number) in lines.iter().zip([1, 3, 4, 6, 8]) {
            assert!(line.starts_with(&format!("{CONFIGURATION}:{number}: ")), "line {number}: {stderr}");
        }
        assert!(!stderr.contains("abc"), "a secret is quoted: {stderr}");
        assert!(!place.path("data").exists(), "{command:?} made something");
    }
}

#[test]
fn a_missing_database_is_not_made_by_the_way() {
    let place = Place::configured(unused(), "");
    for command in OPENING.iter().filter(|command| command[0] != "migrate") {
        refused(&place, command, "the database data/portcullis.db does not exist");
    }
    assert!(!place.path("data").exists());
}

#[test]
fn a_file_that_is_no_database_stays_as_it_is() {
    let place = used();
    let whole = std::fs::read(place.path("data/portcullis.db")).unwrap();
    let garbage: Vec<u8> = (0..100_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let headed = [&whole[..100], &garbage[..]].concat();
    let quickstart: &[&str] = &["quickstart", "--listen", "127.0.0.1:0", "--ops", "127.0.0.1:0"];
    for content in [garbage.as_slice(), &headed, &whole[..whole.len() / 2], b"a text that is rather short"] {
        std::fs::write(place.path("data/portcullis.db"), content).unwrap();
        for command in OPENING.iter().chain([&quickstart]) {
            refused(&place, command, "data/portcullis.db");
        }
    }
}

#[test]
fn a_database_is_not_opened_with_another_master_key() {
    let place = used();
    let wrong = [
        ("0123456789abcdef".repeat(4), "sealed under another master key"),
        ("too short".to_owned(), "a master key is 32 random bytes"),
        ("00".repeat(32), "must be random"),
        (String::new(), "a master key is 32 random bytes"),
    ];
    for (text, expected) in wrong {
        std::fs::write(place.path("data/master.key"), text).unwrap();
        refused(&place, &["serve"], expected);
        refused(&place, &["quickstart", "--listen", "127.0.0.1:0", "--ops", "127.0.0.1:0"], expected);
    }
}

#[test]
fn a_lost_master_key_is_not_replaced_by_a_new_one() {
    let place = used();
    std::fs::remove_file(place.path("data/master.key")).unwrap();
    for command in [&["serve"][..], &["migrate"], &["quickstart", "--listen", "127.0.0.1:0"]] {
        refused(&place, command, "there is no master key at data/master.key");
    }
    assert!(!place.path("data/master.key").exists());
}

#[test]
fn a_port_in_use_is_named() {
    let place = used();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, free) = (taken.local_addr().unwrap().to_string(), unused().to_string());
    for (http, ops) in [(&address, &free), (&free, &address)] {
        place.write(CONFIGURATION, &configuration(http, ops, unused(), ""));
        refused(&place, &["serve"], &format!("cannot listen on {address}: Address already in use"));
    }
    // An address of another machine.
    place.write(CONFIGURATION, &configuration("192.0.2.1:80", &free, unused(), ""));
    refused(&place, &["serve"], "cannot listen on 192.0.2.1:80");
}

#[test]
fn a_second_server_on_the_same_ports_leaves_the_first_alone() {
    let place = Place::prepared(unused(), "");
    let (http, ops) = (unused().to_string(), unused().to_string());
    place.write(CONFIGURATION, &configuration(&http, &ops, unused(), ""));
    let first = place.serve();
    assert!(place.run(&["serve"]).refusal().contains(&format!("cannot listen on {http}")));
    assert_eq!(first.readiness(), "ok");
    first.stop().success();
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let place = Place::configured(unused(), "");
    std::fs::create_dir(place.path("data")).unwrap();
    std::fs::set_permissions(place.path("data"), Permissions::from_mode(0o555)).unwrap();
    for command in [&["migrate"][..], &["quickstart", "--listen", "127.0.0.1:0", "--ops", "127.0.0.1:0"]] {
        let said = finish(place.command_for_nobody(command), "");
        assert!(said.refusal().contains("data/portcullis.db"), "{said:?}");
        assert!(said.stderr.contains("Permission denied"), "{said:?}");
    }
    let deeper = ["quickstart", "--data", "data/deeper", "--listen", "127.0.0.1:0"];
    let said = finish(place.command_for_nobody(&deeper), "");
    assert!(said.refusal().contains("cannot make the data directory data/deeper: Permission denied"), "{said:?}");
    std::fs::set_permissions(place.path("data"), Permissions::from_mode(0o755)).unwrap();
    assert_eq!(std::fs::read_dir(place.path("data")).unwrap().count(), 0);
}

#[test]
fn a_database_that_can_only_be_read_is_named() {
    let place = used();
    for (name, mode) in [("data/portcullis.db", 0o444), ("data", 0o555)] {
        std::fs::set_permissions(place.path(name), Permissions::from_mode(mode)).unwrap();
    }
    let before = std::fs::read(place.path("data/portcullis.db")).unwrap();
    for command in [&["serve"][..], &["users", "list"], &["keys", "create", "--name", "a"]] {
        let said = finish(place.command_for_nobody(command), "");
        assert!(said.refusal().contains("data/portcullis.db"), "{command:?}: {said:?}");
    }
    assert!(std::fs::read(place.path("data/portcullis.db")).unwrap() == before);
    std::fs::set_permissions(place.path("data"), Permissions::from_mode(0o755)).unwrap();
}
