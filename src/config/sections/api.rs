use crate::config::section::Section;
use crate::config::settings::Api;
use crate::routing::pattern::{PathPattern, Segment};

const REMEDY: &str = "write a plain path, such as /api/v1/auth";

pub fn read(mut section: Section<'_>) -> Api {
    let default = "/api/v1/auth".to_owned();
    let docs = section.boolean("docs", true);
    let Some(value) = section.optional("prefix") else { return Api { prefix: default, docs } };
    let prefix = value.text().and_then(|text| match PathPattern::parse(&text, false) {
        Err(problem) => {
            value.fault(problem.to_string(), REMEDY);
            None
        }
        Ok(pattern) if pattern.segments.is_empty() => {
            value.fault("the gateway's own endpoints would cover every path", REMEDY);
            None
        }
        Ok(pattern) if pattern.segments.contains(&Segment::One) => {
            value.fault("a prefix with `*` has no one place", REMEDY);
            None
        }
        Ok(_) => Some(text.trim_end_matches('/').to_owned()),
    });
    Api { prefix: prefix.unwrap_or(default), docs }
}
