//! Passwords that many people choose. They stay where the program lies in memory, sorted, and are searched there:
//! loading costs nothing, and neither does a process that never sets a password.

/// One a line, in lower case, sorted by bytes. See `common_passwords/LICENSE.md` for where they come from.
const LIST: &str = include_str!("common_passwords/list.txt");

/// Whether this, in lower case, is one of them.
pub fn contains(password: &str) -> bool {
    let sought = password.as_bytes();
    let mut rest = LIST.as_bytes();
    while !rest.is_empty() {
        let (first_half, _) = rest.split_at(rest.len() / 2);
        let start = first_half.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let (before, from) = rest.split_at(start);
        let mut lines = from.splitn(2, |byte| *byte == b'\n');
        let (line, after) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        match sought.cmp(line) {
            std::cmp::Ordering::Less => rest = before,
            std::cmp::Ordering::Equal => return true,
            std::cmp::Ordering::Greater => rest = after,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_long_sorted_and_in_lower_case() {
        let lines: Vec<&str> = LIST.lines().collect();
        assert!(lines.len() >= 20_000);
        assert!(lines.is_sorted_by(|a, b| a < b));
        for line in lines {
            assert!(!line.is_empty() && line == line.to_lowercase().trim(), "{line:?}");
        }
        assert!(LIST.ends_with('\n') && !LIST.contains('\r'));
    }

    #[test]
    fn every_line_is_found() {
        for line in LIST.lines() {
            assert!(contains(line), "{line:?}");
        }
    }

    #[test]
    fn nothing_else_is_found() {
        for line in LIST.lines() {
            for near in [format!("{line}\n"), format!("{line}\u{0}"), format!("\n{line}"), format!("{line}~~")] {
                assert!(!contains(&near), "{near:?}");
            }
        }
        for other in ["", "\n", " ", "correct horse battery staple", "Password", "\u{10ffff}"] {
            assert!(!contains(other), "{other:?}");
        }
    }
}
