//! The headers by which an upstream knows the caller. Written from a [`Permit`] and from nothing else.
//!
//! All of them are derived once per principal and upstream and then remembered: the assertion's signature is the dearest
//! part of a request, so an assertion is handed out again for half of its life.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use quick_cache::sync::Cache;

use crate::access::permit::Permit;
use crate::access::voucher::{NotVouched, Voucher};
use crate::domain::clock::Timestamp;
use crate::domain::principal::{Principal, Subject};
use crate::domain::scope::Scope;

/// Fields that are written beside these.
const FORWARDING: usize = 5;
/// Sets remembered at a time.
const SETS: usize = 65_536;

/// The attributes of a caller that a header can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    UserId,
    Username,
    /// The user name, or for a service its id: for backends that know one name only.
    Name,
    Email,
    Method,
    Scopes,
    /// Scopes, joined by commas, as the gateways do it whose field for groups this is.
    Groups,
    KeyId,
    Amr,
    SessionId,
    Assertion,
}

/// Which attribute goes under which name, in lower case.
#[derive(Clone, Debug)]
pub struct HeaderNames(pub &'static [(&'static str, Attribute)]);

impl HeaderNames {
    const OWN: &'static [(&'static str, Attribute)] = &[
        ("x-auth-user-id", Attribute::UserId),
        ("x-auth-username", Attribute::Username),
        ("x-auth-email", Attribute::Email),
        ("x-auth-method", Attribute::Method),
        ("x-auth-scopes", Attribute::Scopes),
        ("x-auth-key-id", Attribute::KeyId),
        ("x-auth-amr", Attribute::Amr),
        ("x-auth-session-id", Attribute::SessionId),
        ("x-auth-assertion", Attribute::Assertion),
    ];

    pub const fn portcullis() -> Self {
        Self::of(Self::OWN)
    }

    pub const fn oauth2_proxy() -> Self {
        Self::of(&[
            ("x-forwarded-user", Attribute::UserId),
            ("x-forwarded-preferred-username", Attribute::Name),
            ("x-forwarded-email", Attribute::Email),
            ("x-forwarded-groups", Attribute::Groups),
            ("x-auth-assertion", Attribute::Assertion),
        ])
    }

    pub const fn authelia() -> Self {
        Self::of(&[
            ("remote-user", Attribute::Name),
            ("remote-name", Attribute::Name),
            ("remote-email", Attribute::Email),
            ("remote-groups", Attribute::Groups),
            ("x-auth-assertion", Attribute::Assertion),
        ])
    }

    pub const fn kong() -> Self {
        Self::of(&[
            ("x-consumer-id", Attribute::UserId),
            ("x-consumer-custom-id", Attribute::UserId),
            ("x-consumer-username", Attribute::Name),
            ("x-credential-identifier", Attribute::KeyId),
            ("x-authenticated-scope", Attribute::Scopes),
            ("x-auth-assertion", Attribute::Assertion),
        ])
    }

    pub const fn django() -> Self {
        Self::of(&[
            ("remote-user", Attribute::Name),
            ("x-auth-user-id", Attribute::UserId),
            ("x-auth-assertion", Attribute::Assertion),
        ])
    }

    const fn of(names: &'static [(&'static str, Attribute)]) -> Self {
        Self(names)
    }
}

/// The headers for one principal and one upstream.
#[derive(Debug)]
struct HeaderSet {
    headers: Vec<(HeaderName, HeaderValue)>,
    made_at: Timestamp,
}

pub struct IdentityHeaders {
    names: HeaderNames,
    voucher: Option<Voucher>,
    sets: Cache<(u64, Arc<str>), Arc<HeaderSet>>,
}

impl IdentityHeaders {
    pub fn new(names: HeaderNames, voucher: Option<Voucher>) -> Self {
        Self { names, voucher, sets: Cache::new(SETS) }
    }

    /// Sets the identity headers of a request to `upstream`. Does the same however often it is called on one request.
    pub fn write(
        &self,
        fields: &mut HeaderMap,
        permit: &Permit,
        upstream: &Arc<str>,
        now: Timestamp,
    ) -> Result<(), NotVouched> {
        let Some(principal) = permit.principal() else { return Ok(()) };
        let key = (principal.serial, Arc::clone(upstream));
        let known = self.sets.get(&key).filter(|set| now.is_soon_after(set.made_at, self.reuse()));
        let set = match known {
            Some(set) => set,
            None => {
                let set = Arc::new(self.derive(principal, upstream, now)?);
                self.sets.insert(key, Arc::clone(&set));
                set
            }
        };
        // Once, with room for those that say where the request comes from.
        fields.reserve(set.headers.len() + FORWARDING);
        for (name, value) in &set.headers {
            fields.insert(name, value.clone());
        }
        Ok(())
    }

    fn derive(&self, principal: &Principal, upstream: &str, now: Timestamp) -> Result<HeaderSet, NotVouched> {
        let mut headers = Vec::with_capacity(self.names.0.len());
        for (name, attribute) in self.names.0 {
            let value = match attribute {
                Attribute::Assertion => match &self.voucher {
                    Some(voucher) => voucher.vouch(principal, upstream, now)?,
                    None => continue,
                },
                attribute => value_of(principal, *attribute),
            };
            // A value that is empty, or that no header can hold, is left out; the client's was removed in any case.
            if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_bytes(value.as_bytes())) {
                headers.push((HeaderName::from_static(name), value));
            }
        }
        Ok(HeaderSet { headers, made_at: now })
    }

    fn reuse(&self) -> Duration {
        self.voucher.as_ref().map_or(Duration::from_secs(30), Voucher::reuse)
    }
}

/// The text of an attribute; lists are joined by spaces, as scopes are (RFC 6749 3.3), but for groups.
pub fn value_of(principal: &Principal, attribute: Attribute) -> String {
    match (attribute, &principal.subject) {
        (Attribute::UserId, subject) => subject.id(),
        (Attribute::Username | Attribute::Name, Subject::User { username, .. }) => username.clone(),
        (Attribute::Name, subject @ Subject::Service { .. }) => subject.id(),
        (Attribute::Email, Subject::User { email, .. }) => email.clone(),
        (Attribute::Username | Attribute::Email, Subject::Service { .. }) => String::new(),
        (Attribute::Method, _) => principal.method.as_str().to_owned(),
        (Attribute::Scopes, _) => principal.scopes.to_string(),
        (Attribute::Groups, _) => principal.scopes.iter().map(Scope::as_str).collect::<Vec<_>>().join(","),
        (Attribute::KeyId, _) => principal.key_id.as_ref().map(|id| id.0.clone()).unwrap_or_default(),
        (Attribute::Amr, _) => principal.amr.join(" "),
        (Attribute::SessionId, _) => principal.session_id.as_ref().map(|id| id.0.clone()).unwrap_or_default(),
        (Attribute::Assertion, _) => String::new(),
    }
}
