//! What a change of a pipeline's document would mean: what differs, how it is made, and what becomes of each state.

use super::document;
use super::host::WeirHost;
use crate::prepared_pipeline::PreparedPipeline;
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};
use weir_control::host::{Comparison, PipelineDocument, Refused, StateFate, Way};
use weir_protocol::compatibility::{self, StateChange};
use weir_protocol::manifest::{Manifest, OperatorState};
use weir_protocol::plan::{Plan, Problem, SinkKind};
use weir_protocol::state::OperatorShape;
use weir_protocol::swap;
use weir_runtime::keyed_start;

/// Compares. All problems are told at once, as refusals.
pub fn compare(
    host: &WeirHost,
    old: Option<&PipelineDocument>,
    new: &PipelineDocument,
) -> Result<Comparison, Refused> {
    let prepared = document::prepare(new, host.allowed(), host.engine())?;
    let old_prepared = old.and_then(|old| document::prepare(old, host.allowed(), host.engine()).ok());
    let changed = differences(old.map_or("", |old| &old.toml), &new.toml);
    let way = match (old, &old_prepared) {
        (None, _) => Way::Start,
        // What is applied does not check any more: only a start can tell.
        (Some(_), None) => Way::Restart,
        (Some(_), Some(old)) => way(&changed, &old.plan, &prepared.plan),
    };
    let manifest = host.newest_decided(&new.name);
    let (states, refusals) = fates(manifest.as_ref(), old_prepared.as_ref(), &prepared);
    let mut warnings: Vec<String> = prepared.plan.advice().iter().map(ToString::to_string).collect();
    if way == Way::Swap {
        warnings.extend(sinks_that_keep(&prepared.plan));
    }
    let changes = changed.iter().map(Difference::line).collect();
    Ok(Comparison { way, changes, states, warnings, refusals })
}

/// A key whose value differs.
struct Difference {
    path: Vec<String>,
    old: Option<String>,
    new: Option<String>,
}

impl Difference {
    /// Values below `properties` and `config` may be secrets.
    fn line(&self) -> String {
        let path = self.path.join(".");
        if self.path.iter().any(|part| part == "properties" || part == "config") {
            return format!("{path}: changed");
        }
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "not set".to_owned());
        format!("{path}: {} -> {}", shown(&self.old), shown(&self.new))
    }
}

fn differences(old: &str, new: &str) -> Vec<Difference> {
    let (old, new) = (leaves(old), leaves(new));
    let paths: BTreeSet<&Vec<String>> = old.keys().chain(new.keys()).collect();
    let differs = paths.into_iter().filter(|path| old.get(*path) != new.get(*path));
    differs
        .map(|path| Difference {
            path: path.clone(),
            old: old.get(path).cloned(),
            new: new.get(path).cloned(),
        })
        .collect()
}

/// Every value that is no table, by its path.
fn leaves(text: &str) -> BTreeMap<Vec<String>, String> {
    fn walk(table: &Table, path: &mut Vec<String>, found: &mut BTreeMap<Vec<String>, String>) {
        for (key, value) in table {
            path.push(key.clone());
            match value {
                Value::Table(inner) if !inner.is_empty() => walk(inner, path, found),
                other => {
                    found.insert(path.clone(), other.to_string());
                }
            }
            path.pop();
        }
    }
    let mut found = BTreeMap::new();
    // A document was parsed before it came here.
    let table: Table = toml::from_str(text).unwrap_or_default();
    walk(&table, &mut Vec::new(), &mut found);
    found
}

fn way(changed: &[Difference], old: &Plan, new: &Plan) -> Way {
    let parts = |difference: &Difference| -> (String, String, String) {
        let part = |index: usize| difference.path.get(index).cloned().unwrap_or_default();
        (part(0), part(1), part(2))
    };
    let is = |difference: &Difference, key: &str| {
        let (section, _, found) = parts(difference);
        section == "operator" && found == key
    };
    match changed {
        [] => Way::Nothing,
        all if all.iter().all(|difference| is(difference, "limits")) => Way::Limits,
        [one] if is(one, "component") => {
            let (_, operator, _) = parts(one);
            let index = new.spec.operators.iter().position(|spec| spec.name == operator);
            // Ports, kept keys and whether there is state decide how records flow, which a swap leaves as it is.
            match index.is_some_and(|index| swap::fit(old, new, index).is_ok()) {
                true => Way::Swap,
                false => Way::Restart,
            }
        }
        _ => Way::Restart,
    }
}

/// Readers of these sinks could see records of a version that takes itself back.
fn sinks_that_keep(plan: &Plan) -> Vec<String> {
    let at_once = plan.spec.guarantee != weir_protocol::plan::Guarantee::ExactlyOnce;
    let sinks = plan.spec.sinks.iter().filter(|sink| match &sink.kind {
        SinkKind::Stdout { .. } => true,
        SinkKind::Kafka { .. } => at_once,
        SinkKind::Files { .. } | SinkKind::Blackhole => false,
    });
    sinks
        .map(|sink| {
            format!(
                "sink {}: what the new version writes in probation is seen at once and cannot be taken back",
                sink.name
            )
        })
        .collect()
}

/// Compared with the newest decided checkpoint, or with the declarations of what is applied where there is none.
fn fates(
    manifest: Option<&Manifest>,
    old: Option<&PreparedPipeline>,
    new: &PreparedPipeline,
) -> (Vec<StateFate>, Vec<String>) {
    let before: BTreeMap<String, OperatorState> = match (manifest.and_then(|m| m.keyed.as_ref()), old) {
        (Some(keyed), _) => keyed.operators.clone(),
        (None, Some(old)) => keyed_start::declared(&old.plan),
        (None, None) => BTreeMap::new(),
    };
    let running = compatibility::running(&new.plan);
    match compatibility::compare(&before, &running, &new.plan.spec.drop_operators) {
        Ok(changes) => {
            let operators = new.plan.spec.operators.iter().zip(&new.plan.shapes).zip(&changes);
            let fates = operators.flat_map(|((spec, shape), change)| of_operator(&spec.name, shape, change));
            (fates.collect(), vec![])
        }
        Err(problems) => {
            let lines = problems.iter().map(|Problem { path, message }| format!("{path}: {message}"));
            let fates = problems.iter().map(|problem| StateFate {
                operator: problem.path.split('.').nth(1).unwrap_or_default().to_owned(),
                state: problem.message.split('"').nth(1).unwrap_or_default().to_owned(),
                fate: "refused".to_owned(),
                detail: Some(problem.message.clone()),
            });
            (fates.collect(), lines.collect())
        }
    }
}

/// What becomes of the states and timers of one operator.
pub fn of_operator(operator: &str, shape: &OperatorShape, change: &StateChange) -> Vec<StateFate> {
    let fate = |state: &str, fate: &str, detail: Option<String>| StateFate {
        operator: operator.to_owned(),
        state: state.to_owned(),
        fate: fate.to_owned(),
        detail,
    };
    let declared = shape
        .states
        .iter()
        .map(|state| state.name.as_str())
        .chain(shape.timers.iter().map(|timer| timer.name.as_str()));
    let mut fates: Vec<StateFate> = declared
        .map(|name| {
            let migrated = change.migrate.iter().find(|migrate| migrate.state == name);
            match migrated {
                Some(migrate) => {
                    let detail = format!("from version {}", migrate.from_version);
                    fate(name, "migrated", Some(detail))
                }
                None if change.new.iter().any(|new| new == name) => fate(name, "new", None),
                None => fate(name, "kept", None),
            }
        })
        .collect();
    let dropped = change.drop_states.iter().chain(&change.drop_timers);
    fates.extend(dropped.map(|name| fate(name, "dropped", None)));
    fates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_told_key_by_key_and_secrets_are_not() {
        let old = "name = \"p\"\n[checkpoint]\ninterval = \"5s\"\n[kafka.main.properties]\n\"sasl.password\" = \"a\"\n";
        let new = "name = \"p\"\nparallelism = 2\n[checkpoint]\ninterval = \"1s\"\n[kafka.main.properties]\n\"sasl.password\" = \"b\"\n";
        let lines: Vec<String> = differences(old, new).iter().map(Difference::line).collect();
        assert_eq!(
            lines,
            [
                "checkpoint.interval: \"5s\" -> \"1s\"",
                "kafka.main.properties.sasl.password: changed",
                "parallelism: not set -> 2",
            ]
        );
    }

    #[test]
    fn the_same_document_in_another_order_differs_in_nothing() {
        assert!(differences("a = 1\nb = 2\n", "b = 2\na = 1\n").is_empty());
    }
}
