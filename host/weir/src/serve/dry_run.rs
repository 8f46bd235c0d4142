//! A swap's migration, tried on a copy of the newest decided checkpoint: what becomes of the state, and the pause to
//! expect.

use super::document;
use super::fates::of_operator;
use super::host::WeirHost;
use super::on_disk::refused;
use super::scratch::Scratch;
use crate::state_lines;
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use weir_control::host::{DryRun, Reason, Refused, SwapAsked};
use weir_protocol::compatibility::{self, StateChange};
use weir_protocol::epoch::Epoch;
use weir_protocol::manifest::KeyedStates;
use weir_protocol::state::{OpenState, OperatorShape, StateBackend, StateDeclaration, StatePart};
use weir_runtime::connect::OperatorFactory;
use weir_state::backend::RocksBackend;
use weir_state::inspect::PartReader;

/// Memory of the state that is tried.
const CACHE_BYTES: usize = 32 << 20;
/// Entries that are shown before and after, per migrated state.
const SAMPLES_MAX: usize = 3;

/// What the copies were found to be.
#[derive(Default)]
struct Tried {
    migrated_entries: u64,
    samples: Vec<Value>,
    longest: Duration,
}

/// Tries it. Nothing of the running pipeline is touched.
pub fn dry_run(host: &WeirHost, asked: &SwapAsked) -> Result<DryRun, Refused> {
    let prepared = document::prepare(&asked.document, host.allowed(), host.engine())?;
    let found = prepared.plan.spec.operators.iter().position(|spec| spec.name == asked.operator);
    let Some(index) = found else {
        return Err(conflict(format!("the pipeline has no operator {:?}", asked.operator)));
    };
    let shape = &prepared.plan.shapes[index];
    let scratch = Scratch::in_pipeline(&host.directory(&asked.document.name))
        .map_err(|error| conflict(format!("no place for the trial: {error}")))?;
    let pinned = scratch.path().join("checkpoint");
    let Some(manifest) = host.pin_newest(&asked.document.name, &asked.operator, &pinned)? else {
        return Err(conflict("no checkpoint is decided yet: start the pipeline first".to_owned()));
    };
    let nothing = of_operator(&asked.operator, shape, &StateChange::default());
    let Some(keyed) = &manifest.keyed else {
        return Ok(DryRun { states: nothing, migrated_entries: 0, samples: vec![], pause_ms: 0 });
    };
    let running = compatibility::running(&prepared.plan);
    let changes = compatibility::compare(&keyed.operators, &running, &prepared.plan.spec.drop_operators)
        .map_err(|problems| Refused {
            reason: Reason::StateIncompatible,
            message: format!("the state of operator {} cannot go with this version", asked.operator),
            hint: None,
            problems: problems
                .iter()
                .map(|problem| format!("{}: {}", problem.path, problem.message))
                .collect(),
        })?;
    let change = &changes[index];
    let states = of_operator(&asked.operator, shape, change);
    let mut tried = Tried::default();
    if !change.migrate.is_empty() {
        let limits = &prepared.plan.spec.operators[index].limits;
        let trial = Trial { host, asked, shape, change, pinned: &pinned, scratch: scratch.path(), keyed };
        for part in keyed.parts.iter().filter(|part| part.operator == asked.operator) {
            trial.part(part, prepared.operators[index].as_ref(), limits, &mut tried)?;
        }
    }
    let Tried { migrated_entries, samples, longest } = tried;
    Ok(DryRun { states, migrated_entries, samples, pause_ms: longest.as_millis() as u64 })
}

struct Trial<'a> {
    host: &'a WeirHost,
    asked: &'a SwapAsked,
    shape: &'a OperatorShape,
    change: &'a StateChange,
    /// The state of the operator, linked.
    pinned: &'a Path,
    scratch: &'a Path,
    keyed: &'a KeyedStates,
}

impl Trial<'_> {
    /// Migrates a copy of one subtask's part. Subtasks migrate at the same time, so the slowest is the pause.
    fn part(
        &self,
        part: &StatePart,
        operator: &dyn OperatorFactory,
        limits: &weir_protocol::plan::OperatorLimits,
        tried: &mut Tried,
    ) -> Result<(), Refused> {
        let directory = self.pinned.join(part.directory());
        let scratch = self.scratch.join(part.subtask.to_string());
        let before = self.samples(&directory, part, &scratch.join("before"), &self.declared_before())?;
        let backend = RocksBackend::within(self.host.memory(), CACHE_BYTES);
        let (live, restore) = (scratch.join("live"), [(directory, part.clone())]);
        let open = OpenState {
            operator: &self.asked.operator,
            subtask: part.subtask,
            shape: self.shape,
            drop_states: &self.change.drop_states,
            drop_timers: &self.change.drop_timers,
            migrate: &self.change.migrate,
            groups: self.keyed.groups,
            restored_groups: self.keyed.groups,
            ordinals: part.ordinals(),
            live: &live,
            restore: &restore,
            page_bytes_max: limits.state_page_bytes_max,
            writes_bytes_max: limits.state_writes_bytes,
            reads_bytes_max: limits.state_reads_bytes,
        };
        let mut migrator = operator.migrator().map_err(refused)?;
        let migrator = migrator.as_mut().map(|migrator| migrator.as_mut() as _);
        let begun = Instant::now();
        let (mut state, restored) = backend.open(&open, migrator).map_err(refused)?;
        tried.longest = tried.longest.max(begun.elapsed());
        tried.migrated_entries += restored.migrated_entries;
        let copy = scratch.join("after");
        let persisted =
            state.freeze(Epoch::FIRST).and_then(|mut frozen| frozen.persist(&copy)).map_err(refused)?;
        let written = StatePart { files: persisted.files, ..part.clone() };
        let after = self.samples(&copy, &written, &scratch.join("look"), &self.declared_after())?;
        for (name, (before, after)) in before.into_iter().zip(after).map(|(b, a)| (b.0, (b.1, a.1))) {
            if tried.samples.len() < SAMPLES_MAX * self.change.migrate.len() {
                tried.samples.push(json!({"state": name, "before": before, "after": after}));
            }
        }
        // The room of a copy is needed once. What stays goes with the trial.
        drop(state);
        let _ = std::fs::remove_dir_all(&scratch);
        Ok(())
    }

    fn migrated(&self, name: &str) -> bool {
        self.change.migrate.iter().any(|migrate| migrate.state == name)
    }

    fn declared_before(&self) -> Vec<StateDeclaration> {
        let declared = self.keyed.operators.get(&self.asked.operator);
        let states = declared.map(|declared| declared.states.clone()).unwrap_or_default();
        states.into_iter().filter(|state| self.migrated(&state.name)).collect()
    }

    /// In the order of the old declarations, so that both lists go together.
    fn declared_after(&self) -> Vec<StateDeclaration> {
        let find = |before: &StateDeclaration| {
            self.shape.states.iter().find(|state| state.name == before.name).cloned()
        };
        self.declared_before().iter().filter_map(find).collect()
    }

    /// The first entries of each state.
    fn samples(
        &self,
        directory: &Path,
        part: &StatePart,
        scratch: &Path,
        states: &[StateDeclaration],
    ) -> Result<Vec<(String, Vec<Value>)>, Refused> {
        let reader = PartReader::open(directory, part, scratch).map_err(refused)?;
        let mut all = Vec::new();
        for state in states {
            let mut found = Vec::new();
            reader
                .entries(state, None, &mut |entry| {
                    let line = state_lines::entry(&self.asked.operator, state, &entry);
                    found.push(serde_json::from_str(&line).unwrap_or(Value::String(line)));
                    found.len() < SAMPLES_MAX
                })
                .map_err(refused)?;
            all.push((state.name.clone(), found));
        }
        Ok(all)
    }
}

fn conflict(message: String) -> Refused {
    Refused { reason: Reason::Conflict, message, hint: None, problems: vec![] }
}
