//! What somebody probably meant.

/// The nearest of `known` that is a slip or two of the keyboard away from `written`.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance costs the product of both lengths, and no name is this long.
    if written.len() > 80 {
        return None;
    }
    let folded = written.to_ascii_lowercase().replace('-', "_");
    let limit = written.chars().count().div_ceil(3).min(3);
    let distance = |name: &str| strsim::damerau_levenshtein(&folded, &name.to_ascii_lowercase().replace('-', "_"));
    known
        .into_iter()
        .map(|name| (distance(name), name))
        .filter(|(far, _)| *far <= limit)
        .min_by_key(|(far, _)| *far)
        .map(|(_, name)| name)
}

/// `did you mean "x"?`, or else what there is to choose from.
pub fn remedy(written: &str, known: &[&str]) -> String {
    if let Some(name) = nearest(written, known.iter().copied()) {
        return format!("did you mean \"{name}\"?");
    }
    match known {
        [] => "remove it".to_owned(),
        [only] => format!("the only one here is {only}"),
        _ => format!("choose from {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_forgiven_and_strangers_are_not() {
        let known = ["upstream", "upstreams", "routes", "read_timeout", "url"];
        for (written, meant) in [
            ("upstrem", Some("upstream")),
            ("upstraems", Some("upstreams")),
            ("Routes", Some("routes")),
            ("read-timeout", Some("read_timeout")),
            ("ulr", Some("url")),
            ("banana", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, known), meant, "{written}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), known), None);
    }

    #[test]
    fn a_remedy_names_the_choices_when_nothing_is_near() {
        assert_eq!(remedy("backnd", &["backend", "other"]), "did you mean \"backend\"?");
        assert_eq!(remedy("zzzzzz", &["backend", "other"]), "choose from backend, other");
        assert_eq!(remedy("zzzzzz", &["backend"]), "the only one here is backend");
        assert_eq!(remedy("zzzzzz", &[]), "remove it");
    }
}
