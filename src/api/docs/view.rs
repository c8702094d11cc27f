//! What the page says, read from the OpenAPI document.

mod answers;
mod call;
mod document;
mod fields;

use minijinja::Value as Html;
use serde::Serialize;
use serde_json::Value;

use self::answers::Answer;
use self::document::{at, items, members, resolve, text, text_at};
use self::fields::Field;
use super::prose;

/// In the order in which those of one path are told.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

#[derive(Serialize)]
pub struct Page<'a> {
    title: &'a str,
    version: &'a str,
    license: &'a str,
    about: Html,
    style: &'a str,
    /// Where programs read the same.
    openapi: &'a str,
    sections: Vec<Section<'a>>,
    /// Those that many operations share.
    refusals: Vec<Answer<'a>>,
}

/// All that bears one tag.
#[derive(Serialize)]
struct Section<'a> {
    id: String,
    name: &'a str,
    about: Html,
    operations: Vec<Operation<'a>>,
}

#[derive(Serialize)]
struct Operation<'a> {
    tag: &'a str,
    id: &'a str,
    method: String,
    path: &'a str,
    name: &'a str,
    about: Html,
    /// What must be shown, each entry an alternative. Without any it is open to everybody. Scopes are in `about`.
    credentials: Vec<String>,
    parameters: Vec<Field>,
    body: Vec<Field>,
    media_types: Vec<&'a str>,
    call: String,
    answers: Vec<Answer<'a>>,
    shared: Vec<Answer<'a>>,
}

impl<'a> Page<'a> {
    pub fn of(document: &'a Value, style: &'a str) -> Self {
        let info = at(document, &["info"]);
        let operations: Vec<Operation<'a>> = members(at(document, &["paths"]))
            .flat_map(|(path, item)| METHODS.map(|method| Some((path, method, item.get(method)?))))
            .flatten()
            .map(|(path, method, operation)| Operation::of(document, path, method, operation))
            .collect();
        let mut refusals: Vec<Answer<'a>> = operations.iter().flat_map(|o| &o.shared).cloned().collect();
        refusals.sort_by_key(|answer| answer.status);
        refusals.dedup_by_key(|answer| answer.id);
        let openapi =
            operations.iter().find(|operation| operation.id == "read_openapi").map(|operation| operation.path);
        Self {
            title: text_at(info, &["title"]),
            version: text_at(info, &["version"]),
            license: text_at(info, &["license", "name"]),
            about: prose::html(text_at(info, &["description"])),
            style,
            openapi: openapi.unwrap_or_default(),
            sections: sections(document, operations),
            refusals,
        }
    }
}

/// In the order of the document's tags.
fn sections<'a>(document: &'a Value, operations: Vec<Operation<'a>>) -> Vec<Section<'a>> {
    let mut sections: Vec<Section<'a>> = items(at(document, &["tags"]))
        .map(|tag| Section {
            id: format!("tag-{}", text_at(tag, &["name"]).to_lowercase().replace(' ', "-")),
            name: text_at(tag, &["name"]),
            about: prose::html(text_at(tag, &["description"])),
            operations: Vec::new(),
        })
        .collect();
    for operation in operations {
        if let Some(section) = sections.iter_mut().find(|section| section.name == operation.tag) {
            section.operations.push(operation);
        }
    }
    sections
}

impl<'a> Operation<'a> {
    fn of(document: &'a Value, path: &'a str, method: &str, operation: &'a Value) -> Self {
        let contents = at(operation, &["requestBody", "content"]);
        let (own, shared): (Vec<_>, Vec<_>) =
            members(at(operation, &["responses"])).partition(|(_, response)| response.get("$ref").is_none());
        let answers = |responses: Vec<(&'a str, &'a Value)>| {
            responses.into_iter().map(|(status, response)| Answer::of(document, status, response)).collect()
        };
        Self {
            tag: items(at(operation, &["tags"])).next().map(text).unwrap_or_default(),
            id: text_at(operation, &["operationId"]),
            method: method.to_uppercase(),
            path,
            name: text_at(operation, &["summary"]),
            about: prose::html(text_at(operation, &["description"])),
            credentials: credentials(document, at(operation, &["security"])),
            parameters: fields::of_parameters(document, at(operation, &["parameters"])),
            body: fields::of_schema(document, at(contents, &["application/json", "schema"])),
            media_types: members(contents).map(|(media_type, _)| media_type).collect(),
            call: call::line(path, method, operation),
            answers: answers(own),
            shared: answers(shared),
        }
    }
}

/// `Authorization: Bearer` or `X-API-Key`, both together where one requirement names two schemes.
fn credentials(document: &Value, security: &Value) -> Vec<String> {
    let name = |scheme: &str| {
        let scheme = resolve(document, at(document, &["components", "securitySchemes", scheme]));
        match text_at(scheme, &["type"]) {
            "http" => "access token".to_owned(),
            _ => "API key".to_owned(),
        }
    };
    let one = |requirement| members(requirement).map(|(scheme, _)| name(scheme)).collect::<Vec<_>>().join(" and ");
    items(security).map(one).collect()
}
