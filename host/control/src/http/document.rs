//! The OpenAPI document: made of the handlers, completed with the roles of the table and the one shape of errors.

use super::{refusals, routes};
use crate::problem::{Code, ProblemBody};
use crate::security::roles::{Access, Entry, look_up};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "weir",
        version = "1",
        description = "The control plane of a stream host: operators, pipelines, swaps.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ProblemBody))
)]
struct Head;

/// What stands before the routes.
pub fn head() -> OpenApi {
    Head::openapi()
}

/// Adds to each operation who may call it, and how it refuses.
pub fn complete(api: &OpenApi) -> Value {
    let mut document = serde_json::to_value(api).expect("the document is made of texts and maps of texts");
    document["components"]["securitySchemes"] = json!({ "token": { "type": "http", "scheme": "bearer" } });
    document["components"]["responses"] = problems();
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            let Entry::Access(access) = look_up(&method.to_uppercase(), path) else { continue };
            let role = match access {
                Access::Anyone => "anyone",
                Access::Token(role) => role.text(),
            };
            operation["x-weir-role"] = Value::from(role);
            if access != Access::Anyone {
                operation["security"] = json!([{ "token": [] }]);
            }
            refuse(operation, &refusals::of(&method.to_uppercase(), path).unwrap_or_default());
            require_headers(operation);
        }
    }
    sorted(document)
}

/// By status, every code that has it.
fn problems() -> Value {
    let mut by_status: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for code in Code::ALL {
        by_status.entry(code.status().to_string()).or_default().push(format!("`{}`", code.name()));
    }
    let problem = |codes: Vec<String>| {
        json!({
            "description": codes.join(", "),
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
        })
    };
    by_status.into_iter().map(|(status, codes)| (status, problem(codes))).collect()
}

/// Says with which statuses an operation refuses, and under `x-weir-codes` with which codes. A status that is also an
/// answer of its own stays one.
fn refuse(operation: &mut Value, codes: &[Code]) {
    for code in codes {
        let status = code.status().to_string();
        let response = &mut operation["responses"][&status];
        if response.is_null() {
            *response = json!({ "$ref": format!("#/components/responses/{status}") });
        }
    }
    operation["x-weir-codes"] = codes.iter().map(|code| code.name()).collect();
}

/// A header that is named with an answer is always there.
fn require_headers(operation: &mut Value) {
    for response in operation["responses"].as_object_mut().into_iter().flatten().map(|(_, value)| value) {
        for (_, header) in response.get_mut("headers").and_then(Value::as_object_mut).into_iter().flatten() {
            header["required"] = Value::Bool(true);
        }
    }
}

/// The document as it is served.
pub fn json() -> String {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let (_, document) = routes();
        let text = serde_json::to_string_pretty(&document).expect("a JSON value can be written");
        text + "\n"
    })
    .clone()
}

/// True where an operation has parameters in its query.
pub fn takes_query(method: &str, path: &str) -> bool {
    static OPERATIONS: OnceLock<BTreeSet<(String, String)>> = OnceLock::new();
    let operations = OPERATIONS.get_or_init(|| {
        let (_, document) = routes();
        let mut found = BTreeSet::new();
        for (path, methods) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                let mut parameters = operation["parameters"].as_array().into_iter().flatten();
                if parameters.any(|parameter| parameter["in"] == "query") {
                    found.insert((method.to_uppercase(), path.clone()));
                }
            }
        }
        found
    });
    let method = if method == "HEAD" { "GET" } else { method };
    operations.contains(&(method.to_owned(), path.to_owned()))
}

/// The same with keys in order, whatever order the build's maps keep.
fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let ordered: BTreeMap<String, Value> =
                map.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(ordered.into_iter().collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        other => other,
    }
}
