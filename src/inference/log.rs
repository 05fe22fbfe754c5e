//! Where messages of the core go: to a sink that the element sets, else to nowhere.
//!
//! Keeps the core free of GStreamer while its messages end up in GStreamer's debug log.

use std::sync::OnceLock;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Details.
    Debug,
    /// What a user may want to know.
    Info,
    /// Something is not as asked.
    Warning,
    /// Something failed.
    Error,
}

/// Receives the messages of ONNX Runtime: level, place in its source, text.
pub type Sink = fn(Level, &str, &str);

static SINK: OnceLock<(Sink, bool)> = OnceLock::new();

/// Sets the sink, and whether it wants details, which cost time; the first one stays.
pub fn set_sink(sink: Sink, wants_details: bool) {
    // A second plugin instance in the process sets the same sink again.
    let _ = SINK.set((sink, wants_details));
}

/// What ONNX Runtime should report at all.
#[cfg(feature = "onnx")]
pub(crate) fn runtime_level() -> ort::logging::LogLevel {
    match SINK.get() {
        Some((_, true)) => ort::logging::LogLevel::Verbose,
        _ => ort::logging::LogLevel::Warning,
    }
}

/// Something of the core's own that a user may want to know.
#[cfg(feature = "onnx")]
pub(crate) fn note(message: &str) {
    if let Some((sink, _)) = SINK.get() {
        sink(Level::Info, "", message);
    }
}

#[cfg(feature = "onnx")]
pub(crate) fn runtime(level: ort::logging::LogLevel, category: &str, place: &str, message: &str) {
    use ort::logging::LogLevel;
    let level = match level {
        LogLevel::Verbose | LogLevel::Info => Level::Debug,
        LogLevel::Warning => Level::Warning,
        LogLevel::Error | LogLevel::Fatal => Level::Error,
    };
    if let Some((sink, _)) = SINK.get() {
        sink(level, place, &format!("[{category}] {message}"));
    }
}
