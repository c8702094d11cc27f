//! Ids in paths.

use axum::body::Body;
use axum::extract::{FromRequestParts, Path};
use axum::http::Response;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::refusal::refuse;
use crate::domain::denial::Denial;

/// The id in a path, or a pair of them. What cannot be read as one names nothing, like an id that nobody has.
#[derive(Clone, Debug)]
pub struct ObjectId<T = String>(pub T);

impl<S, T> FromRequestParts<S> for ObjectId<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = Response<Body>;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Self(id)),
            Err(_) => Err(refuse(Denial::ObjectNotFound)),
        }
    }
}
