use crate::config::section::Section;
use crate::config::settings::Compatibility;

/// Whether keys come in `Authorization` too.
pub fn read(mut section: Section<'_>, compatibility: Compatibility) -> bool {
    let in_authorization = section.boolean("in_authorization", false);
    if in_authorization && compatibility == Compatibility::None {
        let problem = "without compatibility: django, Authorization holds nothing but a bearer token";
        section.fault("in_authorization", problem, "write false and let clients send X-API-Key");
    }
    in_authorization
}
