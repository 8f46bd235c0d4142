//! Dead letters of a server's pipelines: what there is, and the life in which they come back.

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
use std::sync::Arc;
use weir_control::host::{LettersAsked, LettersFound, LettersSelected, PipelineDocument, Reason, Refused};
use weir_protocol::replay::Selection;
use weir_runtime::connect::Connectors;
use weir_runtime::meters::Meters;
use weir_runtime::version::{Version, Versions};

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
            let conflict =
                |message| Refused { reason: Reason::Conflict, message, hint: None, problems: vec![] };
            may_be_replayed(&plan, self.data_dir().level().level()).map_err(conflict)?;
        }
        let directory = self.directory(&document.name);
        let connectors = PlanConnectors::sharing(plan.clone(), directory.clone(), self.memory().clone());
        let mut letters = DeadLetters::open(&plan, &connectors, &directory).map_err(refused)?;
        let (mut items, mut summary, mut matching) = (Vec::new(), Summary::default(), 0);
        let read = letters.read(asked.all || asked.at.is_some(), |found| {
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
        Ok(summary.found(items, matching))
    }
}

/// A life in which nothing is read but dead letters.
pub struct ReplayLife {
    /// What runs in it.
    pub versions: Arc<Versions>,
    /// Its connectors.
    pub connectors: Arc<dyn Connectors>,
    /// What it counts.
    pub meters: Arc<Meters>,
    /// How many letters it takes.
    pub letters: u64,
}

impl ReplayLife {
    /// Prepares it, and counts what it will take.
    pub fn prepare(
        host: &WeirHost,
        document: &PipelineDocument,
        asked: &LettersSelected,
    ) -> Result<ReplayLife, Refused> {
        let prepared = prepare(host, document, &selection(asked)?)?;
        let plan = prepared.plan.clone();
        let directory = host.directory(&document.name);
        let connectors = PlanConnectors::sharing(plan.clone(), directory.clone(), host.memory().clone());
        let mut letters = DeadLetters::open(&plan, &connectors, &directory).map_err(refused)?;
        let PreparedPipeline { plan, operators, .. } = prepared.with_letters_until(&letters.ends());
        let letters = letters.count().map_err(refused)?.taken();
        let meters = Arc::new(Meters::of(&plan));
        let versions = Arc::new(Versions::new(Version { plan, operators }, None));
        Ok(ReplayLife { versions, connectors: Arc::new(connectors), meters, letters })
    }

    /// Records that failed again.
    pub fn failed_again(&self) -> u64 {
        self.meters.operators.iter().map(|operator| operator.dead_letters.get()).sum()
    }
}
