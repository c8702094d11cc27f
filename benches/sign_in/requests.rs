use serde_json::{Value, json};

use crate::Result;
use crate::harness::connection::{Answer, Connection};
use crate::harness::gateway::post;

/// A sign-in from a client behind a proxy that is trusted. The addresses are those that RFC 2544 sets apart for benchmarks:
/// nobody's, and to the gateway as any other on the internet.
pub fn sign_in(username: &str, password: &str, client: usize) -> Vec<u8> {
    let client = client % 0x2_0000;
    let address = format!("198.{}.{}.{}", 18 + (client >> 16), (client >> 8) & 0xFF, client & 0xFF);
    let fields = format!("X-Forwarded-For: {address}\r\nUser-Agent: sign_in\r\n");
    post("/api/v1/auth/token/", &fields, &json!({ "username": username, "password": password }))
}

pub fn refresh(token: &str) -> Vec<u8> {
    post("/api/v1/auth/token/refresh/", "", &json!({ "refresh": token }))
}

/// Sends a request that is answered with a pair of tokens: access, refresh.
pub fn pair(connection: &mut Connection, request: &[u8]) -> Result<(String, String)> {
    let answer = connection.exchange(request)?;
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let token = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    token("access").zip(token("refresh")).ok_or_else(|| unexpected(&answer))
}

pub fn unexpected(answer: &Answer) -> String {
    format!("unexpected answer: {} {}", answer.status, String::from_utf8_lossy(&answer.body))
}
