//! A provider for tests: it takes as long to prepare as the test wants, then computes on the CPU, or cannot be had.

#![cfg(test)]

use std::sync::{Condvar, Mutex};

use ort::ep::{self, ExecutionProviderDispatch};

use crate::inference::providers::{Options, Preparation, Provider};

/// Its name.
pub const NAME: &str = "slow";

/// Its row.
pub const ROW: Provider = Provider {
    name: NAME,
    hardware: "CPU, after a while",
    is_built_in: || Ok(true),
    half_precision: false,
    prefers_int8: false,
    in_auto: false,
    preparation: Preparation::Minutes,
    build: prepare,
};

/// How the preparation ends.
#[derive(Clone, Copy)]
pub enum End {
    /// It computes.
    Ready,
    /// It cannot be had.
    Impossible,
}

struct State {
    end: Option<End>,
    begun: u32,
}

static STATE: Mutex<State> = Mutex::new(State { end: None, begun: 0 });
static ENDED: Condvar = Condvar::new();

/// Preparations that hang, and those to come, end so.
pub fn end(how: End) {
    STATE.lock().unwrap().end = Some(how);
    ENDED.notify_all();
}

/// How often it was prepared, or tried to.
pub fn begun() -> u32 {
    STATE.lock().unwrap().begun
}

fn prepare(_: &Options) -> ExecutionProviderDispatch {
    let mut state = STATE.lock().unwrap();
    state.begun += 1;
    match ENDED.wait_while(state, |state| state.end.is_none()).unwrap().end {
        Some(End::Impossible) => ep::CANN::default().build(),
        _ => ep::CPU::default().build(),
    }
}
