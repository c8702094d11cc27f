//! `docs/`: the description as a page for people. Written once at the start, from the same document that programs read; no
//! script, nothing from elsewhere, and everything in it is escaped.

mod prose;
mod view;

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use minijinja::Environment;
use minijinja::value::Serde;
use serde_json::Value;

use super::answer;
use super::openapi::Published;

/// The page loads its own style sheet and nothing else, and cannot be framed.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);
const STYLE: &str = include_str!("docs/style.css");

/// The page for `document`, with its style sheet at `style`.
pub fn render(document: &Value, style: &str) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    // Escapes as the name's ending says.
    environment.add_template("page.html", include_str!("docs/page.html"))?;
    environment.get_template("page.html")?.render(Serde(view::Page::of(document, style)))
}

/// Documentation
///
/// This description, as people read it.
#[utoipa::path(
    get, path = "docs/", operation_id = "read_documentation", tag = "Description",
    responses((status = 200, description = "A page", body = String, content_type = "text/html",
        example = "<!doctype html>…")),
)]
pub async fn show(Extension(published): Extension<Arc<Published>>) -> Response<Body> {
    document("text/html; charset=utf-8", published.page.clone())
}

/// Documentation's style sheet
///
/// How the page looks.
#[utoipa::path(
    get, path = "docs/style.css", operation_id = "read_documentation_style", tag = "Description",
    responses((status = 200, description = "A style sheet", body = String, content_type = "text/css",
        example = "body { … }")),
)]
pub async fn style() -> Response<Body> {
    document("text/css; charset=utf-8", Bytes::from_static(STYLE.as_bytes()))
}

fn document(media_type: &'static str, text: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
    headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    answer::put_common_headers(headers);
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{endpoints, openapi};
    use super::*;

    #[test]
    fn the_page_tells_of_every_operation_and_refers_to_nothing_outside() {
        let document = json!(openapi::describe(&endpoints::all("/a", true, true)));
        let page = render(&document, "/a/docs/style.css").unwrap();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let article = format!("<article id=\"{}\">", operation["operationId"].as_str().unwrap());
                assert_eq!(page.matches(&article).count(), 1, "{method} {path}");
            }
        }
        for word in ["src=", "<script", "style=", "onclick", "http://", "https://", "<img", "url("] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(!STYLE.contains("url(") && !STYLE.contains("@import"));
        for link in page.split("href=\"").skip(1) {
            let target = link.split('"').next().unwrap().replace("&#x2f;", "/");
            let id = target.strip_prefix('#');
            let inside = id.map_or(target.starts_with("/a/"), |id| page.contains(&format!("id=\"{id}\"")));
            assert!(inside, "{target} leads nowhere");
        }
    }

    #[test]
    fn whatever_a_description_says_is_text() {
        const HOSTILE: &str = "</code><script>alert(1)</script>\" onload=x '";
        let document = json!({
            "info": { "title": HOSTILE, "version": HOSTILE, "description": HOSTILE, "license": { "name": HOSTILE } },
            "tags": [{ "name": "T", "description": HOSTILE }],
            "paths": { HOSTILE: { "post": {
                "tags": ["T"], "operationId": HOSTILE, "summary": HOSTILE, "description": HOSTILE,
                "security": [{ HOSTILE: [] }], "x-required-scopes": [HOSTILE],
                "parameters": [{ "name": HOSTILE, "in": HOSTILE, "description": HOSTILE, "example": HOSTILE }],
                "requestBody": { "content": { "application/json": {
                    "schema": { "type": "object", "properties": { HOSTILE: { "type": HOSTILE, "enum": [HOSTILE] } } },
                    "example": { HOSTILE: HOSTILE },
                } } },
                "responses": { "200": { "description": HOSTILE, "content": { HOSTILE: { "example": HOSTILE } } } },
            } } },
        });
        let page = render(&document, HOSTILE).unwrap();
        assert!(!page.contains("<script") && !page.contains("\" onload"), "{page}");
        assert!(page.contains("&lt;script&gt;"));
    }
}
