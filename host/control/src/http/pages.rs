//! `/openapi.json`, and `/docs`: the same as a page to read, which loads nothing from elsewhere.

use super::document::json;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use serde_json::Value;
use std::fmt::Write;

/// The OpenAPI document.
#[utoipa::path(get, path = "/openapi.json", tag = "health",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json", body = serde_json::Value)))]
pub async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], json()).into_response()
}

/// All routes, to read.
#[utoipa::path(get, path = "/docs", tag = "health",
    responses((status = 200, description = "a page", content_type = "text/html", body = String)))]
pub async fn docs() -> Response {
    let page = page().unwrap_or_else(|_| String::from("<p>see /openapi.json"));
    ([(CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'")], Html(page)).into_response()
}

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>weir</title><style>
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
h2{margin-top:2.5rem;border-bottom:1px solid #ccc}code,pre{font:14px/1.4 ui-monospace,monospace}
summary{cursor:pointer;padding:.2rem 0}summary b{display:inline-block;width:4.5rem}
small{color:#666}table{border-collapse:collapse}td{padding:.1rem 1rem .1rem 0;vertical-align:top}
pre{background:#f5f5f5;padding:.7rem;overflow:auto}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#242424}small{color:#aaa}}
</style><h1>weir, HTTP API v1</h1>
<p>Machines read <a href=/openapi.json>/openapi.json</a>. Every error is <code>{code, message, hint?, details?, request_id}</code>.
A token goes into <code>Authorization: Bearer weir_…</code>; each route names the role that it needs.";

/// The document as HTML.
fn page() -> Result<String, std::fmt::Error> {
    let document: Value = serde_json::from_str(&json()).unwrap_or_default();
    let mut page = HEAD.to_owned();
    let mut tag = String::new();
    let empty = serde_json::Map::new();
    let paths = document["paths"].as_object().unwrap_or(&empty);
    let mut operations: Vec<(&String, &String, &Value)> = paths
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap_or(&empty).iter().map(move |(m, o)| (path, m, o))
        })
        .collect();
    operations.sort_by_key(|(path, method, operation)| {
        (operation["tags"][0].as_str().unwrap_or_default(), path.as_str(), method.as_str())
    });
    for (path, method, operation) in operations {
        let of = operation["tags"][0].as_str().unwrap_or_default();
        if of != tag {
            tag = of.to_owned();
            write!(page, "<h2>{}</h2>", escaped(of))?;
        }
        write_operation(&mut page, path, method, operation)?;
    }
    write!(page, "<h2>shapes</h2>")?;
    for (name, schema) in document["components"]["schemas"].as_object().unwrap_or(&empty) {
        let text = serde_json::to_string_pretty(schema).unwrap_or_default();
        let id = escaped(name);
        write!(page, "<details id=\"{id}\"><summary>{id}</summary><pre>{}</pre></details>", escaped(&text))?;
    }
    Ok(page)
}

fn write_operation(page: &mut String, path: &str, method: &str, operation: &Value) -> std::fmt::Result {
    let text = |value: &Value| escaped(value.as_str().unwrap_or_default());
    write!(
        page,
        "<details><summary><b>{}</b><code>{}</code> <small>{}</small></summary><p>{}<table>",
        method.to_uppercase(),
        escaped(path),
        text(&operation["x-weir-role"]),
        text(&operation["summary"]),
    )?;
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        write!(
            page,
            "<tr><td>{}<td><code>{}</code><td>{}",
            text(&parameter["in"]),
            text(&parameter["name"]),
            text(&parameter["description"])
        )?;
    }
    for (media_type, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        write!(
            page,
            "<tr><td>body<td><code>{}</code><td>{}",
            escaped(media_type),
            shape(&content["schema"])
        )?;
    }
    let answers = operation["responses"].as_object().into_iter().flatten();
    for (status, response) in answers.filter(|(_, response)| response.get("$ref").is_none()) {
        let contents = response["content"].as_object().into_iter().flatten();
        let shapes: Vec<String> = contents.map(|(_, content)| shape(&content["schema"])).collect();
        write!(
            page,
            "<tr><td>{}<td>{}<td>{}",
            escaped(status),
            text(&response["description"]),
            shapes.join(", ")
        )?;
    }
    let codes = operation["x-weir-codes"].as_array().into_iter().flatten();
    let codes: Vec<String> = codes.map(text).collect();
    write!(
        page,
        "<tr><td>refused<td>{}<td><a href=\"#Problem\">Problem</a></table></details>",
        codes.join(", ")
    )
}

fn shape(schema: &Value) -> String {
    let named = schema["$ref"].as_str().or_else(|| schema["oneOf"][1]["$ref"].as_str());
    let name = named.and_then(|name| name.rsplit('/').next()).map(escaped);
    name.map_or_else(String::new, |name| format!("<a href=\"#{name}\">{name}</a>"))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_every_route_and_loads_nothing() {
        let page = page().unwrap();
        for (_, path, _) in crate::security::roles::TABLE {
            assert!(page.contains(&format!("<code>{path}</code>")), "{path}");
        }
        for loads in ["src=", "<script", "<link", "http://", "https://", "@import", "url("] {
            assert!(!page.contains(loads), "{loads}");
        }
    }
}
