use crate::config::secret_value;
use crate::config::section::Section;
use crate::config::settings::MasterKeySource;
use crate::config::value::Value;
use crate::domain::secret::Secret;

const FORMS: &str = "write master_key: { file: data/master.key } or master_key: \"${PORTCULLIS_MASTER_KEY}\"";

/// More of them at a time are no replacement under way.
const MOST_PREVIOUS: usize = 8;

/// The key that seals, and those that only open.
pub fn read(mut section: Section<'_>) -> (Option<MasterKeySource>, Vec<MasterKeySource>) {
    let current = section.required("master_key", FORMS).and_then(|value| source(&value));
    let listed = section.optional("previous_master_keys").map(|value| {
        let items = value.list();
        if items.len() > MOST_PREVIOUS {
            let remedy =
                "seal everything under the present key with `portcullis secrets rotate`, and remove the others";
            value.fault(format!("more than {MOST_PREVIOUS} keys"), remedy);
        }
        items.iter().filter_map(source).collect()
    });
    (current, listed.unwrap_or_default())
}

/// A file is left to whoever opens the store: that of the present key may be made there, at the first start.
fn source(value: &Value<'_>) -> Option<MasterKeySource> {
    if value.is_mapping() {
        let path = secret_value::path(value)?;
        secret_value::warn_if_shared(value, &path);
        return Some(MasterKeySource::File(path));
    }
    let key = secret_value::read(value)?;
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
