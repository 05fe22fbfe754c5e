//! Sessions that several generators of a process share, so that a model's weights are in memory once.
//!
//! Comes in: the digest of everything a session depends on, and how to make it. Goes out: a session behind a lock. It serves
//! one run at a time; a second one waits. Every generator has tensors of its own.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Weak};

use anyhow::Result;
use ort::session::Session;

use crate::inference::digest::Digest;

/// A session behind a lock.
pub(super) type Shared = Arc<Mutex<Session>>;

static SESSIONS: LazyLock<Mutex<HashMap<Digest, Weak<Mutex<Session>>>>> = LazyLock::new(Mutex::default);

/// The session is ONNX Runtime's and sound whatever happened to a thread that held it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The session of this key that is in use already, or the one that `make` makes.
pub(super) fn session(key: Digest, make: impl FnOnce() -> Result<Session>) -> Result<Shared> {
    let known = || lock(&SESSIONS).get(&key).and_then(Weak::upgrade);
    if let Some(session) = known() {
        return Ok(session);
    }
    // Without the lock: preparing may take minutes. The first one that is ready is shared.
    let made = Arc::new(Mutex::new(make()?));
    let mut sessions = lock(&SESSIONS);
    sessions.retain(|_, session| session.strong_count() > 0);
    if let Some(session) = sessions.get(&key).and_then(Weak::upgrade) {
        return Ok(session);
    }
    sessions.insert(key, Arc::downgrade(&made));
    Ok(made)
}

/// Never shares this session again: its device may be lost. Generators that have it keep it.
pub(super) fn forget(session: &Shared) {
    lock(&SESSIONS).retain(|_, known| known.upgrade().is_none_or(|known| !Arc::ptr_eq(&known, session)));
}
