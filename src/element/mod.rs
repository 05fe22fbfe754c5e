//! The GStreamer element `styletransfer`: the only folder that names GStreamer.
//!
//! Comes in: buffers, caps, events, properties. Goes out: buffers with the stylized frame, messages on the bus.
//!
//! ```text
//! gst-launch-1.0 filesrc location=in.mp4 ! decodebin ! videoconvert ! styletransfer ! videoconvert ! autovideosink
//! ```
//!
//! Interlaced video is refused in caps, because a stylized frame of two interleaved moments is of no use: put `deinterlace`
//! in front.

use gst::glib;
use gst::prelude::*;

mod behind;
mod convert;
mod error;
mod imp;
mod loading;
mod log;
mod painter;
mod pipeline;
mod properties;
mod provider_wait;
mod reload;
mod settings;
mod showing;
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
