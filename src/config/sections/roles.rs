use crate::config::section::Section;
use crate::config::value::Value;
use crate::domain::scope::{Scope, ScopeSet};

const ADMIN: [&str; 5] = ["users:read", "users:write", "keys:read", "keys:write", "sessions:write"];

/// What the tokens of an administrator carry beside the user's own scopes.
pub fn read(mut section: Section<'_>) -> ScopeSet {
    match section.section("admin").optional("scopes") {
        Some(value) => scopes(&value),
        None => ADMIN.iter().filter_map(|name| Scope::parse(name).ok()).collect(),
    }
}

pub fn scopes(value: &Value<'_>) -> ScopeSet {
    let scope = |item: Value<'_>| {
        let text = item.text()?;
        Scope::parse(&text)
            .inspect_err(|problem| item.fault(format!("{} is no scope: {problem}", item.written()), "rename it"))
            .ok()
    };
    value.list().into_iter().filter_map(scope).collect()
}
