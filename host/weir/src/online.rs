//! Every check of a start, made beside whatever runs: nobody is fenced, nothing is locked, nothing is written.

use crate::connectors::PlanConnectors;
use crate::prepared_pipeline::PreparedPipeline;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use weir_kafka::{Level, Looked};
use weir_protocol::connector::{ConnectorError, ErrorKind};
use weir_protocol::counted::counted;
use weir_protocol::decision::Owner;
use weir_protocol::permission::{Need, Resource};
use weir_protocol::plan::Plan;
use weir_protocol::remedy::Called;
use weir_runtime::checkpoint_store::CheckpointStore;
use weir_runtime::connect::{Connected, Connectors, Operators};
use weir_runtime::data_dir::DataDir;
use weir_runtime::incarnation;
use weir_runtime::recovery::{Foreseen, Recovery};

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What was looked at.
    pub check: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What was found, or the line that a start would give.
    pub message: String,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Ok,
    /// A start would say this, and go on.
    Warning,
    /// A start would end with this.
    Failed,
    /// A start would end with this, and a person has to decide.
    Refused,
    /// Only a start can tell.
    Unasked,
}

/// Makes all checks.
pub fn checks(pipeline: &PreparedPipeline, data_dir: &Path, called: &Called) -> Vec<Checked> {
    let plan = &pipeline.plan;
    let owner = Owner::of(&plan.spec.id_prefix, &plan.spec.name);
    let directory = DataDir::pipeline_path(data_dir, &plan.spec.name);
    let connectors = PlanConnectors::new(plan.clone(), directory.clone());
    let mut found: Vec<Checked> = connectors.look().into_iter().flat_map(of_cluster).collect();
    let reachable = found.iter().all(|checked| checked.outcome != Outcome::Failed);
    found.extend(operators(pipeline));
    found.push(data_directory(data_dir, &directory, &owner, called));
    // What is decided is asked of the clusters, and a missing permission or topic is told above.
    if reachable {
        found.push(decision(pipeline, &connectors, &directory, (&owner, called)));
    }
    found.extend(unasked(plan));
    if let Some(sink) = connectors.repeating_sink() {
        let message = format!(
            "sink {sink} is at least once, whatever the guarantee: after a crash it writes some records again"
        );
        found.push(Checked { check: format!("sink {sink}"), outcome: Outcome::Warning, message });
    }
    found.extend(plan.advice().iter().map(|advice| Checked {
        check: advice.path.clone(),
        outcome: Outcome::Warning,
        message: advice.message.clone(),
    }));
    found
}

fn of_cluster(looked: Looked) -> Vec<Checked> {
    let Looked { check, told, findings } = looked;
    if findings.is_empty() {
        return vec![Checked { check, outcome: Outcome::Ok, message: told }];
    }
    let of_finding = |finding: weir_kafka::Finding| Checked {
        check: check.clone(),
        outcome: if finding.level == Level::Error { Outcome::Failed } else { Outcome::Warning },
        message: finding.message,
    };
    findings.into_iter().map(of_finding).collect()
}

/// Each operator is started once, and ended: what its `open` refuses, it would refuse at a start.
fn operators(pipeline: &PreparedPipeline) -> Vec<Checked> {
    let specs = pipeline.plan.spec.operators.iter().zip(&pipeline.operators);
    let opened = specs.map(|(spec, operator)| {
        let (outcome, message) = match operator.operator(0, None) {
            Ok(_) => (Outcome::Ok, "its component opens with this configuration".to_owned()),
            Err(error) => (Outcome::Failed, error.message),
        };
        Checked { check: format!("operator {}", spec.name), outcome, message }
    });
    opened.collect()
}

fn data_directory(data_dir: &Path, directory: &Path, owner: &Owner, called: &Called) -> Checked {
    let shown = data_dir.display();
    let readable = DataDir::look(data_dir).and_then(|_| DataDir::is_owned(directory, owner));
    let checkpoints = readable.and_then(|owned| match owned {
        true => CheckpointStore::beside(directory).complete().map(|found| Some(found.len())),
        false => Ok(None),
    });
    let (outcome, message) = match (checkpoints, DataDir::holder(data_dir)) {
        (Err(error), _) if error.kind == ErrorKind::Refused => (Outcome::Refused, error.told(called)),
        (Err(error), _) => (Outcome::Failed, error.told(called)),
        (Ok(_), Some(holder)) if holder != std::process::id() => (
            Outcome::Warning,
            format!(
                "{shown} is in use by process {holder}: a second weir with this data directory would not start"
            ),
        ),
        (Ok(Some(0)), _) => {
            (Outcome::Ok, format!("{shown} belongs to this pipeline, and has no checkpoint of it yet"))
        }
        (Ok(Some(count)), _) => {
            (Outcome::Ok, format!("{shown} has {} of this pipeline", counted(count as u64, "checkpoint")))
        }
        (Ok(None), _) if data_dir.is_dir() => {
            (Outcome::Ok, format!("{shown} has nothing of this pipeline yet"))
        }
        (Ok(None), _) => (Outcome::Ok, format!("{shown} is not there and would be made")),
    };
    Checked { check: "data directory".to_owned(), outcome, message }
}

fn decision(
    pipeline: &PreparedPipeline,
    connectors: &PlanConnectors,
    directory: &Path,
    (owner, called): (&Owner, &Called),
) -> Checked {
    let foreseen = connectors.connect(&incarnation::fresh()).and_then(|mut connected| {
        let store = CheckpointStore::beside(directory);
        foresee(&pipeline.plan, &pipeline.operators, owner, &store, &mut connected)
    });
    let (outcome, message) = match foreseen {
        Ok(foreseen) => told(&foreseen),
        Err(error) if error.kind == ErrorKind::Refused => (Outcome::Refused, error.told(called)),
        Err(error) => (Outcome::Failed, error.told(called)),
    };
    Checked { check: "decision".to_owned(), outcome, message }
}

/// What a start would come to now.
pub fn foresee(
    plan: &Plan,
    operators: &Operators,
    owner: &Owner,
    store: &CheckpointStore,
    connected: &mut Connected,
) -> Result<Foreseen, ConnectorError> {
    let specs = plan.spec.operators.iter().zip(operators);
    let operators: BTreeMap<String, String> =
        specs.map(|(spec, operator)| (spec.name.clone(), operator.digest().to_owned())).collect();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let recovery = Recovery {
        plan,
        owner,
        incarnation: &incarnation::fresh(),
        store,
        operators: &operators,
        wall_ms: i64::try_from(now.as_millis()).unwrap_or(i64::MAX),
        restart_finished: false,
        from_savepoint: None,
        verify: false,
        candidate: None,
        earlier: &[],
    };
    recovery.foresee(connected)
}

fn told(foreseen: &Foreseen) -> (Outcome, String) {
    match foreseen {
        Foreseen::FirstStart { partitions } => {
            (Outcome::Ok, format!("a first start: {partitions} partition(s), each by its start policy"))
        }
        Foreseen::TakeOver { adopted, others } => (
            Outcome::Ok,
            format!(
                "the group's offsets of another consumer would be taken over for {adopted} partition(s), {others} start by their policy"
            ),
        ),
        Foreseen::Restore { checkpoint, new_partitions, state_files } => (
            Outcome::Ok,
            format!(
                "a start goes on from checkpoint {checkpoint}, which is here with {state_files} file(s) of state; {new_partitions} new partition(s)"
            ),
        ),
        Foreseen::RestoreFromOffsets { checkpoint, warning } => (
            Outcome::Warning,
            format!("a start goes on from the offsets of checkpoint {checkpoint}: {warning}"),
        ),
        Foreseen::Finished { checkpoint } => (
            Outcome::Warning,
            format!(
                "checkpoint {checkpoint} was drained to the end of the input: a start ends at once; --restart-finished starts it again"
            ),
        ),
    }
}

/// What cannot be asked without doing it.
fn unasked(plan: &Plan) -> Vec<Checked> {
    let explained = plan.explain();
    let mut found = Vec::new();
    for cluster in explained.clusters {
        let ids = cluster.permissions.iter().filter(|one| {
            one.permission.need == Need::Run
                && matches!(one.permission.resource, Resource::TransactionalId(_))
        });
        let names: Vec<String> = ids.map(|one| one.permission.resource.to_string()).collect();
        if !names.is_empty() {
            found.push(Checked {
                check: format!("kafka.{} permissions", cluster.cluster),
                outcome: Outcome::Unasked,
                message: format!(
                    "whether {} may Write {} and Read group {} is not asked, for asking would fence; weir explain prints the lines that allow it",
                    cluster.principal,
                    names.join(" and "),
                    cluster.group
                ),
            });
        }
    }
    found
}
