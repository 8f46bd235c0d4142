//! The table of error codes: name, HTTP status, and whether the same request may succeed later.
//!
//! Names are stable. Each has a page `docs/errors/<name>.md`; a test compares both ways.

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident $name:literal $status:literal $retryable:literal)*) => {
        /// Which problem.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// All of them.
            pub const ALL: &'static [Code] = &[$(Code::$variant,)*];

            /// The name in answers.
            pub fn name(self) -> &'static str {
                match self { $(Code::$variant => $name,)* }
            }

            /// The HTTP status.
            pub fn status(self) -> u16 {
                match self { $(Code::$variant => $status,)* }
            }

            /// The same request may succeed later, with nothing changed by the client.
            pub fn is_retryable(self) -> bool {
                match self { $(Code::$variant => $retryable,)* }
            }
        }
    };
}

codes! {
    /// A body that is no JSON, or not of the expected shape.
    InvalidJson "invalid_json" 400 false
    /// A name that is not `[a-z][a-z0-9-]{0,62}`, or another part of the path that cannot be.
    InvalidName "invalid_name" 400 false
    /// A query parameter, header or value that cannot be.
    InvalidParameter "invalid_parameter" 400 false
    /// No token, or none that is valid.
    Unauthorized "unauthorized" 401 false
    /// The token's role does not allow this.
    Forbidden "forbidden" 403 false
    /// A browser's request from another origin.
    CrossOrigin "cross_origin" 403 false
    /// The `Host` header is not a name of this server.
    HostNotAllowed "host_not_allowed" 421 false
    /// There is no such route, or no such thing.
    NotFound "not_found" 404 false
    /// No such operator or version.
    VersionNotFound "version_not_found" 404 false
    /// No such pipeline.
    PipelineNotFound "pipeline_not_found" 404 false
    /// No such swap.
    SwapNotFound "swap_not_found" 404 false
    /// No such token.
    TokenNotFound "token_not_found" 404 false
    /// The path exists, the method does not.
    MethodNotAllowed "method_not_allowed" 405 false
    /// The body came too slowly.
    RequestTimeout "request_timeout" 408 true
    /// It is not in a state in which that can be done.
    Conflict "conflict" 409 true
    /// The plan with this hash is not what would be done now.
    StalePlan "stale_plan" 409 false
    /// The plan cannot be carried out.
    PlanRefused "plan_refused" 409 false
    /// A pipeline uses this version.
    VersionInUse "version_in_use" 409 false
    /// Only a stopped pipeline can do that.
    PipelineNotStopped "pipeline_not_stopped" 409 true
    /// Only a running pipeline can do that.
    PipelineNotRunning "pipeline_not_running" 409 true
    /// The pipeline has never been applied.
    NotApplied "not_applied" 409 false
    /// Another swap of the pipeline is under way.
    SwapInProgress "swap_in_progress" 409 true
    /// This component has failed probation here before.
    PreviouslyRolledBack "previously_rolled_back" 409 false
    /// The change cannot be made on a running pipeline.
    NotASwap "not_a_swap" 409 false
    /// The migration would stop the operator for longer than `pause_max`.
    PauseTooLong "pause_too_long" 409 false
    /// `If-Match` names another version of the pipeline.
    PreconditionFailed "precondition_failed" 412 false
    /// The body is larger than its limit.
    TooLarge "too_large" 413 false
    /// The body's type is none that this route reads.
    UnsupportedMediaType "unsupported_media_type" 415 false
    /// The bytes are no component that weir can run.
    InvalidComponent "invalid_component" 422 false
    /// Looking at the component, or testing it, took more time or memory than it may.
    LimitExceeded "limit_exceeded" 422 false
    /// The pipeline file has problems.
    InvalidPipeline "invalid_pipeline" 422 false
    /// The state cannot go with the new components.
    StateIncompatible "state_incompatible" 422 false
    /// The server could not do it; its log says why.
    Internal "internal" 500 true
    /// Too much of the same is being done.
    Busy "busy" 503 true
    /// Something outside (disk, Kafka) does not answer as it should.
    Unavailable "unavailable" 503 true
    /// The disk of the data directory is full.
    DiskFull "disk_full" 507 true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    #[test]
    fn every_code_has_a_page_and_every_page_a_code() {
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
        let written: BTreeSet<String> = std::fs::read_dir(pages)
            .unwrap()
            .map(|page| page.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != "README.md")
            .collect();
        let expected: BTreeSet<String> = Code::ALL.iter().map(|code| format!("{}.md", code.name())).collect();
        assert_eq!(expected, written);
    }

    #[test]
    fn a_page_names_the_status_and_whether_to_try_again() {
        let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
        for code in Code::ALL {
            let page = std::fs::read_to_string(pages.join(format!("{}.md", code.name()))).unwrap();
            assert!(page.contains(&format!("HTTP {}", code.status())), "{}", code.name());
            let retry = if code.is_retryable() { "retryable: yes" } else { "retryable: no" };
            assert!(page.contains(retry), "{}: {retry}", code.name());
        }
    }
}
