//! One JSON line per request.

use std::borrow::Cow;

use super::line_log::{Line, LineLog};

/// Written once for each request.
pub type AccessLog = LineLog;

/// What is said about one request. Nothing in here is a credential; texts from outside are cut by whoever fills it in.
#[derive(Clone, Debug)]
#[cfg_attr(test, derive(serde::Serialize))]
pub struct AccessLine<'a> {
    /// RFC 3339, UTC: when the request arrived.
    pub time: String,
    pub request_id: &'a str,
    pub client: Cow<'a, str>,
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    /// Names of query parameters, never their values.
    #[cfg_attr(test, serde(skip_serializing_if = "str::is_empty"))]
    pub query: &'a str,
    pub status: u16,
    /// `ok`, or the reason of the refusal or failure.
    pub reason: &'a str,
    /// The code that the client was told.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub code: Option<&'a str>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub fault: Option<&'a str>,
    /// What the log may know beyond the reason code.
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub detail: Option<&'a str>,
    pub route: &'a str,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub upstream: Option<&'a str>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub subject: Option<&'a str>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub auth_method: Option<&'a str>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub key_id: Option<&'a str>,
    #[cfg_attr(test, serde(skip_serializing_if = "Option::is_none"))]
    pub session_id: Option<&'a str>,
    pub duration_us: u64,
    pub bytes_sent: u64,
    #[cfg_attr(test, serde(skip_serializing_if = "str::is_empty"))]
    pub user_agent: &'a str,
}

/// By hand, and the same as `serde_json` writes it: this is done for every request, and the general way took twice as long.
impl Line for AccessLine<'_> {
    fn write_to(&self, line: &mut Vec<u8>) {
        let text = |line: &mut Vec<u8>, name: &str, value: &str| {
            line.extend_from_slice(name.as_bytes());
            push_text(line, value);
        };
        let given = |line: &mut Vec<u8>, name: &str, value: Option<&str>| {
            if let Some(value) = value {
                text(line, name, value);
            }
        };
        let filled = |line: &mut Vec<u8>, name: &str, value: &str| {
            given(line, name, Some(value).filter(|value| !value.is_empty()));
        };
        let number = |line: &mut Vec<u8>, name: &str, value: u64| {
            line.extend_from_slice(name.as_bytes());
            // Into memory, which does not fail.
            let _ = serde_json::to_writer(line, &value);
        };
        text(line, r#"{"time":"#, &self.time);
        text(line, r#","request_id":"#, self.request_id);
        text(line, r#","client":"#, &self.client);
        text(line, r#","method":"#, self.method);
        text(line, r#","host":"#, self.host);
        text(line, r#","path":"#, self.path);
        filled(line, r#","query":"#, self.query);
        number(line, r#","status":"#, self.status.into());
        text(line, r#","reason":"#, self.reason);
        given(line, r#","code":"#, self.code);
        given(line, r#","fault":"#, self.fault);
        given(line, r#","detail":"#, self.detail);
        text(line, r#","route":"#, self.route);
        given(line, r#","upstream":"#, self.upstream);
        given(line, r#","subject":"#, self.subject);
        given(line, r#","auth_method":"#, self.auth_method);
        given(line, r#","key_id":"#, self.key_id);
        given(line, r#","session_id":"#, self.session_id);
        number(line, r#","duration_us":"#, self.duration_us);
        number(line, r#","bytes_sent":"#, self.bytes_sent);
        filled(line, r#","user_agent":"#, self.user_agent);
        line.push(b'}');
    }
}

/// A string of JSON (RFC 8259 7).
fn push_text(line: &mut Vec<u8>, value: &str) {
    // Looked at to the end, so that many bytes are looked at together.
    let escapes = value.bytes().fold(false, |found, byte| found | (byte < 0x20) | (byte == b'"') | (byte == b'\\'));
    if escapes {
        let _ = serde_json::to_writer(line, value);
        return;
    }
    line.push(b'"');
    line.extend_from_slice(value.as_bytes());
    line.push(b'"');
}

/// Bytes from outside as text that is safe to look at. JSON escapes the control bytes of ASCII only; what else could
/// speak to a terminal, break a line or turn it round is replaced.
pub fn printable(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    if bytes.is_ascii() || !text.chars().any(is_active) {
        return text;
    }
    Cow::Owned(text.chars().map(|c| if is_active(c) { char::REPLACEMENT_CHARACTER } else { c }).collect())
}

const fn is_active(c: char) -> bool {
    matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Cuts text from outside to `limit` bytes at a character boundary.
pub fn cut(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.split_at_checked(end).map_or("", |(head, _)| head)
}

/// The names of a query's parameters, joined by `&`, cut to a bound: `a=1&b=2` gives `a&b`. What does not look like the
/// name of something that has a value may be a bare secret, whose base64 may end with `=`, so it is shown as `-`.
pub fn query_names(query: &str) -> String {
    let names = query.split('&').take(20).map(|pair| match pair.split_once('=') {
        Some((name, value)) if is_name(name) && !value.trim_start_matches('=').is_empty() => name,
        _ => "-",
    });
    names.collect::<Vec<_>>().join("&")
}

fn is_name(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.[]".contains(&b))
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc;

    use prometheus::IntCounter;
    use proptest::prelude::*;

    use super::*;

    struct Collect(mpsc::Sender<Vec<u8>>);
    impl Write for Collect {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line<'a>(path: &'a str) -> AccessLine<'a> {
        AccessLine {
            time: "t".into(),
            request_id: "r",
            client: "127.0.0.1".into(),
            method: "GET",
            host: "h",
            path,
            query: "",
            status: 200,
            reason: "ok",
            code: None,
            fault: None,
            detail: None,
            route: "r",
            upstream: None,
            subject: None,
            auth_method: None,
            key_id: None,
            session_id: None,
            duration_us: 1,
            bytes_sent: 2,
            user_agent: "",
        }
    }

    #[test]
    fn every_line_is_one_json_object_even_with_control_bytes_in_it() {
        let (sender, receiver) = mpsc::channel();
        let log = AccessLog::start(Box::new(Collect(sender)), IntCounter::new("d", "d").unwrap()).unwrap();
        log.write(&line("/a\n{\"forged\":1}\u{1b}[31m"));
        log.write(&line("/b"));
        drop(log);
        let text = String::from_utf8(receiver.iter().flatten().collect()).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        for line in lines {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["status"], 200);
            assert!(!line.chars().any(char::is_control));
        }
    }

    #[test]
    fn a_reader_that_stops_costs_lines_and_not_the_gateway() {
        struct Stuck(mpsc::Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (release, stuck) = mpsc::channel();
        let dropped = IntCounter::new("d", "d").unwrap();
        let log = AccessLog::start(Box::new(Stuck(stuck)), dropped.clone()).unwrap();
        let long = "x".repeat(100_000);
        for _ in 0..200 {
            log.write(&line(&long));
        }
        assert!(dropped.get() > 0);
        drop(release);
    }

    proptest! {
        #[test]
        fn a_line_is_what_json_says(texts in prop::array::uniform5(any::<String>()), some in any::<bool>(), number in any::<u64>()) {
            let [a, b, c, d, e] = texts.each_ref().map(String::as_str);
            let option = |text| some.then_some(text);
            let line = AccessLine {
                time: a.to_owned(),
                request_id: b,
                client: c.into(),
                method: d,
                host: e,
                path: b,
                query: c,
                status: number as u16,
                reason: a,
                code: option(a),
                fault: option(b),
                detail: option(c),
                route: d,
                upstream: option(d),
                subject: option(e),
                auth_method: option(a),
                key_id: option(b),
                session_id: option(c),
                duration_us: number,
                bytes_sent: number / 3,
                user_agent: e,
            };
            let mut written = Vec::new();
            line.write_to(&mut written);
            prop_assert_eq!(String::from_utf8(written).unwrap(), serde_json::to_string(&line).unwrap());
        }
    }

    #[test]
    fn query_values_are_never_kept() {
        assert_eq!(query_names("token=s3cret&x=1"), "token&x");
        for bare in ["s3cret", "czNjcmV0=", "czNjcmV0==", r#"{"a":"s3cret=1"}"#, &format!("{}=1", "s3cret".repeat(9))] {
            assert_eq!(query_names(bare), "-");
        }
        assert_eq!(query_names("filter[name]=a==&page-size=1"), "filter[name]&page-size");
        assert_eq!(query_names("eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIi=x&a%3Dsecret=1&id[]=2"), "-&-&id[]");
        assert_eq!(cut("aé", 2), "a");
    }

    #[test]
    fn text_from_outside_is_inert() {
        assert_eq!(printable("Zürich/1.0 \u{4e2d}".as_bytes()), "Zürich/1.0 \u{4e2d}");
        assert_eq!(printable(b"\xc2\x9b31m \xff \xe2\x80\xae"), "\u{fffd}31m \u{fffd} \u{fffd}");
    }
}
