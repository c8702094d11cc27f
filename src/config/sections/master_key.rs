use crate::config::secret_value;
use crate::config::section::Section;
use crate::config::settings::MasterKeySource;
use crate::domain::secret::Secret;

const FORMS: &str = "write master_key: { file: data/master.key } or master_key: \"${PORTCULLIS_MASTER_KEY}\"";

/// The file is left to whoever opens the store: it may be made there, at the first start.
pub fn read(mut section: Section<'_>) -> Option<MasterKeySource> {
    let value = section.required("master_key", FORMS)?;
    if value.is_mapping() {
        let path = secret_value::path(&value)?;
        secret_value::warn_if_shared(&value, &path);
        return Some(MasterKeySource::File(path));
    }
    let key = secret_value::read(&value)?;
    if !is_key(&key) {
        value.fault("this is not a key of 32 bytes", "make 64 hex digits with: openssl rand -hex 32");
        return None;
    }
    Some(MasterKeySource::Value(key))
}

/// 32 bytes in hex, or in base64 of either alphabet with or without padding.
fn is_key(key: &Secret<String>) -> bool {
    let text = key.expose();
    let digits = text.strip_suffix('=').unwrap_or(text);
    let hex = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    hex || (digits.len() == 43 && digits.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/-_".contains(&b)))
}
