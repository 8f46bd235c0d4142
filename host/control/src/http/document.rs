//! The OpenAPI document: made of the handlers, completed with the roles of the table and the one shape of errors.

use super::routes;
use crate::problem::ProblemBody;
use crate::security::roles::{Access, Entry, look_up};
use serde_json::{Value, json};
use std::collections::BTreeMap;
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

/// Adds to each operation who may call it, and the errors.
pub fn complete(api: &OpenApi) -> Value {
    let mut document = serde_json::to_value(api).expect("the document is made of texts and maps of texts");
    document["components"]["securitySchemes"] = json!({ "token": { "type": "http", "scheme": "bearer" } });
    let problem = |description: &str| {
        json!({
            "description": description,
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Problem" } } }
        })
    };
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
            operation["responses"]["4XX"] = problem("refused; `code` says why");
            operation["responses"]["5XX"] = problem("not done; `code` says whether to try again");
        }
    }
    sorted(document)
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
