//! Dead letters of a server's pipelines: what there is.

use super::document;
use super::host::WeirHost;
use super::on_disk::refused;
use crate::commands::savepoint::now_ms;
use crate::connectors::PlanConnectors;
use crate::dead_letters::lines::{line_of_json, with_record};
use crate::dead_letters::selection::{parse_kind, since_ms};
use crate::dead_letters::summary::Summary;
use crate::dead_letters::{DeadLetters, may_be_replayed};
use crate::prepared_pipeline::PreparedPipeline;
use std::time::{Duration, Instant};
use weir_control::host::{LettersAsked, LettersFound, LettersSelected, PipelineDocument, Reason, Refused};
use weir_protocol::replay::Selection;

/// How long letters are read for one request at most; who looks for a few among very many names operators or a time.
const READ_FOR_MAX: Duration = Duration::from_secs(20);
/// Letters between two looks at the clock.
const LOOK_AT_CLOCK_EVERY: u64 = 256;

/// What a client asks for.
pub fn selection(asked: &LettersSelected) -> Result<Selection, Refused> {
    let kinds = asked.kinds.iter().map(|kind| parse_kind(kind).map_err(|why| invalid(format!("kind {why}"))));
    let since = asked
        .since
        .as_ref()
        .map(|text| since_ms(text, now_ms()).map_err(|why| invalid(format!("since {why}"))));
    Ok(Selection {
        operators: asked.operators.clone(),
        kinds: kinds.collect::<Result<_, _>>()?,
        since_ms: since.transpose()?,
    })
}

fn invalid(message: String) -> Refused {
    Refused { reason: Reason::InvalidPipeline, message, hint: None, problems: vec![] }
}

/// The pipeline of a document as a replay runs it.
pub fn prepare(
    host: &WeirHost,
    asked: &PipelineDocument,
    selection: &Selection,
) -> Result<PreparedPipeline, Refused> {
    let prepared = document::prepare(asked, host.allowed(), host.engine())?;
    if let Some((name, why)) = prepared.plan.unknown_operator(selection) {
        return Err(invalid(format!("operator {name:?}: {why}")));
    }
    prepared.with_replay(selection).map_err(|problems| {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        Refused {
            reason: Reason::InvalidPipeline,
            message: problems.join("; "),
            hint: Some("docs/OPERATIONS.md says which dead letters can come back".to_owned()),
            problems,
        }
    })
}

impl WeirHost {
    /// Looks at letters beside whatever runs.
    pub(super) fn find_letters(
        &self,
        document: &PipelineDocument,
        asked: &LettersAsked,
    ) -> Result<LettersFound, Refused> {
        let plan = prepare(self, document, &selection(&asked.selected)?)?.plan;
        if asked.replays {
            let conflict = |message| {
                let hint = Some(
                    "finalize the upgrade first: `weir upgrade finalize`, or POST /v1/upgrade/finalize"
                        .to_owned(),
                );
                Refused { reason: Reason::Conflict, message, hint, problems: vec![] }
            };
            may_be_replayed(&plan, self.data_dir().level().level()).map_err(conflict)?;
        }
        let directory = self.directory(&document.name);
        let connectors = PlanConnectors::sharing(plan.clone(), directory.clone(), self.memory().clone());
        let mut letters = DeadLetters::open(&plan, &connectors, &directory).map_err(refused)?;
        if asked.replays {
            letters.may_come_back().map_err(refused)?;
        }
        let (mut items, mut summary, mut matching) = (Vec::new(), Summary::default(), 0);
        let (mut read_count, mut complete, begun) = (0, true, Instant::now());
        let read = letters.read(asked.all || asked.at.is_some(), |found| {
            let is_enough =
                asked.read_max.is_some_and(|most| read_count >= most) && items.len() >= asked.limit;
            if is_enough || read_count % LOOK_AT_CLOCK_EVERY == 0 && begun.elapsed() > READ_FOR_MAX {
                complete = false;
                return Ok(false);
            }
            read_count += 1;
            if found.open {
                summary.add(found);
            }
            let is_asked_for = match &asked.at {
                Some(at) => *at == format!("{}:{}", found.partition, found.offset),
                None => found.is_asked_for(),
            };
            matching += u64::from(is_asked_for);
            if is_asked_for && items.len() < asked.limit {
                items.push(if asked.records { with_record(found)? } else { line_of_json(found) });
            }
            Ok(true)
        });
        read.map_err(refused)?;
        Ok(summary.found(items, matching, complete))
    }
}
