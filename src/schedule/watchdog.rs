//! Notices when a piece of work takes too long, while it still goes on.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Watches one worker from a thread of its own.
#[derive(Debug)]
pub struct Watchdog {
    watched: Arc<Watched>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Watched {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    reported: bool,
    ended: bool,
}

impl Watched {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Looks at the work until the end; `on_overdue` is called once for every piece that takes longer than `limit`.
    fn watch(&self, limit: Duration, on_overdue: impl Fn()) {
        let mut state = self.lock();
        while !state.ended {
            let overdue = state.since.is_some_and(|since| since.elapsed() >= limit) && !state.reported;
            if overdue {
                state.reported = true;
                drop(state);
                on_overdue();
                state = self.lock();
                continue;
            }
            let waited = self.ended.wait_timeout(state, limit / 4);
            state = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }
}

impl Watchdog {
    /// Calls `on_overdue` once for every piece of work that takes longer than `limit`, at most a quarter of it late. Without a
    /// thread to be had it stays silent.
    pub fn new(limit: Duration, on_overdue: impl Fn() + Send + 'static) -> Self {
        let watched = Arc::new(Watched::default());
        let theirs = watched.clone();
        let work = move || theirs.watch(limit, on_overdue);
        let thread = std::thread::Builder::new().name("styletransfer-watchdog".into()).spawn(work).ok();
        Self { watched, thread }
    }

    /// Work begins.
    pub fn begin(&self) {
        let mut state = self.watched.lock();
        (state.since, state.reported) = (Some(Instant::now()), false);
    }

    /// Work has ended.
    pub fn end(&self) {
        self.watched.lock().since = None;
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.watched.lock().ended = true;
        self.watched.ended.notify_all();
        if let Some(thread) = self.thread.take() {
            // What it had to say does not matter any more.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[test]
    fn it_barks_once_for_long_work_and_not_for_short() {
        let count = Arc::new(AtomicU32::new(0));
        let heard = count.clone();
        let dog = Watchdog::new(Duration::from_millis(200), move || {
            heard.fetch_add(1, Ordering::SeqCst);
        });
        for _ in 0..20 {
            dog.begin();
            dog.end();
        }
        assert_eq!(count.load(Ordering::SeqCst), 0);
        dog.begin();
        std::thread::sleep(Duration::from_millis(800));
        dog.end();
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
}
