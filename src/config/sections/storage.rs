use crate::config::secret_value;
use crate::config::section::Section;
use crate::config::settings::Storage;
use crate::config::store_url::{has_password, is_unprotected};

/// Twelve nodes fit on a server as it comes.
const CONNECTIONS: u32 = 8;

const URL: &str = "write url: \"sqlite://data/portcullis.db\" or url: \"postgres://HOST/DATABASE\"";

pub fn read(mut section: Section<'_>) -> Option<Storage> {
    let migrate = section.choice("migrate", true, &[("auto", true), ("manual", false)]);
    let connections = section.integer("connections", CONNECTIONS, 2..=200);
    let value = section.required("url", URL)?;
    let url = secret_value::read_anywhere(&value)?;
    if !["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| url.expose().starts_with(scheme)) {
        value.fault("this is not the URL of a store that is known here", URL);
        return None;
    }
    if secret_value::is_literal(&value) && has_password(&url) {
        value.warn(
            "a password stands in the configuration itself, which is copied, committed and shown",
            "write \"${NAME}\" in its place, or url: { file: PATH }",
        );
    }
    if is_unprotected(&url) {
        value.warn(
            "whoever stands between here and the database server can read and change everything",
            "end the URL with ?sslmode=verify-full, and &sslrootcert=PATH for an authority of your own",
        );
    }
    if url.expose().contains(":memory:") {
        value.warn("everything is forgotten when the process ends", "name a file, unless this is a test");
    }
    Some(Storage { url, migrate, connections })
}
