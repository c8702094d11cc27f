use axum::http::HeaderValue;
use proptest::prelude::*;

use super::*;

async fn read_as(content_type: Option<&str>, body: &[u8]) -> Result<Fields, (u16, Value)> {
    let mut headers = HeaderMap::new();
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    }
    match read(&headers, Bytes::copy_from_slice(body)).await {
        Ok(fields) => Ok(fields),
        Err(Refusal(response)) => {
            let status = response.status().as_u16();
            let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
            Err((status, serde_json::from_slice(&bytes).unwrap()))
        }
    }
}

async fn text_of(content_type: &str, body: &str) -> String {
    let mut fields = read_as(Some(content_type), body.as_bytes()).await.unwrap();
    let text = fields.text("a");
    fields.finish().unwrap();
    text
}

async fn detail_of(content_type: Option<&str>, body: &[u8]) -> (u16, String) {
    let (status, body) = read_as(content_type, body).await.unwrap_err();
    (status, body["detail"].as_str().or(body["non_field_errors"][0].as_str()).unwrap().to_owned())
}

#[tokio::test]
async fn json_form_and_multipart_give_the_same_fields() {
    for content_type in ["application/json", "APPLICATION/JSON; charset=utf-8", "application/json;charset=nonsense"] {
        assert_eq!(text_of(content_type, r#"{"a":"first","a":"x y"}"#).await, "x y");
    }
    assert_eq!(text_of("application/x-www-form-urlencoded", "a=1&a=x+y&b=").await, "x y");
    let parts = "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx y\r\n--B--\r\n";
    assert_eq!(text_of("multipart/form-data; boundary=B", parts).await, "x y");
}

#[tokio::test]
async fn no_body_is_an_empty_object_whatever_its_type() {
    for content_type in [None, Some("text/plain"), Some("application/json")] {
        assert!(read_as(content_type, b"").await.is_ok());
    }
}

#[tokio::test]
async fn other_types_are_named_in_the_refusal() {
    let refusal = "Unsupported media type \"text/plain\" in request.";
    assert_eq!(detail_of(Some("text/plain"), b"x").await, (415, refusal.into()));
    assert_eq!(detail_of(None, b"x").await, (415, "Unsupported media type \"\" in request.".into()));
    let (status, detail) = detail_of(Some("multipart/form-data"), b"x").await;
    assert_eq!(status, 400);
    assert!(detail.starts_with("Multipart form parse error - "));
}

#[tokio::test]
async fn broken_json_is_a_parse_error() {
    for body in
        [&b"{"[..], b"{'a':1}", b"{\"a\":NaN}", b"{} {}", b" ", b"\xef\xbb\xbf{}", b"{\"a\":\"\xff\"}", b"{\"a\":1,}"]
    {
        let (status, detail) = detail_of(Some("application/json"), body).await;
        assert_eq!(status, 400);
        assert!(detail.starts_with("JSON parse error - "), "{detail}");
    }
    let deep = format!("{}{}", "[".repeat(5000), "]".repeat(5000));
    assert!(detail_of(Some("application/json"), deep.as_bytes()).await.1.starts_with("JSON parse error - "));
}

#[tokio::test]
async fn a_body_that_is_no_object_is_named_as_python_names_it() {
    for (body, word) in [("[]", "list"), ("\"x\"", "str"), ("1", "int"), ("1.5", "float"), ("true", "bool")] {
        let expected = format!("Invalid data. Expected a dictionary, but got {word}.");
        assert_eq!(detail_of(Some("application/json"), body.as_bytes()).await, (400, expected));
    }
    assert_eq!(detail_of(Some("application/json"), b"null").await, (400, "No data provided".into()));
}

#[tokio::test]
async fn surrogates_are_judged_by_whether_they_pair() {
    assert_eq!(text_of("application/json", r#"{"a":"\ud83d\ude00 \\ud800"}"#).await, "😀 \\ud800");
    for lone in [r#"{"a":"\ud800"}"#, r#"{"a":"\udc00x"}"#, r#"{"a":"\ud800\u0041"}"#, r#"{"a":"\ud800\ud800"}"#] {
        let mut fields = read_as(Some("application/json"), lone.as_bytes()).await.unwrap();
        fields.text("a");
        let fault = fields.finish().unwrap_err()["a"][0].as_str().unwrap().to_owned();
        assert!(fault.starts_with("Surrogate characters are not allowed: U+D"), "{fault}");
    }
}

proptest! {
    #[test]
    fn marking_leaves_text_without_surrogates_alone(text in ".{0,80}") {
        prop_assume!(!text.contains("\\u"));
        prop_assert_eq!(mark_lone_surrogates(&text), text);
    }

    #[test]
    fn no_text_makes_marking_panic(text in "(\\\\|u|d8|dc|[0-9a-f]|é|\"){0,40}") {
        let _ = mark_lone_surrogates(&text);
        let _ = depth(&text);
    }
}
