//! Counters of all running pipelines, read each second, so that a status can tell rates of the last seconds.

use crate::rates::{Rates, Sample};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use weir_runtime::meters::Meters;

/// How often counters are read.
const INTERVAL: Duration = Duration::from_secs(1);
/// Samples that are kept: rates are those of so many intervals.
const SAMPLES_MAX: usize = 10;

/// The last samples of one pipeline.
pub struct Recent {
    meters: Arc<Meters>,
    samples: Mutex<VecDeque<Sample>>,
}

impl Recent {
    /// Rates between the oldest sample that is kept and now.
    pub fn rates(&self) -> Rates {
        let now = Sample::take(&self.meters, Instant::now());
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        samples.front().map(|oldest| Rates::between(oldest, &now)).unwrap_or_default()
    }

    fn look(&self, at: Instant) {
        let mut samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        while samples.len() >= SAMPLES_MAX {
            samples.pop_front();
        }
        samples.push_back(Sample::take(&self.meters, at));
    }
}

type Watched = Mutex<Vec<Weak<Recent>>>;

/// Reads the counters of all pipelines on one thread, which ends with it.
pub struct Sampler {
    watched: Arc<Watched>,
}

impl Sampler {
    /// Begins.
    pub fn start() -> std::io::Result<Sampler> {
        let watched: Arc<Watched> = Arc::default();
        let weak = Arc::downgrade(&watched);
        std::thread::Builder::new().name("sampling".to_owned()).spawn(move || {
            while let Some(watched) = weak.upgrade() {
                look(&watched, Instant::now());
                drop(watched);
                std::thread::sleep(INTERVAL);
            }
        })?;
        Ok(Sampler { watched })
    }

    /// Watches a pipeline for as long as somebody holds what is returned.
    pub fn watch(&self, meters: Arc<Meters>) -> Arc<Recent> {
        let recent = Arc::new(Recent { meters, samples: Mutex::default() });
        recent.look(Instant::now());
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&recent));
        recent
    }
}

fn look(watched: &Watched, at: Instant) {
    watched.lock().unwrap_or_else(PoisonError::into_inner).retain(|weak| match weak.upgrade() {
        Some(recent) => {
            recent.look(at);
            true
        }
        None => false,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_samples_only() {
        let meters = Arc::new(Meters::new(1, 1));
        let recent = Recent { meters: meters.clone(), samples: Mutex::default() };
        let begun = Instant::now() - INTERVAL * (SAMPLES_MAX as u32 + 5);
        meters.records_in.add(1_000_000);
        for second in 0..SAMPLES_MAX as u32 + 5 {
            recent.look(begun + INTERVAL * second);
            meters.records_in.add(100);
        }
        let rates = recent.rates();
        // A machine that stands still in between only makes them lower.
        assert!(rates.records_in <= 100 && rates.records_in > 0, "{rates:?}");
        assert!(rates.window >= INTERVAL * SAMPLES_MAX as u32, "{rates:?}");
    }

    #[test]
    fn a_pipeline_that_is_gone_is_no_longer_looked_at() {
        let watched: Watched = Mutex::default();
        let recent = Arc::new(Recent { meters: Arc::new(Meters::new(0, 0)), samples: Mutex::default() });
        watched.lock().unwrap().push(Arc::downgrade(&recent));
        look(&watched, Instant::now());
        assert_eq!(watched.lock().unwrap().len(), 1);
        drop(recent);
        look(&watched, Instant::now());
        assert_eq!(watched.lock().unwrap().len(), 0);
    }
}
