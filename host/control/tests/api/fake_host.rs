//! A host that runs nothing: tests say what happens to its pipelines.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use weir_control::host::*;

/// What happens before a swap is refused.
type BeforeRefusal = Box<dyn Fn() + Send>;

/// What has been asked of it.
#[derive(Default)]
pub struct FakeHost {
    lives: Mutex<BTreeMap<String, Arc<Life>>>,
    pub starts: Mutex<Vec<StartPipeline>>,
    pub discarded: Mutex<Vec<String>>,
    pub resets: Mutex<Vec<ResetOffsets>>,
    /// The next starts are refused with this.
    pub refuse_start: Mutex<Option<String>>,
    /// The decision names the candidate's digests.
    pub candidate_is_decided: Mutex<bool>,
    /// Each swap migrates state, which takes 12 ms.
    pub migrates: Mutex<bool>,
    /// The host knows of no swap, whatever was asked before.
    pub forgets_swaps: Arc<Mutex<bool>>,
    /// Called in each request for a swap, which is refused then.
    pub refuse_swap: Arc<Mutex<Option<BeforeRefusal>>>,
    /// Lives begin only when a test says so.
    pub silent: Mutex<bool>,
    /// A life that is stopped begins first: its start was being decided when the stop came.
    pub begins_when_stopped: Arc<Mutex<bool>>,
    /// The feature level is the first, not the newest.
    pub is_unfinalized: Mutex<bool>,
    held: Mutex<Option<(Sender<()>, Receiver<()>)>>,
}

/// The next trial of a migration, which goes on when the test says so.
pub struct HeldTrial {
    begun: Receiver<()>,
    go_on: Sender<()>,
}

impl HeldTrial {
    pub fn has_begun(&self) {
        self.begun.recv_timeout(Duration::from_secs(20)).expect("a trial");
    }

    pub fn goes_on(self) {
        self.go_on.send(()).unwrap();
    }
}

/// A pipeline that pretends to run.
pub struct Life {
    name: String,
    listener: Arc<dyn Listener>,
    forgets_swaps: Arc<Mutex<bool>>,
    refuse_swap: Arc<Mutex<Option<BeforeRefusal>>>,
    begins_when_stopped: Arc<Mutex<bool>>,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    swaps: Vec<SwapAsked>,
    limits: usize,
}

impl FakeHost {
    pub fn life(&self, pipeline: &str) -> Arc<Life> {
        self.lives.lock().unwrap().get(pipeline).expect("it was started").clone()
    }

    pub fn hold_trial(&self) -> HeldTrial {
        let ((begins, begun), (go_on, goes_on)) = (channel(), channel());
        *self.held.lock().unwrap() = Some((begins, goes_on));
        HeldTrial { begun, go_on }
    }

    pub fn tell(&self, pipeline: &str, event: PipelineEvent) {
        self.life(pipeline).tell(event);
    }

    pub fn tell_swap(&self, pipeline: &str, event: SwapEvent) {
        self.tell(pipeline, PipelineEvent::Swap(event));
    }
}

impl Life {
    pub fn tell(&self, event: PipelineEvent) {
        self.listener.happened(&self.name, event);
    }

    pub fn swaps(&self) -> Vec<SwapAsked> {
        self.asked.lock().unwrap().swaps.clone()
    }

    pub fn limits_set(&self) -> usize {
        self.asked.lock().unwrap().limits
    }
}

pub fn running(candidate: bool) -> PipelineEvent {
    PipelineEvent::Running { incarnation: "i1".to_owned(), epoch: 7, operators: BTreeMap::new(), candidate }
}

/// A life in which this digest runs, and which was given no candidate.
pub fn running_with(operator: &str, sha256: &str) -> PipelineEvent {
    let operators = [(operator.to_owned(), sha256.to_owned())].into();
    PipelineEvent::Running { incarnation: "i2".to_owned(), epoch: 9, operators, candidate: false }
}

fn refused(reason: Reason, message: &str) -> Refused {
    Refused { reason, message: message.to_owned(), hint: None, problems: Vec::new() }
}

fn savepoint(name: &str) -> SavepointInfo {
    SavepointInfo {
        name: name.to_owned(),
        checkpoint: "7-i1".to_owned(),
        created: "2026-01-31T12:00:00Z".to_owned(),
        bytes: 1,
    }
}

struct Handle(Arc<Life>);

impl RunningPipeline for Handle {
    fn stop(&self) {
        if *self.0.begins_when_stopped.lock().unwrap() {
            self.0.listener.happened(&self.0.name, running(false));
        }
        self.0.listener.happened(&self.0.name, PipelineEvent::Ended(Ending::Stopped));
    }

    fn status(&self) -> RunningStatus {
        RunningStatus { records_in: 5, ..RunningStatus::default() }
    }

    fn swap(&self, asked: &SwapAsked) -> Result<(), Refused> {
        if asked.probation_time.is_some_and(|time| time > Duration::from_secs(30)) {
            return Err(refused(Reason::NotASwap, "longer than half of the transaction timeout"));
        }
        if let Some(meanwhile) = &*self.0.refuse_swap.lock().unwrap() {
            meanwhile();
            return Err(refused(Reason::Conflict, "the pipeline has ended"));
        }
        self.0.asked.lock().unwrap().swaps.push(asked.clone());
        Ok(())
    }

    fn cancel_swap(&self) -> Result<(), Refused> {
        if *self.0.forgets_swaps.lock().unwrap() {
            return Err(refused(Reason::NotFound, "no swap is in progress"));
        }
        let event = SwapEvent::Abandoned { reason: "cancelled".to_owned() };
        self.0.listener.happened(&self.0.name, PipelineEvent::Swap(event));
        Ok(())
    }

    fn set_limits(&self, _: &PipelineDocument) -> Result<(), Refused> {
        self.0.asked.lock().unwrap().limits += 1;
        Ok(())
    }
}

/// The lines that say something else than which version and which limits.
fn rest(document: &PipelineDocument, without_limits: bool) -> Vec<String> {
    let ours = |line: &&str| {
        !(line.starts_with("component")
            || line.starts_with('#')
            || without_limits && line.starts_with("limits"))
    };
    document.toml.lines().filter(ours).map(str::to_owned).collect()
}

impl Host for FakeHost {
    fn inspect(&self, component: &Path) -> Result<Inspected, Refused> {
        let bytes = std::fs::read(component).unwrap();
        match bytes.as_slice() {
            bytes if bytes.starts_with(b"bad") => Err(refused(Reason::InvalidComponent, "no component")),
            bytes if bytes.starts_with(b"huge") => Err(refused(Reason::LimitExceeded, "too slow")),
            bytes if bytes.starts_with(b"panic") => panic!("the inspection panics"),
            _ => Ok(Inspected {
                sha256: String::new(),
                size: 0,
                world: "processor@0.1.0".to_owned(),
                imports: vec!["weir:operator/state".to_owned()],
                describe: serde_json::json!({ "states": [] }),
            }),
        }
    }

    fn test(&self, component: &Path, asked: &OperatorTest) -> Result<OperatorTested, Refused> {
        assert!(component.is_file());
        Ok(OperatorTested {
            output: asked.input.clone(),
            rejections: Vec::new(),
            logs: Vec::new(),
            cpu_us: 1,
            memory_bytes: 1,
        })
    }

    fn check(&self, document: &PipelineDocument) -> Result<(), Refused> {
        assert!(document.components.values().all(|file| file.path.is_file()));
        match document.toml.contains("wrong") {
            true => Err(Refused {
                problems: vec!["wrong: no such key".to_owned(), "source: expected".to_owned()],
                ..refused(Reason::InvalidPipeline, "2 problems")
            }),
            false => Ok(()),
        }
    }

    fn explain(&self, document: &PipelineDocument) -> Result<serde_json::Value, Refused> {
        self.check(document)?;
        Ok(serde_json::json!({ "pipeline": document.name }))
    }

    fn look(&self, _: &PipelineDocument) -> Result<Vec<OnlineCheck>, Refused> {
        let message = "a broker answers".to_owned();
        Ok(vec![OnlineCheck { check: "brokers".to_owned(), outcome: CheckOutcome::Ok, message }])
    }

    fn schema(&self) -> serde_json::Value {
        serde_json::json!({ "type": "object" })
    }

    fn compare(&self, old: Option<&PipelineDocument>, new: &PipelineDocument) -> Result<Comparison, Refused> {
        let digests =
            |of: &PipelineDocument| of.components.values().map(|f| f.sha256.clone()).collect::<Vec<_>>();
        let way = match old {
            None => Way::Start,
            Some(old) if digests(old) == digests(new) && rest(old, false) == rest(new, false) => Way::Nothing,
            Some(old) if rest(old, false) == rest(new, false) => Way::Swap,
            Some(old) if digests(old) == digests(new) && rest(old, true) == rest(new, true) => Way::Limits,
            Some(_) => Way::Restart,
        };
        let start_refusals = match new.toml.contains("co_partitioned") {
            true => vec!["co_partitioned: written without it".to_owned()],
            false => Vec::new(),
        };
        let refusals = match new.toml.contains("max_parallelism") {
            true => vec!["max_parallelism is fixed".to_owned()],
            false => Vec::new(),
        };
        let migrated = StateFate {
            operator: "total".to_owned(),
            state: "total".to_owned(),
            fate: "migrated".to_owned(),
            detail: None,
        };
        let states = self.migrates.lock().unwrap().then_some(migrated).into_iter().collect();
        Ok(Comparison { way, changes: Vec::new(), states, warnings: Vec::new(), refusals, start_refusals })
    }

    fn letters(&self, document: &PipelineDocument, asked: &LettersAsked) -> Result<LettersFound, Refused> {
        match document.toml.contains("dead_letter") {
            true => Ok(LettersFound {
                items: vec![serde_json::json!({ "operators": asked.selected.operators }); asked.limit.min(2)],
                replayable: 2,
                staying: 0,
                complete: asked.read_max.is_none(),
                matching: 2,
                by_kind: vec![],
                by_reason: vec![],
                passed_over: 0,
            }),
            false => Err(refused(Reason::InvalidPipeline, "there are no dead letters")),
        }
    }

    fn start(
        &self,
        start: StartPipeline,
        listener: Arc<dyn Listener>,
    ) -> Result<Box<dyn RunningPipeline>, Refused> {
        if let Some(message) = self.refuse_start.lock().unwrap().clone() {
            return Err(refused(Reason::Unavailable, &message));
        }
        let name = start.document.name.clone();
        let candidate = start.candidate.is_some() && *self.candidate_is_decided.lock().unwrap();
        self.starts.lock().unwrap().push(start);
        let life = Arc::new(Life {
            name: name.clone(),
            listener: listener.clone(),
            forgets_swaps: self.forgets_swaps.clone(),
            refuse_swap: self.refuse_swap.clone(),
            begins_when_stopped: self.begins_when_stopped.clone(),
            asked: Mutex::default(),
        });
        self.lives.lock().unwrap().insert(name.clone(), life.clone());
        if !*self.silent.lock().unwrap() {
            listener.happened(&name, running(candidate));
        }
        Ok(Box::new(Handle(life)))
    }

    fn dry_run(&self, _: &SwapAsked) -> Result<DryRun, Refused> {
        let held = self.held.lock().unwrap().take();
        if let Some((begins, goes_on)) = held {
            begins.send(()).unwrap();
            // A test that has failed lets it go on too.
            let _ = goes_on.recv();
        }
        Ok(DryRun { states: Vec::new(), migrated_entries: 3, samples: Vec::new(), pause_ms: 12 })
    }

    fn checkpoints(&self, _: &str) -> Result<Vec<CheckpointInfo>, Refused> {
        Ok(Vec::new())
    }

    fn savepoints(&self, _: &str) -> Result<Vec<SavepointInfo>, Refused> {
        Ok(vec![savepoint("before-3"), savepoint("before")])
    }

    fn create_savepoint(&self, _: &str, name: Option<&str>) -> Result<SavepointInfo, Refused> {
        Ok(savepoint(name.unwrap_or("made-up")))
    }

    fn delete_savepoint(&self, _: &str, name: &str) -> Result<(), Refused> {
        match name {
            "gone" => Err(refused(Reason::NotFound, "there is no savepoint gone")),
            _ => Ok(()),
        }
    }

    fn export_savepoint(&self, _: &str, _: &str, to: &Path) -> Result<(), Refused> {
        std::fs::write(to, b"a tar file").map_err(|error| refused(Reason::Unavailable, &error.to_string()))
    }

    fn offsets(&self, document: &PipelineDocument) -> Result<PipelineOffsets, Refused> {
        let partition = PartitionOffset {
            source: "in".to_owned(),
            topic: document.name.clone(),
            partition: 0,
            offset: Some(7),
            leader_epoch: None,
            end: Some(9),
            lag: Some(2),
            committed_by: Some("checkpoint 7-i1".to_owned()),
        };
        let decided = Some("7-i1".to_owned());
        Ok(PipelineOffsets {
            decided,
            manifest: None,
            group: None,
            refused: None,
            partitions: vec![partition],
        })
    }

    fn reset_offsets(&self, _: &PipelineDocument, asked: &ResetOffsets) -> Result<OffsetsReset, Refused> {
        if asked.to == OffsetsTarget::Snapshot {
            return Err(refused(Reason::Conflict, "no checkpoint is known"));
        }
        self.resets.lock().unwrap().push(asked.clone());
        let decided = (!asked.dry_run).then(|| "8-i2".to_owned());
        let (moves, notes) = (Vec::new(), Vec::new());
        Ok(OffsetsReset { dry_run: asked.dry_run, moves, notes, needs: None, decided, group: None })
    }

    fn discard(&self, pipeline: &str) -> Result<(), Refused> {
        self.discarded.lock().unwrap().push(pipeline.to_owned());
        Ok(())
    }

    fn empty_trash(&self, _: Duration) -> Result<(), Refused> {
        Ok(())
    }

    fn upgrade(&self) -> UpgradeStatus {
        let level = if *self.is_unfinalized.lock().unwrap() { 1 } else { 2 };
        UpgradeStatus {
            weir: "0.2.0".to_owned(),
            level,
            oldest_level: 1,
            newest_level: 2,
            finalized: level == 2,
            readable_by: format!("0.{level}.0"),
            formats: [("control".to_owned(), level)].into(),
            control_known: 2,
        }
    }

    fn finalize_upgrade(&self) -> Result<(), Refused> {
        *self.is_unfinalized.lock().unwrap() = false;
        Ok(())
    }
}
