//! Providers for tests, which compute on the CPU: one that takes as long to prepare as the test has it, or cannot be used in
//! the end; and one that takes fixed shapes only.

use std::sync::{Condvar, Mutex, PoisonError};

use ort::ep::{self, ExecutionProviderDispatch};

use super::{Options, Preparation, Provider, Shapes};

/// Name of the slow one.
pub const NAME: &str = "slow";

/// Name of the one that takes fixed shapes.
pub const FIXED: &str = "fixed";

pub(super) const ROWS: &[Provider] = &[
    Provider {
        name: NAME,
        hardware: "CPU, after a while",
        is_built_in: || Ok(true),
        preparation: Preparation::Minutes,
        build: prepare,
        ..Provider::PLAIN
    },
    Provider {
        name: FIXED,
        hardware: "CPU, one shape",
        is_built_in: || Ok(true),
        preparation: Preparation::Minutes,
        shapes: Shapes::Fixed,
        build: |_| ep::CPU::default().with_arena_allocator(true).build(),
        ..Provider::PLAIN
    },
];

/// How the preparation ends.
#[derive(Debug, Clone, Copy)]
pub enum End {
    /// With a session.
    Ready,
    /// With an error.
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
    STATE.lock().unwrap_or_else(PoisonError::into_inner).end = Some(how);
    ENDED.notify_all();
}

/// How many preparations began.
pub fn begun() -> u32 {
    STATE.lock().unwrap_or_else(PoisonError::into_inner).begun
}

fn prepare(_: &Options) -> ExecutionProviderDispatch {
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    state.begun += 1;
    let ended = ENDED.wait_while(state, |state| state.end.is_none());
    match ended.unwrap_or_else(PoisonError::into_inner).end {
        Some(End::Impossible) => ep::CANN::default().build(),
        _ => ep::CPU::default().with_arena_allocator(true).build(),
    }
}
