//! What is shown while a pipeline runs: one live line on a terminal, elsewhere a line of metrics now and then.

use crate::guest_voice::GuestMetrics;
use crate::logging::set_status_line;
use crate::rates::{Rates, Sample};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::io::IsTerminal;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use weir_protocol::plan::Plan;
use weir_runtime::meters::Meters;

/// How often the line on a terminal is drawn again.
const REDRAW_INTERVAL: Duration = Duration::from_secs(1);
/// How often metrics are logged where there is no terminal.
const METRICS_INTERVAL: Duration = Duration::from_secs(30);

/// Shows the state of a pipeline until it is dropped.
pub struct Status {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Status {
    /// Begins to show.
    pub fn start(plan: Arc<Plan>, meters: Arc<Meters>, guests: GuestMetrics) -> Status {
        let (stop, stopped) = bounded::<()>(0);
        let watch = Watch { plan, meters, guests };
        let live = std::io::stderr().is_terminal();
        let body = move || if live { watch.draw(&stopped) } else { watch.log(&stopped) };
        // Without the thread the pipeline runs as well, only unseen.
        let thread = std::thread::Builder::new().name("status".to_owned()).spawn(body).ok();
        Status { stop: Some(stop), thread }
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Watch {
    plan: Arc<Plan>,
    meters: Arc<Meters>,
    guests: GuestMetrics,
}

impl Watch {
    fn draw(&self, stopped: &Receiver<()>) {
        let mut before = self.sample();
        while stopped.recv_timeout(REDRAW_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            let now = self.sample();
            set_status_line(&self.line(&Rates::between(&before, &now)));
            before = now;
        }
        set_status_line("");
    }

    fn log(&self, stopped: &Receiver<()>) {
        let mut before = self.sample();
        while stopped.recv_timeout(METRICS_INTERVAL) == Err(RecvTimeoutError::Timeout) {
            let now = self.sample();
            let rates = Rates::between(&before, &now);
            let last = self.meters.last_checkpoint();
            tracing::info!(
                pipeline = self.plan.spec.name,
                records_in = self.meters.records_in.get(),
                records_out = self.meters.records_out.get(),
                records_in_per_second = rates.records_in,
                records_out_per_second = rates.records_out,
                lag = self.meters.total_lag(),
                checkpoint = last.epoch,
                checkpoint_ms = last.took.as_millis() as u64,
                longest_pause_us = self.meters.longest_pause_us(),
                errors = self.errors(),
                restarts = self.meters.restarts.get(),
                busiest = self.busiest(&rates).map(|(name, _)| name),
                guest = self.guests.text(),
                "metrics"
            );
            before = now;
        }
    }

    fn sample(&self) -> Sample {
        Sample::take(&self.meters, Instant::now())
    }

    /// The busiest operator and the share of one core that it took, in percent.
    fn busiest(&self, rates: &Rates) -> Option<(&str, u64)> {
        let busy = rates.operators_busy_ms.iter().zip(&self.plan.spec.operators);
        busy.map(|(busy_ms, spec)| (spec.name.as_str(), busy_ms / 10)).max_by_key(|(_, percent)| *percent)
    }

    /// Rows that an error policy took, and calls that failed.
    fn errors(&self) -> u64 {
        let of = |operator: &weir_runtime::meters::OperatorMeters| {
            (operator.dead_letters.get() + operator.skipped.get()).max(operator.failed_calls.get())
        };
        self.meters.operators.iter().map(of).sum()
    }

    fn line(&self, rates: &Rates) -> String {
        let last = self.meters.last_checkpoint();
        let lag = self.meters.total_lag().map_or_else(|| "?".to_owned(), |lag| lag.to_string());
        let mut line = format!(
            "{}: in {}/s  out {}/s  lag {lag}  checkpoint {} ({} ms)  errors {}  restarts {}",
            self.plan.spec.name,
            rates.records_in,
            rates.records_out,
            last.epoch,
            last.took.as_millis(),
            self.errors(),
            self.meters.restarts.get(),
        );
        if let Some((name, percent)) = self.busiest(rates) {
            line.push_str(&format!("  busiest {name} {percent}%"));
        }
        line
    }
}
