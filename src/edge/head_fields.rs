//! Many fields of a request's head at once.
//!
//! Pingora keeps every name twice, as it was spelled and as it is looked up, and parses each that is written. Names mean the
//! same in any case (RFC 9110 5.1), so behind the gateway they are in lower case, as in HTTP/2 and behind other proxies, and
//! are kept once.

use http::request::Parts;
use http::{HeaderMap, Request};
use pingora_http::RequestHeader;

/// Writes to all fields. The target is from here on what the parsed URI says.
pub fn edit<T>(head: &mut RequestHeader, write: impl FnOnce(&mut HeaderMap) -> T) -> T {
    let nothing = RequestHeader::from(Request::new(()).into_parts().0);
    let mut parts: Parts = std::mem::replace(head, nothing).into();
    let done = write(&mut parts.headers);
    *head = parts.into();
    done
}

/// From here on there is one spelling. Whoever copies the head copies half as much.
pub fn forget_spelling(head: &mut RequestHeader) {
    if head.has_case() {
        edit(head, |_| ());
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method};

    use super::*;

    #[test]
    fn the_head_stays_the_same_but_for_what_is_written() {
        let mut head = RequestHeader::build("PUT", b"/a%20b?c=%2f", None).unwrap();
        head.append_header("X-Twice", "1").unwrap();
        head.append_header("x-twice", "2").unwrap();
        head.append_header("X-Gone", "1").unwrap();
        head.set_version(http::Version::HTTP_10);
        let gone = edit(&mut head, |fields| {
            fields.insert("x-new", HeaderValue::from_static("n"));
            fields.remove("x-gone")
        });
        assert_eq!(gone.unwrap(), "1");
        forget_spelling(&mut head);
        let mut wire = Vec::new();
        head.header_to_h1_wire(&mut wire);
        assert_eq!(wire, b"x-twice: 1\r\nx-twice: 2\r\nx-new: n\r\n");
        assert_eq!((&head.method, head.version), (&Method::PUT, http::Version::HTTP_10));
        assert_eq!(head.raw_path(), b"/a%20b?c=%2f");
    }
}
