//! How to try an operation, as one line of shell.

use serde_json::Value;

use super::document::{at, items, members, text_at};

pub fn line(path: &str, method: &str, operation: &Value) -> String {
    let mut path = path.to_owned();
    let mut query: Vec<String> = Vec::new();
    for parameter in items(at(operation, &["parameters"])) {
        let (name, sample) = (text_at(parameter, &["name"]), plain(at(parameter, &["example"])));
        match text_at(parameter, &["in"]) {
            "path" => path = path.replace(&format!("{{{name}}}"), &sample),
            "query" if at(parameter, &["required"]) == true => query.push(format!("{name}={sample}")),
            _ => {}
        }
    }
    if !query.is_empty() {
        path = format!("{path}?{}", query.join("&"));
    }
    let body = at(operation, &["requestBody", "content", "application/json", "example"]);
    let mut line = "curl".to_owned();
    match (method, body) {
        ("get", _) | ("post", Value::Object(_)) => {}
        _ => line.push_str(&format!(" -X {}", method.to_uppercase())),
    }
    line.push_str(&format!(" \"$GATEWAY{path}\""));
    // One alternative is enough to show.
    for (scheme, _) in items(at(operation, &["security"])).next().into_iter().flat_map(members) {
        line.push_str(match scheme {
            "bearer" => " \\\n  -H \"Authorization: Bearer $TOKEN\"",
            _ => " \\\n  -H \"X-API-Key: $KEY\"",
        });
    }
    if body.is_object() {
        line.push_str(" \\\n  -H 'Content-Type: application/json'");
        line.push_str(&format!(" \\\n  -d '{}'", body.to_string().replace('\'', r"'\''")));
    }
    line
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "…".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_call_shows_path_query_credential_and_body() {
        let operation = json!({
            "parameters": [
                { "name": "id", "in": "path", "required": true, "example": "u1" },
                { "name": "by", "in": "query", "required": true, "example": 5 },
                { "name": "limit", "in": "query", "example": 50 },
            ],
            "security": [{ "bearer": ["a"] }, { "api_key": ["a"] }],
            "requestBody": { "content": { "application/json": { "example": { "name": "it's" } } } },
        });
        let expected = concat!(
            "curl -X PATCH \"$GATEWAY/a/users/u1/?by=5\" \\\n",
            "  -H \"Authorization: Bearer $TOKEN\" \\\n",
            "  -H 'Content-Type: application/json' \\\n",
            r#"  -d '{"name":"it'\''s"}'"#
        );
        assert_eq!(line("/a/users/{id}/", "patch", &operation), expected);
        assert_eq!(line("/a/logout/", "post", &json!({})), "curl -X POST \"$GATEWAY/a/logout/\"");
    }
}
