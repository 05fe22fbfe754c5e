//! Errors by phase: start, caps, frame. Always the whole chain of causes.

use crate::element::StyleTransfer;

/// READY to PAUSED was refused.
pub fn at_start(error: &anyhow::Error) -> gst::ErrorMessage {
    gst::error_msg!(gst::ResourceError::OpenRead, ("{}", one_line(error)), ["{error:?}"])
}

/// Caps were refused.
pub fn at_caps(error: &anyhow::Error) -> gst::LoggableError {
    gst::loggable_error!(crate::element::log::CAT, "{}", one_line(error))
}

/// Posts why caps were refused, which a caps failure alone does not tell the application.
pub fn post_caps(element: &StyleTransfer, error: &anyhow::Error) {
    gst::element_error!(element, gst::StreamError::Format, ("{}", one_line(error)));
}

/// A frame could not be stylized: message on the bus, and the flow stops.
pub fn at_frame(element: &StyleTransfer, error: &anyhow::Error) -> gst::FlowError {
    gst::element_error!(element, gst::StreamError::Failed, ("{}", one_line(error)));
    gst::FlowError::Error
}

/// Something is not as asked, but frames flow.
pub fn warn(element: &StyleTransfer, text: &str) {
    gst::warning!(crate::element::log::CAT, obj = element, "{text}");
    gst::element_warning!(element, gst::LibraryError::Settings, ("{}", text));
}

fn one_line(error: &anyhow::Error) -> String {
    format!("{error:#}").replace('\n', " ")
}
