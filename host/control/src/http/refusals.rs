//! The table of how each route refuses: its error codes, by which the document says every status that it may answer.
//!
//! A refusal that is not in it stops a debug build, and with it the test that has met it.

use crate::problem::Code;
use crate::security::roles::{Access, Entry, look_up};
use Code::{
    Busy, Conflict, CrossOrigin, DiskFull, Forbidden, HostNotAllowed, Internal, InvalidComponent,
    InvalidJson, InvalidName, InvalidParameter, InvalidPipeline, LimitExceeded, NotASwap, NotApplied,
    NotFound, PauseTooLong, PipelineNotFound, PipelineNotRunning, PipelineNotStopped, PlanRefused,
    PreconditionFailed, PreviouslyRolledBack, RequestTimeout, StalePlan, StateIncompatible, SwapInProgress,
    SwapNotFound, TokenNotFound, TooLarge, Unauthorized, Unavailable, UnsupportedMediaType, VersionInUse,
    VersionNotFound,
};

/// Any route: who calls it by another name, or sends a body too slowly, too long or not to its end, is refused first.
const EVERY: &[Code] = &[InvalidParameter, CrossOrigin, RequestTimeout, TooLarge, HostNotAllowed, Internal];
/// Routes that need a token.
const TOKEN: &[Code] = &[Unauthorized, Forbidden];
/// Routes with a JSON body.
const JSON: &[Code] = &[InvalidJson, UnsupportedMediaType];
/// Routes of one operator or pipeline.
const NAME: &[Code] = &[InvalidName];
/// Routes of a pipeline that is there.
const PIPELINE: &[Code] = &[InvalidName, PipelineNotFound];
/// Routes that look at a pipeline's files.
const FILES: &[Code] = &[Conflict, Unavailable];
/// Routes that begin a swap.
const SWAP: &[Code] = &[
    NotFound,
    InvalidPipeline,
    NotApplied,
    PipelineNotRunning,
    SwapInProgress,
    PreviouslyRolledBack,
    NotASwap,
    PauseTooLong,
    Conflict,
    StateIncompatible,
    Unavailable,
];
/// Routes that write.
const CHANGE: &[Code] = &[DiskFull];

/// Method, path, and the codes besides [`EVERY`] and [`TOKEN`].
#[rustfmt::skip]
const TABLE: &[(&str, &str, &[&[Code]])] = &[
    ("GET", "/livez", &[]),
    ("GET", "/readyz", &[&[Unavailable]]),
    ("GET", "/openapi.json", &[]),
    ("GET", "/docs", &[]),

    ("GET", "/v1/operators", &[]),
    ("GET", "/v1/operators/{name}/versions", &[NAME, &[VersionNotFound]]),
    ("POST", "/v1/operators/{name}/versions", &[NAME, CHANGE, &[InvalidComponent, LimitExceeded, Busy, Unavailable]]),
    ("GET", "/v1/operators/{name}/versions/{version}", &[NAME, &[VersionNotFound]]),
    ("DELETE", "/v1/operators/{name}/versions/{version}", &[NAME, CHANGE, &[VersionNotFound, VersionInUse]]),
    ("GET", "/v1/operators/{name}/versions/{version}/component", &[NAME, &[VersionNotFound]]),
    ("POST", "/v1/operators/{name}/versions/{version}/test", &[NAME, JSON, CHANGE, &[VersionNotFound, InvalidComponent, LimitExceeded, Busy, Unavailable]]),

    ("GET", "/v1/pipelines", &[]),
    ("GET", "/v1/pipelines/{name}", &[PIPELINE]),
    ("PUT", "/v1/pipelines/{name}", &[NAME, JSON, CHANGE, &[InvalidPipeline, PreconditionFailed]]),
    ("DELETE", "/v1/pipelines/{name}", &[PIPELINE, CHANGE, &[PipelineNotStopped, PreconditionFailed, Unavailable]]),
    ("POST", "/v1/pipelines/{name}/plan", &[PIPELINE, &[InvalidPipeline]]),
    ("GET", "/v1/pipelines/{name}/explain", &[PIPELINE, &[InvalidPipeline]]),
    ("GET", "/v1/schema/pipeline", &[]),
    ("POST", "/v1/pipelines/{name}/apply", &[PIPELINE, JSON, CHANGE, SWAP, &[StalePlan, PlanRefused, PreconditionFailed]]),
    ("POST", "/v1/pipelines/{name}/start", &[PIPELINE, JSON, CHANGE, FILES, &[NotFound, NotApplied, PipelineNotStopped]]),
    ("POST", "/v1/pipelines/{name}/stop", &[PIPELINE, CHANGE]),
    ("POST", "/v1/pipelines/{name}/restart", &[PIPELINE, CHANGE, &[NotApplied, PreconditionFailed]]),
    ("POST", "/v1/pipelines/{name}/rollback", &[PIPELINE, JSON, CHANGE, SWAP]),
    ("GET", "/v1/pipelines/{name}/status", &[PIPELINE]),
    ("GET", "/v1/pipelines/{name}/revisions", &[PIPELINE]),
    ("GET", "/v1/pipelines/{name}/checkpoints", &[PIPELINE, FILES]),
    ("GET", "/v1/pipelines/{name}/events", &[PIPELINE]),
    ("GET", "/v1/pipelines/{name}/offsets", &[PIPELINE, FILES, &[NotApplied, InvalidPipeline]]),
    ("POST", "/v1/pipelines/{name}/offsets", &[PIPELINE, JSON, CHANGE, FILES, &[NotApplied, InvalidPipeline, PipelineNotStopped, SwapInProgress]]),

    ("GET", "/v1/pipelines/{name}/savepoints", &[PIPELINE, FILES]),
    ("POST", "/v1/pipelines/{name}/savepoints", &[PIPELINE, JSON, CHANGE, FILES, &[InvalidPipeline]]),
    ("DELETE", "/v1/pipelines/{name}/savepoints/{savepoint}", &[PIPELINE, CHANGE, FILES, &[NotFound, InvalidPipeline]]),
    ("GET", "/v1/pipelines/{name}/savepoints/{savepoint}/export", &[PIPELINE, CHANGE, FILES, &[NotFound, InvalidPipeline, Busy]]),

    ("GET", "/v1/pipelines/{name}/dead-letters", &[PIPELINE, FILES, &[NotApplied, InvalidPipeline]]),
    ("POST", "/v1/pipelines/{name}/dead-letters/replay", &[PIPELINE, JSON, CHANGE, FILES, &[NotApplied, InvalidPipeline, PreconditionFailed, SwapInProgress]]),

    ("POST", "/v1/pipelines/{name}/operators/{id}/swap", &[PIPELINE, JSON, CHANGE, SWAP, &[VersionNotFound]]),
    ("GET", "/v1/pipelines/{name}/swaps", &[PIPELINE]),
    ("GET", "/v1/pipelines/{name}/swaps/{id}", &[PIPELINE, &[SwapNotFound]]),
    ("DELETE", "/v1/pipelines/{name}/swaps/{id}", &[PIPELINE, CHANGE, &[SwapNotFound, PipelineNotRunning, Conflict, Unavailable]]),

    ("GET", "/v1/tokens", &[]),
    ("POST", "/v1/tokens", &[JSON, CHANGE]),
    ("DELETE", "/v1/tokens/{id}", &[NAME, CHANGE, &[TokenNotFound]]),
    ("GET", "/v1/audit", &[]),

    ("GET", "/v1/upgrade", &[]),
    ("POST", "/v1/upgrade/finalize", &[CHANGE, &[Unavailable]]),
];

/// The codes of a route, in the order of the table of codes; none where there is no such route.
pub fn of(method: &str, path: &str) -> Option<Vec<Code>> {
    // What answers GET answers HEAD, without the body.
    let method = if method == "HEAD" { "GET" } else { method };
    let (_, _, own) = TABLE.iter().find(|(listed, of, _)| *listed == method && *of == path)?;
    let token: &[Code] = match look_up(method, path) {
        Entry::Access(Access::Token(_)) => TOKEN,
        _ => &[],
    };
    let answered: Vec<Code> = own.iter().copied().chain([EVERY, token]).flatten().copied().collect();
    Some(Code::ALL.iter().copied().filter(|code| answered.contains(code)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::roles;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_has_the_routes_of_the_roles() {
        let ours: BTreeSet<_> = TABLE.iter().map(|(method, path, _)| (*method, *path)).collect();
        let theirs: BTreeSet<_> = roles::TABLE.iter().map(|(method, path, _)| (*method, *path)).collect();
        assert_eq!(ours, theirs);
    }

    #[test]
    fn a_route_is_listed_with_what_it_may_refuse_and_with_nothing_else() {
        let health = of("GET", "/livez").unwrap();
        assert!(health.contains(&HostNotAllowed) && !health.contains(&Unauthorized));
        let start = of("POST", "/v1/pipelines/{name}/start").unwrap();
        assert!(start.contains(&NotApplied) && !start.contains(&StalePlan));
        assert_eq!(of("HEAD", "/livez"), Some(health));
        assert_eq!(of("PATCH", "/livez"), None);
    }

    #[test]
    fn every_code_is_answered_somewhere() {
        let answered: Vec<Code> =
            TABLE.iter().flat_map(|(method, path, _)| of(method, path).unwrap()).collect();
        // No route is met with it.
        let elsewhere = [Code::MethodNotAllowed];
        for code in Code::ALL {
            assert!(answered.contains(code) != elsewhere.contains(code), "{}", code.name());
        }
    }
}
