//! Names for sets of scopes, so that what a kind of user may do is said in one place.
//!
//! Users carry names of roles; what a name means is in the running configuration. A name that means nothing there gives
//! nothing.

use std::collections::BTreeMap;
use std::fmt;

use super::scope::ScopeSet;

/// 1 to 64 of the characters that a scope's name may have too, but for `/` and `*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role's name is 1 to 64 of the characters a-z A-Z 0-9 : . _ -")]
pub struct InvalidRoleName;

/// Of those who administer. It is stored as a flag of its own, and is never in a [`RoleSet`].
pub const ADMIN: &str = "admin";

/// The scopes that the gateway's own administration takes; the role [`ADMIN`] gives them unless it is configured otherwise.
pub const ADMINISTRATION: [&str; 6] =
    ["users:read", "users:write", "keys:read", "keys:write", "sessions:write", "audit:read"];

impl RoleName {
    pub fn parse(text: &str) -> Result<Self, InvalidRoleName> {
        let fits = (1..=64).contains(&text.len());
        if fits && text.bytes().all(|b| b.is_ascii_alphanumeric() || b":._-".contains(&b)) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidRoleName)
        }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The roles of a user, kept sorted so that the same set has the same text everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RoleSet(Vec<RoleName>);

impl RoleSet {
    pub fn iter(&self) -> impl Iterator<Item = &RoleName> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads what `Display` writes: names separated by spaces.
    pub fn parse(text: &str) -> Result<Self, InvalidRoleName> {
        text.split_ascii_whitespace().map(RoleName::parse).collect()
    }
}

impl FromIterator<RoleName> for RoleSet {
    fn from_iter<I: IntoIterator<Item = RoleName>>(names: I) -> Self {
        let mut names: Vec<RoleName> = names.into_iter().collect();
        names.sort();
        names.dedup();
        Self(names)
    }
}

impl fmt::Display for RoleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            f.write_str(name.as_str())?;
        }
        Ok(())
    }
}

/// What the roles of the running configuration mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles {
    /// Of the role `admin`.
    pub admin: ScopeSet,
    /// Of all the others.
    pub named: BTreeMap<RoleName, ScopeSet>,
}

impl Roles {
    /// Whether a user may be given this role by its name.
    pub fn knows(&self, name: &RoleName) -> bool {
        self.named.contains_key(name)
    }

    /// What all of these roles give together.
    pub fn scopes_of(&self, roles: &RoleSet, is_admin: bool) -> ScopeSet {
        let named = roles.iter().filter_map(|name| self.named.get(name));
        named.chain(is_admin.then_some(&self.admin)).flat_map(ScopeSet::iter).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scopes(text: &str) -> ScopeSet {
        ScopeSet::parse(text).unwrap()
    }

    #[test]
    fn names_are_narrow_enough_for_every_place_they_are_written_in() {
        for text in ["support", "a", "EU:support-2.x_y", &"x".repeat(64)] {
            assert_eq!(RoleName::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "a b", "a,b", "a/b", "*", "ä", "a\n", &"x".repeat(65)] {
            assert_eq!(RoleName::parse(text), Err(InvalidRoleName), "{text:?}");
        }
    }

    #[test]
    fn a_set_has_one_text() {
        let set = RoleSet::parse(" b a  b ").unwrap();
        assert_eq!(set.to_string(), "a b");
        assert_eq!(RoleSet::parse(&set.to_string()), Ok(set));
        assert!(RoleSet::parse("").unwrap().is_empty());
        assert_eq!(RoleSet::parse("a b/c"), Err(InvalidRoleName));
    }

    #[test]
    fn roles_add_up_and_unknown_ones_give_nothing() {
        let named = [("support", "users:read"), ("billing", "invoices:read users:read"), ("idle", "")];
        let roles = Roles {
            admin: scopes("users:write"),
            named: named.map(|(name, text)| (RoleName::parse(name).unwrap(), scopes(text))).into(),
        };
        for (held, is_admin, given) in [
            ("", false, ""),
            ("support", false, "users:read"),
            ("billing support", false, "invoices:read users:read"),
            ("idle gone", false, ""),
            ("admin", false, ""),
            ("", true, "users:write"),
            ("support gone", true, "users:read users:write"),
        ] {
            let held = RoleSet::parse(held).unwrap();
            assert_eq!(roles.scopes_of(&held, is_admin), scopes(given), "{held} {is_admin}");
        }
        assert!(roles.knows(&RoleName::parse("idle").unwrap()));
        assert!(!roles.knows(&RoleName::parse(ADMIN).unwrap()));
    }
}
