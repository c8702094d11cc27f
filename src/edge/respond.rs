//! Writing an answer of our own.

use axum::body::Body;
use axum::http::Response;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;

use super::request_id::RequestId;

/// The largest answer that is made here.
const LARGEST: usize = 4 * 1024 * 1024;

/// Writes the whole answer. When the request's body has not been read to its end, the connection is closed after it:
/// the rest of that body must never be taken for a request.
pub async fn write(session: &mut Session, response: Response<Body>, request_id: Option<&RequestId>) -> Result<()> {
    let (parts, body) = response.into_parts();
    let internal = |what: &'static str| Error::explain(ErrorType::InternalError, what);
    let bytes = axum::body::to_bytes(body, LARGEST).await.map_err(|_| internal("an answer of our own is too large"))?;
    let mut header = ResponseHeader::build(parts.status, Some(parts.headers.len() + 3))?;
    for (name, value) in &parts.headers {
        if *name != CONTENT_LENGTH && *name != CONNECTION && *name != TRANSFER_ENCODING && *name != DATE {
            header.append_header(name, value.clone())?;
        }
    }
    header.insert_header(CONTENT_LENGTH, bytes.len())?;
    if let Some(id) = request_id {
        header.insert_header("X-Request-Id", id.value())?;
    }
    if !session.is_body_done() {
        session.set_keepalive(None);
    }
    let bodiless = session.req_header().method == http::Method::HEAD || bytes.is_empty();
    session.write_response_header(Box::new(header), bodiless).await?;
    if !bodiless {
        session.write_response_body(Some(bytes), true).await?;
    }
    Ok(())
}
