//! The checkpoint that is being made: its manifest, its decision, and what follows from that.

use super::Coordinator;
use crate::keyed_start;
use crate::meters::{LastCheckpoint, OperatorMeters};
use crate::recovery::{decision_offsets, handles_of, manifest_of};
use std::collections::BTreeMap;
use weir_protocol::checkpoint::Event;
use weir_protocol::connector::ConnectorError;
use weir_protocol::decision::{Decision, DecisionRecord};
use weir_protocol::epoch::Epoch;
use weir_protocol::kill_point::reached;
use weir_protocol::manifest::{KeyedStates, Manifest, ManifestHash, PreparedHandle, SourcePosition};
use weir_protocol::position::{Partition, Positions};
use weir_protocol::watermark;

impl Coordinator<'_> {
    /// Stores the manifest of all that the subtasks have handed over.
    pub(super) fn snapshot(&mut self, epoch: Epoch) -> Event {
        if let Some(failure) = self.state.failure.take() {
            self.options.meters.checkpoint.failed.add(1);
            return Event::SnapshotFailed(failure);
        }
        let sources = self.options.version.plan.spec.sources.len();
        let mut positions = vec![Positions::new(); sources];
        let mut prepared: Vec<PreparedHandle> = Vec::new();
        let mut now_ms = self.options.recovered.now_ms;
        for snapshot in &self.snapshots {
            for (all, own) in positions.iter_mut().zip(&snapshot.positions) {
                all.extend(own.clone());
            }
            prepared.extend(snapshot.prepared.iter().cloned());
            now_ms = now_ms.max(snapshot.now_ms);
        }
        for (source, start) in &self.pending {
            positions[*source].extend(start.clone());
        }
        self.pending_in_manifest = !self.pending.is_empty();
        prepared.extend(self.options.recovered.unpublished.iter().cloned());
        prepared.sort();
        let id = self.id(epoch);
        let (plan, operators) = (&self.options.version.plan, &self.options.version.digests());
        let mut manifest =
            manifest_of(plan, operators, id, Some(self.parent.clone()), &positions, prepared, now_ms);
        manifest.started_from = self.options.recovered.started_from.clone();
        manifest.savepoint = self.options.recovered.savepoint.clone();
        manifest.positions.extend(self.options.recovered.parked.iter().cloned());
        manifest.watermarks = self.snapshots.iter().flat_map(|s| s.watermarks.iter().cloned()).collect();
        manifest.watermarks.sort_by(|a, b| (&a.source, &a.partition).cmp(&(&b.source, &b.partition)));
        manifest.operator_watermarks = self.operator_watermarks();
        manifest.finished = self.last && !self.stopped && self.options.drains && plan.is_keyed();
        manifest.keyed = self.options.recovered.keyed.as_ref().filter(|_| plan.is_keyed()).map(|keyed| {
            let mut parts = self.state.parts.clone();
            parts.sort_by(|a, b| (&a.operator, a.subtask).cmp(&(&b.operator, b.subtask)));
            KeyedStates { groups: keyed.groups, operators: keyed_start::declared(plan), parts }
        });
        match self.store.store(&manifest) {
            Ok(hash) => {
                self.state.parts.clear();
                self.reopen(&manifest);
                self.made = Some((manifest, hash));
                self.measure_write();
                Event::Durable
            }
            Err(error) => {
                tracing::warn!(%epoch, "the checkpoint cannot be stored: {error}");
                self.options.meters.checkpoint.failed.add(1);
                Event::SnapshotFailed(error.to_string())
            }
        }
    }

    /// The lowest of an operator's subtasks. Before the first watermark there is none; the end of event time is not kept,
    /// for a pipeline that is started again after a drain has more to come.
    fn operator_watermarks(&self) -> BTreeMap<String, i64> {
        let mut lowest: BTreeMap<String, i64> = BTreeMap::new();
        for (operator, ms) in self.snapshots.iter().flat_map(|snapshot| &snapshot.operator_watermarks) {
            let name = &self.options.version.plan.spec.operators[*operator].name;
            let known = lowest.entry(name.clone()).or_insert(*ms);
            *known = (*known).min(*ms);
        }
        lowest.retain(|_, ms| *ms != watermark::NONE_MS && *ms != watermark::END_MS);
        lowest
    }

    fn made(&self) -> &(Manifest, ManifestHash) {
        self.made.as_ref().expect("C3: the rule decides and publishes only what is durable")
    }

    fn record(&self) -> DecisionRecord {
        let (manifest, hash) = self.made();
        DecisionRecord { owner: self.options.owner.clone(), id: manifest.id.clone(), manifest: hash.clone() }
    }

    pub(super) fn decide(&mut self, epoch: Epoch) -> Result<(), ConnectorError> {
        let manifest = &self.made().0;
        let mut positions = vec![Positions::new()];
        let plan = &self.options.version.plan;
        // What is kept for a topic that left stands in the manifest only: the topic itself may be gone.
        let is_read = |old: &&SourcePosition| plan.reads(&old.source, &old.partition);
        for old in manifest.positions.iter().filter(|old| plan.decides(&old.source)).filter(is_read) {
            positions[0].insert(old.partition.clone(), old.position);
        }
        let all: Vec<Partition> = positions[0].keys().cloned().collect();
        let covered = self.connected.decisions.covered(&all);
        let offsets = decision_offsets(self.connected.decisions.as_ref(), &covered, &positions, epoch);
        self.connected.decisions.decide(&Decision { record: self.record(), offsets })
    }

    /// After the decision, in any order and idempotently: nothing here can change what is true.
    pub(super) fn publish(&mut self, epoch: Epoch) -> Result<(), ConnectorError> {
        let disk =
            |error: std::io::Error| ConnectorError::transient(format!("the decided checkpoint: {error}"));
        self.store.write_hint(&self.record()).map_err(disk)?;
        reached("after_hint");
        let prepared = self.made().0.prepared.clone();
        for (spec, sink) in self.options.version.plan.spec.sinks.iter().zip(&mut self.connected.sinks) {
            let handles = handles_of(&spec.name, &prepared);
            if !handles.is_empty() {
                sink.commit(&handles)?;
            }
        }
        reached("after_side_commit");
        let id = self.made().0.id.clone();
        self.store.delete_old(&id).map_err(disk)?;
        reached("after_cleanup");
        self.connected.states.decided(self.made().0.now_ms);
        self.connected.decisions.retire(epoch)?;
        self.parent = id;
        let took = self.options.clock.monotonic() - self.barrier_at;
        self.options.meters.decided(LastCheckpoint { epoch: epoch.0, took }, self.records_at_barrier);
        self.options.meters.checkpoint.completed(took);
        if tracing::enabled!(tracing::Level::DEBUG) {
            let operators = self.options.meters.operators.iter();
            let longest_gap_us = operators.map(OperatorMeters::take_longest_gap_us).max().unwrap_or(0);
            let pipeline = &self.options.version.plan.spec.name;
            tracing::debug!(
                pipeline,
                epoch = epoch.0,
                took_ms = took.as_millis() as u64,
                longest_gap_us,
                "decided"
            );
        }
        if std::mem::take(&mut self.pending_in_manifest) {
            self.hand_out_pending();
        }
        Ok(())
    }
}
