use crate::config::section::Section;
use crate::config::settings::Passwords;

const MIB: u64 = 1024 * 1024;

/// The least that OWASP's password storage advice allows: 19 MiB twice, or 46 MiB once.
const LEAST_MEMORY: u64 = 19 * MIB;
const ENOUGH_MEMORY_FOR_ONE_PASS: u64 = 46 * MIB;

pub fn read(mut section: Section<'_>) -> Passwords {
    let memory = section.bytes("memory", LEAST_MEMORY, LEAST_MEMORY..=256 * MIB);
    let least_iterations = if memory >= ENOUGH_MEMORY_FOR_ONE_PASS { 1 } else { 2 };
    let passwords = Passwords {
        memory_kib: u32::try_from(memory / 1024).unwrap_or(u32::MAX),
        iterations: section.integer("iterations", 2, least_iterations..=16),
        parallelism: section.integer("parallelism", 1, 1..=16),
        threads: section.integer("threads", 2, 1..=64),
        queue: section.integer("queue", 64, 1..=4096),
        min_length: section.integer("min_length", 8, 1..=64),
        // Sentences of 64 characters are to be possible (NIST SP 800-63B 3.1.1.2).
        max_length: section.integer("max_length", 1024, 64..=4096),
    };
    if passwords.min_length < 8 {
        section.warn("min_length", "passwords of fewer than 8 characters are guessed quickly", "write 8 or more");
    }
    passwords
}
