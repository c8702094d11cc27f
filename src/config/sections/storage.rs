use crate::config::secret_value;
use crate::config::section::Section;
use crate::config::settings::Storage;
use crate::domain::secret::Secret;

const URL: &str = "write url: \"sqlite://data/portcullis.db\" or url: \"postgres://HOST/DATABASE\"";

pub fn read(mut section: Section<'_>) -> Option<Storage> {
    let migrate = section.choice("migrate", true, &[("auto", true), ("manual", false)]);
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
    if url.expose().contains(":memory:") {
        value.warn("everything is forgotten when the process ends", "name a file, unless this is a test");
    }
    Some(Storage { url, migrate })
}

fn has_password(url: &Secret<String>) -> bool {
    let authority = url.expose().split_once("://").and_then(|(_, rest)| rest.split('/').next());
    authority.and_then(|authority| authority.rsplit_once('@')).is_some_and(|(user, _)| user.contains(':'))
}
