//! Rows that are not handled: rejected, at fault in a call that failed, or with an output that no sink takes.

use super::{Handled, Moment, OperatorTask, place};
use crate::version_tally::SAMPLES_MAX;
use weir_protocol::batch::Batch;
use weir_protocol::connector::{ConnectorError, FailureKind};
use weir_protocol::error_policy::{Blamed, FailedRow, Given, one_line, push_dead_letter};
use weir_protocol::output::Output;
use weir_protocol::plan::OnError;

impl OperatorTask {
    /// Rows that the operator rejected, and rows with an output that no sink could take; the output without those.
    pub(super) fn refused_rows(&self, input: &Batch, output: Output) -> (Output, Vec<FailedRow>) {
        let mut failed = Vec::new();
        self.too_large(input, &output, &mut failed);
        failed.sort_by_key(|failed: &FailedRow| failed.row);
        failed.dedup_by_key(|failed| failed.row);
        let rows: Vec<usize> = failed.iter().map(|failed| failed.row).collect();
        failed.extend(output.rejections.iter().map(|rejection| FailedRow {
            row: rejection.row as usize,
            kind: FailureKind::Rejection,
            message: rejection.reason.clone(),
        }));
        failed.sort_by_key(|failed| failed.row);
        let output = if rows.is_empty() { output } else { output.without_rows(&rows, input.rows) };
        (output, failed)
    }

    fn too_large(&self, input: &Batch, output: &Output, failed: &mut Vec<FailedRow>) {
        // One comparison per batch where nothing can be too large, which is nearly always.
        let Some(smallest) = self.options.record_bytes_max.iter().flatten().min() else { return };
        let own = output.keys.data.len() + output.values.data.len() + output.headers.data.len();
        if own + input.keys.data.len() + input.values.data.len() + input.headers.data.len() <= *smallest {
            return;
        }
        for index in 0..output.len() {
            let row = output.source_row(index);
            let bytes = |own: &weir_protocol::batch::Column, inherited: &weir_protocol::batch::Column| match (
                own.is_absent(),
                inherited.is_absent(),
            ) {
                (false, _) => own.bytes(index).len(),
                (true, false) => inherited.bytes(row).len(),
                (true, true) => 0,
            };
            let size = bytes(&output.keys, &input.keys)
                + bytes(&output.values, &input.values)
                + bytes(&output.headers, &input.headers);
            if let Some(Some(most)) = self.options.record_bytes_max.get(output.port(index))
                && size > *most
            {
                let message = format!("the output record has {size} bytes, the sink takes at most {most}");
                failed.push(FailedRow { row, kind: FailureKind::TooLarge, message });
            }
        }
    }

    /// Carries out the policy for the rows at fault: records that came in at `moment`, or what a timer fired for.
    pub(super) fn refuse(
        &mut self,
        input: &Batch,
        failed: &[FailedRow],
        (moment, timer): (Moment, Option<&str>),
        handled: &mut Handled,
    ) -> Result<(), ConnectorError> {
        let Some(first) = failed.first() else { return Ok(()) };
        let (spec, meters) = (&self.options.spec, self.meters());
        meters.rejected.add(failed.len() as u64);
        failed.iter().for_each(|failed| meters.rejections.add(failed.kind));
        self.tally.rejected.add(failed.len() as u64);
        for failed in failed.iter().take(SAMPLES_MAX) {
            self.tally.sample(|| {
                let (place, kind) = (place(input, failed.row), failed.kind.name());
                format!("{place}: {kind}: {}", one_line(&failed.message))
            });
        }
        let said = |failed: &FailedRow| {
            format!(
                "operator {} failed at {}: {}: {}",
                spec.name,
                place(input, failed.row),
                failed.kind.name(),
                one_line(&failed.message)
            )
        };
        match &spec.on_error {
            OnError::Fail => {
                let hint = "on_error = fail (the default) stops here; set on_error = { dead_letter = \"SINK\" } or \"skip\" to go on";
                return Err(ConnectorError::permanent(format!("{}; {hint}", said(first))));
            }
            OnError::Skip => {
                meters.skipped.add(failed.len() as u64);
                tracing::warn!(operator = spec.name, rows = failed.len(), "skipped: {}", said(first));
            }
            OnError::DeadLetter(_) => {
                meters.dead_letters.add(failed.len() as u64);
                tracing::debug!(operator = spec.name, rows = failed.len(), "dead letter: {}", said(first));
                let letters = handled.dead_letters.get_or_insert_with(Batch::default);
                let port = self.options.input_ports.get(moment.port as usize).map_or("", String::as_str);
                let blamed = Blamed {
                    pipeline: &self.options.pipeline,
                    operator: &spec.name,
                    digest: &self.options.digest,
                    given: timer.map_or(Given::Record(port), Given::Timer),
                    now_ms: moment.now_ms,
                };
                for row in failed {
                    push_dead_letter(letters, input, row, blamed, self.options.dead_letter_bytes_max);
                }
            }
        }
        Ok(())
    }
}
