//! Somebody who asks the gateway's own endpoints, by a token or by a key.

use serde_json::Value;

use super::{Reply, World};

pub struct Asker<'a> {
    world: &'a World,
    field: &'static str,
    credential: String,
}

/// Administration by a token with a password alone.
pub const ONE_FACTOR: &str = "second_factor: { administration: false }";

impl World {
    pub fn by_token(&self, token: &str) -> Asker<'_> {
        Asker { world: self, field: "Authorization", credential: format!("Bearer {token}") }
    }

    /// Signed in anew.
    pub fn by_user(&self, name: &str) -> Asker<'_> {
        self.by_token(&self.sign_in(name).0)
    }

    pub fn by_key(&self, key: &str) -> Asker<'_> {
        Asker { world: self, field: "X-API-Key", credential: key.to_owned() }
    }

    /// A new key of a service.
    pub fn by_scopes(&self, scopes: &str) -> Asker<'_> {
        self.by_key(&self.key(scopes).1)
    }
}

impl Asker<'_> {
    /// `path` is below `/api/v1/auth/`.
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let body = body.map(ToString::to_string).unwrap_or_default();
        self.send(method, path, "application/json", body.as_bytes())
    }

    pub fn send(&self, method: &str, path: &str, media: &str, body: &[u8]) -> Reply {
        let credential = (self.field, self.credential.as_str());
        let media = (!body.is_empty()).then_some(("Content-Type", media));
        let headers: Vec<_> = [credential].into_iter().chain(media).collect();
        self.world.request(method, &format!("/api/v1/auth/{path}"), &headers, body)
    }

    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, None)
    }

    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.ask("POST", path, Some(body))
    }

    pub fn patch(&self, path: &str, body: &Value) -> Reply {
        self.ask("PATCH", path, Some(body))
    }

    pub fn delete(&self, path: &str) -> Reply {
        self.ask("DELETE", path, None)
    }

    /// All pages of a list, each of `limit` items: what is under `name` in each item.
    pub fn pages(&self, path: &str, limit: usize, name: &str) -> Vec<Vec<String>> {
        let mut pages = Vec::new();
        let mut cursor = String::new();
        loop {
            let joint = if path.contains('?') { '&' } else { '?' };
            let reply = self.get(&format!("{path}{joint}limit={limit}{cursor}"));
            assert_eq!(reply.status, 200, "{reply:?}");
            let body = reply.json();
            let results = body["results"].as_array().unwrap();
            pages.push(results.iter().map(|item| item[name].as_str().unwrap().to_owned()).collect());
            match body["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return pages,
            }
        }
    }
}

impl Reply {
    /// The body of a success.
    #[track_caller]
    pub fn done(&self) -> Value {
        assert!(matches!(self.status, 200 | 201), "{self:?}");
        self.json()
    }

    #[track_caller]
    pub fn assert_refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.code().as_str()), (status, code), "{self:?}");
    }
}
