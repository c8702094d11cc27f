//! A small backend for trying things out: answers with what it received, as JSON.

use async_trait::async_trait;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use serde_json::{Map, Value, json};

/// How much of a body is read back.
const SHOWN: usize = 4096;

pub struct Echo;

#[async_trait]
impl ServeHttp for Echo {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let request = session.req_header();
        let mut headers = Map::new();
        for (name, value) in &request.headers {
            let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
            headers.insert(name.as_str().to_owned(), Value::String(text));
        }
        let (method, target) = (request.method.to_string(), String::from_utf8_lossy(request.raw_path()).into_owned());
        let mut shown = Vec::new();
        let mut length = 0;
        while let Ok(Some(chunk)) = session.read_request_body().await {
            length += chunk.len();
            let room = SHOWN.saturating_sub(shown.len()).min(chunk.len());
            shown.extend_from_slice(chunk.get(..room).unwrap_or_default());
        }
        let body = json!({
            "method": method,
            "target": target,
            "headers": headers,
            "body_bytes": length,
            "body": String::from_utf8_lossy(&shown),
        });
        let mut response = Response::new(format!("{body:#}\n").into_bytes());
        let length = HeaderValue::from(response.body().len());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response.headers_mut().insert(CONTENT_LENGTH, length);
        response
    }
}
