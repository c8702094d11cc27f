//! Reading the body of a request that is served here. Bodies that are proxied are never read.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT};
use pingora_proxy::Session;

use crate::domain::denial::Denial;

#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    pub bytes: usize,
    /// For the whole body, however steadily it drips in.
    pub timeout: Duration,
}

pub async fn read(session: &mut Session, limits: BodyLimits) -> Result<Bytes, Denial> {
    let announced = session.get_header(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits.bytes as u64) {
        return Err(Denial::BodyTooLarge);
    }
    let waits = session.get_header(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if waits && !session.is_body_empty() {
        session.write_continue_response().await.map_err(|_| Denial::ClientGone)?;
    }
    match tokio::time::timeout(limits.timeout, collect(session, limits.bytes)).await {
        Ok(read) => read,
        Err(_) => Err(Denial::HeadTimeout),
    }
}

async fn collect(session: &mut Session, limit: usize) -> Result<Bytes, Denial> {
    let mut whole = BytesMut::new();
    while let Some(chunk) = session.read_request_body().await.map_err(|_| Denial::ClientGone)? {
        if whole.len() + chunk.len() > limit {
            return Err(Denial::BodyTooLarge);
        }
        whole.extend_from_slice(&chunk);
    }
    Ok(whole.freeze())
}
