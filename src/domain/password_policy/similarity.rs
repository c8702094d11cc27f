//! Whether a password is little more than something that is known about its owner, as Django's
//! `UserAttributeSimilarityValidator` sees it.

use crate::domain::secret::Secret;

/// Compares with all of `value` and with each of its words, in lower case. `limit` is the least ratio that is too much.
///
/// A word is a run of letters, digits and `_`. Marks that follow a letter, as in Devanagari, belong to its word.
pub fn is_similar(password: &str, value: &str, limit: f64) -> bool {
    let password = letters(Secret::new(password.to_lowercase()).expose());
    let value = value.to_lowercase();
    let words = value.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.chain([value.as_str()]).filter(|part| !part.is_empty()).any(|part| {
        let part = letters(part);
        !is_much_longer(password.expose().len(), part.expose().len(), limit)
            && ratio(password.expose(), part.expose()) >= limit
    })
}

/// A long password that holds a short value somewhere is not made of it.
fn is_much_longer(password: usize, part: usize, limit: f64) -> bool {
    password >= 10 * part && (part as f64) < limit / 2.0 * password as f64
}

/// Twice the characters that both have, wherever they stand, over all characters: `quick_ratio` of Python's `difflib`.
fn ratio(a: &[char], b: &[char]) -> f64 {
    let (mut shared, mut a_rest, mut b_rest) = (0_usize, a, b);
    while let ([x, a_next @ ..], [y, b_next @ ..]) = (a_rest, b_rest) {
        shared += usize::from(x == y);
        a_rest = if x <= y { a_next } else { a_rest };
        b_rest = if y <= x { b_next } else { b_rest };
    }
    2.0 * shared as f64 / (a.len() + b.len()) as f64
}

/// Sorted. Never moved while it grows: what is left behind by that is not wiped.
fn letters(text: &str) -> Secret<Vec<char>> {
    let mut letters = Vec::with_capacity(text.len());
    letters.extend(text.chars());
    letters.sort_unstable();
    Secret::new(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio_of(a: &str, b: &str) -> f64 {
        ratio(letters(a).expose(), letters(b).expose())
    }

    #[test]
    fn ratios_are_those_of_difflib() {
        // SequenceMatcher(None, a, b).quick_ratio() under Python 3.13.
        for (a, b, expected) in [
            ("anna", "anna", 1.0),
            ("abcd", "bcde", 0.75),
            ("aabb", "abbb", 0.75),
            ("abc", "xyz", 0.0),
            ("A", "AAAAAAAAAA", 0.181_818_181_818_181_82),
            ("annasecret", "anna", 0.571_428_571_428_571_4),
        ] {
            assert_eq!(ratio_of(a, b), expected, "{a} {b}");
            assert_eq!(ratio_of(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn words_count_as_well_as_the_whole() {
        for (password, value, similar) in [
            ("testclient", "testclient@example.com", true),
            ("example.com", "testclient@example.com", true),
            ("moc.elpmaxe@tneilctset", "testclient@example.com", true),
            ("TESTCLIENT1", "testclient", true),
            ("test_client", "a-test_client-b", true),
            ("testclient", "te.st.cl.ie.nt", true),
            ("testclient", "te st", false),
            ("tc", "test client", false),
            ("", "anna.", false),
            ("anna", "", false),
            ("----", "----", true),
        ] {
            assert_eq!(is_similar(password, value, 0.7), similar, "{password} {value}");
        }
    }

    #[test]
    fn a_short_value_inside_a_long_password_is_no_likeness_however_low_the_limit() {
        assert!(!is_similar("aaaaaaaaaaaaaaaaaaaaa", "a", 0.1));
        assert!(is_similar("aaaaaaaaa", "a", 0.1));
    }
}
