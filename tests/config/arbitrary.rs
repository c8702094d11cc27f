//! Whatever the file holds, the answer is settings or faults.

use proptest::prelude::*;

use crate::read;

const ANNOTATED: &str = include_str!("../../config/portcullis.yaml");

fn yaml_like() -> impl Strategy<Value = String> {
    let word = prop::sample::select(vec![
        "listen",
        "http",
        "storage",
        "url",
        "tokens",
        "signing",
        "routes",
        "path",
        "upstreams",
        "servers",
        "access",
        "any",
        "file",
        "null",
        "true",
        "5m",
        "64MiB",
        "\"",
        "'",
        ": ",
        ":\n",
        "\n",
        "\n  ",
        "\n    - ",
        "{ ",
        " }",
        "[",
        "]",
        ", ",
        "- ",
        "${",
        "}",
        "$$",
        "$",
        "&a ",
        "*a",
        "!!str ",
        "? ",
        "| ",
        ">\n",
        "# ",
        "---\n",
        "%",
        "@",
        "\t",
        "é",
        "\u{0}",
        "*",
        "/",
        "https://",
        "127.0.0.1:80",
    ]);
    prop::collection::vec(word, 0..80).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = read(&text, &[]);
    }

    #[test]
    fn anything_like_yaml_is_read_or_refused(text in yaml_like()) {
        let _ = read(&text, &[]);
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(at in any::<prop::sample::Index>(), len in 0_usize..40, put in yaml_like()) {
        let chars: Vec<char> = ANNOTATED.chars().collect();
        let at = at.index(chars.len());
        let damaged: String =
            chars[..at].iter().copied().chain(put.chars()).chain(chars.iter().skip(at + len).copied()).collect();
        if let Err(faults) = read(&damaged, &[]) {
            prop_assert!(!faults.is_empty());
            prop_assert!(faults.iter().all(|fault| !fault.problem.is_empty() && fault.line <= damaged.lines().count() + 1));
        }
    }

    #[test]
    fn a_secret_from_the_environment_is_never_shown(key in prop::sample::select(vec![
        "listen: { http: \"${S}\" }", "listen: \"${S}\"", "storage: { url: \"${S}\" }", "storage: { url: \"sqlite:x\", migrate: \"${S}\" }",
        "secrets: { master_key: \"${S}\" }", "tokens: { signing: \"${S}\" }", "tokens: { leeway: \"${S}\" }",
        "tokens: { signing: { algorithm: HS256, secret: \"${S}\" } }", "tokens: { signing: { algorithm: ES256, key: \"${S}\" } }",
        "tokens: { signing: { algorithm: \"${S}\", key: \"${S}\" } }", "passwords: { queue: \"${S}\", memory: \"${S}\" }",
        "second_factor: { issuer: \"${S}\", required: \"${S}\", challenge_lifetime: \"${S}\" }", "api: { prefix: \"${S}\" }", "identity: { headers: \"${S}\", assertion: \"${S}\" }", "trusted_proxies: [\"${S}\"]",
        "roles: { admin: { scopes: [\"${S}!\"] } }", "log: { access: \"${S}\", level: \"${S}\" }", "cache: { redis: \"${S}\" }",
        "upstreams: { backend: { servers: [\"${S}\"], host: \"${S}?\", tls: \"${S}\" } }",
        "routes: [{ path: \"${S}\", host: \"${S}?\", name: \"?${S}\", methods: [\"${S}\"], upstream: \"${S}\", access: \"${S}\", allow: [\"${S}\"] }]",
        "routes: [{ path: /, upstream: \"${S}\", access: { any: [\"${S}\"], scopes: [\"${S}?\"] } }]",
    ])) {
        let secret = "hunter2-Xq9";
        let faults = read(&crate::with(key), &[("S", secret)]).expect_err(key);
        prop_assert!(!format!("{faults}{faults:?}").contains(secret), "{}", faults);
    }
}
