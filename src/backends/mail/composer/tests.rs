use proptest::prelude::*;

use super::*;
use crate::domain::mail::Subject;

const DATE: Timestamp = Timestamp::from_secs(1_795_408_500);

fn message(to: &str, subject: &str, text: &str, html: Option<&str>) -> Message {
    Message {
        to: Email::parse(to).unwrap(),
        subject: Subject::new(subject),
        text: Secret::new(text.to_owned()),
        html: html.map(|html| Secret::new(html.to_owned())),
    }
}

fn composer() -> Composer {
    Composer::new("Portcullis <portcullis@example.org>").unwrap()
}

fn composed(message: &Message) -> Result<String, CarryError> {
    let id = MailId::parse("0123abc").unwrap();
    let composed = composer().compose(message, &id, DATE)?;
    assert_eq!(composed.envelope().to().len(), 1);
    assert_eq!(composed.envelope().from().unwrap().to_string(), "portcullis@example.org");
    Ok(String::from_utf8(composed.formatted()).unwrap())
}

/// The names and values of the header, unfolded.
fn header(text: &str) -> Vec<(String, String)> {
    let (header, _) = text.split_once("\r\n\r\n").unwrap();
    let unfolded = header.replace("\r\n ", " ");
    unfolded.split("\r\n").map(|line| line.split_once(": ").unwrap()).map(|(n, v)| (n.into(), v.into())).collect()
}

#[test]
fn a_message_has_its_header_and_its_text() {
    let text = composed(&message("anna@example.net", "Your password", "Hello\nanna\n", None)).unwrap();
    assert_eq!(
        text,
        "Date: Mon, 23 Nov 2026 04:35:00 +0000\r\n\
         From: Portcullis <portcullis@example.org>\r\n\
         To: anna@example.net\r\n\
         Message-ID: <0123abc@example.org>\r\n\
         Subject: Your password\r\n\
         Auto-Submitted: auto-generated\r\n\
         MIME-Version: 1.0\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Transfer-Encoding: 7bit\r\n\
         \r\n\
         Hello\r\nanna\r\n"
    );
}

#[test]
fn text_and_html_are_alternatives() {
    let text = composed(&message("anna@example.net", "Grüße", "Grüße", Some("<p>Grüße</p>"))).unwrap();
    let header = header(&text);
    assert!(header.iter().any(|(name, value)| name == "Content-Type" && value.starts_with("multipart/alternative;")));
    assert!(header.iter().any(|(name, value)| name == "Subject" && value == "=?utf-8?b?R3LDvMOfZQ==?="));
    assert!(text.is_ascii());
    let (plain, html) = (text.find("text/plain").unwrap(), text.find("text/html").unwrap());
    assert!(plain < html, "the last one is the preferred one (RFC 2046 5.1.4)");
}

#[test]
fn lines_end_alike_and_long_ones_are_folded() {
    let text = composed(&message("a@example.net", "x", &format!("a\rb\r\nc\n.\n{}", "d".repeat(2000)), None)).unwrap();
    assert!(text.contains("\r\n\r\na\r\nb\r\nc\r\n.\r\n"));
    assert!(text.split("\r\n").all(|line| line.len() < 998 && !line.contains(['\r', '\n'])));
}

#[test]
fn no_header_comes_of_a_subject() {
    for subject in ["a\r\nBcc: b@example.net", "a\nBcc: b@example.net", "a\rBcc: b", "a\0b", "ü\r\nBcc: b@example.net"]
    {
        let text = composed(&message("anna@example.net", subject, "x", None)).unwrap();
        let names: Vec<_> = header(&text).into_iter().map(|(name, _)| name).collect();
        assert!(!names.iter().any(|name| name.eq_ignore_ascii_case("bcc")), "{text}");
        assert_eq!(names.len(), 9, "{text}");
    }
}

#[test]
fn addresses_are_one_address_or_none() {
    for (to, header_value) in [
        ("anna@example.net", "anna@example.net"),
        ("anna+tag@example.net", "anna+tag@example.net"),
        ("o'brien@example.net", "o'brien@example.net"),
        ("anna@[192.0.2.1]", "anna@[192.0.2.1]"),
        ("\"a,b\"@example.net", "\"a,b\"@example.net"),
        ("\"a<b>\"@example.net", "\"a<b>\"@example.net"),
        ("anna@bücher.example", "anna@xn--bcher-kva.example"),
        ("anna@BÜCHER.example", "anna@xn--bcher-kva.example"),
        ("anna@例え。テスト", "anna@xn--r8jz45g.xn--zckzah"),
    ] {
        let text = composed(&message(to, "x", "x", None)).unwrap();
        assert!(text.contains(&format!("\r\nTo: {header_value}\r\n")), "{to}: {text}");
    }
    // Letters beyond ASCII before the `@` stay: there is no other form of them (RFC 6532 3.2).
    let text = composed(&message("grüße@example.net", "x", "x", None)).unwrap();
    assert!(text.contains("\r\nTo: grüße@example.net\r\n"), "{text}");
    for to in [
        "a,b@example.net",
        "a;b@example.net",
        "Anna<anna@example.net>",
        "<anna@example.net>",
        "anna@example.net>",
        "anna@example.net,b.example.net",
        "anna@example..net",
        "anna@-",
        ".anna@example.net",
        "\"anna@example.net",
        "a\"b@example.net",
        "(a)b@example.net",
    ] {
        let refused = composed(&message(to, "x", "x", None));
        assert!(matches!(refused, Err(CarryError::Permanent(_))), "{to}: {refused:?}");
    }
    // An address of nothing visible never becomes one, so it never reaches a composer.
    assert!(Email::parse("anna@\u{ad}").is_err());
}

#[test]
fn a_sender_is_one_mailbox() {
    for from in ["portcullis@localhost", "\"Our, Shop\" <a@example.org>", "Büro <büro@bücher.example>"] {
        Composer::new(from).unwrap_or_else(|error| panic!("{from}: {error}"));
    }
    for from in ["", "a", "a@b.example, c@d.example", "a@b.example\r\nBcc: c@d.example", "A <a@b.example> B"] {
        assert!(matches!(Composer::new(from), Err(UnusableMail::Sender)), "{from}");
    }
    let named = Composer::new("\"Büro, hier\" <a@bücher.example>").unwrap();
    let id = MailId::parse("1").unwrap();
    let text = named.compose(&message("b@example.net", "x", "x", None), &id, DATE).unwrap().formatted();
    let text = String::from_utf8(text).unwrap();
    assert!(text.contains("<a@xn--bcher-kva.example>\r\n") && text.is_ascii(), "{text}");
}

proptest! {
    #[test]
    fn whatever_was_stored_makes_nine_headers_and_one_recipient(
        local in "[a-zü\"\\\\<>,;:()\\[\\].+@]{1,12}",
        domain in "[a-zü.\\[\\]<>,;@:-]{1,12}",
        subject in any::<String>(),
        text in any::<String>(),
    ) {
        if Email::parse(&format!("{local}@{domain}")).is_err() {
            return Ok(());
        }
        if let Ok(composed) = composed(&message(&format!("{local}@{domain}"), &subject, &text, None)) {
            let names: Vec<_> = header(&composed).into_iter().map(|(name, _)| name).collect();
            prop_assert_eq!(
                names.join(" "),
                "Date From To Message-ID Subject Auto-Submitted MIME-Version Content-Type Content-Transfer-Encoding"
            );
        }
    }
}
