//! Values that would let their reader sign in: from the environment, or from a file of their own. No fault here quotes
//! what it found.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::document::Content;
use super::environment::refers_to_environment;
use super::section::Section;
use super::value::Value;
use crate::domain::secret::Secret;

/// A private key of 16,384 bits in PEM has a fifth of this.
const MAX_BYTES: usize = 64 * 1024;

const FORMS: &str = "write { file: PATH }, or \"${NAME}\" for an environment variable";

/// A secret that must not stand in the configuration itself, because that is copied, committed and shown.
pub fn read(value: &Value<'_>) -> Option<Secret<String>> {
    if is_literal(value) {
        value.fault("a secret does not stand in the configuration itself", FORMS);
        return None;
    }
    read_anywhere(value)
}

/// A value that holds a secret only sometimes, as a URL does.
pub fn read_anywhere(value: &Value<'_>) -> Option<Secret<String>> {
    if !value.is_mapping() {
        return value.raw_text().map(Secret::new);
    }
    let path = path(value)?;
    warn_if_shared(value, &path);
    match read_secret_file(&path) {
        Ok(secret) => Some(secret),
        Err(problem) => {
            value.fault(
                format!("the file {} {problem}", path.display()),
                "name a readable file that holds only the secret",
            );
            None
        }
    }
}

/// The path in `{ file: PATH }`.
pub fn path(value: &Value<'_>) -> Option<PathBuf> {
    Section::of(value).required("file", "write { file: PATH }")?.file_path()
}

pub fn is_literal(value: &Value<'_>) -> bool {
    matches!(&value.node.content, Content::Scalar(written) if !refers_to_environment(written))
}

/// Anybody who may read the file may do what its owner may. A file that is not there yet has no readers.
pub fn warn_if_shared(value: &Value<'_>, path: &Path) {
    let shared = fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o077 != 0);
    if shared {
        let problem = format!("the file {} is open to other users of this machine", path.display());
        value.warn(problem, format!("chmod 600 {}", path.display()));
    }
}

/// The text of a file that holds only a secret, or what is wrong with the file, without quoting it.
pub fn read_secret_file(path: &Path) -> Result<Secret<String>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read ({error})");
    // Looked at before it is opened, because opening a pipe waits for its writer.
    let is_file = fs::metadata(path).map_err(unreadable)?.is_file();
    if !is_file {
        return Err("is not a plain file".to_owned());
    }
    // One allocation, so that wiping it leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_BYTES + 1));
    let limit = u64::try_from(MAX_BYTES + 1).unwrap_or(u64::MAX);
    File::open(path).map_err(unreadable)?.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > MAX_BYTES {
        return Err("is larger than 64 KiB".to_owned());
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| "is not text".to_owned())?;
    // An editor ends the last line; nobody means that as part of the secret.
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err("is empty".to_owned());
    }
    Ok(Secret::new(text.to_owned()))
}
