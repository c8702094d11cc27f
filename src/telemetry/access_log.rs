//! One JSON line per request.

use std::borrow::Cow;

use serde::Serialize;

use super::line_log::LineLog;

/// Written once for each request.
pub type AccessLog = LineLog;

/// What is said about one request. Nothing in here is a credential; texts from outside are cut by whoever fills it in.
#[derive(Clone, Debug, Serialize)]
pub struct AccessLine<'a> {
    /// RFC 3339, UTC: when the request arrived.
    pub time: String,
    pub request_id: &'a str,
    pub client: Cow<'a, str>,
    pub method: &'a str,
    pub host: &'a str,
    pub path: &'a str,
    /// Names of query parameters, never their values.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub query: &'a str,
    pub status: u16,
    /// `ok`, or the reason of the refusal or failure.
    pub reason: &'a str,
    /// The code that the client was told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<&'a str>,
    /// What the log may know beyond the reason code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<&'a str>,
    pub route: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<&'a str>,
    pub duration_us: u64,
    pub bytes_sent: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub user_agent: &'a str,
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
