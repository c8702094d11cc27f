//! Patterns for `LIKE`.

/// A `LIKE` pattern for whatever has `part` in it.
pub(super) fn containing(part: &str) -> String {
    format!("%{}%", literally(part))
}

/// A part of a `LIKE` pattern that means what it says.
pub(super) fn literally(part: &str) -> String {
    let mut out = String::with_capacity(part.len() + 2);
    for c in part.to_ascii_lowercase().chars() {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
