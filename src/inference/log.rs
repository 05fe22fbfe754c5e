//! Messages of ONNX Runtime and of this crate's inference, for a log.
//!
//! Comes in: level and text. Goes out: the same to the sink that the element sets, which writes GStreamer's debug log;
//! without a sink they are dropped.

use std::sync::OnceLock;
#[cfg(feature = "onnx")]
use std::sync::atomic::{AtomicBool, Ordering};

/// Severity of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Details.
    Debug,
    /// A decision that was made.
    Info,
    /// Something differs from what was asked for.
    Warning,
    /// Something failed.
    Error,
}

/// Receives messages: level, place in ONNX Runtime's source or nothing, text.
pub type Sink = fn(Level, &str, &str);

static SINK: OnceLock<(Sink, bool)> = OnceLock::new();

/// Sets the sink, and whether it reads [`Level::Debug`], which costs time. The first call stays valid.
pub fn set_sink(sink: Sink, reads_debug: bool) {
    // A second plugin instance in the process sets the same sink again.
    let _ = SINK.set((sink, reads_debug));
}

/// The least severe messages that ONNX Runtime makes.
#[cfg(feature = "onnx")]
pub(crate) fn runtime_level() -> ort::logging::LogLevel {
    match SINK.get() {
        Some((_, true)) => ort::logging::LogLevel::Verbose,
        _ => ort::logging::LogLevel::Warning,
    }
}

#[cfg(feature = "onnx")]
static SILENT: AtomicBool = AtomicBool::new(false);

/// From now on nothing reaches the sink: for a forked process, in which the sink's locks may be held for ever.
#[cfg(feature = "onnx")]
pub(super) fn silence() {
    SILENT.store(true, Ordering::SeqCst);
}

#[cfg(feature = "onnx")]
fn send(level: Level, place: &str, message: &str) {
    if let Some((sink, _)) = SINK.get().filter(|_| !SILENT.load(Ordering::Relaxed)) {
        sink(level, place, message);
    }
}

/// A decision of the inference.
#[cfg(feature = "onnx")]
pub(crate) fn info(message: &str) {
    send(Level::Info, "", message);
}

/// A message of ONNX Runtime.
#[cfg(feature = "onnx")]
pub(crate) fn runtime(level: ort::logging::LogLevel, category: &str, place: &str, message: &str) {
    use ort::logging::LogLevel;
    let level = match level {
        LogLevel::Verbose | LogLevel::Info => Level::Debug,
        LogLevel::Warning => Level::Warning,
        LogLevel::Error | LogLevel::Fatal => Level::Error,
    };
    send(level, place, &format!("[{category}] {message}"));
}
