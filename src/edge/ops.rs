//! The operators' listener: life, readiness and metrics, and nothing else. The public port has none of these paths.

use std::sync::Arc;

use async_trait::async_trait;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;

use super::in_flight::InFlight;
use crate::telemetry::metrics::Metrics;

pub struct Ops {
    pub metrics: Arc<Metrics>,
    pub in_flight: InFlight,
    pub readiness: Arc<dyn Readiness>,
    /// Brings gauges that nobody keeps current up to date before they are read.
    pub refresh: Arc<dyn Fn() + Send + Sync>,
}

/// Whether requests can be answered.
#[async_trait]
pub trait Readiness: Send + Sync {
    async fn is_ready(&self) -> bool;
}

impl Ops {
    async fn answer(&self, path: &str) -> (StatusCode, &'static str, Vec<u8>) {
        const JSON: &str = "application/json";
        match path {
            "/livez" => (StatusCode::OK, JSON, br#"{"status":"ok"}"#.to_vec()),
            // A process that drains is alive, and not to be sent anything new. When another one listens at the same address,
            // what comes there is answered.
            "/readyz" if self.in_flight.is_draining() && !self.in_flight.is_handed_over() => {
                (StatusCode::SERVICE_UNAVAILABLE, JSON, br#"{"status":"draining"}"#.to_vec())
            }
            "/readyz" if self.readiness.is_ready().await => (StatusCode::OK, JSON, br#"{"status":"ok"}"#.to_vec()),
            "/readyz" => (StatusCode::SERVICE_UNAVAILABLE, JSON, br#"{"status":"unavailable"}"#.to_vec()),
            "/metrics" => {
                (self.refresh)();
                (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", self.metrics.render())
            }
            _ => (StatusCode::NOT_FOUND, JSON, br#"{"detail":"Not found.","code":"not_found"}"#.to_vec()),
        }
    }
}

#[async_trait]
impl ServeHttp for Ops {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        let reads = matches!(request.method, http::Method::GET | http::Method::HEAD);
        let (status, content_type, body) = if reads {
            self.answer(request.uri.path()).await
        } else {
            let body = br#"{"detail":"Method not allowed.","code":"method_not_allowed"}"#.to_vec();
            (StatusCode::METHOD_NOT_ALLOWED, "application/json", body)
        };
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let length = HeaderValue::from(response.body().len());
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CONTENT_LENGTH, length);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if !reads {
            headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        }
        if session.req_header().method == http::Method::HEAD {
            response.body_mut().clear();
        }
        response
    }
}
