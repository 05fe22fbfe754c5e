//! SECTION:element-styletransfer
//!
//! `styletransfer` stylizes video frames with an ONNX generator and keeps the result stable in time. Frames of any raw video
//! format of 16x16 to 8192x8192 pixels leave with the same caps, timestamps and metadata. ONNX Runtime runs the generator on the
//! execution provider of property `execution-provider`; the embedded styles are chosen with property `style`, another model
//! with property `model-file`. Every property may change while playing.
//!
//! In live pipelines the element holds the frame rate: it runs inference at a smaller size or on fewer frames, and
//! propagates the last stylized frame along the motion in between (property `governor`).
//!
//! Interlaced frames are refused: put `deinterlace` in front.
//!
//! ## Example pipelines
//! ```text
//! gst-launch-1.0 filesrc location=in.mp4 ! decodebin ! videoconvert ! styletransfer style=udnie ! videoconvert ! autovideosink
//! ```
//! plays a film in the style of one painting.
//! ```text
//! gst-launch-1.0 v4l2src ! queue leaky=downstream ! videoconvert ! styletransfer ! queue ! videoconvert ! autovideosink
//! ```
//! stylizes a camera live.
//!
//! Since: 0.1

use gst::glib;
use gst::prelude::*;

mod caps;
mod convert;
mod error;
mod frame;
mod imp;
mod load;
mod log;
mod messages;
mod pipeline;
mod properties;
mod qos;
mod reload;
mod settings;
mod stats;

glib::wrapper! {
    /// The element.
    pub struct StyleTransfer(ObjectSubclass<imp::StyleTransfer>)
        @extends gst_video::VideoFilter, gst_base::BaseTransform, gst::Element, gst::Object;
}

/// Registers the element with the plugin. Loads nothing and needs nothing.
pub fn register(plugin: &gst::Plugin) -> Result<(), glib::BoolError> {
    log::install();
    gst::Element::register(Some(plugin), "styletransfer", gst::Rank::NONE, StyleTransfer::static_type())
}
