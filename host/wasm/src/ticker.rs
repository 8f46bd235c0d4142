//! The thread that moves the engine's epoch while any operator exists.

use crate::time_limit::TICK;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Default)]
struct State {
    users: usize,
    running: bool,
}

/// Starts the thread with the first user and lets it end after the last.
#[derive(Clone)]
pub struct Ticker {
    engine: wasmtime::Engine,
    state: Arc<Mutex<State>>,
}

/// As long as one lives, time limits are kept.
pub struct TickerUse {
    state: Arc<Mutex<State>>,
}

impl Ticker {
    /// A ticker that does not run yet.
    pub fn new(engine: wasmtime::Engine) -> Ticker {
        Ticker { engine, state: Arc::default() }
    }

    /// Makes sure that the thread runs.
    pub fn start(&self) -> std::io::Result<TickerUse> {
        // A holder of the lock changes two numbers and cannot leave them half changed.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.running {
            let (engine, shared) = (self.engine.clone(), self.state.clone());
            std::thread::Builder::new().name("weir-epoch".into()).spawn(move || tick(&engine, &shared))?;
            state.running = true;
        }
        state.users += 1;
        Ok(TickerUse { state: self.state.clone() })
    }
}

fn tick(engine: &wasmtime::Engine, state: &Mutex<State>) {
    loop {
        std::thread::sleep(TICK);
        engine.increment_epoch();
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.users == 0 {
            state.running = false;
            return;
        }
    }
}

impl Drop for TickerUse {
    fn drop(&mut self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).users -= 1;
    }
}
