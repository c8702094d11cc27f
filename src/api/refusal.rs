//! Every refusal's status and body: the one table.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{ALLOW, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::answer::{self, Refused};
use crate::domain::denial::Denial;
use crate::domain::scope::{Scope, ScopeSet};

/// RFC 9110 11.6.1; the text is what existing clients compare with.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"api\"");

/// RFC 9110 15.5.6 wants an `Allow` with every 405; where no path was looked at, it names what can be served at all.
const SERVED_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");

pub const fn status(denial: Denial) -> StatusCode {
    use Denial as D;
    match denial {
        D::BadRequest | D::BadPath | D::BadHost | D::ReservedHeader | D::CredentialRepeated => StatusCode::BAD_REQUEST,
        // Nobody reads the answer to a client that has left.
        D::ParseError | D::InvalidFields | D::ClientGone => StatusCode::BAD_REQUEST,
        D::PasswordMissing | D::PasswordWrong | D::SecondFactorNotEnabled => StatusCode::BAD_REQUEST,
        D::ResetTokenInvalid => StatusCode::BAD_REQUEST,
        D::HeaderTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        D::TargetTooLong => StatusCode::URI_TOO_LONG,
        D::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        D::MethodUnsupported | D::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        D::VersionUnsupported => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        D::HeadTimeout => StatusCode::REQUEST_TIMEOUT,
        D::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        D::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        D::NoRoute | D::ObjectNotFound => StatusCode::NOT_FOUND,
        D::CredentialMissing
        | D::CredentialMalformed
        | D::CredentialKindNotAccepted
        | D::BadAuthorizationHeader
        | D::TokenInvalid
        | D::TokenExpired
        | D::TokenWrongType
        | D::TokenNoExpiry
        | D::TokenNoId
        | D::TokenNoType
        | D::TokenNoUser
        | D::TokenRevoked
        | D::SessionEnded
        | D::UserNotFound
        | D::UserInactive
        | D::KeyMalformed
        | D::KeyUnknown
        | D::KeyExpired
        | D::KeyRevoked
        | D::KeyOwnerInactive
        | D::KeyIdle
        | D::KeyNetwork
        | D::KeyRoute
        | D::SignInRefused
        | D::RefreshReused
        | D::SecondFactorMissing
        | D::SecondFactorWrong
        | D::ChallengeInvalid
        | D::AuthenticationTooOld => StatusCode::UNAUTHORIZED,
        D::ScopeMissing | D::SecondFactorRequired => StatusCode::FORBIDDEN,
        D::TooManyUnknownKeys | D::TooManyAttempts | D::RateLimited | D::KeyQuota => StatusCode::TOO_MANY_REQUESTS,
        D::Unavailable | D::Busy => StatusCode::SERVICE_UNAVAILABLE,
        D::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        D::UpstreamUnreachable | D::UpstreamBroken => StatusCode::BAD_GATEWAY,
        D::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
    }
}

const fn detail(denial: Denial) -> &'static str {
    use Denial as D;
    match denial {
        D::BadRequest => "The request is malformed.",
        D::BadPath => "The path is ambiguous.",
        D::BadHost => "The Host is missing or malformed.",
        D::HeaderTooLarge => "The request's header fields are too large or too many.",
        D::TargetTooLong => "The request's target is too long.",
        D::BodyTooLarge => "The request's body is too large.",
        D::ReservedHeader => "A header field is spelled like one that only the gateway may set.",
        D::MethodUnsupported | D::MethodNotAllowed => "Method not allowed.",
        D::VersionUnsupported => "HTTP version not supported.",
        D::HeadTimeout => "The request did not arrive in time.",
        D::NotAcceptable => "Could not satisfy the request Accept header.",
        D::UnsupportedMediaType => "Unsupported media type.",
        D::ParseError => "The body could not be read.",
        D::InvalidFields => "Invalid input.",
        D::NoRoute | D::ObjectNotFound => "Not found.",
        D::CredentialMissing | D::CredentialKindNotAccepted => "Authentication credentials were not provided.",
        D::CredentialMalformed => "The Authorization header holds no bearer token.",
        D::CredentialRepeated => "A credential was given more than once.",
        D::BadAuthorizationHeader => "Authorization header must contain two space-delimited values",
        D::TokenInvalid
        | D::TokenExpired
        | D::TokenWrongType
        | D::TokenNoExpiry
        | D::TokenNoId
        | D::TokenNoType
        | D::TokenRevoked => "Given token not valid for any token type",
        D::TokenNoUser => "Token contained no recognizable user identification",
        D::SessionEnded => "The session has ended.",
        D::UserNotFound => "User not found",
        D::UserInactive => "User is inactive",
        D::KeyMalformed
        | D::KeyUnknown
        | D::KeyExpired
        | D::KeyRevoked
        | D::KeyOwnerInactive
        | D::KeyIdle
        | D::KeyNetwork
        | D::KeyRoute => "The API key is not valid.",
        D::SignInRefused => "No active account found with the given credentials",
        D::RefreshReused => "Token is blacklisted",
        D::ScopeMissing => "You do not have permission to perform this action.",
        D::TooManyUnknownKeys | D::TooManyAttempts | D::RateLimited => "Request was throttled.",
        D::KeyQuota => "The quota of the API key is used up.",
        D::SecondFactorMissing => "A second factor is required.",
        D::SecondFactorWrong => "The code is not valid.",
        D::ChallengeInvalid => "The challenge is not valid or was used up.",
        D::PasswordMissing => "Password is required",
        D::PasswordWrong => "Invalid password",
        D::ResetTokenInvalid => "The link is invalid or has expired.",
        D::SecondFactorNotEnabled => "2FA is not enabled",
        D::SecondFactorRequired => "This needs a sign-in with a second factor.",
        D::AuthenticationTooOld => "This needs a more recent sign-in.",
        D::Unavailable => "The service is temporarily unavailable.",
        D::Busy => "Too many sign-ins at once. Try again in a moment.",
        D::Internal => "Internal error.",
        D::UpstreamUnreachable => "The upstream could not be reached.",
        D::UpstreamBroken => "The upstream's answer was broken.",
        D::UpstreamTimeout => "The upstream did not answer in time.",
        D::ClientGone => "The client closed the connection.",
    }
}

/// The message of a token's first failed check, as existing clients know it.
pub const fn token_message(denial: Denial) -> &'static str {
    match denial {
        Denial::TokenExpired => "Token is expired",
        Denial::TokenRevoked | Denial::RefreshReused => "Token is blacklisted",
        Denial::TokenNoExpiry => "Token has no 'exp' claim",
        Denial::TokenNoId => "Token has no id",
        Denial::TokenNoType => "Token has no type",
        Denial::TokenWrongType => "Token has wrong type",
        _ => "Token is invalid",
    }
}

/// `{"detail": …, "code": …}`, with the list of failed token classes where existing clients look for it.
pub fn body(denial: Denial) -> Value {
    let mut body = json!({ "detail": detail(denial), "code": denial.code() });
    let token_class = matches!(
        denial,
        Denial::TokenInvalid
            | Denial::TokenExpired
            | Denial::TokenWrongType
            | Denial::TokenNoExpiry
            | Denial::TokenNoId
            | Denial::TokenNoType
            | Denial::TokenRevoked
    );
    if let (true, Some(body)) = (token_class, body.as_object_mut()) {
        let message = json!({ "token_class": "AccessToken", "token_type": "access", "message": token_message(denial) });
        body.insert("messages".to_owned(), json!([message]));
    }
    body
}

/// What ends a handler early: a refusal, ready to be sent.
#[derive(Debug)]
pub struct Refusal(pub Box<Response<Body>>);

/// What a handler comes to.
pub type Answer = Result<Response<Body>, Refusal>;

impl IntoResponse for Refusal {
    fn into_response(self) -> Response<Body> {
        *self.0
    }
}

impl From<Response<Body>> for Refusal {
    fn from(response: Response<Body>) -> Self {
        Self(Box::new(response))
    }
}

impl From<Denial> for Refusal {
    fn from(denial: Denial) -> Self {
        refuse(denial).into()
    }
}

/// Fields that do not fit: their faults by name.
pub fn invalid(faults: Value) -> Refusal {
    refuse_with(Denial::InvalidFields, &faults).into()
}

/// A refusal on any route.
pub fn refuse(denial: Denial) -> Response<Body> {
    refuse_with(denial, &body(denial))
}

/// A refusal on a token endpoint, where the message itself is the detail.
pub fn refuse_token(denial: Denial) -> Response<Body> {
    refuse_with(denial, &json!({ "detail": token_message(denial), "code": denial.code() }))
}

/// A wrong method; `allow` as in the field of that name.
pub fn refuse_method(denial: Denial, method: &str, allow: &[String]) -> Response<Body> {
    let method: String = method.chars().take(40).collect();
    let detail = format!("Method \"{method}\" not allowed.");
    let mut response = refuse_with(denial, &json!({ "detail": detail, "code": denial.code() }));
    if let Ok(allow) = HeaderValue::from_str(&allow.join(", ")) {
        response.headers_mut().insert(ALLOW, allow);
    }
    response
}

/// Too many guesses.
pub fn refuse_throttled(wait: Duration) -> Response<Body> {
    refuse_for(Denial::TooManyAttempts, wait)
}

/// Not before `wait` is over: that is in the words that clients of Django REST framework know, and in `Retry-After`.
pub fn refuse_for(denial: Denial, wait: Duration) -> Response<Body> {
    let secs = whole_secs(wait).max(1);
    let mut response = refuse_with(denial, &throttled_body(denial, secs));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(secs));
    response
}

/// What [`refuse_for`] says of a wait in whole seconds.
pub fn throttled_body(denial: Denial, secs: u64) -> Value {
    let unit = if secs == 1 { "second" } else { "seconds" };
    let detail = format!("{} Expected available in {secs} {unit}.", detail(denial));
    json!({ "detail": detail, "code": denial.code() })
}

/// Rounded up: whoever waits for as long has waited long enough.
pub const fn whole_secs(wait: Duration) -> u64 {
    wait.as_secs() + (wait.subsec_nanos() > 0) as u64
}

/// A change of the second factor that is not made. Existing clients look for the sentence under `error`, and for no other
/// status than 400, whatever was wrong.
pub fn refuse_change(denial: Denial) -> Response<Body> {
    refuse_as(StatusCode::BAD_REQUEST, denial, &json!({ "error": detail(denial), "code": denial.code() }))
}

/// Scopes that were asked for and are not the caller's to give. The sentence and the code are those of any missing scope.
pub fn refuse_scopes(asked: &ScopeSet) -> Response<Body> {
    let mut body = body(Denial::ScopeMissing);
    if let (false, Some(body)) = (asked.is_empty(), body.as_object_mut()) {
        body.insert("missing_scopes".to_owned(), asked.iter().map(Scope::as_str).collect());
    }
    refuse_with(Denial::ScopeMissing, &body)
}

/// A refusal in other words than the usual ones.
pub fn refuse_saying(denial: Denial, detail: &str) -> Response<Body> {
    refuse_with(denial, &json!({ "detail": detail, "code": denial.code() }))
}

pub fn refuse_with(denial: Denial, body: &Value) -> Response<Body> {
    refuse_as(status(denial), denial, body)
}

/// Where the status is not the one that this reason has elsewhere.
pub fn refuse_as(status: StatusCode, denial: Denial, body: &Value) -> Response<Body> {
    let mut response = answer::json(status, body);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, CHALLENGE);
    }
    if denial == Denial::MethodUnsupported {
        headers.insert(ALLOW, SERVED_METHODS);
    }
    if let Some(wait) = denial.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
    }
    response.extensions_mut().insert(Refused(denial));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_a_body_with_its_code_and_the_headers_of_its_status() {
        for denial in Denial::ALL {
            let response = refuse(denial);
            let status = response.status();
            assert!(status.is_client_error() || status.is_server_error(), "{denial:?}");
            assert_eq!(
                status == StatusCode::UNAUTHORIZED,
                response.headers().contains_key(WWW_AUTHENTICATE),
                "{denial:?}"
            );
            let retry = matches!(status.as_u16(), 429 | 503);
            assert_eq!(retry, response.headers().contains_key(RETRY_AFTER), "{denial:?}");
            let body = body(denial);
            assert_eq!(body["code"], denial.code());
            assert!(!body["detail"].as_str().unwrap().is_empty());
        }
    }

    #[test]
    fn bad_keys_of_every_kind_are_answered_alike() {
        let bodies: Vec<_> = [
            Denial::KeyUnknown,
            Denial::KeyMalformed,
            Denial::KeyExpired,
            Denial::KeyRevoked,
            Denial::KeyOwnerInactive,
            Denial::KeyIdle,
            Denial::KeyNetwork,
            Denial::KeyRoute,
        ]
        .map(|denial| (status(denial), body(denial)))
        .to_vec();
        assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
    }
}
