//! Pipelines: the document, the plan, how it goes, what has happened.

use crate::clock::time_text;
use crate::host::{OnlineCheck, RunningStatus, StateFate, Way};
use crate::pipelines::plan::{Plan, Rejected};
use crate::reconcile::Shown;
use crate::store::events::Event;
use crate::store::pipelines::{Pipeline, StartFrom};
use crate::store::revisions::Revision;
use crate::store::swaps::Swap;
use crate::wire::swaps::SwapView;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// A pipeline.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Pipeline)]
pub struct PipelineView {
    /// Its name.
    pub name: String,
    /// The document as it was put, TOML; what is in it, is not filled in.
    pub draft: String,
    /// The revision that is applied; none before the first apply.
    pub applied_revision: Option<i64>,
    /// `running` or `stopped`: what it is to be.
    pub desired: String,
    /// What `If-Match` takes; also the header `ETag`.
    pub etag: String,
    /// RFC 3339.
    pub created_at: String,
    /// When the draft or the revision was changed last, RFC 3339.
    pub changed_at: String,
}

impl From<Pipeline> for PipelineView {
    fn from(row: Pipeline) -> PipelineView {
        PipelineView {
            etag: row.etag(),
            applied_revision: row.applied,
            desired: desired(&row),
            created_at: time_text(row.created_at),
            changed_at: time_text(row.changed_at),
            name: row.name,
            draft: row.draft,
        }
    }
}

fn desired(row: &Pipeline) -> String {
    if row.desired_running { "running" } else { "stopped" }.to_owned()
}

/// What apply would do.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Plan)]
pub struct PlanView {
    /// What apply takes.
    pub hash: String,
    /// The revision that is applied now.
    pub from_revision: Option<i64>,
    /// How it would be done.
    pub way: Way,
    /// The document with every version pinned.
    pub toml: String,
    /// `name@number` by operator id.
    pub components: BTreeMap<String, String>,
    /// What differs, a line each.
    pub changes: Vec<String>,
    /// What becomes of each state.
    pub states: Vec<StateFate>,
    /// What to know before.
    pub warnings: Vec<String>,
    /// Why it cannot be done; empty where it can.
    pub refusals: Vec<String>,
    /// Components that have failed probation here: only `force` applies them.
    pub rejected: Vec<RejectedView>,
    /// Every check of a start; only where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub online: Option<Vec<OnlineCheck>>,
}

/// What a plan is to tell.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PlanQuery {
    /// Make every check of a start as well: brokers, topics, permissions, what is decided. Nobody is fenced and nothing is
    /// written.
    #[serde(default)]
    pub online: bool,
}

/// A component that has failed probation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = RejectedComponent)]
pub struct RejectedView {
    /// The operator's id in the pipeline.
    pub operator: String,
    /// `name@number`.
    pub component: String,
    /// The health rule that was broken.
    pub reason: String,
}

impl From<Plan> for PlanView {
    fn from(plan: Plan) -> PlanView {
        let rejected = |one: Rejected| RejectedView {
            operator: one.operator,
            component: one.component,
            reason: one.reason,
        };
        let names = plan.new.names.iter();
        PlanView {
            hash: plan.hash,
            from_revision: plan.pipeline.applied,
            way: plan.comparison.way,
            components: names.map(|(id, name)| (id.clone(), name.to_string())).collect(),
            toml: plan.new.document.toml,
            changes: plan.comparison.changes,
            states: plan.comparison.states,
            warnings: plan.comparison.warnings,
            refusals: plan.comparison.refusals,
            rejected: plan.rejected.into_iter().map(rejected).collect(),
            online: plan.online,
        }
    }
}

/// Applies a plan.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApplyRequest {
    /// The plan's.
    pub hash: String,
    /// Components that have failed probation are tried again.
    #[serde(default)]
    pub force: bool,
}

/// What apply has done, or begun.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Applied)]
pub struct AppliedView {
    /// How.
    pub way: Way,
    /// The revision that is applied now.
    pub revision: Option<i64>,
    /// The swap that has begun.
    pub swap: Option<SwapView>,
    /// What to watch.
    pub watch: String,
}

/// How a start begins; all of it may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StartRequest {
    /// Start from this savepoint instead of the newest decision.
    #[schema(pattern = "^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$", value_type = Option<String>)]
    pub from_savepoint: Option<crate::name::SavepointName>,
    /// Output beyond the savepoint may be published again.
    pub replay_output: bool,
    /// Also where the pipeline has started from this savepoint before.
    pub again: bool,
    /// A pipeline that has come to its end starts again.
    pub restart_finished: bool,
}

impl From<StartRequest> for StartFrom {
    fn from(asked: StartRequest) -> StartFrom {
        StartFrom {
            savepoint: asked.from_savepoint.map(String::from),
            replay_output: asked.replay_output,
            again: asked.again,
            restart_finished: asked.restart_finished,
            ..StartFrom::default()
        }
    }
}

/// How a pipeline goes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = PipelineStatus)]
pub struct StatusView {
    /// Its name.
    pub name: String,
    /// `running` or `stopped`: what it is to be.
    pub desired: String,
    /// `stopped`, `starting`, `replaying`, `running`, `swapping`, `restarting`, `stopping`, `failed`, `finished` or `superseded`.
    pub actual: String,
    /// Why it has failed, restarts or was superseded.
    pub cause: Option<String>,
    /// The revision that is applied.
    pub applied_revision: Option<i64>,
    /// The incarnation that runs, or ran last.
    pub incarnation: Option<String>,
    /// The swap under way.
    pub swap: Option<SwapView>,
    /// The last restarts since this server started, oldest first.
    pub restarts: Vec<RestartView>,
    /// Counters, where it runs.
    pub running: Option<RunningStatus>,
}

/// A restart after a failure.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Restart)]
pub struct RestartView {
    /// RFC 3339.
    pub at: String,
    /// What had failed.
    pub cause: String,
}

impl StatusView {
    /// Of what is remembered and what is shown.
    pub fn new(
        row: &Pipeline,
        shown: Shown,
        swap: Option<Swap>,
        running: Option<RunningStatus>,
    ) -> StatusView {
        let restart = |(at, cause)| RestartView { at: time_text(at), cause };
        StatusView {
            name: row.name.clone(),
            desired: desired(row),
            actual: shown.actual.word().to_owned(),
            cause: shown.actual.cause().map(str::to_owned),
            applied_revision: row.applied,
            incarnation: shown.incarnation,
            swap: swap.map(SwapView::from),
            restarts: shown.restarts.into_iter().map(restart).collect(),
            running,
        }
    }
}

/// A document that was applied.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Revision)]
pub struct RevisionView {
    /// Its number, from 1.
    pub revision: i64,
    /// The document, pinned.
    pub toml: String,
    /// The plan by which it was applied; none after a swap that was asked for directly.
    pub plan_hash: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// The token by which it was.
    pub created_by: String,
}

impl From<Revision> for RevisionView {
    fn from(row: Revision) -> RevisionView {
        RevisionView {
            revision: row.revision,
            toml: row.toml,
            plan_hash: row.plan_hash,
            created_at: time_text(row.created_at),
            created_by: row.created_by,
        }
    }
}

/// Something that happened to a pipeline.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    /// Its number in the pipeline; what `after` and `Last-Event-ID` take.
    pub seq: i64,
    /// RFC 3339.
    pub at: String,
    /// `applied`, `running`, `replaying`, `replayed`, `replay_stopped`, `replay_failed`, `restarting`, `going_back`, `stopped`, `finished`, `failed`, `superseded`, or `swap_…`.
    pub kind: String,
    /// More of it.
    #[schema(value_type = Object)]
    pub body: Value,
}

impl From<Event> for EventView {
    fn from(row: Event) -> EventView {
        EventView { seq: row.seq, at: time_text(row.at), kind: row.kind, body: row.body }
    }
}
