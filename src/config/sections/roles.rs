use crate::config::section::Section;
use crate::config::value::Value;
use crate::domain::role::{ADMIN, ADMINISTRATION, RoleName, Roles};
use crate::domain::scope::{Scope, ScopeSet};

/// What the tokens of those who have a role carry beside the user's own scopes.
pub fn read(mut section: Section<'_>) -> Roles {
    let mut roles = Roles { admin: default_admin(), ..Roles::default() };
    for (name, value) in section.every() {
        let mut role = Section::of(&value);
        if name == ADMIN {
            if let Some(value) = role.optional("scopes") {
                roles.admin = scopes(&value);
            }
            continue;
        }
        let name = RoleName::parse(name).inspect_err(|problem| section.fault(name, problem.to_string(), "rename it"));
        let given = role.required("scopes", "write scopes: [some:scope], or [] for none");
        if let (Ok(name), Some(given)) = (name, given) {
            roles.named.insert(name, scopes(&given));
        }
    }
    roles
}

fn default_admin() -> ScopeSet {
    ADMINISTRATION.iter().filter_map(|name| Scope::parse(name).ok()).collect()
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
