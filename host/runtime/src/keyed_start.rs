//! What keyed operators start from: the division of keys, the state of the decided checkpoint, and what the running
//! components do with it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use weir_protocol::compatibility::{StateChange, compare, running};
use weir_protocol::connector::ConnectorError;
use weir_protocol::key_group::{DEFAULT_MAX_PARALLELISM, GroupOrder, KeyGroups, max_parallelism_for};
use weir_protocol::manifest::{KeyedStates, Manifest, OperatorState};
use weir_protocol::plan::{Plan, Problem};
use weir_protocol::remedy::Remedy;
use weir_protocol::verdict::KnownPartition;

/// The start of keyed operators.
#[derive(Debug, Clone, PartialEq)]
pub struct KeyedStart {
    /// How keys are divided.
    pub groups: KeyGroups,
    /// What the checkpoint holds; empty at a first start.
    pub states: KeyedStates,
    /// Where its files are: the checkpoint's directory.
    pub checkpoint: Option<PathBuf>,
    /// What becomes of them, per operator of the plan.
    pub changes: Vec<StateChange>,
}

/// Judges what the decided checkpoint holds against the plan. `None` where nothing is keyed and nothing was. A start
/// from a savepoint may divide the keys anew; the state is then copied, entry by entry.
pub fn judge(
    plan: &Plan,
    partitions: &[KnownPartition],
    decided: Option<&Manifest>,
    checkpoint: Option<PathBuf>,
    divide_anew: bool,
) -> Result<Option<KeyedStart>, ConnectorError> {
    let before = decided.and_then(|manifest| manifest.keyed.as_ref());
    if !plan.is_keyed() && before.is_none() {
        return Ok(None);
    }
    let nothing = BTreeMap::new();
    let held = before.map_or(&nothing, |keyed| &keyed.operators);
    let changes = compare(held, &running(plan), &plan.spec.drop_operators).map_err(|problems| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        ConnectorError::refused(format!("the pipeline does not fit its state: {}", lines.join("; ")))
            .helped_by(Remedy::StateStats)
    })?;
    let wanted = first_groups(plan, partitions)?;
    let groups = match before {
        Some(_) if divide_anew => wanted,
        Some(keyed) => fixed_groups(plan, keyed.groups, wanted)?,
        None => wanted,
    };
    let states = before.cloned().unwrap_or_else(|| KeyedStates {
        groups,
        operators: declared(plan),
        parts: Vec::new(),
    });
    Ok(Some(KeyedStart { groups, states, checkpoint, changes }))
}

/// The declarations of the running components.
pub fn declared(plan: &Plan) -> BTreeMap<String, OperatorState> {
    let operators = plan.spec.operators.iter().zip(&plan.shapes).filter(|(_, shape)| shape.is_keyed());
    operators
        .map(|(spec, shape)| {
            let (states, timers) = (shape.states.clone(), shape.timers.clone());
            (spec.name.clone(), OperatorState { states, timers })
        })
        .collect()
}

/// The division that a first start would choose.
fn first_groups(plan: &Plan, partitions: &[KnownPartition]) -> Result<KeyGroups, ConnectorError> {
    let wanted = plan.spec.max_parallelism.unwrap_or(DEFAULT_MAX_PARALLELISM);
    let mut counts: Vec<(String, u32)> = Vec::new();
    for known in partitions.iter().filter(|known| !known.letters) {
        let topic = known.partition.topic.to_string();
        match counts.iter_mut().find(|(name, _)| *name == topic) {
            Some((_, count)) => *count += 1,
            None => counts.push((topic, 1)),
        }
    }
    let first = counts.first().map_or(1, |(_, count)| *count);
    if !plan.spec.co_partitioned {
        return Ok(KeyGroups::plain(match plan.spec.max_parallelism {
            Some(asked) => asked,
            None => max_parallelism_for(wanted, first),
        }));
    }
    if let Some((topic, count)) = counts.iter().find(|(_, count)| *count != first) {
        return Err(ConnectorError::refused(format!(
            "co_partitioned = true needs topics with equal partition counts, but {} has {first} and {topic} has {count}: remove co_partitioned (take a savepoint first if the pipeline has state), or make the counts equal",
            counts[0].0
        ))
        .helped_by(Remedy::NewSavepoint));
    }
    let max_parallelism = match plan.spec.max_parallelism {
        Some(asked) if !asked.is_multiple_of(first) => {
            return Err(ConnectorError::refused(format!(
                "max_parallelism = {asked} is no multiple of the {first} partitions of {}, as co_partitioned = true needs: use {}",
                counts[0].0,
                max_parallelism_for(asked, first)
            ))
            .helped_by(Remedy::Set {
                key: "max_parallelism".to_owned(),
                value: max_parallelism_for(asked, first).to_string(),
            }));
        }
        Some(asked) => asked,
        None => max_parallelism_for(wanted, first),
    };
    Ok(KeyGroups { max_parallelism, order: GroupOrder::CoPartitioned { partitions: first } })
}

/// The division is fixed for the pipeline's life.
fn fixed_groups(plan: &Plan, fixed: KeyGroups, wanted: KeyGroups) -> Result<KeyGroups, ConnectorError> {
    division_fits(plan, fixed)
        .map_err(|problem| ConnectorError::refused(problem.message).helped_by(Remedy::NewSavepoint))?;
    match (fixed.order, wanted.order) {
        (GroupOrder::CoPartitioned { partitions: was }, GroupOrder::CoPartitioned { partitions: is })
            if was != is =>
        {
            Err(ConnectorError::refused(format!(
                "the state is co-partitioned with topics of {was} partitions, which have {is} now, so keys have moved between partitions: {DIVIDE_ANEW}, without co_partitioned"
            ))
            .helped_by(Remedy::NewSavepoint))
        }
        _ => Ok(fixed),
    }
}

/// The way out of every division that does not fit.
const DIVIDE_ANEW: &str =
    "take a savepoint (weir savepoint create) and start from it (weir run --from-savepoint)";

/// What of a division can be judged without the partitions: a plan may ask for no other one than the state has.
pub fn division_fits(plan: &Plan, fixed: KeyGroups) -> Result<(), Problem> {
    let problem = |path: &str, message: String| Err(Problem { path: path.to_owned(), message });
    if let Some(asked) = plan.spec.max_parallelism
        && asked != fixed.max_parallelism
    {
        return problem(
            "max_parallelism",
            format!(
                "max_parallelism = {asked}, but the pipeline's state is divided into {} key groups: set max_parallelism = {}, or {DIVIDE_ANEW}, which divides it anew",
                fixed.max_parallelism, fixed.max_parallelism
            ),
        );
    }
    match (fixed.order, plan.spec.co_partitioned) {
        (GroupOrder::Plain, true) => problem(
            "co_partitioned",
            format!(
                "co_partitioned = true, but the pipeline's state was written without it: remove it, or {DIVIDE_ANEW}"
            ),
        ),
        (GroupOrder::CoPartitioned { .. }, false) => problem(
            "co_partitioned",
            format!(
                "the pipeline's state was written with co_partitioned = true: set it again, or {DIVIDE_ANEW}"
            ),
        ),
        (GroupOrder::Plain, false) | (GroupOrder::CoPartitioned { .. }, true) => Ok(()),
    }
}
