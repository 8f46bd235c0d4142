//! What the next start would refuse of a changed document, told before it is applied: the rules are the runtime's and
//! the connectors', the facts those of the newest decided checkpoint.

use std::path::Path;
use weir_local::files_source::{FilesSource, FilesSourceOptions};
use weir_protocol::connector::Source;
use weir_protocol::manifest::{Manifest, SourcePosition};
use weir_protocol::plan::{Plan, SinkKind, SinkSpec, SourceKind, SourceSpec};
use weir_protocol::position::Partition;
use weir_runtime::keyed_start;

/// Files sinks that would look for decided output where it is not.
pub fn moved_sinks(old: &Plan, new: &Plan) -> Vec<String> {
    let directory = |plan: &Plan, name: &str| {
        plan.spec.sinks.iter().find(|sink| sink.name == name).and_then(|sink| match &sink.kind {
            SinkKind::Files { directory, .. } => Some(directory.clone()),
            _ => None,
        })
    };
    let names = new.spec.sinks.iter().map(|sink| sink.name.as_str());
    let moved = names.filter_map(|name| {
        let (was, is) = (directory(old, name)?, directory(new, name)?);
        (Path::new(&was) != Path::new(&is)).then(|| {
            format!(
                "sink.{name}.directory: what this sink has decided is in {was}, and a start would look for it in {is}; keep the directory, or give the sink another name with the new one"
            )
        })
    });
    moved.collect()
}

/// Sources and sinks that are called otherwise and are otherwise as they were: nothing that is known of them counts for
/// the new name.
pub fn renamed(old: &Plan, new: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for is in &new.spec.sources {
        let same = |was: &&SourceSpec| was.kind == is.kind;
        let is_new = !old.spec.sources.iter().any(|was| was.name == is.name);
        let gone = |was: &&SourceSpec| !new.spec.sources.iter().any(|is| is.name == was.name);
        if let Some(was) = old.spec.sources.iter().filter(same).find(gone).filter(|_| is_new) {
            lines.push(format!(
                "source.{}: it was {} before, and a source that is renamed begins anew: its positions belong to {}, and a start from the offsets of a consumer group is refused; keep the name to go on",
                is.name, was.name, was.name
            ));
        }
    }
    for is in &new.spec.sinks {
        let same = |was: &&SinkSpec| was.kind == is.kind;
        let is_new = !old.spec.sinks.iter().any(|was| was.name == is.name);
        let gone = |was: &&SinkSpec| !new.spec.sinks.iter().any(|is| is.name == was.name);
        if let Some(was) = old.spec.sinks.iter().filter(same).find(gone).filter(|_| is_new) {
            lines.push(format!(
                "sink.{}: it was {} before, and under its new name it begins anew: what {} has decided and not published yet is not known to it; keep the name to go on",
                is.name, was.name, was.name
            ));
        }
    }
    lines
}

/// Key groups of the state that the document divides otherwise.
pub fn division(manifest: &Manifest, new: &Plan) -> Option<String> {
    let keyed = manifest.keyed.as_ref()?;
    let problem = keyed_start::division_fits(new, keyed.groups).err()?;
    Some(format!(
        "{problem}. On this server: make the savepoint, stop the pipeline, apply, and start it with from_savepoint"
    ))
}

/// Sources whose positions are not found by what they are called now, where this host holds the decision.
pub fn renamed_inputs(manifest: &Manifest, new: &Plan) -> Vec<String> {
    let positions = &manifest.positions;
    if positions.is_empty() || !is_decided_here(new) {
        return Vec::new();
    }
    let sources = new.spec.sources.iter();
    let inputs: Vec<(&SourceSpec, Option<Vec<Partition>>)> =
        sources.map(|source| (source, partitions(source))).collect();
    let is_known = |partition: &Partition| positions.iter().any(|old| old.partition == *partition);
    // What Kafka has is seen by a start only.
    let anything = inputs.iter().any(|(_, found)| found.as_ref().is_none_or(|all| all.iter().any(is_known)));
    if !anything {
        return none_known(positions, &inputs);
    }
    let listed = inputs.iter().filter_map(|(source, found)| Some((*source, found.as_ref()?)));
    listed.flat_map(|(source, found)| misplaced(positions, &source.name, found)).collect()
}

/// The rule of the connectors: a Kafka sink's cluster decides, else that of the sources if all are of Kafka.
fn is_decided_here(plan: &Plan) -> bool {
    let sink = plan.spec.sinks.iter().any(|sink| matches!(sink.kind, SinkKind::Kafka { .. }));
    let all = plan.spec.sources.iter().all(|source| matches!(source.kind, SourceKind::Kafka { .. }));
    !sink && !all
}

/// What a start would find of a source; none where only a start can tell.
fn partitions(source: &SourceSpec) -> Option<Vec<Partition>> {
    let name = source.name.clone();
    match source.kind.clone() {
        SourceKind::Kafka { .. } | SourceKind::DeadLetters { .. } => None,
        SourceKind::Generator { partitions, .. } => {
            Some((0..partitions).map(|number| Partition::new(name.as_str(), number as i32)).collect())
        }
        SourceKind::Files { paths, format } => {
            FilesSource::new(FilesSourceOptions { name, paths, format, may_be_empty: false })
                .partitions()
                .ok()
        }
    }
}

fn none_known(positions: &[SourcePosition], inputs: &[(&SourceSpec, Option<Vec<Partition>>)]) -> Vec<String> {
    let mut known: Vec<String> =
        positions.iter().map(|old| format!("{} of source {}", old.partition, old.source)).collect();
    known.dedup();
    let lines = inputs.iter().map(|(source, _)| {
        format!(
            "source.{}: the newest checkpoint knows none of the inputs that the pipeline would read, but {}; under another name a source begins anew; keep the source's name and its inputs, or make another pipeline",
            source.name,
            known.join(", ")
        )
    });
    lines.collect()
}

/// Inputs whose position stands under another source's name, and those that the source has no more.
fn misplaced(positions: &[SourcePosition], source: &str, found: &[Partition]) -> Vec<String> {
    let mut lines = Vec::new();
    for partition in found {
        let mut of = positions.iter().filter(|old| old.partition == *partition).peekable();
        let before = of.peek().map(|old| old.source.clone());
        if let Some(before) = before
            && !of.any(|old| old.source == source)
        {
            lines.push(format!(
                "source.{source}: the newest checkpoint has the position of {partition} under the name {before}, and under another one it would begin anew; call the source {before} again"
            ));
        }
    }
    for old in positions.iter().filter(|old| old.source == source) {
        let is_read = found.iter().any(|partition| partition.topic == old.partition.topic);
        if is_read && !found.contains(&old.partition) {
            lines.push(format!(
                "source.{source}: {} of the newest checkpoint would be read no more; bring it back",
                old.partition
            ));
        }
    }
    lines
}
