//! Descriptions are written in Markdown. The page knows the little of it that they use: paragraphs, `code` and **stress**.

use minijinja::{HtmlEscape, Value};

/// As HTML. Whatever is not a mark of these three kinds is text, and stays text.
pub fn html(markdown: &str) -> Value {
    let paragraphs = markdown.split("\n\n").map(str::trim).filter(|text| !text.is_empty());
    Value::from_safe_string(paragraphs.map(|text| format!("<p>{}</p>\n", line(text))).collect())
}

fn line(text: &str) -> String {
    // Every other piece stood between two marks; a mark without its partner is text.
    let mut out = String::new();
    for (index, piece) in pieces(text, "`").into_iter().enumerate() {
        if index % 2 == 1 {
            out.push_str(&format!("<code>{}</code>", HtmlEscape(&piece)));
            continue;
        }
        for (index, piece) in pieces(&piece, "**").into_iter().enumerate() {
            let escaped = HtmlEscape(&piece);
            out.push_str(&if index % 2 == 1 { format!("<strong>{escaped}</strong>") } else { escaped.to_string() });
        }
    }
    out
}

/// An odd number of pieces, so that each mark has its partner.
fn pieces(text: &str, mark: &str) -> Vec<String> {
    let mut pieces: Vec<String> = text.split(mark).map(str::to_owned).collect();
    if pieces.len().is_multiple_of(2)
        && let Some(last) = pieces.pop()
        && let Some(before) = pieces.last_mut()
    {
        before.push_str(mark);
        before.push_str(&last);
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_elements_and_everything_else_is_escaped() {
        assert_eq!(
            html("**Paths** are `a<b>` & more.\n\nA lone ` and <script>x</script>").to_string(),
            "<p><strong>Paths</strong> are <code>a&lt;b&gt;</code> &amp; more.</p>\n\
             <p>A lone ` and &lt;script&gt;x&lt;&#x2f;script&gt;</p>\n"
        );
        assert_eq!(html("`**` **a`b`**").to_string(), "<p><code>**</code> **a<code>b</code>**</p>\n");
        assert_eq!(html(" \n\n ").to_string(), "");
    }

    proptest::proptest! {
        #[test]
        fn nothing_written_opens_an_element(text in "[<>&\"'`* a\n]{0,60}") {
            let html = html(&text).to_string();
            let known = ["<p>", "</p>", "<code>", "</code>", "<strong>", "</strong>"];
            let left = known.iter().fold(html.clone(), |left, tag| left.replace(tag, ""));
            proptest::prop_assert!(!left.contains(['<', '>']), "{left}");
        }
    }
}
