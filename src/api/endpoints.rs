//! The one list of what is served here.

use std::sync::Arc;

use axum::routing::MethodRouter;
use serde_json::{Value, json};

use super::context::Services;
use super::{me, tokens, well_known};
use crate::domain::access_policy::{AccessPolicy, Kinds, Requirement};

/// One path and all that is served under it.
pub struct Endpoint {
    /// Without trailing slash; both forms are served.
    pub path: String,
    /// For every method, also for those that are not served: who may not enter does not learn which are.
    pub access: AccessPolicy,
    pub methods: MethodRouter<Arc<Services>>,
    pub allow: &'static str,
    /// Only JSON is asked for where existing clients negotiate.
    pub negotiates: bool,
    /// The answer to `OPTIONS`.
    pub description: Value,
}

/// Every endpoint, below `prefix` or at its well-known place.
pub fn all(prefix: &str) -> Vec<Endpoint> {
    vec![
        Endpoint {
            path: format!("{prefix}/token"),
            access: AccessPolicy::Public,
            methods: axum::routing::post(tokens::obtain),
            allow: "POST, OPTIONS",
            negotiates: true,
            description: describe(
                "Token Obtain Pair",
                "Takes a set of user credentials and returns an access and refresh JSON web\ntoken pair to prove the authentication of those credentials.",
                &["username", "password"],
            ),
        },
        Endpoint {
            path: format!("{prefix}/token/refresh"),
            access: AccessPolicy::Public,
            methods: axum::routing::post(tokens::refresh),
            allow: "POST, OPTIONS",
            negotiates: true,
            description: describe(
                "Token Refresh",
                "Takes a refresh type JSON web token and returns an access type JSON web\ntoken if the refresh token is valid.",
                &["refresh"],
            ),
        },
        Endpoint {
            path: format!("{prefix}/token/verify"),
            access: AccessPolicy::Public,
            methods: axum::routing::post(tokens::verify),
            allow: "POST, OPTIONS",
            negotiates: true,
            description: describe(
                "Token Verify",
                "Takes a token and indicates if it is valid.  This view provides no\ninformation about a token's fitness for a particular use.",
                &["token"],
            ),
        },
        Endpoint {
            path: format!("{prefix}/token/blacklist"),
            access: AccessPolicy::Public,
            methods: axum::routing::post(tokens::blacklist),
            allow: "POST, OPTIONS",
            negotiates: true,
            description: describe(
                "Token Blacklist",
                "Takes a token and blacklists it. Must be used with the\n`rest_framework_simplejwt.token_blacklist` app installed.",
                &["refresh"],
            ),
        },
        Endpoint {
            path: format!("{prefix}/logout"),
            access: requires(Kinds::JWT),
            methods: axum::routing::post(tokens::logout),
            allow: "POST, OPTIONS",
            negotiates: true,
            description: describe("Logout", "Ends the caller's own session.", &[]),
        },
        Endpoint {
            path: format!("{prefix}/me"),
            access: requires(Kinds::EITHER),
            methods: axum::routing::get(me::show),
            allow: "GET, HEAD, OPTIONS",
            negotiates: true,
            description: describe("Me", "Who the caller is, and how that was established.", &[]),
        },
        Endpoint {
            path: "/.well-known/jwks.json".to_owned(),
            access: AccessPolicy::Public,
            methods: axum::routing::get(well_known::jwks),
            allow: "GET, HEAD, OPTIONS",
            negotiates: false,
            description: describe("Keys", "The public keys that verify tokens and assertions.", &[]),
        },
    ]
}

fn requires(kinds: Kinds) -> AccessPolicy {
    AccessPolicy::Requires(Requirement::of(kinds))
}

/// A description in the form that clients of Django REST framework get from `OPTIONS`.
fn describe(name: &str, description: &str, fields: &[&str]) -> Value {
    let mut value = json!({
        "name": name,
        "description": description,
        "renders": ["application/json"],
        "parses": ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"],
    });
    if let (false, Some(map)) = (fields.is_empty(), value.as_object_mut()) {
        let form: serde_json::Map<String, Value> = fields
            .iter()
            .map(|field| {
                let mut label = (*field).to_owned();
                if let Some(first) = label.get_mut(..1) {
                    first.make_ascii_uppercase();
                }
                let described = json!({ "type": "string", "required": true, "read_only": false, "label": label });
                ((*field).to_owned(), described)
            })
            .collect();
        map.insert("actions".to_owned(), json!({ "POST": form }));
    }
    value
}
