//! Sessions that several generators of a process use together, so that a model's weights are in memory once.
//!
//! A session serves one run at a time; who comes second waits. Every generator has tensors of its own.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, Weak};

use anyhow::Result;
use ort::session::Session;

use crate::inference::config::SessionConfig;
use crate::inference::declared::Sizes;
use crate::model::onnx::reader::OnnxFile;

/// A session behind a lock.
pub(super) type Shared = Arc<Mutex<Session>>;

static SESSIONS: LazyLock<Mutex<HashMap<u64, Weak<Mutex<Session>>>>> = LazyLock::new(Mutex::default);

/// The session is ONNX Runtime's and sound whatever happened to a thread that held it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

/// The session of this model, provider and options that somebody uses already, or one made by `make`.
pub(super) fn session(
    file: &OnnxFile,
    provider: &str,
    config: &SessionConfig,
    sizes: &Sizes,
    make: impl FnOnce() -> Result<Session>,
) -> Result<Shared> {
    let key = key(file, provider, config, sizes);
    let known = || lock(&SESSIONS).get(&key).and_then(Weak::upgrade);
    if let Some(session) = known() {
        return Ok(session);
    }
    // Without the lock: preparing may take minutes. Whoever is ready first is shared.
    let made = Arc::new(Mutex::new(make()?));
    let mut sessions = lock(&SESSIONS);
    sessions.retain(|_, session| session.strong_count() > 0);
    if let Some(session) = sessions.get(&key).and_then(Weak::upgrade) {
        return Ok(session);
    }
    sessions.insert(key, Arc::downgrade(&made));
    Ok(made)
}

fn key(file: &OnnxFile, provider: &str, config: &SessionConfig, sizes: &Sizes) -> u64 {
    let mut hasher = DefaultHasher::new();
    let SessionConfig { device_id, precision, threads, optimization, cache, .. } = config;
    format!("{provider} {device_id} {precision:?} {threads} {optimization:?} {cache:?}").hash(&mut hasher);
    sizes.hash(&mut hasher);
    match file {
        OnnxFile::Bytes(bytes) => bytes.hash(&mut hasher),
        OnnxFile::WithExternalData(path) => {
            let changed = std::fs::metadata(path).and_then(|m| m.modified()).ok();
            (path, changed).hash(&mut hasher);
        }
    }
    hasher.finish()
}
