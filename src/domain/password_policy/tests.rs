use proptest::prelude::*;

use super::*;

/// A line for each of `[password, username, email, first_name, last_name, messages]`: what `validate_password` of
/// Django 6.1.3 says with the four validators of its project template, at their defaults.
const DJANGO: &str = include_str!("django_verdicts.jsonl");

type Verdict = (String, String, String, String, String, Vec<String>);

const ANNA: AboutUser<'_> =
    AboutUser { username: "anna", first_name: "Anna", last_name: "Schmidt", email: "anna.schmidt@example.com" };

fn told(policy: &PasswordPolicy, password: &str, about: &AboutUser<'_>) -> Vec<String> {
    policy.judge(password, about).iter().map(Weakness::to_string).collect()
}

fn anna(password: &str) -> Vec<String> {
    told(&PasswordPolicy::default(), password, &ANNA)
}

#[test]
fn django_says_the_same() {
    let verdicts: Vec<Verdict> = DJANGO.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(verdicts.len(), 300);
    let policy = PasswordPolicy::default();
    let mut differing = Vec::new();
    for (password, username, email, first_name, last_name, messages) in &verdicts {
        let about = AboutUser { username, first_name, last_name, email };
        let found = told(&policy, password, &about);
        if found != *messages {
            differing.push(format!("{password:?} of {about:?}: {found:?}, not {messages:?}"));
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn the_sentences_of_the_contract_in_its_order() {
    let about = AboutUser { username: "1234567", ..AboutUser::default() };
    assert_eq!(
        told(&PasswordPolicy::default(), "1234567", &about),
        [
            "The password is too similar to the username.",
            "This password is too short. It must contain at least 8 characters.",
            "This password is too common.",
            "This password is entirely numeric.",
        ]
    );
    assert_eq!(anna("anna.schmidt"), ["The password is too similar to the last name."]);
    assert_eq!(anna("example.com"), ["The password is too similar to the email address."]);
    assert_eq!(anna("correct horse battery staple"), [""; 0]);
}

#[test]
fn the_first_similar_attribute_is_told_alone() {
    let mut about =
        AboutUser { username: "rossi-12", first_name: "rossi-12", last_name: "rossi-12", email: "rossi-12@x" };
    let policy = PasswordPolicy::default();
    let mut similar_to = |change: fn(&mut AboutUser<'static>)| {
        change(&mut about);
        policy.judge("rossi-12", &about)
    };
    assert_eq!(similar_to(|_| ()), [Weakness::TooSimilar(Attribute::Username)]);
    assert_eq!(similar_to(|about| about.username = ""), [Weakness::TooSimilar(Attribute::FirstName)]);
    assert_eq!(similar_to(|about| about.first_name = ""), [Weakness::TooSimilar(Attribute::LastName)]);
    assert_eq!(similar_to(|about| about.last_name = ""), [Weakness::TooSimilar(Attribute::Email)]);
    assert_eq!(similar_to(|about| about.email = ""), []);
}

#[test]
fn what_is_too_long_is_told_alone() {
    let policy = PasswordPolicy { max_length_bytes: 10, ..PasswordPolicy::default() };
    assert_eq!(told(&policy, "12345678901", &ANNA), ["Ensure this field has no more than 10 bytes."]);
    assert_eq!(policy.judge("ééééé", &ANNA), [Weakness::TooShort(8)], "ten bytes, five characters");
    assert_eq!(policy.judge("éééééé", &ANNA), [Weakness::TooLong(10)]);
    assert_eq!(PasswordPolicy::default().judge(&"x".repeat(1024), &ANNA), []);
    assert_eq!(PasswordPolicy::default().judge(&"x".repeat(1025), &ANNA), [Weakness::TooLong(1024)]);
}

#[test]
fn the_least_length_is_in_characters_and_grammatical() {
    let least = |min_length| PasswordPolicy { min_length, common: false, ..PasswordPolicy::default() };
    assert_eq!(least(8).judge("ñandúes!", &ANNA), []);
    assert_eq!(least(15).judge("ñandúes!", &ANNA), [Weakness::TooShort(15)]);
    assert_eq!(told(&least(1), "", &ANNA), ["This password is too short. It must contain at least 1 character."]);
}

#[test]
fn each_rule_can_be_switched_off() {
    let about = AboutUser { username: "12345678", ..AboutUser::default() };
    let all = PasswordPolicy::default();
    let judge = |policy: PasswordPolicy| policy.judge("12345678", &about);
    let similar = Weakness::TooSimilar(Attribute::Username);
    assert_eq!(judge(all.clone()), [similar, Weakness::TooCommon, Weakness::EntirelyNumeric]);
    assert_eq!(
        judge(PasswordPolicy { similarity: None, ..all.clone() }),
        [Weakness::TooCommon, Weakness::EntirelyNumeric]
    );
    assert_eq!(judge(PasswordPolicy { common: false, ..all.clone() }), [similar, Weakness::EntirelyNumeric]);
    assert_eq!(judge(PasswordPolicy { numeric: false, ..all }), [similar, Weakness::TooCommon]);
}

#[test]
fn words_of_the_service_are_common_with_digits_and_signs_around_them_too() {
    let policy = PasswordPolicy {
        common: false,
        numeric: false,
        context_words: vec!["Portcullis".to_owned(), "acme 4".to_owned(), String::new()],
        ..PasswordPolicy::default()
    };
    for password in ["portcullis", " PORTCULLIS ", "Portcullis2026!", "12portcullis", "ACME 42026"] {
        assert_eq!(policy.judge(password, &ANNA), [Weakness::TooCommon], "{password}");
    }
    for password in ["portculli2", "my portcullis", "portcullises", "acme 5 2026", "87654321"] {
        assert_eq!(policy.judge(password, &ANNA), [], "{password}");
    }
}

#[test]
fn a_password_is_not_changed_before_it_is_judged() {
    assert_eq!(anna("  short "), [""; 0], "spaces count");
    assert_eq!(anna("password\0"), [""; 0], "so does NUL");
    assert_eq!(anna(" password "), ["This password is too common."], "but they hide nothing common");
}

proptest! {
    #[test]
    fn any_password_gets_a_verdict(
        password in "\\PC{0,40}|.{0,40}|[0-9]{0,20}",
        username in ".{0,20}",
        email in "[a-z.]{0,9}@?[a-z.]{0,9}",
        words in proptest::collection::vec(".{0,5}", 0..3),
    ) {
        let policy = PasswordPolicy { context_words: words, ..PasswordPolicy::default() };
        let about = AboutUser { username: &username, email: &email, ..AboutUser::default() };
        let weaknesses = policy.judge(&password, &about);
        prop_assert_eq!(weaknesses.contains(&Weakness::TooShort(8)), password.chars().count() < 8);
        prop_assert_eq!(policy.judge(&password, &about), weaknesses);
    }

    #[test]
    fn a_password_of_the_owners_name_is_refused(name in "[a-zA-Z0-9]{8,30}") {
        let about = AboutUser { username: &name, ..AboutUser::default() };
        for password in [name.clone(), name.to_uppercase(), name.chars().rev().collect()] {
            let weaknesses = PasswordPolicy::default().judge(&password, &about);
            prop_assert!(weaknesses.contains(&Weakness::TooSimilar(Attribute::Username)));
        }
    }
}
