//! Errors by phase: start, caps, frame. Each carries the whole chain of causes in one line, once.

use super::StyleTransfer;

/// READY to PAUSED fails.
pub fn at_start(error: &anyhow::Error) -> gst::ErrorMessage {
    gst::error_msg!(gst::ResourceError::OpenRead, ("{}", one_line(error)))
}

/// Caps are refused.
pub fn at_caps(error: &anyhow::Error) -> gst::LoggableError {
    gst::loggable_error!(super::log::CAT, "{}", one_line(error))
}

/// Posts why caps are refused, which the failed negotiation alone does not say.
pub fn post_caps(element: &StyleTransfer, text: &str) {
    gst::element_error!(element, gst::StreamError::Format, ("{}", text));
}

/// A frame cannot be processed: posts the error and ends the flow.
pub fn at_frame(element: &StyleTransfer, error: &anyhow::Error) -> gst::FlowError {
    gst::element_error!(element, gst::StreamError::Failed, ("{}", one_line(error)));
    gst::FlowError::Error
}

/// Posts that something is not as asked, while frames flow.
pub fn warn(element: &StyleTransfer, text: &str) {
    gst::warning!(super::log::CAT, obj = element, "{text}");
    gst::element_warning!(element, gst::LibraryError::Settings, ("{}", text));
}

/// The chain of causes in one line.
pub fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").replace('\n', " ")
}
