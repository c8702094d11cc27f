//! `listen.https`: its files are read with it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use portcullis::config;
use portcullis::config::fault::Faults;
use portcullis::config::settings::{Https, Settings, TlsVersion};

use crate::certificates::Authority;
use crate::{environment, refused, warnings, with};

/// Reads the files of `authority`, for each of which an item stands on a line of its own from line 8 on.
fn read(authority: &Authority, pairs: &[(&str, &str)]) -> Result<Settings, Faults> {
    let item = |(certificate, key): &(&str, &str)| format!("      - {{ certificate: {certificate}, key: {key} }}\n");
    let items: String = pairs.iter().map(item).collect();
    let text = with(&format!("listen:\n  https:\n    address: 0.0.0.0:8443\n    certificates:\n{items}"));
    config::read(&text, "portcullis.yaml", &authority.path(""), &environment(&[]))
}

fn https(settings: &Settings) -> &Https {
    settings.listen.https.as_ref().unwrap()
}

#[test]
fn certificates_are_read_with_their_names_and_times() {
    let authority = Authority::new();
    authority.issue_with("a", &["A.Test", "*.a.test"], "ec", -10, 20);
    authority.issue_with("b", &["b.test"], "rsa", -1, 1);
    authority.issue_with("c", &["c.test"], "ed25519", -1, 1);
    let settings = read(&authority, &[("a.pem", "a.key"), ("b.pem", "b.key"), ("c.pem", "c.key")]).unwrap();
    let read = https(&settings);
    assert_eq!(
        (read.address.to_string().as_str(), read.min_version, read.hsts),
        ("0.0.0.0:8443", TlsVersion::Tls12, None)
    );
    let labels: Vec<&str> = read.certificates.iter().map(|certificate| certificate.label()).collect();
    assert_eq!(labels, ["a.test", "b.test", "c.test"]);
    let first = &read.certificates[0];
    assert_eq!(first.names, ["a.test", "*.a.test"]);
    assert_eq!(first.not_after.since(first.not_before), Duration::from_secs(30 * 86_400));
    assert_eq!(first.key.cert.len(), 2, "with that of its issuer");
    assert_eq!(settings.warnings, []);
    assert!(!format!("{settings:?}").contains("PRIVATE"));
}

#[test]
fn what_else_can_be_set() {
    let authority = Authority::new();
    authority.issue("a", &["a.test"]);
    let item = authority.item("a");
    let read = |further: &str| {
        let text = with(&format!("listen: {{ https: {{ address: \"[::1]:0\", certificates: [{item}]{further} }} }}"));
        config::read(&text, "portcullis.yaml", &authority.path(""), &environment(&[]))
    };
    for (version, meant) in [("1.2", TlsVersion::Tls12), ("\"1.3\"", TlsVersion::Tls13), ("1.3", TlsVersion::Tls13)] {
        assert_eq!(https(&read(&format!(", min_version: {version}")).unwrap()).min_version, meant);
    }
    assert_eq!(https(&read(", hsts: 2d").unwrap()).hsts, Some(Duration::from_secs(172_800)));
    for (further, fault) in [
        (", min_version: 1.1", "listen.https.min_version: \"1.1\" is not one of 1.2, 1.3"),
        (", hsts: 731d", "listen.https.hsts: \"731d\" is more than 730d; write at most 730d"),
        (", alpn: h2", "listen.https: there is no key \"alpn\" here"),
    ] {
        let faults = read(further).unwrap_err().to_string();
        assert!(faults.contains(fault), "{faults}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_a_remedy() {
    let authority = Authority::new();
    authority.issue("a", &["a.test"]);
    authority.issue("b", &["b.test"]);
    authority.issue_with("p521", &["c.test"], "p521", -1, 1);
    let (a, key) = ("a.pem", "a.key");
    let text = |file: &str| fs::read_to_string(authority.path(file)).unwrap();
    let write = |file: &str, content: &str| fs::write(authority.path(file), content).unwrap();
    write("words", "hello\n");
    write("broken.pem", &text(a).replacen("MI", "!!", 1));
    write("empty-der.pem", "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n");
    write("second-broken.pem", &(text(a) + "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"));
    let whole = text(a);
    let (own, issuer) = whole.split_at(whole.rfind("-----BEGIN").unwrap());
    write("reversed.pem", &format!("{issuer}{own}"));
    fs::create_dir(authority.path("folder")).unwrap();
    for file in ["words", "reversed.pem"] {
        fs::set_permissions(authority.path(file), fs::Permissions::from_mode(0o600)).unwrap();
    }
    for (pair, at, file, part, remedy) in [
        (
            ("nothing.pem", key),
            "certificate",
            "nothing.pem",
            "cannot be read (No such file",
            "a readable file of certificates",
        ),
        (("folder", key), "certificate", "folder", "is not a plain file", "a readable file of certificates"),
        (("words", key), "certificate", "words", "holds no certificate in PEM", "the server's own first"),
        ((key, key), "certificate", key, "holds no certificate in PEM", "the server's own first"),
        (("broken.pem", key), "certificate", "broken.pem", "is not PEM", "the server's own first"),
        (
            ("empty-der.pem", key),
            "certificate",
            "empty-der.pem",
            "holds a certificate that cannot be read",
            "fullchain",
        ),
        (
            ("second-broken.pem", key),
            "certificate",
            "second-broken.pem",
            "holds a certificate that cannot be read",
            "fullchain",
        ),
        (
            (a, "nothing.key"),
            "key",
            "nothing.key",
            "cannot be read (No such file",
            "a readable file of one private key",
        ),
        ((a, "words"), "key", "words", "holds no private key in PEM", "such as privkey.pem"),
        (
            (a, "a.encrypted.key"),
            "key",
            "a.encrypted.key",
            "holds a private key that is encrypted",
            "openssl pkey -in OLD",
        ),
        ((a, "b.key"), "key", "b.key", "holds the private key of another certificate", "made for each other"),
        (("reversed.pem", key), "key", key, "holds the private key of another certificate", "own certificate first"),
        (("p521.pem", "p521.key"), "key", "p521.key", "holds a private key of a kind that cannot be used", "P-256"),
    ] {
        let faults = read(&authority, &[pair]).unwrap_err();
        let fault = faults.iter().next().unwrap();
        assert_eq!((faults.len(), fault.line), (1, 9), "{faults}");
        assert_eq!(fault.path, format!("listen.https.certificates[0].{at}"), "{faults}");
        let path = authority.path(file);
        assert!(fault.problem.starts_with(&format!("the file {} {part}", path.display())), "{faults}");
        assert!(fault.remedy.contains(remedy), "{faults}");
    }
    // All of them at once.
    let faults = read(&authority, &[("nothing.pem", "nothing.key"), (a, "b.key"), (a, key)]).unwrap_err();
    let places: Vec<(usize, &str)> = faults.iter().map(|fault| (fault.line, fault.path.as_str())).collect();
    assert_eq!(
        places,
        [
            (9, "listen.https.certificates[0].certificate"),
            (9, "listen.https.certificates[0].key"),
            (10, "listen.https.certificates[1].key")
        ]
    );
}

#[test]
fn a_key_open_to_others_and_a_certificate_for_nobody_are_warned_of() {
    let authority = Authority::new();
    authority.issue("a", &["a.test"]);
    authority.issue("nobody", &[]);
    fs::set_permissions(authority.path("a.key"), fs::Permissions::from_mode(0o640)).unwrap();
    let settings = read(&authority, &[("a.pem", "a.key"), ("nobody.pem", "nobody.key")]).unwrap();
    let expected = ["9: listen.https.certificates[0].key", "10: listen.https.certificates[1].certificate"];
    assert_eq!(warnings(&settings), expected);
    let told = settings.warnings[0].to_string();
    assert!(told.contains("is open to other users of this machine; chmod 600 "), "{told}");
}

#[test]
fn without_an_address_or_a_certificate_there_is_no_tls() {
    let required = "this is required; write";
    for (https, faults) in [
        ("{}", vec![
            format!("5: listen.https.address: {required} address: 0.0.0.0:8443"),
            format!("5: listen.https.certificates: {required} certificates: [{{ certificate: fullchain.pem, key: privkey.pem }}]"),
        ]),
        ("{ address: \"::1\", certificates: [] }", vec![
            "5: listen.https.address: \"::1\" is not an address with a port; write an address and a port, such as 127.0.0.1:8080 or [::1]:8080".to_owned(),
            "5: listen.https.certificates: there is no certificate; write certificates: [{ certificate: fullchain.pem, key: privkey.pem }]".to_owned(),
        ]),
        ("{ address: \"0.0.0.0:8443\", certificates: [{}] }", vec![
            format!("5: listen.https.certificates[0].certificate: {required} certificates: [{{ certificate: fullchain.pem, key: privkey.pem }}]"),
            format!("5: listen.https.certificates[0].key: {required} key: privkey.pem"),
        ]),
        ("0.0.0.0:8443", vec!["5: listen.https: this is not a mapping; write `key: value` lines".to_owned()]),
        ("{ address: \"0.0.0.0:8080\", certificates: [a] }", vec![
            "5: listen.https.certificates[0]: this is not a mapping; write `key: value` lines".to_owned(),
            "5: listen.https: the port 8080 is taken by listen.http; choose another port".to_owned(),
        ]),
    ] {
        assert_eq!(refused(&with(&format!("listen: {{ https: {https} }}")), &[]), faults);
    }
}

/// What stands as an example in the annotated configuration.
#[test]
fn the_example_is_read() {
    let annotated = include_str!("../../config/portcullis.yaml");
    let (_, example) = annotated.split_once("#   https:\n").unwrap();
    let lines = example.lines().map_while(|line| line.strip_prefix("#  ")).filter(|line| line.starts_with("   "));
    let authority = Authority::new();
    authority.issue("own", &["a.test"]);
    let place = authority.path("own");
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    let text = text.replace("/etc/portcullis/tls/fullchain.pem", &format!("{}.pem", place.display()));
    let text = text.replace("/etc/portcullis/tls/privkey.pem", &format!("{}.key", place.display()));
    let text = with(&format!("listen:\n  https:\n{text}"));
    let settings = config::read(&text, "portcullis.yaml", &authority.path(""), &environment(&[]));
    let settings = settings.unwrap_or_else(|faults| panic!("{faults}\n{text}"));
    assert_eq!((https(&settings).certificates.len(), https(&settings).min_version), (1, TlsVersion::Tls12));
}
