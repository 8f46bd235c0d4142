//! The table of who may call what. A route that is not in it cannot be called; a test compares it with the document.

use super::Role;

/// Who may call a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Everybody, without a token.
    Anyone,
    /// A token of at least this role.
    Token(Role),
}

use Access::{Anyone, Token};
use Role::{Admin, Deployer, Viewer};

/// Method, path, who.
#[rustfmt::skip]
pub const TABLE: &[(&str, &str, Access)] = &[
    ("GET", "/livez", Anyone),
    ("GET", "/readyz", Anyone),
    ("GET", "/openapi.json", Anyone),
    ("GET", "/docs", Anyone),

    ("GET", "/v1/operators", Token(Viewer)),
    ("GET", "/v1/operators/{name}/versions", Token(Viewer)),
    ("POST", "/v1/operators/{name}/versions", Token(Deployer)),
    ("GET", "/v1/operators/{name}/versions/{version}", Token(Viewer)),
    ("DELETE", "/v1/operators/{name}/versions/{version}", Token(Deployer)),
    ("GET", "/v1/operators/{name}/versions/{version}/component", Token(Viewer)),
    ("POST", "/v1/operators/{name}/versions/{version}/test", Token(Deployer)),

    ("GET", "/v1/pipelines", Token(Viewer)),
    ("GET", "/v1/pipelines/{name}", Token(Viewer)),
    ("PUT", "/v1/pipelines/{name}", Token(Deployer)),
    ("DELETE", "/v1/pipelines/{name}", Token(Deployer)),
    ("POST", "/v1/pipelines/{name}/plan", Token(Viewer)),
    ("GET", "/v1/pipelines/{name}/explain", Token(Viewer)),
    ("GET", "/v1/schema/pipeline", Token(Viewer)),
    ("POST", "/v1/pipelines/{name}/apply", Token(Deployer)),
    ("POST", "/v1/pipelines/{name}/start", Token(Deployer)),
    ("POST", "/v1/pipelines/{name}/stop", Token(Deployer)),
    ("POST", "/v1/pipelines/{name}/restart", Token(Deployer)),
    ("POST", "/v1/pipelines/{name}/rollback", Token(Deployer)),
    ("GET", "/v1/pipelines/{name}/status", Token(Viewer)),
    ("GET", "/v1/pipelines/{name}/revisions", Token(Viewer)),
    ("GET", "/v1/pipelines/{name}/checkpoints", Token(Viewer)),
    ("GET", "/v1/pipelines/{name}/events", Token(Viewer)),
    ("GET", "/v1/pipelines/{name}/offsets", Token(Viewer)),
    ("POST", "/v1/pipelines/{name}/offsets", Token(Deployer)),

    ("GET", "/v1/pipelines/{name}/savepoints", Token(Viewer)),
    ("POST", "/v1/pipelines/{name}/savepoints", Token(Deployer)),
    ("DELETE", "/v1/pipelines/{name}/savepoints/{savepoint}", Token(Deployer)),
    // A savepoint holds the state itself, the records' contents with it.
    ("GET", "/v1/pipelines/{name}/savepoints/{savepoint}/export", Token(Deployer)),

    // A dead letter is a record, with its contents.
    ("GET", "/v1/pipelines/{name}/dead-letters", Token(Deployer)),
    ("POST", "/v1/pipelines/{name}/dead-letters/replay", Token(Deployer)),

    ("POST", "/v1/pipelines/{name}/operators/{id}/swap", Token(Deployer)),
    ("GET", "/v1/pipelines/{name}/swaps", Token(Viewer)),
    ("GET", "/v1/pipelines/{name}/swaps/{id}", Token(Viewer)),
    ("DELETE", "/v1/pipelines/{name}/swaps/{id}", Token(Deployer)),

    ("GET", "/v1/tokens", Token(Admin)),
    ("POST", "/v1/tokens", Token(Admin)),
    ("DELETE", "/v1/tokens/{id}", Token(Admin)),
    ("GET", "/v1/audit", Token(Admin)),

    ("GET", "/v1/upgrade", Token(Viewer)),
    ("POST", "/v1/upgrade/finalize", Token(Admin)),
];

/// What the table says of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Who may call it.
    Access(Access),
    /// The path has these methods only.
    OtherMethods(Vec<&'static str>),
    /// There is no such path.
    Unknown,
}

/// Looks a route up.
pub fn look_up(method: &str, path: &str) -> Entry {
    let of_path: Vec<_> = TABLE.iter().filter(|(_, listed, _)| *listed == path).collect();
    // What answers GET answers HEAD, without the body.
    let method = if method == "HEAD" { "GET" } else { method };
    if let Some((_, _, access)) = of_path.iter().find(|(listed, _, _)| *listed == method) {
        return Entry::Access(*access);
    }
    match of_path.is_empty() {
        true => Entry::Unknown,
        false => Entry::OtherMethods(of_path.iter().map(|(listed, _, _)| *listed).collect()),
    }
}
