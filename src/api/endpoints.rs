//! The one list of what is served here: whom each operation is for, and who answers. Where it is found and what it takes and
//! gives is said by the description beside the handler.

use super::endpoint::Endpoint;
use super::operation::{administers, open_to_unenrolled, operation, requires};
use super::{
    audit, docs, keys, leaked_keys, lockouts, me, openapi, passwords, second_factors, sessions, sign_in, tokens,
    user_accounts, user_sessions, users, well_known,
};
use crate::domain::access_policy::{AccessPolicy, Kinds};

/// Every endpoint, below `prefix` or at its well-known place; those that describe the rest only if told to `describe`.
/// Administration by token takes a second factor if `second_factor` says so.
pub fn all(prefix: &str, describe: bool, second_factor: bool) -> Vec<Endpoint> {
    let mut operations = vec![
        operation!(AccessPolicy::Public, sign_in::obtain),
        operation!(AccessPolicy::Public, sign_in::challenge),
        operation!(AccessPolicy::Public, tokens::refresh),
        operation!(AccessPolicy::Public, tokens::verify),
        operation!(AccessPolicy::Public, tokens::blacklist),
        operation!(open_to_unenrolled(requires(Kinds::JWT)), sessions::logout),
        operation!(open_to_unenrolled(requires(Kinds::JWT)), sessions::logout_everywhere),
        operation!(requires(Kinds::JWT), sessions::list),
        operation!(requires(Kinds::JWT), sessions::end),
        operation!(requires(Kinds::JWT), passwords::change),
        operation!(AccessPolicy::Public, passwords::request_reset),
        operation!(AccessPolicy::Public, passwords::confirm_reset),
        operation!(open_to_unenrolled(requires(Kinds::EITHER)), me::show),
        operation!(open_to_unenrolled(requires(Kinds::JWT)), second_factors::show),
        operation!(open_to_unenrolled(requires(Kinds::JWT)), second_factors::set_up),
        operation!(open_to_unenrolled(requires(Kinds::JWT)), second_factors::verify),
        operation!(requires(Kinds::JWT), second_factors::disable),
        operation!(requires(Kinds::JWT), second_factors::renew_recovery_codes),
        operation!(administers(second_factor, "users:read"), users::list),
        operation!(administers(second_factor, "users:write"), users::create),
        operation!(administers(second_factor, "users:read"), users::show),
        operation!(administers(second_factor, "users:write"), users::change),
        operation!(administers(second_factor, "users:write"), users::delete),
        operation!(administers(second_factor, "users:write"), user_accounts::disable),
        operation!(administers(second_factor, "users:write"), user_accounts::enable),
        operation!(administers(second_factor, "users:write"), user_accounts::set_password),
        operation!(administers(second_factor, "users:write"), user_accounts::reset_second_factor),
        operation!(administers(second_factor, "users:write"), user_accounts::unlock),
        operation!(administers(second_factor, "users:read"), user_sessions::list),
        operation!(administers(second_factor, "sessions:write"), user_sessions::end),
        operation!(administers(second_factor, "sessions:write"), user_sessions::end_all),
        operation!(administers(second_factor, "users:read"), lockouts::list),
        operation!(administers(second_factor, "users:write"), lockouts::clear),
        operation!(administers(second_factor, "keys:read"), keys::list),
        operation!(administers(second_factor, "keys:write"), keys::create),
        operation!(AccessPolicy::Public, leaked_keys::report),
        operation!(administers(second_factor, "keys:read"), keys::show),
        operation!(administers(second_factor, "keys:write"), keys::change),
        operation!(administers(second_factor, "keys:write"), keys::rotate),
        operation!(administers(second_factor, "keys:write"), keys::revoke),
        operation!(administers(second_factor, "audit:read"), audit::list),
        operation!(AccessPolicy::Public, well_known::jwks),
    ];
    if describe {
        operations.push(operation!(AccessPolicy::Public, openapi::show));
        operations.push(operation!(AccessPolicy::Public, docs::show));
        operations.push(operation!(AccessPolicy::Public, docs::style));
    }
    Endpoint::gather(prefix, operations.into_iter().flatten())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::access_policy::CredentialKind;

    /// What `OPTIONS` answers is compared by clients, so it is pinned to the byte.
    #[test]
    fn options_answers_as_clients_know_it() {
        const PARSES: &str = r#""renders":["application/json"],"parses":["application/json","application/x-www-form-urlencoded","multipart/form-data"]"#;
        let field = |name: &str, label: &str| {
            format!(r#""{name}":{{"type":"string","required":true,"read_only":false,"label":"{label}"}}"#)
        };
        let actions = |fields: &[String]| format!(r#","actions":{{"POST":{{{}}}}}"#, fields.join(","));
        for (path, allow, name, description, form) in [
            (
                "/a/token",
                "POST, OPTIONS",
                "Token Obtain Pair",
                r"Takes a set of user credentials and returns an access and refresh JSON web\ntoken pair to prove the authentication of those credentials.",
                actions(&[field("username", "Username"), field("password", "Password")]),
            ),
            (
                "/a/token/refresh",
                "POST, OPTIONS",
                "Token Refresh",
                r"Takes a refresh type JSON web token and returns an access type JSON web\ntoken if the refresh token is valid.",
                actions(&[field("refresh", "Refresh")]),
            ),
            (
                "/a/token/verify",
                "POST, OPTIONS",
                "Token Verify",
                r"Takes a token and indicates if it is valid.  This view provides no\ninformation about a token's fitness for a particular use.",
                actions(&[field("token", "Token")]),
            ),
            (
                "/a/token/blacklist",
                "POST, OPTIONS",
                "Token Blacklist",
                r"Takes a token and blacklists it. Must be used with the\n`rest_framework_simplejwt.token_blacklist` app installed.",
                actions(&[field("refresh", "Refresh")]),
            ),
            ("/a/logout", "POST, OPTIONS", "Logout", "Ends the caller's own session.", String::new()),
            ("/a/me", "GET, HEAD, OPTIONS", "Me", "Who the caller is, and how that was established.", String::new()),
            (
                "/.well-known/jwks.json",
                "GET, HEAD, OPTIONS",
                "Keys",
                "The public keys that verify tokens and assertions.",
                String::new(),
            ),
        ] {
            let endpoints = all("/a", true, true);
            let endpoint = endpoints.iter().find(|endpoint| endpoint.path == path).expect(path);
            assert_eq!(endpoint.allow(), allow);
            let expected = format!(r#"{{"name":"{name}","description":"{description}",{PARSES}{form}}}"#);
            assert_eq!(endpoint.options().to_string(), expected, "{path}");
        }
    }

    #[test]
    fn every_operation_has_a_method_a_name_and_somebody_whom_it_is_for() {
        let endpoints = all("/a", true, true);
        let mut ids = HashSet::new();
        let mut kept = 0;
        for endpoint in &endpoints {
            let mut methods = HashSet::new();
            for operation in &endpoint.operations {
                let what = format!("{} {}", operation.method, endpoint.path);
                kept += 1;
                assert!(methods.insert(operation.method.clone()), "{what}: two handlers for one method");
                let description = &operation.description;
                let id = description.operation_id.clone().unwrap();
                assert!(ids.insert(id.clone()), "{what}: another operation is called {id} too");
                assert!(description.summary.is_some() && description.description.is_some(), "{what}: say what it does");
                assert_eq!(description.tags.as_ref().map(Vec::len), Some(1), "{what}: one tag");
                if let AccessPolicy::Requires(requirement) = &operation.access {
                    let somebody = CredentialKind::ALL.into_iter().any(|kind| requirement.kinds.accepts(kind));
                    assert!(somebody, "{what}: nobody may; is a scope misspelt?");
                }
            }
        }
        let source = include_str!("endpoints.rs").split("#[cfg(test)]").next().unwrap();
        assert_eq!(
            source.matches("operation!(").count(),
            kept,
            "an operation whose description names no method that is served"
        );
    }
}
