//! Lists in pages: how many, and from where on.
//!
//! A cursor holds the place of the last item that was seen, so what is added or deleted meanwhile neither repeats nor hides
//! one. Clients hand it back as they got it; what it holds is nobody's business, and not kept from changing.

use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::body::form_fields;
use super::fields::Fields;

/// What a list is asked for.
#[derive(Clone, Debug)]
pub struct Page {
    pub limit: u32,
    /// The place of the last item of the page before.
    pub after: Option<String>,
}

/// Items on a page, if it is not said how many.
pub const DEFAULT_LIMIT: u32 = 50;
pub const MAX_LIMIT: u32 = 200;

/// The query of a request, to be read field by field.
pub fn query(uri: &Uri) -> Fields {
    form_fields(uri.query().unwrap_or_default().as_bytes())
}

impl Page {
    /// Reads `limit` and `cursor`. `kind` tells the cursors of one list from those of another.
    pub fn read(fields: &mut Fields, kind: &str) -> Self {
        let limit = limit(fields);
        let cursor = fields.line("cursor", 4096).filter(|cursor| !cursor.is_empty());
        let after = cursor.and_then(|cursor| {
            let place = decode(kind, &cursor);
            if place.is_none() {
                fields.fault("cursor", "Invalid cursor.");
            }
            place
        });
        Self { limit, after }
    }

    /// How many to ask the store for: one more than are shown tells whether there is a next page.
    pub const fn ask(&self) -> u32 {
        self.limit + 1
    }

    /// The answer: at most `limit` of the items that were found, and the cursor if there are more.
    pub fn answer<T>(
        &self,
        kind: &str,
        found: &[T],
        show: impl Fn(&T) -> Value,
        place: impl Fn(&T) -> String,
    ) -> Value {
        let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let shown = found.get(..most).unwrap_or(found);
        let next = shown.last().filter(|_| found.len() > most).map(|last| encode(kind, &place(last)));
        json!({ "results": shown.iter().map(show).collect::<Vec<_>>(), "next": next })
    }
}

/// Reads `limit` alone, for a list of one page.
pub fn limit(fields: &mut Fields) -> u32 {
    let limit = fields.number("limit", 1..=u64::from(MAX_LIMIT));
    limit.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(DEFAULT_LIMIT)
}

/// With a checksum, so that what was cut off or mistyped is told from a place.
fn encode(kind: &str, place: &str) -> String {
    let text = format!("{kind}:{place}");
    let checksum = crc32fast::hash(text.as_bytes()).to_be_bytes();
    URL_SAFE_NO_PAD.encode([&checksum[..], text.as_bytes()].concat())
}

fn decode(kind: &str, cursor: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (checksum, text) = bytes.split_first_chunk::<4>()?;
    if crc32fast::hash(text).to_be_bytes() != *checksum {
        return None;
    }
    let place = std::str::from_utf8(text).ok()?.strip_prefix(kind)?.strip_prefix(':')?;
    (!place.contains('\0')).then(|| place.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn page(uri: &str) -> Result<Page, Value> {
        let mut fields = query(&uri.parse().unwrap());
        let page = Page::read(&mut fields, "users");
        fields.finish().map(|()| page)
    }

    #[test]
    fn limit_and_cursor_have_their_bounds() {
        let (few, all) = (page("/?limit=1").unwrap(), page("/").unwrap());
        assert_eq!((few.limit, few.ask(), all.limit), (1, 2, DEFAULT_LIMIT));
        assert_eq!((page("/?limit=3&limit=200").unwrap().limit, all.after), (200, None));
        assert_eq!(page("/?cursor=").unwrap().after, None);
        for query in ["limit=0", "limit=201", "limit=", "limit=x", "limit=-1", "cursor=x", "cursor=%00", "cursor=%ff"] {
            let fault = page(&format!("/?{query}")).unwrap_err();
            assert_eq!(fault.as_object().unwrap().keys().collect::<Vec<_>>(), [query.split('=').next().unwrap()]);
        }
    }

    #[test]
    fn there_is_a_next_page_only_if_there_is_something_on_it() {
        let page = Page { limit: 2, after: None };
        let answer = |found: &[&str]| page.answer("users", found, |name| json!(name), |name| (*name).to_owned());
        assert_eq!(answer(&[]), json!({ "results": [], "next": null }));
        assert_eq!(answer(&["a", "b"]), json!({ "results": ["a", "b"], "next": null }));
        let more = answer(&["a", "b", "c"]);
        assert_eq!(more["results"], json!(["a", "b"]));
        assert_eq!(decode("users", more["next"].as_str().unwrap()).as_deref(), Some("b"));
    }

    #[test]
    fn a_cursor_of_one_list_is_none_of_another() {
        let cursor = encode("keys", "a");
        assert_eq!(decode("users", &cursor), None);
        assert_eq!(decode("key", &cursor), None);
    }

    proptest! {
        #[test]
        fn a_place_comes_back_and_a_changed_cursor_does_not(place in "[^\0]{0,60}", at in any::<usize>(), by in 1_u8..64) {
            let cursor = encode("users", &place);
            prop_assert_eq!(decode("users", &cursor), Some(place));
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let mut changed = cursor.into_bytes();
            let at = at % changed.len();
            let digit = alphabet.iter().position(|letter| *letter == changed[at]).unwrap();
            changed[at] = alphabet[(digit + usize::from(by)) % 64];
            prop_assert_eq!(decode("users", std::str::from_utf8(&changed).unwrap()), None);
        }

        #[test]
        fn no_text_breaks_the_reading(cursor in "\\PC{0,80}|[A-Za-z0-9_-]{0,80}") {
            prop_assert_eq!(decode("users", &cursor), None);
        }
    }
}
