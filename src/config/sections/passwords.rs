use crate::config::section::Section;
use crate::config::settings::Passwords;
use crate::config::value::Value;
use crate::domain::password_policy::PasswordPolicy;

const MIB: u64 = 1024 * 1024;

/// The least that OWASP's password storage advice allows: 19 MiB twice, or 46 MiB once.
const LEAST_MEMORY: u64 = 19 * MIB;
const ENOUGH_MEMORY_FOR_ONE_PASS: u64 = 46 * MIB;

/// Hashing threads, unless more are asked for: each has memory of its own, and more sign-ins than these bear are rarely meant.
const MOST_BY_DEFAULT: usize = 4;

/// `issuer` is the `iss` of tokens: the name of the service, or its URL.
pub fn read(mut section: Section<'_>, issuer: Option<&str>) -> Passwords {
    let memory = section.bytes("memory", LEAST_MEMORY, LEAST_MEMORY..=256 * MIB);
    let least_iterations = if memory >= ENOUGH_MEMORY_FOR_ONE_PASS { 1 } else { 2 };
    Passwords {
        memory_kib: u32::try_from(memory / 1024).unwrap_or(u32::MAX),
        iterations: section.integer("iterations", 2, least_iterations..=16),
        parallelism: section.integer("parallelism", 1, 1..=16),
        threads: section.threads("threads", 1..=64, |processors| (processors / 2).clamp(1, MOST_BY_DEFAULT)),
        queue: section.integer("queue", 64, 1..=4096),
        policy: policy(&mut section, issuer),
    }
}

fn policy(section: &mut Section<'_>, issuer: Option<&str>) -> PasswordPolicy {
    let default = PasswordPolicy::default();
    let min_length = section.integer("min_length", default.min_length, 1..=64);
    if min_length < 8 {
        section.warn("min_length", "passwords of fewer than 8 characters are guessed quickly", "write 8 or more");
    }
    PasswordPolicy {
        min_length,
        // Sentences of 64 characters are to be possible (NIST SP 800-63B 3.1.1.2).
        max_length_bytes: section.integer("max_length", default.max_length_bytes, 64..=4096),
        similarity: rule(section, "similarity", "passwords that resemble the user's own name or address are allowed")
            .then_some(PasswordPolicy::SIMILARITY),
        common: rule(section, "common", "the passwords that guessers try first are allowed"),
        numeric: rule(section, "numeric", "passwords of nothing but digits are allowed, such as dates"),
        context_words: context_words(section, issuer),
    }
}

fn rule(section: &mut Section<'_>, key: &str, problem: &str) -> bool {
    let is_on = section.boolean(key, true);
    if !is_on {
        section.warn(key, problem, "write true");
    }
    is_on
}

/// Those that are written, and the words of the issuer that are long enough to be more than `www`.
fn context_words(section: &mut Section<'_>, issuer: Option<&str>) -> Vec<String> {
    let written = section.optional("context_words").map(|value| value.list()).unwrap_or_default();
    let of_issuer = issuer.unwrap_or_default().split(|c: char| !c.is_alphanumeric());
    let of_issuer = of_issuer.filter(|word| word.chars().count() > 3).map(str::to_owned);
    written.iter().filter_map(context_word).chain(of_issuer).collect()
}

fn context_word(value: &Value<'_>) -> Option<String> {
    let word = value.text()?;
    if !(3..=64).contains(&word.trim().chars().count()) {
        value.fault(format!("{} is no word of 3 to 64 characters", value.written()), "write another one, or none");
        return None;
    }
    Some(word.trim().to_owned())
}
