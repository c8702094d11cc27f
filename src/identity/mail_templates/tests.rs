use std::fs;
use std::time::Duration;

use super::*;
use crate::domain::clock::Timestamp;
use crate::identity::mail_values::{Occasion, PasswordChange};

fn occasion(username: &str) -> Occasion {
    Occasion {
        username: username.to_owned(),
        at: Timestamp::from_secs(1_795_408_500),
        address: "2001:db8::1".to_owned(),
    }
}

fn reset(username: &str) -> PasswordReset {
    PasswordReset {
        occasion: occasion(username),
        link: Secret::new("https://app.example.org/reset?a=1&b=2#token=abc".to_owned()),
        lifetime: Duration::from_secs(1800),
    }
}

fn anna() -> Email {
    Email::parse("anna@example.net").unwrap()
}

fn built_in() -> Templates {
    Templates::load(None, "Our <Shop>").unwrap_or_else(|faults| panic!("{faults:?}"))
}

fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn faults(files: &[(&str, &str)]) -> Vec<String> {
    let directory = directory(files);
    let faults = Templates::load(Some(directory.path()), "Shop").err().expect("there is a fault");
    let prefix = format!("{}/", directory.path().display());
    faults.iter().map(|fault| fault.to_string().replacen(&prefix, "", 1)).collect()
}

#[test]
fn a_reset_tells_all_that_one_needs() {
    let message = built_in().render(anna(), &reset("anna")).unwrap();
    assert_eq!(message.to, anna());
    assert_eq!(message.subject.as_str(), "Reset your password at Our <Shop>");
    let text = message.text.expose();
    for part in [
        "Hello anna,\n\nsomebody asked",
        "at Our <Shop>.",
        "\n\nhttps://app.example.org/reset?a=1&b=2#token=abc\n\n",
        "for 30 minutes",
        "on 2026-11-23 04:35 UTC, from 2001:db8::1.",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(
        text.is_ascii() && text.lines().all(|line| line.len() <= 76),
        "else it is encoded, and not read as it is in a file"
    );
}

#[test]
fn html_is_escaped_and_text_is_not() {
    let message = built_in().render(anna(), &reset("<a href=\"x\">'&")).unwrap();
    assert!(message.text.expose().starts_with("Hello <a href=\"x\">'&,\n"));
    let html = message.html.unwrap();
    assert!(html.expose().contains("Hello &lt;a href=&quot;x&quot;&gt;&#x27;&amp;,"), "{}", html.expose());
    assert!(html.expose().contains("?a=1&amp;b=2#token=abc\""), "{}", html.expose());
    assert!(html.expose().contains("at Our &lt;Shop&gt;."));
    for foreign in ["<img", "<script", "<link", "url(", "@import"] {
        assert!(!html.expose().contains(foreign), "reading it asks nobody for anything");
    }
}

#[test]
fn every_notice_says_what_happened_in_words_of_its_own() {
    fn texts<V: MailValues>() -> Vec<String> {
        let render = |values: &V| {
            let message = built_in().render(anna(), values).unwrap();
            let html = message.html.unwrap();
            let text = message.text.expose().clone();
            assert!(!text.contains("\n\n\n") && !text.starts_with('\n'), "{text}");
            let said = text.lines().nth(2).unwrap().split(" at Our").next().unwrap().to_owned();
            assert!(html.expose().contains(&said), "{}", html.expose());
            text
        };
        V::samples().iter().map(render).collect()
    }
    for texts in [texts::<PasswordChanged>(), texts::<SecondFactorChanged>(), texts::<RecoveryCodeUsed>()] {
        let distinct: std::collections::BTreeSet<&String> = texts.iter().collect();
        assert_eq!(distinct.len(), texts.len());
    }
    let last = texts::<RecoveryCodeUsed>().remove(0);
    assert!(last.contains("It was the last one."));
    let codes = texts::<RecoveryCodeUsed>().remove(2);
    assert!(codes.contains("You have 9 left."));
    let changed = PasswordChanged { occasion: occasion("anna"), change: PasswordChange::SetByAdministrator };
    let text = built_in().render(anna(), &changed).unwrap().text;
    assert!(text.expose().contains("an administrator set a new password"), "{}", text.expose());
}

#[test]
fn a_file_takes_the_place_of_ours() {
    let directory = directory(&[
        ("password_reset.txt", "{{ username }}: {{ link }}\n"),
        ("password_changed.subject.txt", "\nNeu bei {{ service }}\n"),
        ("second_factor_changed.html", "<p>{{ change }}"),
        ("notes.md", "{{ nothing }}"),
        (".password_reset.txt.swp", "{{ nothing }}"),
    ]);
    let templates = Templates::load(Some(directory.path()), "Shop").unwrap_or_else(|faults| panic!("{faults:?}"));
    let message = templates.render(anna(), &reset("anna")).unwrap();
    assert_eq!(message.text.expose(), "anna: https://app.example.org/reset?a=1&b=2#token=abc");
    assert_eq!(message.subject.as_str(), "Reset your password at Shop");
    assert_eq!(message.html, None, "ours would be shown in the place of theirs");
    let changed = PasswordChanged { occasion: occasion("anna"), change: PasswordChange::Changed };
    let message = templates.render(anna(), &changed).unwrap();
    assert_eq!(message.subject.as_str(), "Neu bei Shop");
    assert!(message.html.is_some());
    let message = templates.render(anna(), &SecondFactorChanged::samples()[2]).unwrap();
    assert_eq!(message.html.unwrap().expose(), "<p>recovery_codes_renewed");
    assert!(message.text.expose().contains("new recovery codes"));
}

#[test]
fn a_broken_file_is_named_with_its_line() {
    for (name, text, fault) in [
        (
            "password_reset.txt",
            "a\n\n{{ link }\n",
            "password_reset.txt:3: syntax error: unexpected `}`, expected end of variable block",
        ),
        ("password_reset.txt", "{% if link %}\n{{ link }}\n", "password_reset.txt:2: syntax error: "),
        (
            "password_reset.html",
            "<p>\n{{ link }}\n{{ usrname }}\n",
            "password_reset.html:3: there is no value \"usrname\" here; choose from address, at, link, minutes, service, username",
        ),
        (
            "password_changed.txt",
            "x{% if change == \"never\" %}\n{{ link }}{% endif %}",
            "password_changed.txt:2: there is no value \"link\" here; choose from address, at, change, service, username",
        ),
        ("recovery_code_used.txt", "\n{{ left | nothing }}", "recovery_code_used.txt:2: unknown filter: "),
        (
            "recovery_code_used.txt",
            "{% if left == 1 %}\n{{ left + username }}{% endif %}x",
            "recovery_code_used.txt:2: invalid operation: ",
        ),
        ("recovery_code_used.txt", "{{ left.over }}", "recovery_code_used.txt:1: undefined value"),
        (
            "recovery_code_used.txt",
            " {% if left %}x{% endif %}\n",
            "recovery_code_used.txt: nothing comes of this template",
        ),
        (
            "password_reset.txt",
            "Hello",
            "password_reset.txt: {{ link }} is missing, and the mail is useless without it",
        ),
        ("password_reset.subject.txt", "Hello\nthere", "password_reset.subject.txt: a subject is one line"),
        ("password_reset.subject.txt", "\n", "password_reset.subject.txt: nothing comes of this template"),
        (
            "password_rest.txt",
            "",
            "password_rest.txt: no template has this name; choose from password_reset.subject.txt, ",
        ),
        ("PASSWORD_RESET.html", "", "PASSWORD_RESET.html: no template has this name; "),
    ] {
        let found = faults(&[(name, text)]);
        assert!(found.len() == 1 && found[0].starts_with(fault), "{name} {text:?}: {found:?}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let found = faults(&[
        ("password_reset.txt", "{{ lnik }}"),
        ("password_changed.html", "{{ a }}\n{{ b }}"),
        ("password_changed.txt", "\n{%"),
    ]);
    let places: Vec<&str> = found.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    assert_eq!(
        places,
        [
            "password_changed.txt:2",
            "password_reset.txt:1",
            "password_reset.txt",
            "password_changed.html:1",
            "password_changed.html:2"
        ]
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let place = directory(&[("latin1", "")]);
    for (content, part) in [(&b"\xe9"[..], "is not UTF-8"), (&[b'x'; 300_000], "is larger than 256 KiB")] {
        fs::write(place.path().join("password_reset.txt"), content).unwrap();
        let faults = Templates::load(Some(place.path()), "Shop").err().unwrap();
        assert!(faults.len() == 1 && faults[0].problem.contains(part), "{faults:?}");
    }
    fs::remove_file(place.path().join("password_reset.txt")).unwrap();
    fs::create_dir(place.path().join("password_reset.txt")).unwrap();
    let faults = Templates::load(Some(place.path()), "Shop").err().unwrap();
    assert!(faults.len() == 1 && faults[0].problem.contains("not a plain file"), "{faults:?}");
    let nowhere = place.path().join("nowhere");
    let faults = Templates::load(Some(&nowhere), "Shop").err().unwrap();
    assert!(faults[0].to_string().starts_with(&format!("{}: the directory cannot be read", nowhere.display())));
}

#[test]
fn no_value_makes_a_second_line_of_a_subject() {
    let directory = directory(&[("password_reset.subject.txt", "For {{ username }}")]);
    let templates = Templates::load(Some(directory.path()), "Shop").unwrap_or_else(|faults| panic!("{faults:?}"));
    let message = templates.render(anna(), &reset("anna\r\nBcc: bob@example.net")).unwrap();
    assert_eq!(message.subject.as_str(), "For anna Bcc: bob@example.net");
}
