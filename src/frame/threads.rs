//! Parallel work on pieces, by the calling thread and rayon's pool.
//!
//! Input: an iterator of pieces. Output: every piece processed once. The calling thread starts at once and the pool's
//! threads take pieces as soon as they wake up; `rayon::join` from outside the pool would wait for them to wake up
//! first.

use std::cell::Cell;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A lock, also of a thread that panicked while it held it: what is behind the plugin's locks is sound between any two of
/// its statements.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Processors that this process may use: those that its affinity (`taskset`, cpusets) and its CPU quota leave; at least 1.
pub fn available() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

thread_local! {
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// Runs `work` with at most `limit` threads in every [`share`] of this thread.
pub fn limited<T>(limit: usize, work: impl FnOnce() -> T) -> T {
    /// Restores the limit before, also when `work` panics.
    struct Restore(usize);
    impl Drop for Restore {
        fn drop(&mut self) {
            LIMIT.set(self.0);
        }
    }
    let _restore = Restore(LIMIT.replace(limit.max(1)));
    work()
}

/// Most threads that share work.
pub fn count() -> usize {
    rayon::current_num_threads().clamp(1, 8).min(LIMIT.get())
}

/// Rows of a band for an image that is processed in bands: a few bands for each thread, of 16 rows at least.
pub fn band(height: usize) -> usize {
    height.div_ceil(BANDS * count()).max(16)
}

/// Bands of an image for each thread.
const BANDS: usize = 4;

/// Calls `work` for every piece. A thread takes the next piece when it has finished one, so with more pieces than
/// threads a thread that starts late costs little.
pub fn share<T: Send>(pieces: impl Iterator<Item = T> + Send, work: impl Fn(T) + Sync) {
    let helpers = pieces.size_hint().1.unwrap_or(usize::MAX).min(count()).saturating_sub(1);
    let queue = Mutex::new(pieces);
    // The lock is released before the work starts.
    let next = || lock(&queue).next();
    let turn = || {
        while let Some(piece) = next() {
            work(piece);
        }
    };
    rayon::in_place_scope(|scope| {
        (0..helpers).for_each(|_| scope.spawn(|_| turn()));
        turn();
    });
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn every_piece_is_processed_once() {
        let mut done = vec![0; 1000];
        share(done.iter_mut().enumerate(), |(i, piece)| *piece += i);
        assert!(done.iter().enumerate().all(|(i, piece)| i == *piece));
        share(std::iter::empty::<u8>(), |_| unreachable!());
    }

    #[test]
    fn a_limit_holds_inside_and_ends_after() {
        let whole = count();
        limited(1, || {
            let who = Mutex::new(HashSet::new());
            share(0..100, |_| {
                who.lock().unwrap().insert(thread::current().id());
            });
            assert_eq!(who.into_inner().unwrap().len(), 1);
        });
        assert_eq!(count(), whole);
    }

    #[test]
    fn the_caller_and_the_pool_work_in_parallel() {
        // No piece is finished before every thread has one.
        let (all, who) = (Barrier::new(count()), Mutex::new(HashSet::new()));
        share(0..count(), |_| {
            all.wait();
            who.lock().unwrap().insert(thread::current().id());
        });
        let who = who.into_inner().unwrap();
        assert!(who.len() == count() && who.contains(&thread::current().id()));
    }
}
