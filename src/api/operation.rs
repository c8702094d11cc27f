//! One method of one path: its handler, whom it is for, and its description.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use utoipa::openapi::path::{Operation as Description, PathItem};
use utoipa::openapi::{OpenApi, RefOr, Schema};

use super::context::Services;
use crate::domain::access_policy::{AccessPolicy, Kinds, Requirement, SecondFactorDemand};
use crate::domain::scope::ScopeSet;

pub struct Operation {
    /// As the description writes it: `/.well-known/jwks.json` as it stands, `token/` below the prefix.
    pub path: String,
    pub method: Method,
    pub access: AccessPolicy,
    pub handler: MethodRouter<Arc<Services>>,
    pub description: Description,
    /// What the description refers to.
    pub schemas: BTreeMap<String, RefOr<Schema>>,
}

impl Operation {
    /// `described` is what `utoipa` makes of the one handler; `operation!` pairs the two.
    pub fn new<H, T>(access: AccessPolicy, described: OpenApi, handler: H) -> Option<Self>
    where
        H: Handler<T, Arc<Services>>,
        T: 'static,
    {
        let (path, item) = described.paths.paths.into_iter().next()?;
        let (method, filter, description) = only_method(item)?;
        let schemas = described.components.map(|components| components.schemas).unwrap_or_default();
        Some(Self { path, method, access, handler: on(filter, handler), description, schemas })
    }

    /// Whether its body may be a form. Those of administration, which need scopes, are read by
    /// [`super::body::read_json`].
    pub fn takes_forms(&self) -> bool {
        match &self.access {
            AccessPolicy::Public => true,
            AccessPolicy::Requires(requirement) => requirement.scopes.is_empty(),
        }
    }
}

fn only_method(item: PathItem) -> Option<(Method, MethodFilter, Description)> {
    let methods = [
        (Method::GET, MethodFilter::GET, item.get),
        (Method::POST, MethodFilter::POST, item.post),
        (Method::PUT, MethodFilter::PUT, item.put),
        (Method::PATCH, MethodFilter::PATCH, item.patch),
        (Method::DELETE, MethodFilter::DELETE, item.delete),
    ];
    methods.into_iter().find_map(|(method, filter, description)| Some((method, filter, description?)))
}

/// Needs one of `kinds`, and no scope.
pub fn requires(kinds: Kinds) -> AccessPolicy {
    AccessPolicy::Requires(Requirement::of(kinds))
}

/// Needs one of `kinds`, with all of `scopes` (separated by spaces). A scope that cannot be one lets nobody in.
pub fn requires_scopes(kinds: Kinds, scopes: &str) -> AccessPolicy {
    match ScopeSet::parse(scopes) {
        Ok(scopes) => AccessPolicy::Requires(Requirement { scopes, ..Requirement::of(kinds) }),
        Err(_) => requires(Kinds::Any { jwt: false, api_key: false }),
    }
}

/// As `access`, and open to who must have a second factor and has none yet.
pub fn open_to_unenrolled(access: AccessPolicy) -> AccessPolicy {
    match access {
        AccessPolicy::Public => AccessPolicy::Public,
        AccessPolicy::Requires(requirement) => {
            AccessPolicy::Requires(Requirement { open_to_unenrolled: true, ..requirement })
        }
    }
}

/// Needs a token of a sign-in with two factors if `second_factor` says so, or a key, with all of `scopes`.
pub fn administers(second_factor: bool, scopes: &str) -> AccessPolicy {
    match requires_scopes(Kinds::EITHER, scopes) {
        AccessPolicy::Requires(requirement) if second_factor => {
            AccessPolicy::Requires(Requirement { second_factor: SecondFactorDemand::Tokens, ..requirement })
        }
        other => other,
    }
}

/// `operation!(AccessPolicy::Public, tokens::obtain)`: a handler that carries `#[utoipa::path(…)]`, which says its method and
/// path. A handler without a description does not compile here.
macro_rules! operation {
    ($access:expr, $($handler:ident)::+) => {{
        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($handler)::+))]
        struct Described;
        $crate::api::operation::Operation::new($access, <Described as utoipa::OpenApi>::openapi(), $($handler)::+)
    }};
}
pub(crate) use operation;
