//! Mail, as far as it shows before any is sent.

use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{Place, unused};

#[test]
fn a_broken_template_is_named_with_its_line_before_anything_starts() {
    let place = Place::prepared(unused(), "mail: { templates: texts }");
    std::fs::create_dir(place.path("texts")).unwrap();
    place.write("texts/password_reset.txt", "Hello {{ username }},\n\n{{ lnik }}\n{{ link }}\n");
    let files = place.files();
    for command in ["serve", "check"] {
        let refused = place.run(&[command]);
        let sentence = refused.refusal();
        let expected = "texts/password_reset.txt:3: there is no value \"lnik\" here; choose from address, at, link, ";
        assert!(sentence.contains(expected), "{command}: {sentence}");
    }
    place.write("texts/password_changed.html", "{% if %}");
    let refused = place.run(&["check"]);
    assert_eq!((refused.code, refused.stderr.lines().count()), (Some(1), 2), "{refused:?}");
    std::fs::remove_file(place.path("texts/password_changed.html")).unwrap();
    assert!(place.files() == files, "and everything is as it was");
    place.write("texts/password_reset.txt", "{{ link }}\n");
    place.run(&["check"]).success();
    place.serve().stop().success();
}

#[test]
fn certificates_that_cannot_be_used_are_named() {
    let place = Place::configured(
        unused(),
        "mail:\n  from: a@b.example\n  reset_url: \"https://a.example/#{token}\"\n  \
         transport: { smtp: { host: mail.example.org, ca: ca.pem } }",
    );
    place.write("ca.pem", "no certificate\n");
    for command in ["serve", "check"] {
        let refused = place.run(&[command]);
        assert!(refused.refusal().contains("mail: the file ca.pem holds no certificate in PEM"), "{refused:?}");
    }
}

#[test]
fn where_mail_goes_to_the_log_each_start_warns() {
    let warned = "mail is written to this log";
    let ended = Place::prepared(unused(), "").serve().stop();
    assert_eq!(ended.success().stderr.matches(warned).count(), 1, "{}", ended.stderr);
    let place = Place::prepared(unused(), "mail: { transport: { directory: out/mail } }");
    place.run(&["check"]).success();
    assert!(!place.path("out").exists(), "a check makes nothing");
    let ended = place.serve().stop();
    assert!(!ended.success().stderr.contains(warned), "{}", ended.stderr);
    assert_eq!(std::fs::metadata(place.path("out/mail")).unwrap().permissions().mode() & 0o777, 0o700);
}
