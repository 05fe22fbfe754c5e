//! The debug categories, and the way of ONNX Runtime's own messages into GStreamer's log.

use std::sync::LazyLock;

use crate::inference::log::{Level, set_sink};

/// The element's own category.
pub static CAT: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("styletransfer", gst::DebugColorFlags::empty(), Some("Style transfer with ONNX generators"))
});

/// What ONNX Runtime says.
static RUNTIME: LazyLock<gst::DebugCategory> = LazyLock::new(|| {
    gst::DebugCategory::new("styletransfer-ort", gst::DebugColorFlags::empty(), Some("Messages of ONNX Runtime"))
});

/// Sends the core's messages to the debug log.
pub fn install() {
    LazyLock::force(&CAT);
    let wants_details = RUNTIME.threshold() >= gst::DebugLevel::Debug;
    set_sink(to_debug_log, wants_details);
}

fn to_debug_log(level: Level, place: &str, message: &str) {
    let level = match level {
        Level::Debug => gst::DebugLevel::Debug,
        Level::Info => gst::DebugLevel::Info,
        Level::Warning => gst::DebugLevel::Warning,
        Level::Error => gst::DebugLevel::Error,
    };
    gst::log_with_level!(RUNTIME, level, "{place}: {message}");
}
