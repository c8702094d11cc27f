//! What a text looks like, where somebody decides by its looks: a name in a list, an address in a mail.

/// A character that is not seen, or that makes others be seen elsewhere than they stand: controls, marks of direction,
/// fillers (Unicode's general category Cf, and its kin). The two joiners are left, which some scripts cannot be written without.
pub const fn is_deceptive(c: char) -> bool {
    matches!(c,
        '\0'..='\x1f' | '\x7f'..='\u{9f}' | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_scripts_are_plain_and_tricks_are_not() {
        for plain in ["anna", "zoë.ångström", "李小龍", "علی\u{200c}رضا", "क्\u{200d}ष", "o'brien-2", "🦀"]
        {
            assert!(!plain.chars().any(is_deceptive), "{plain}");
        }
        for trick in
            ["ad\u{202e}min", "ad\u{200b}min", "\u{feff}admin", "admin\u{3164}", "a\u{ad}dmin", "a\nb", "\u{e0061}"]
        {
            assert!(trick.chars().any(is_deceptive), "{trick:?}");
        }
    }
}
