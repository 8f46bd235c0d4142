//! What a plan may be and hardly ever is meant to be: worth a line in the log, not worth a refusal.

use super::*;
use crate::state::TimerClock;

impl Plan {
    /// Timers of event time that no watermark ever reaches, as far as the plan can tell: each such source once.
    pub fn advice(&self) -> Vec<Problem> {
        let mut advice = Vec::new();
        for (index, source) in self.spec.sources.iter().enumerate() {
            if source.time.watermarks != WatermarkStrategy::None
                || ends(&source.kind)
                || super::replay::is_letters(&source.name)
            {
                continue;
            }
            let behind = self.behind(index);
            let waits = self.order.iter().copied().find(|operator| {
                let mut timers = self.shapes[*operator].timers.iter();
                timers.any(|timer| timer.clock == TimerClock::EventTime) && behind[*operator]
            });
            if let Some(operator) = waits {
                let name = &self.spec.operators[operator].name;
                advice.push(Problem {
                    path: format!("source.{}.watermarks", source.name),
                    message: format!("there are none, so the event-time timers of operator {name} never fire; set watermarks = {{ bounded_out_of_orderness = \"5s\" }}"),
                });
            }
        }
        advice
    }

    /// Per operator: do rows of a source reach it, directly or through others?
    fn behind(&self, source: usize) -> Vec<bool> {
        let mut behind = vec![false; self.inputs.len()];
        for operator in self.order.iter().copied() {
            behind[operator] = self.inputs[operator].iter().any(|input| match input.from {
                Upstream::Source(from) => from == source,
                Upstream::Operator(from, _) => behind[from],
            });
        }
        behind
    }
}

/// At its end every timer of event time fires.
fn ends(kind: &SourceKind) -> bool {
    match kind {
        SourceKind::Kafka { .. }
        | SourceKind::Generator { count: None, .. }
        | SourceKind::DeadLetters { .. } => false,
        SourceKind::Generator { count: Some(_), .. } | SourceKind::Files { .. } => true,
    }
}
