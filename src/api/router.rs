//! The router, and the routes that lead to it, from one list.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::header::{ALLOW, CONTENT_LENGTH};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use axum::routing::MethodRouter;
use axum::{Extension, Router};
use serde::Serialize as _;
use tokio::runtime::Handle;
use tower::ServiceExt as _;

use super::context::Services;
use super::endpoint::Endpoint;
use super::negotiation::{self, Representation};
use super::openapi::{self, Published};
use super::{answer, docs, endpoints, refusal};
use crate::domain::access_policy::AccessPolicy;
use crate::domain::denial::Denial;
use crate::domain::rate_limit::RouteLimits;
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
    representation: Representation,
}

/// What keeps the API from being served.
#[derive(Debug, thiserror::Error)]
pub enum Unbuildable {
    #[error(transparent)]
    Path(#[from] BadPattern),
    #[error("the page that describes the API: {0}")]
    Page(#[from] minijinja::Error),
}

impl Api {
    /// Builds the router and the routes to it. Administration by token takes a second factor if `second_factor` says so.
    pub fn build(
        prefix: &str,
        describe: bool,
        second_factor: bool,
        services: Services,
        runtime: Handle,
    ) -> Result<(Self, Vec<Route>), Unbuildable> {
        let services = Arc::new(services);
        let mut router = Router::new();
        let mut places = HashMap::new();
        let endpoints = endpoints::all(prefix, describe, second_factor);
        let routes = routes_to(prefix, &endpoints)?;
        let published = if describe { Some(publish(prefix, &endpoints)?) } else { None };
        for endpoint in endpoints {
            // Methods' names are header values.
            let allow = HeaderValue::from_str(&endpoint.allow()).unwrap_or(HeaderValue::from_static("OPTIONS"));
            let place = Place { allow, representation: endpoint.representation() };
            let description = endpoint.options();
            let Endpoint { path, operations } = endpoint;
            let methods = operations.into_iter().map(|operation| operation.handler).fold(
                MethodRouter::new().options(move || {
                    let answer = answer::json(StatusCode::OK, &description);
                    async move { answer }
                }),
                MethodRouter::merge,
            );
            let methods = methods.fallback(|method: Method| async move {
                refusal::refuse_method(Denial::MethodNotAllowed, method.as_str(), &[])
            });
            router = router.route(&path, methods.clone()).route(&format!("{path}/"), methods);
            places.insert(path, place);
        }
        if let Some(published) = published {
            router = router.layer(Extension(Arc::new(published)));
        }
        Ok((Self { router: router.with_state(services), places, runtime }, routes))
    }

    /// What is judged before credentials: whether there is an answer that this client could read.
    pub fn negotiate(&self, place: &str, headers: &HeaderMap, query: Option<&str>) -> Result<(), Denial> {
        match self.places.get(place) {
            Some(place) => place.representation.check(headers, query),
            None => Ok(()),
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

fn publish(prefix: &str, endpoints: &[Endpoint]) -> Result<Published, minijinja::Error> {
    let document = serde_json::json!(openapi::describe(endpoints));
    let page = docs::render(&document, &format!("{prefix}/docs/style.css"))?;
    Ok(Published { openapi: document.to_string().into(), page: page.into() })
}

/// The routes that lead to `endpoints`.
pub fn routes_to(prefix: &str, endpoints: &[Endpoint]) -> Result<Vec<Route>, BadPattern> {
    let mut routes = vec![nothing_below(prefix)?];
    for endpoint in endpoints {
        routes.extend(routes_to_methods(endpoint)?);
    }
    Ok(routes)
}

/// One route for each method that demands something of its own, and one for the rest.
fn routes_to_methods(endpoint: &Endpoint) -> Result<Vec<Route>, BadPattern> {
    let rest = local_route(&endpoint.path, endpoint.access_to_the_rest())?;
    let own: Vec<Route> = endpoint
        .operations
        .iter()
        .filter(|operation| operation.access != rest.access)
        .map(|operation| Route {
            methods: Methods::Listed(vec![operation.method.to_string()]),
            access: operation.access.clone(),
            ..rest.clone()
        })
        .collect();
    if own.is_empty() {
        return Ok(vec![rest]);
    }
    let listed = own.iter().flat_map(|route| route.methods.names()).collect();
    Ok(own.into_iter().chain([Route { methods: Methods::Others(listed), ..rest }]).collect())
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
        path: PathPattern::parse(&with_wildcards(path), true)?,
        methods: Methods::Unfiltered,
        target: Target::Local(path.into()),
        access,
        forward_credentials: false,
        strip_prefix: None,
        allow: Oddities::default(),
        limits: RouteLimits::default(),
    })
}

/// `/users/{id}` as route patterns write it: `/users/*`.
fn with_wildcards(path: &str) -> String {
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "*" } else { segment });
    segments.collect::<Vec<_>>().join("/")
}

/// The answer as it is read by a person. One that is larger than anybody reads goes as it is.
async fn indented(response: Response<Body>, spaces: usize) -> Response<Body> {
    const LARGEST: usize = 1024 * 1024;
    if response.body().size_hint().exact().is_none_or(|bytes| bytes > LARGEST as u64) {
        return response;
    }
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

#[cfg(test)]
mod tests {
    use super::super::operation::{operation, requires_scopes};
    use super::*;
    use crate::domain::access_policy::Kinds;
    use crate::routing::normal_path::NormalPath;
    use crate::routing::table::RouteTable;

    /// Show
    #[utoipa::path(get, path = "things/{id}/", responses((status = 200, description = "It")))]
    async fn show() {}

    /// Change
    #[utoipa::path(patch, path = "things/{id}/", responses((status = 200, description = "It")))]
    async fn change() {}

    #[tokio::test]
    async fn an_answer_is_indented_unless_it_is_large() {
        for (length, grows) in [(10, true), (1024 * 1024, false)] {
            let body = serde_json::json!({ "text": "x".repeat(length) });
            let plain = body.to_string();
            let response = indented(answer::json(StatusCode::OK, &body), 4).await;
            assert_eq!(response.status(), StatusCode::OK, "{length}");
            let shown = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
            assert_eq!(shown.len() > plain.len(), grows, "{length}");
            assert_eq!(serde_json::from_slice::<serde_json::Value>(&shown).unwrap(), body);
        }
    }

    #[test]
    fn each_method_demands_what_it_needs_and_the_rest_what_all_of_them_do() {
        let operations = [
            operation!(requires_scopes(Kinds::EITHER, "change all"), change),
            operation!(requires_scopes(Kinds::EITHER, "show all"), show),
        ];
        let endpoints = Endpoint::gather("/a", operations.into_iter().flatten());
        assert_eq!(endpoints.len(), 1);
        assert_eq!(endpoints[0].allow(), "GET, PATCH, HEAD, OPTIONS");
        let table = RouteTable::build(routes_to("/a", &endpoints).unwrap()).unwrap();
        for path in ["/a/things/7", "/a/things/7/"] {
            let path = NormalPath::parse(path.as_bytes()).unwrap();
            let demands = |method: &str| table.find(None, &path, method).unwrap().access.to_string();
            assert_eq!(demands("GET"), "jwt or api_key, scopes all show");
            assert_eq!(demands("HEAD"), demands("GET"));
            assert_eq!(demands("PATCH"), "jwt or api_key, scopes all change");
            for method in ["OPTIONS", "DELETE", "BREW"] {
                assert_eq!(demands(method), "jwt or api_key, scopes all", "{method}");
            }
        }
    }
}
