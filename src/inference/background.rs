//! Threads that may be inside ONNX Runtime, and how a process ends while they are.
//!
//! Comes in: work that may take minutes, as building an engine. Goes out: a [`Task`], which may be dropped at any time: the
//! thread then ends by itself and drops its result. The runtime cannot be interrupted while it builds a session, and it
//! crashes if its static objects are destroyed under a thread that is inside it: at exit the process waits a moment for
//! such threads, and then ends without destroying anything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::frame::threads::lock;

/// How long the end of the process waits for threads that are inside the runtime.
const EXIT_LIMIT: Duration = Duration::from_secs(3);

static RUNNING: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();

/// Work on a thread of its own. Dropping it abandons the work: nobody waits for it.
pub struct Task<T> {
    thread: Option<JoinHandle<()>>,
    result: Arc<Mutex<Option<T>>>,
    abandoned: Arc<AtomicBool>,
}

/// One of the threads that [`RUNNING`] counts.
struct Counted;

impl Counted {
    fn new() -> Self {
        *lock(&RUNNING) += 1;
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        *lock(&RUNNING) -= 1;
        ENDED.notify_all();
    }
}

/// Starts `work` on a thread named `name`.
///
/// # Errors
/// The system has no thread to give.
pub fn spawn<T: Send + 'static>(name: &str, work: impl FnOnce() -> T + Send + 'static) -> std::io::Result<Task<T>> {
    let (result, abandoned) = (Arc::new(Mutex::new(None)), Arc::new(AtomicBool::new(false)));
    let (slot, is_abandoned, counted) = (result.clone(), abandoned.clone(), Counted::new());
    let thread = std::thread::Builder::new().name(name.into()).spawn(move || {
        let made = work();
        let mut slot = lock(&slot);
        // Sessions are released here, while the thread still counts.
        match is_abandoned.load(Ordering::SeqCst) {
            true => drop(made),
            false => *slot = Some(made),
        }
        drop(slot);
        drop(counted);
    })?;
    Ok(Task { thread: Some(thread), result, abandoned })
}

impl<T> Task<T> {
    /// Whether [`Task::join`] returns at once.
    pub fn is_finished(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for the result; `None` if the work panicked.
    pub fn join(mut self) -> Option<T> {
        let ended = self.thread.take().map(JoinHandle::join);
        ended.and_then(Result::ok).and_then(|()| lock(&self.result).take())
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        let mut result = lock(&self.result);
        self.abandoned.store(true, Ordering::SeqCst);
        result.take();
    }
}

/// Waits until no counted thread runs; false if `limit` passes before.
fn wait(limit: Duration) -> bool {
    let waited = ENDED.wait_timeout_while(lock(&RUNNING), limit, |running| *running > 0);
    waited.is_ok_and(|(running, _)| *running == 0)
}

/// Has the end of the process wait for the threads. Functions that are called at exit run in the reverse order of their
/// registration, those of a library's static objects included: to be called again, with another `reason`, whenever libraries
/// may have been loaded that a thread may be inside of.
pub(super) fn guard_exit(reason: &str) {
    static REASONS: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut reasons = lock(&REASONS);
    if !reasons.iter().any(|known| known == reason) {
        reasons.push(reason.to_owned());
        exit::register();
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod exit {
    //! The only way to end with the right status and without running what is still registered is to know the status:
    //! glibc's `on_exit` passes it.

    use std::ffi::{c_int, c_void};

    unsafe extern "C" {
        fn on_exit(function: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
    }

    extern "C" fn at_exit(status: c_int, _: *mut c_void) {
        if !super::wait(super::EXIT_LIMIT) {
            // SAFETY: flushes C's streams and ends the process; neither function has a precondition.
            unsafe {
                libc::fflush(std::ptr::null_mut());
                libc::_exit(status)
            }
        }
    }

    pub fn register() {
        // SAFETY: the function is of the type that glibc documents, and lives as long as the process, because GStreamer
        // never unloads a plugin. If it is not registered, for want of memory, the process ends as it would without it.
        unsafe { on_exit(at_exit, std::ptr::null_mut()) };
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
mod exit {
    extern "C" fn at_exit() {
        super::wait(std::time::Duration::MAX);
    }

    pub fn register() {
        // SAFETY: as in the other form of this module. Without the status there is no way to end early.
        unsafe { libc::atexit(at_exit) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_task_gives_its_result_and_an_abandoned_one_drops_it() {
        assert_eq!(spawn("test", || 7).unwrap().join(), Some(7));
        assert_eq!(spawn("test", || -> u8 { panic!("on purpose") }).unwrap().join(), None);
        let held = Arc::new(());
        let ((go, wait_for), theirs) = (channel::<()>(), held.clone());
        let task = spawn("test", move || {
            wait_for.recv().unwrap();
            theirs
        });
        let task = task.unwrap();
        assert!(!task.is_finished());
        drop(task);
        assert!(!wait(Duration::from_millis(20)), "the thread counts though nobody holds it");
        go.send(()).unwrap();
        assert!(wait(Duration::from_secs(10)));
        assert_eq!(Arc::strong_count(&held), 1);
    }
}
