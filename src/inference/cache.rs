//! Sessions that several generators of a process share, so that a model's weights are in memory once.
//!
//! Comes in: the digest of everything a session depends on, and how to make it. Goes out: a session behind a lock. It serves
//! one run at a time; a second one waits. Every generator has tensors of its own.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Weak};

use anyhow::{Context, Result};
use ort::session::Session;

use crate::frame::threads::lock;
use crate::inference::digest::Digest;
use crate::inference::providers::Provider;

/// A session that several generators use.
pub(super) type Shared = Arc<Kept>;

static SESSIONS: LazyLock<Mutex<HashMap<Digest, Weak<Kept>>>> = LazyLock::new(Mutex::default);

/// Held by the one thread that may be inside a provider whose sessions share a device; see [`Provider::is_exclusive`].
static TURN: Mutex<()> = Mutex::new(());

/// A session behind a lock.
pub(super) struct Kept {
    /// `None` only while it is dropped.
    session: Mutex<Option<Session>>,
    is_exclusive: bool,
}

impl Kept {
    /// Works with the session, one thread at a time.
    pub fn with<T>(&self, work: impl FnOnce(&mut Session) -> Result<T>) -> Result<T> {
        let _turn = self.turn();
        work(lock(&self.session).as_mut().context("the session is gone")?)
    }

    /// To be held while something of the session is dropped.
    pub fn turn(&self) -> Option<MutexGuard<'static, ()>> {
        self.is_exclusive.then(|| lock(&TURN))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let _turn = self.turn();
        lock(&self.session).take();
    }
}

/// The session of this key that is in use already, or the one that `make` makes on a provider.
pub(super) fn session(key: Digest, provider: &Provider, make: impl FnOnce() -> Result<Session>) -> Result<Shared> {
    let known = || lock(&SESSIONS).get(&key).and_then(Weak::upgrade);
    if let Some(session) = known() {
        return Ok(session);
    }
    // Without the lock on all sessions: preparing may take minutes. The first one that is ready is shared.
    let made = {
        let _turn = provider.is_exclusive.then(|| lock(&TURN));
        make()?
    };
    let made = Arc::new(Kept { session: Mutex::new(Some(made)), is_exclusive: provider.is_exclusive });
    let mut sessions = lock(&SESSIONS);
    sessions.retain(|_, session| session.strong_count() > 0);
    let first = sessions.entry(key).or_insert_with(|| Arc::downgrade(&made)).upgrade();
    drop(sessions);
    Ok(first.unwrap_or(made))
}

/// Never shares this session again: its device may be lost. Generators that have it keep it.
pub(super) fn forget(session: &Shared) {
    lock(&SESSIONS).retain(|_, known| !std::ptr::eq(known.as_ptr(), Arc::as_ptr(session)));
}
