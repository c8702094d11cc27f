use std::collections::HashSet;

use crate::routing::host::HostPattern;
use crate::routing::pattern::PathPattern;
use crate::routing::route::Methods;

/// Longer ones would make every metric line unreadable.
pub const MAX_LENGTH: usize = 80;

/// What may be a label in metrics and logs without any quoting.
pub fn is_name(text: &str) -> bool {
    (1..=MAX_LENGTH).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b" ._-:/*,()#".contains(&b))
        && text.trim() == text
}

/// `GET,POST api.example.com/orders/`: what the route is for, as far as it says so.
pub fn describe(methods: &Methods, host: &HostPattern, path: &PathPattern) -> String {
    let methods = match methods {
        Methods::Listed(listed) => format!("{} ", listed.join(",")),
        Methods::Standard | Methods::Unfiltered | Methods::Others(_) => String::new(),
    };
    let host = match host {
        HostPattern::Any => String::new(),
        host => host.to_string(),
    };
    format!("{methods}{host}{path}")
}

/// The wanted name, shortened, and numbered if another route has it.
pub fn unique(wanted: &str, taken: &HashSet<String>) -> String {
    let shortened: String = wanted.chars().take(MAX_LENGTH).collect();
    let numbered = (2..).map(|number| {
        let suffix = format!("#{number}");
        let kept: String = wanted.chars().take(MAX_LENGTH - suffix.len()).collect();
        kept + &suffix
    });
    std::iter::once(shortened).chain(numbered).find(|name| !taken.contains(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_the_route_is_for() {
        let path = |text, exact| PathPattern::parse(text, exact).unwrap();
        let listed = Methods::Listed(vec!["GET".into(), "POST".into()]);
        assert_eq!(describe(&listed, &HostPattern::Any, &path("/a/b", false)), "GET,POST /a/b/");
        assert_eq!(describe(&Methods::Standard, &HostPattern::Any, &path("/a/b", true)), "/a/b");
        let host = HostPattern::parse("*.example.com").unwrap();
        assert_eq!(describe(&Methods::Standard, &host, &path("/", false)), "*.example.com/");
    }

    #[test]
    fn names_are_unique_and_bounded() {
        let mut taken = HashSet::new();
        for wanted in ["/a/", "/a/", "/a/"] {
            taken.insert(unique(wanted, &taken));
        }
        assert!(["/a/", "/a/#2", "/a/#3"].iter().all(|name| taken.contains(*name)));
        let long = "/x".repeat(100);
        taken.insert(unique(&long, &taken));
        let second = unique(&long, &taken);
        assert!(second.len() == MAX_LENGTH && second.ends_with("#2"), "{second}");
    }
}
