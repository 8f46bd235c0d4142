//! Work beside the stream ends with the incarnation that asked for it.

use super::*;
use crate::clock::ManualClock;
use crate::persist::{FrozenPart, Persisted};
use crate::verification::Verification;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use weir_protocol::epoch::Epoch;
use weir_protocol::state::*;

/// Counts what is done, and ends the incarnation when it has been asked for so much.
#[derive(Clone)]
struct Counted {
    done: Arc<AtomicUsize>,
    ends_after: usize,
    ended: Arc<AtomicBool>,
}

impl Counted {
    fn new(ends_after: usize) -> Counted {
        Counted { done: Arc::default(), ends_after, ended: Arc::default() }
    }

    fn one(&self) {
        if self.done.fetch_add(1, Ordering::SeqCst) + 1 == self.ends_after {
            self.ended.store(true, Ordering::SeqCst);
        }
    }

    fn done(&self) -> usize {
        self.done.load(Ordering::SeqCst)
    }

    /// A checkpoint of two parts of three files, to verify.
    fn verification(&self) -> Verification {
        let file = |name: &str| StateFile { name: name.to_owned(), size: 1, checksum: String::new() };
        let part = |subtask| StatePart {
            operator: "count".to_owned(),
            subtask,
            ordinal_start: 0,
            ordinal_end: 1,
            next_list_position: 0,
            files: ["a", "b", "c"].map(file).to_vec(),
        };
        Verification {
            backend: Arc::new(self.clone()),
            checkpoint: "checkpoint".into(),
            parts: vec![part(0), part(1)],
            ended: self.ended.clone(),
            clock: Arc::new(ManualClock::default()),
        }
    }
}

impl FrozenState for Counted {
    fn persist(&mut self, _: &Path) -> Result<PersistedState, ConnectorError> {
        self.one();
        Ok(PersistedState::default())
    }
}

impl StateBackend for Counted {
    fn open(
        &self,
        _: &OpenState<'_>,
        _: Option<&mut dyn Migrator>,
    ) -> Result<(Box<dyn KeyedState>, Restored), ConnectorError> {
        unreachable!("nothing is opened here")
    }

    fn decided(&self, _: i64) {}

    fn check_quickly(&self, _: &Path, _: &StatePart) -> Result<(), String> {
        unreachable!("this was done before")
    }

    fn check_wholly(&self, directory: &Path, part: &StatePart) -> Result<(), String> {
        self.one();
        let damaged = directory.ends_with("count/1") && part.files[0].name == "b";
        if damaged { Err("count/1/b is damaged".to_owned()) } else { Ok(()) }
    }
}

#[test]
fn jobs_that_are_queued_when_the_incarnation_ends_are_not_done() {
    let counted = Counted::new(2);
    let directory = tempfile::tempdir().unwrap();
    let (to, queue) = unbounded();
    let (reports_to, reports) = unbounded();
    for subtask in 0..5 {
        let frozen = Box::new(counted.clone());
        let part = FrozenPart { operator: "count".to_owned(), subtask, ordinals: 0..1, frozen };
        to.send(Job::Persist { epoch: Epoch(1), part, checkpoint: directory.path().to_owned() }).unwrap();
    }
    work(&queue, &reports_to, &counted.ended);
    assert_eq!(counted.done(), 2);
    let told = |report: &Report| matches!(report, Report::Persisted { result: Persisted::Done(..), .. });
    assert_eq!(reports.try_iter().filter(told).count(), 2);
}

#[test]
fn verifying_reads_file_by_file_and_names_the_damage() {
    let counted = Counted::new(usize::MAX);
    assert_eq!(counted.verification().run(), Some("count/1/b is damaged".to_owned()));
    assert_eq!(counted.done(), 5);
}

#[test]
fn verifying_is_given_up_when_the_incarnation_ends() {
    let counted = Counted::new(2);
    assert_eq!(counted.verification().run(), None);
    assert_eq!(counted.done(), 2);
}

/// Is written until the test opens the gate.
struct Gated(crossbeam_channel::Receiver<()>);

impl FrozenState for Gated {
    fn persist(&mut self, _: &Path) -> Result<PersistedState, ConnectorError> {
        let _ = self.0.recv();
        Ok(PersistedState::default())
    }
}

#[test]
fn an_incarnation_is_not_over_before_the_work_beside_its_stream_is() {
    let directory = tempfile::tempdir().unwrap();
    let ((open, gate), (reports_to, reports)) = (crossbeam_channel::bounded(0), unbounded());
    let (alive, all_gone) = bounded::<()>(0);
    let ended = Arc::new(AtomicBool::new(false));
    let jobs = spawn_workers(2, &reports_to, &ended, &alive).unwrap();
    drop(alive);
    let frozen = Box::new(Gated(gate));
    let part = FrozenPart { operator: "count".to_owned(), subtask: 0, ordinals: 0..1, frozen };
    jobs.send(Job::Persist { epoch: Epoch(1), part, checkpoint: directory.path().to_owned() }).unwrap();
    ended.store(true, Ordering::SeqCst);
    drop(jobs);
    assert_eq!(all_gone.try_recv(), Err(crossbeam_channel::TryRecvError::Empty), "one job is under way");
    drop(open);
    assert_eq!(all_gone.recv(), Err(crossbeam_channel::RecvError));
    drop((reports_to, reports));
}
