//! The router, and the routes that lead to it, from one list.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ALLOW, CONTENT_LENGTH};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use serde::Serialize as _;
use tokio::runtime::Handle;
use tower::ServiceExt as _;

use super::context::Services;
use super::endpoints::{self, Endpoint};
use super::{answer, negotiation, refusal};
use crate::domain::access_policy::AccessPolicy;
use crate::domain::denial::Denial;
use crate::routing::host::HostPattern;
use crate::routing::normal_path::Oddities;
use crate::routing::pattern::{BadPattern, PathPattern};
use crate::routing::route::{Methods, Route, Target};

/// What is served here.
pub struct Api {
    router: Router,
    places: HashMap<String, Place>,
    /// Handlers run on a runtime of their own: a client that hangs up does not stop a change half way.
    runtime: Handle,
}

struct Place {
    allow: HeaderValue,
    negotiates: bool,
}

impl Api {
    /// Builds the router and the routes to it.
    pub fn build(prefix: &str, services: Services, runtime: Handle) -> Result<(Self, Vec<Route>), BadPattern> {
        let services = Arc::new(services);
        let mut router = Router::new();
        let mut places = HashMap::new();
        let endpoints = endpoints::all(prefix);
        let routes = routes_to(prefix, &endpoints)?;
        for endpoint in endpoints {
            let Endpoint { path, methods, allow, negotiates, description, .. } = endpoint;
            let allow = HeaderValue::from_static(allow);
            let methods = methods
                .options(move || {
                    let answer = answer::json(StatusCode::OK, &description);
                    async move { answer }
                })
                .fallback(|method: Method| async move {
                    refusal::refuse_method(Denial::MethodNotAllowed, method.as_str(), &[])
                });
            router = router.route(&path, methods.clone()).route(&format!("{path}/"), methods);
            places.insert(path, Place { allow, negotiates });
        }
        Ok((Self { router: router.with_state(services), places, runtime }, routes))
    }

    /// What is judged before credentials: whether there is an answer that this client could read.
    pub fn negotiate(&self, place: &str, headers: &HeaderMap, query: Option<&str>) -> Result<(), Denial> {
        match self.places.get(place) {
            Some(Place { negotiates: true, .. }) => negotiation::check(headers, query),
            _ => Ok(()),
        }
    }

    /// The methods of a place: on every answer of an existing endpoint, refusals included.
    pub fn put_allow(&self, place: &str, headers: &mut HeaderMap) {
        if let Some(place) = self.places.get(place) {
            headers.insert(ALLOW, place.allow.clone());
        }
    }

    /// Serves an admitted request, whose extensions hold its [`super::context::RequestContext`].
    pub async fn serve(&self, place: &str, request: Request) -> Response<Body> {
        let indent = negotiation::indent(request.headers());
        let router = self.router.clone();
        let task = self.runtime.spawn(async move {
            match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        });
        // A handler that panicked ends its own request only.
        let mut response = task.await.unwrap_or_else(|_| refusal::refuse(Denial::Internal));
        self.put_allow(place, response.headers_mut());
        match indent {
            Some(spaces) => indented(response, spaces).await,
            None => response,
        }
    }
}

/// The routes that lead to `endpoints`.
pub fn routes_to(prefix: &str, endpoints: &[Endpoint]) -> Result<Vec<Route>, BadPattern> {
    let mut routes = vec![nothing_below(prefix)?];
    for endpoint in endpoints {
        routes.push(local_route(&endpoint.path, endpoint.access.clone())?);
    }
    Ok(routes)
}

/// Everything below the prefix is the gateway's own: what is not served there is not found, and goes to no upstream
/// unless a route says so by a longer path.
fn nothing_below(prefix: &str) -> Result<Route, BadPattern> {
    Ok(Route {
        name: "api".into(),
        path: PathPattern::parse(prefix, false)?,
        target: Target::Nothing,
        ..local_route(prefix, AccessPolicy::Public)?
    })
}

fn local_route(path: &str, access: AccessPolicy) -> Result<Route, BadPattern> {
    Ok(Route {
        name: path.into(),
        host: HostPattern::Any,
        path: PathPattern::parse(path, true)?,
        methods: Methods::Unfiltered,
        target: Target::Local(path.into()),
        access,
        forward_credentials: false,
        strip_prefix: None,
        allow: Oddities::default(),
    })
}

async fn indented(response: Response<Body>, spaces: usize) -> Response<Body> {
    const LARGEST: usize = 1024 * 1024;
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, LARGEST).await else { return refusal::refuse(Denial::Internal) };
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(&bytes) else {
        return Response::from_parts(parts, Body::from(bytes));
    };
    let indent = " ".repeat(spaces);
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent.as_bytes());
    let mut out = Vec::new();
    if value.serialize(&mut serde_json::Serializer::with_formatter(&mut out, formatter)).is_err() {
        return Response::from_parts(parts, Body::from(bytes));
    }
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(out))
}
