//! The YAML as written, then as meant. Nobody below knows it; [`settings::Settings`] is handed to `server::assemble`.
//!
//! All faults of a file are found in one reading, each with its line, its path and what to do. Any value may hold
//! `${NAME}`, which is replaced from the environment, and `$$` for a dollar sign. A key that is `null` counts as not
//! written. Relative paths start at the working directory of the process.

mod document;
pub mod environment;
pub mod fault;
mod quantity;
mod reading;
mod secret_strength;
mod secret_value;
mod section;
mod sections;
mod server_certificate;
pub mod settings;
pub mod store_url;
mod suggestion;
mod value;

pub use self::secret_value::read_secret_file;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use self::environment::Environment;
use self::fault::Faults;
use self::reading::Reading;
use self::section::Section;
use self::settings::{Listen, Settings, Storage};

/// Reads the file at `path`. Relative paths in it start at the working directory.
///
/// # Errors
/// Everything that is wrong with it; one fault without a line when it cannot be read at all.
pub fn load(path: &Path, environment: &dyn Environment) -> Result<Settings, Faults> {
    let origin = path.display().to_string();
    let base_dir = Path::new("");
    match read_text(path) {
        Ok(text) => {
            let checksum = crc32fast::hash(text.as_bytes());
            read(&text, &origin, base_dir, environment).map(|settings| Settings { checksum, ..settings })
        }
        Err((problem, remedy)) => {
            let reading = Reading::new(&origin, base_dir, environment);
            reading.fault(0, "", problem, remedy);
            Err(reading.into_findings().0)
        }
    }
}

/// Reads a configuration from `text`. `origin` is what faults call the file; relative paths in it start at `base_dir`,
/// and an empty one is the working directory.
///
/// # Errors
/// Everything that is wrong with it, in the order of its lines.
pub fn read(text: &str, origin: &str, base_dir: &Path, environment: &dyn Environment) -> Result<Settings, Faults> {
    let reading = Reading::new(origin, base_dir, environment);
    let settings = match document::parse(text) {
        Ok(tree) => sections::read(&mut Section::root(&reading, &tree)),
        Err(malformed) => {
            reading.fault(malformed.line, "", malformed.problem, malformed.remedy);
            None
        }
    };
    let (faults, warnings) = reading.into_findings();
    match settings {
        Some(settings) if faults.is_empty() => Ok(Settings { warnings, ..settings }),
        _ => Err(faults),
    }
}

/// Where a process listens and keeps things, from a file that may be wrong elsewhere: enough to find one that serves, and
/// went by the file when it was sound.
pub fn load_whereabouts(path: &Path, environment: &dyn Environment) -> Option<(Listen, Storage)> {
    let text = read_text(path).ok()?;
    let tree = document::parse(&text).ok()?;
    let reading = Reading::new("", Path::new(""), environment);
    sections::read_whereabouts(&mut Section::root(&reading, &tree))
}

fn read_text(path: &Path) -> Result<String, (String, &'static str)> {
    let unreadable = |error: std::io::Error| (format!("the file cannot be read ({error})"), "name it with --config");
    if !fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(("this is not a plain file".to_owned(), "name a file with --config"));
    }
    // One byte more than is allowed, so that the text itself is found too large.
    let limit = u64::try_from(document::MAX_BYTES + 1).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(path).map_err(unreadable)?.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    String::from_utf8(bytes).map_err(|_| ("the file is not UTF-8".to_owned(), "save it as UTF-8"))
}
