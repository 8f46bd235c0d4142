//! What a change of a pipeline's document would mean: what differs, how it is made, and what is in the way.

use super::fates::fates;
use super::host::WeirHost;
use super::{document, next_start};
use std::collections::{BTreeMap, BTreeSet};
use toml::{Table, Value};
use weir_control::host::{Comparison, PipelineDocument, Refused, Way};
use weir_protocol::plan::{Plan, SinkKind};
use weir_protocol::swap;

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
    let (states, mut refusals) = fates(manifest.as_ref(), old_prepared.as_ref(), &prepared);
    let mut start_refusals = Vec::new();
    if let Some(manifest) = &manifest {
        start_refusals.extend(next_start::division(manifest, &prepared.plan));
        start_refusals.extend(next_start::renamed_inputs(manifest, &prepared.plan));
        let moved = old_prepared.as_ref().map(|old| next_start::moved_sinks(&old.plan, &prepared.plan));
        refusals.extend(moved.unwrap_or_default());
    }
    let mut warnings: Vec<String> = prepared.plan.advice().iter().map(ToString::to_string).collect();
    if manifest.is_some() {
        let renamed = old_prepared.as_ref().map(|old| next_start::renamed(&old.plan, &prepared.plan));
        warnings.extend(renamed.unwrap_or_default());
    }
    if way == Way::Swap {
        warnings.extend(sinks_that_keep(&prepared.plan));
    }
    let changes = changed.iter().map(Difference::line).collect();
    Ok(Comparison { way, changes, states, warnings, refusals, start_refusals })
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
