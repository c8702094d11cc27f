//! Secrets from files and from the environment.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use portcullis::config;
use portcullis::config::fault::Faults;
use portcullis::config::settings::{MailTransport, MasterKeySource, Settings, Signing};
use portcullis::domain::redis_deployment::RedisDeployment;
use tempfile::TempDir;

use crate::{environment, refused, warnings, with};

const STRONG: &str = "GqWm3e0ZpHc5ZQ8v0n1uJb2kX7sTyRfA4dLoVhNiEwM";

fn folder(files: &[(&str, &[u8], u32)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content, mode) in files {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
    }
    folder
}

fn read_in(folder: &Path, snippet: &str, variables: &[(&str, &str)]) -> Result<Settings, Faults> {
    config::read(&with(snippet), "portcullis.yaml", folder, &environment(variables))
}

fn hs256(secret: &str, compatibility: &str) -> Result<Settings, Faults> {
    let snippet = format!(
        "compatibility: {compatibility}\ntokens: {{ signing: {{ algorithm: HS256, secret: \"${{SECRET}}\" }} }}"
    );
    read_in(Path::new("/nonexistent"), &snippet, &[("SECRET", secret)])
}

#[test]
fn a_file_gives_its_secret_without_the_newline() {
    for (content, expected) in [
        (format!("{STRONG}\n"), STRONG.to_owned()),
        (format!("{STRONG}\r\n"), STRONG.to_owned()),
        (STRONG.to_owned(), STRONG.to_owned()),
        (format!("{STRONG} \n\n"), format!("{STRONG} \n")),
    ] {
        let folder = folder(&[("hmac", content.as_bytes(), 0o600)]);
        let snippet = "tokens: { signing: { algorithm: HS256, secret: { file: hmac } } }";
        let settings = read_in(folder.path(), snippet, &[]).unwrap();
        assert!(matches!(&settings.tokens.signing, Signing::SharedSecret(s) if *s.expose() == expected));
        assert!(settings.warnings.is_empty());
    }
}

#[test]
fn a_file_that_cannot_be_used_is_named() {
    let folder = folder(&[("empty", b"\n", 0o600), ("bytes", b"\xff\xfe", 0o600), ("big", &[b'x'; 70_000], 0o600)]);
    fs::create_dir(folder.path().join("dir")).unwrap();
    for (file, part) in [
        ("missing", "cannot be read (No such file"),
        ("empty", "is empty"),
        ("bytes", "is not text"),
        ("big", "is larger than 64 KiB"),
        ("dir", "is not a plain file"),
    ] {
        let snippet = format!("tokens:\n  signing: {{ algorithm: HS256, secret: {{ file: {file} }} }}");
        let faults = read_in(folder.path(), &snippet, &[]).unwrap_err();
        let fault = faults.iter().next().unwrap();
        assert_eq!((faults.len(), fault.line, fault.path.as_str()), (1, 6, "tokens.signing.secret"));
        let path = folder.path().join(file);
        assert!(fault.problem.starts_with(&format!("the file {} {part}", path.display())), "{}", fault.problem);
    }
}

#[test]
fn a_file_open_to_others_is_warned_of() {
    let folder = folder(&[("hmac", STRONG.as_bytes(), 0o640), ("key", b"x", 0o604)]);
    let snippet =
        "secrets: { master_key: { file: key } }\ntokens: { signing: { algorithm: HS256, secret: { file: hmac } } }";
    let settings = read_in(folder.path(), snippet, &[]).unwrap();
    assert_eq!(warnings(&settings), ["5: secrets.master_key", "6: tokens.signing.secret"]);
}

#[test]
fn the_master_key_comes_from_the_environment_or_stays_in_its_file() {
    let base64 = "aGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8gaGVsbG8gMDA=";
    for key in ["ab".repeat(32).as_str(), base64, base64.trim_end_matches('=')] {
        let settings = read_in(Path::new(""), "secrets: { master_key: \"${KEY}\" }", &[("KEY", key)]).unwrap();
        assert!(matches!(&settings.master_key, MasterKeySource::Value(value) if value.expose() == key));
        assert!(!format!("{settings:?}").contains(key));
    }
    // It need not exist: the first start makes it.
    let settings = read_in(Path::new("/base"), "secrets: { master_key: { file: a/b.key } }", &[]).unwrap();
    assert!(matches!(&settings.master_key, MasterKeySource::File(path) if path == Path::new("/base/a/b.key")));
    let settings = read_in(Path::new(""), "secrets: { master_key: { file: a/b.key } }", &[]).unwrap();
    assert!(matches!(&settings.master_key, MasterKeySource::File(path) if path == Path::new("a/b.key")));
}

#[test]
fn previous_master_keys_are_read_in_the_forms_of_the_present_one() {
    let key = "ab".repeat(32);
    let read = |previous: &str| {
        let secrets = format!("secrets: {{ master_key: {{ file: new.key }}, previous_master_keys: {previous} }}");
        read_in(Path::new("/base"), &secrets, &[("KEY", &key), ("SHORT", "abc")])
    };
    let settings = read("[{ file: old.key }, \"${KEY}\"]").unwrap();
    let [MasterKeySource::File(path), MasterKeySource::Value(value)] = settings.previous_master_keys.as_slice() else {
        panic!("{settings:?}")
    };
    assert!(path == Path::new("/base/old.key") && value.expose() == &key);
    assert!(!format!("{settings:?}").contains(&key));
    for none in ["[]", "null"] {
        assert!(read(none).unwrap().previous_master_keys.is_empty());
    }
    for (wrong, part) in [
        (format!("[{key}]"), "does not stand in the configuration itself"),
        ("[\"${SHORT}\"]".to_owned(), "this is not a key of 32 bytes"),
        ("{ file: old.key }".to_owned(), "this is not a list"),
        (format!("[{}]", ["{ file: k }"; 9].join(", ")), "more than 8 keys"),
    ] {
        let faults = read(&wrong).unwrap_err();
        let fault = faults.iter().next().unwrap();
        assert_eq!((faults.len(), fault.path.starts_with("secrets.previous_master_keys")), (1, true), "{faults}");
        assert!(fault.problem.contains(part) && !faults.to_string().contains(&key), "{faults}");
    }
}

#[test]
fn a_secret_in_the_configuration_itself_is_refused_and_not_repeated() {
    for snippet in [
        format!("secrets: {{ master_key: {} }}", "ab".repeat(32)),
        format!("tokens: {{ signing: {{ algorithm: HS256, secret: {STRONG} }} }}"),
    ] {
        let faults = refused(&with(&snippet), &[]);
        assert!(faults.len() == 1 && faults[0].contains("does not stand in the configuration itself"), "{faults:?}");
        assert!(!faults[0].contains(STRONG) && !faults[0].contains("abab"), "{faults:?}");
    }
}

#[test]
fn weak_hmac_secrets_are_refused() {
    assert!(hs256(STRONG, "none").unwrap().warnings.is_empty());
    for (secret, part) in [
        ("hunter2", "shorter than 16 bytes"),
        ("GqWm3e0ZpHc5ZQ8v0n1uJb2kX7sTyRf", "shorter than 32 bytes"),
        ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "only a few different characters"),
        ("GqWm3e0ZGqWm3e0ZGqWm3e0ZGqWm3e0Z", "repeats a shorter one"),
        ("please-change-me-before-going-live-0815", "made of a well-known one"),
        ("django-insecure-GqWm3e0ZpHc5ZQ8v0n1uJb2kX7sTyRfA4d", "begins with django-insecure-"),
        ("9f2c51b07d3e4a86c0b1f5e2d7a39488", "64 of them for 32 bytes"),
    ] {
        let faults = hs256(secret, "none").unwrap_err();
        assert!(faults.len() == 1 && faults.to_string().contains(part), "{faults}");
        assert!(!faults.to_string().contains(secret), "{faults}");
    }
}

#[test]
fn an_existing_django_secret_is_taken_with_a_warning() {
    let lines = |secret: &str| warnings(&hs256(secret, "django").unwrap());
    assert_eq!(lines(STRONG), ["5: compatibility"]);
    for secret in [
        "GqWm3e0ZpHc5ZQ8v0n1u",
        "9f2c51b07d3e4a86c0b1f5e2d7a39488",
        "django-insecure-GqWm3e0ZpHc5ZQ8v0n1uJb2kX7sTyRfA4d",
    ] {
        assert_eq!(lines(secret), ["5: compatibility", "6: tokens.signing.secret"], "{secret}");
    }
    for secret in [
        "GqWm3e0ZpHc5ZQ8",
        "GqWm3e0ZGqWm3e0ZGqWm3e0ZGqWm3e0Z",
        "django-insecure-secret-secret-secret",
        "django-insecure-q0v9m2x7n4b",
    ] {
        assert_eq!(hs256(secret, "django").unwrap_err().len(), 1, "{secret}");
    }
}

#[test]
fn private_keys_are_pkcs8() {
    let pem = |label: &str| format!("-----BEGIN {label}-----\nMIG2\n-----END {label}-----\n");
    let read = |label: &str| {
        let folder = folder(&[("key.pem", pem(label).as_bytes(), 0o600)]);
        read_in(folder.path(), "tokens: { signing: { algorithm: RS256, key: { file: key.pem } } }", &[])
    };
    assert!(matches!(read("PRIVATE KEY").unwrap().tokens.signing, Signing::Pem { .. }));
    for (label, part) in [
        ("RSA PRIVATE KEY", "not in PKCS#8"),
        ("EC PRIVATE KEY", "not in PKCS#8"),
        ("ENCRYPTED PRIVATE KEY", "is encrypted"),
        ("PUBLIC KEY", "this is public"),
        ("CERTIFICATE", "this is public"),
        ("NOTHING", "not a private key in PEM"),
    ] {
        assert!(read(label).unwrap_err().to_string().contains(part), "{label}");
    }
}

#[test]
fn a_store_password_comes_from_elsewhere() {
    let settings = read_in(
        Path::new(""),
        "storage: { url: \"postgres://app:${PW}@localhost/portcullis\" }",
        &[("PW", "hunter2$x")],
    )
    .unwrap();
    assert_eq!(settings.storage.url.expose(), "postgres://app:hunter2$x@localhost/portcullis");
    assert!(settings.warnings.is_empty() && !format!("{settings:?}").contains("hunter2"));
    let settings = read_in(Path::new(""), "storage: { url: \"postgres://app:hunter2@localhost/x\" }", &[]).unwrap();
    assert_eq!(warnings(&settings), ["5: storage.url"]);
    assert!(!settings.warnings[0].to_string().contains("hunter2"));
}

#[test]
fn the_password_of_redis_comes_from_elsewhere_and_is_not_shown() {
    let folder = folder(&[("redis.password", b"hunter2\n", 0o600), ("redis.url", b"rediss://:hunter2@r", 0o600)]);
    let read = |redis: &str| {
        let settings = read_in(folder.path(), &format!("cache: {{ redis: {redis} }}"), &[("PW", "hunter2")]).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
        for warning in &settings.warnings {
            assert!(!warning.to_string().contains("hunter2"), "{warning}");
        }
        let warnings = warnings(&settings);
        (settings.cache.redis.unwrap(), warnings)
    };
    for password in ["{ file: redis.password }", "\"${PW}\""] {
        let (redis, warnings) =
            read(&format!("{{ url: \"rediss://r:7000/3\", username: gate, password: {password} }}"));
        assert_eq!((redis.username.as_deref(), redis.password.unwrap().expose().as_str()), (Some("gate"), "hunter2"));
        assert_eq!(
            (redis.prefix.as_str(), redis.timeout, redis.connections),
            ("portcullis", Duration::from_millis(100), 4)
        );
        assert!(warnings.is_empty());
    }
    for (url, warned) in [
        ("redis://127.0.0.1:6379/1", 0),
        ("redis://r", 0),
        ("rediss://:${PW}@r", 0),
        ("redis://:${PW}@[::1]", 0),
        ("redis://:${PW}@r", 1),
        ("rediss://:hunter2@r", 1),
    ] {
        assert_eq!(read(&format!("\"{url}\"")).1, vec!["5: cache.redis"; warned], "{url}");
    }
    let (redis, warnings) = read("{ url: { file: redis.url }, database: 5 }");
    let RedisDeployment::Standalone { url } = redis.deployment else { panic!() };
    assert_eq!((url.expose().as_str(), redis.database), ("rediss://:hunter2@r", Some(5)));
    assert!(warnings.is_empty());
}

#[test]
fn passwords_of_sentinels_and_of_their_master_come_from_elsewhere_and_are_not_shown() {
    let read = |redis: &str| {
        let text = format!("cache: {{ redis: {{ {redis}, master: mymaster }} }}");
        let settings = read_in(Path::new(""), &text, &[("PW", "hunter2")]).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
        for warning in &settings.warnings {
            assert!(!warning.to_string().contains("hunter2"), "{warning}");
        }
        let RedisDeployment::Sentinel(sentinels) = settings.cache.redis.clone().unwrap().deployment else { panic!() };
        (sentinels, warnings(&settings))
    };
    let (sentinels, warned) = read(
        "sentinels: [\"rediss://a:26379\", \"rediss://b:26379\"], username: gate, password: \"${PW}\", \
         sentinel_username: watch, sentinel_password: \"${PW}\"",
    );
    assert_eq!((sentinels.master.as_str(), sentinels.tls, sentinels.sentinels.len()), ("mymaster", true, 2));
    assert_eq!(sentinels.username.as_deref(), Some("watch"));
    assert_eq!(sentinels.password.unwrap().expose(), "hunter2");
    assert!(warned.is_empty());
    for (redis, tls, warned) in [
        ("sentinels: [\"redis://127.0.0.1:26379\"], password: \"${PW}\"", false, &[][..]),
        ("sentinels: [\"redis://a\"], tls: true, password: \"${PW}\"", true, &[]),
        ("sentinels: [\"redis://a\"], password: \"${PW}\"", false, &["5: cache.redis"]),
        ("sentinels: [\"redis://a\"], sentinel_password: \"${PW}\"", false, &["5: cache.redis.sentinel_password"]),
        ("sentinels: [\"redis://:${PW}@a\"]", false, &["5: cache.redis.sentinels[0]"]),
        ("sentinels: [\"rediss://:hunter2@a\"], tls: false", false, &["5: cache.redis.sentinels[0]"]),
    ] {
        let (sentinels, told) = read(redis);
        assert_eq!(
            (sentinels.tls, told.as_slice()),
            (tls, warned.iter().map(|at| (*at).to_owned()).collect::<Vec<_>>().as_slice()),
            "{redis}"
        );
    }
}

#[test]
fn a_database_server_elsewhere_is_spoken_to_under_tls_that_is_checked() {
    for (url, unprotected) in [
        ("postgres://app@db/x", true),
        ("postgresql://app@db:5432/x?sslmode=require", true),
        ("postgres://app@127.0.0.1/x?host=db&sslmode=prefer", true),
        ("postgres://app@db/x?sslmode=verify-full", false),
        ("postgres://app@db/x?application_name=a&sslmode=verify-ca", false),
        ("postgres://app@localhost/x", false),
        ("postgres://app@127.0.0.1:5432/x", false),
        ("postgres://app@[::1]/x", false),
        ("postgres:///x?host=/run/postgresql", false),
        ("postgres://%2Frun%2Fpostgresql/x", false),
        ("sqlite://db/x", false),
    ] {
        let settings = read_in(Path::new(""), &format!("storage: {{ url: \"{url}\" }}"), &[]).unwrap();
        let said: Vec<String> = settings.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(said.iter().any(|one| one.contains("sslmode=verify-full")), unprotected, "{url}: {said:?}");
    }
}

#[test]
fn the_password_of_the_mail_server_comes_from_elsewhere_and_is_not_shown() {
    let folder = folder(&[("smtp.password", b"hunter2\n", 0o600)]);
    for (password, variables) in [("{ file: smtp.password }", vec![]), ("\"${PW}\"", vec![("PW", "hunter2")])] {
        let snippet = format!(
            "mail:\n  from: a@b.example\n  reset_url: \"https://a.example/#{{token}}\"\n  \
             transport: {{ smtp: {{ host: mail.example.org, username: gate, password: {password} }} }}"
        );
        let settings = read_in(folder.path(), &snippet, &variables).unwrap();
        let MailTransport::Smtp(smtp) = &settings.mail.transport else { panic!("{settings:?}") };
        let (username, password) = smtp.credentials.as_ref().unwrap();
        assert_eq!((username.as_str(), password.expose().as_str()), ("gate", "hunter2"));
        assert!(settings.warnings.is_empty() && !format!("{settings:?}").contains("hunter2"));
    }
}
