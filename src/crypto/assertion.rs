//! The signed statement to one upstream about who is calling: a short-lived JWT that is no token of ours.

use std::time::Duration;

use serde_json::{Value, json};

use super::jws::{self, Claims, KeyIds};
use super::key_pair::{KeyPair, SigningFailed};
use crate::domain::clock::Timestamp;
use crate::domain::principal::{Principal, Subject};
use crate::domain::random::{Random, hex_id};

/// The `typ` that tells an assertion from every token (RFC 8725 3.11).
pub const TYPE: &str = "portcullis-assertion+jwt";

#[derive(Debug)]
pub struct AssertionWriter {
    pub issuer: String,
    pub lifetime: Duration,
}

impl AssertionWriter {
    /// Signs an assertion about `principal` for the upstream `audience`. It never outlives the credential it speaks of.
    pub fn write(
        &self,
        principal: &Principal,
        audience: &str,
        key: &KeyPair,
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<String, SigningFailed> {
        let end = now.plus(self.lifetime);
        let end = principal.expires_at.map_or(end, |credential_end| end.min(credential_end));
        let mut claims = Claims::new();
        let mut put = |name: &str, value: Value| claims.insert(name.to_owned(), value);
        put("iss", json!(self.issuer));
        put("aud", json!(audience));
        put("sub", json!(principal.subject.id()));
        put("iat", json!(now.as_secs()));
        put("exp", json!(end.as_secs()));
        put("jti", json!(hex_id(random)));
        put("method", json!(principal.method.as_str()));
        put("scope", json!(principal.scopes.to_string()));
        if let Subject::User { username, email, .. } = &principal.subject {
            put("username", json!(username));
            if !email.is_empty() {
                put("email", json!(email));
            }
        }
        if let Some(id) = &principal.session_id {
            put("sid", json!(id.as_str()));
        }
        if let Some(id) = &principal.key_id {
            put("key_id", json!(id.as_str()));
        }
        if !principal.amr.is_empty() {
            put("amr", json!(principal.amr));
        }
        jws::sign(&claims, key, TYPE, KeyIds::Matched)
    }
}
