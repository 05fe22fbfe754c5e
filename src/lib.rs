//! `styletransfer`: a GStreamer element that stylizes video frames with an ONNX generator and makes the result stable in time.
//!
//! The way of one frame:
//!
//! ```text
//! GstVideoFrame ─► element ─► frame ─► tensor::ingest ─► inference ─► temporal ─► tensor::egress ─► element ─► GstVideoFrame
//!                  (colour,   (planar  (normalise)       (ONNX        (flow, warp, (to pixels)
//!                   size)      RGB)                       Runtime)     blend)
//! ```
//!
//! - [`frame`]: pixels, sizes, the mix with the input frame.
//! - [`tensor`]: conversion between pixels and tensors.
//! - [`model`]: the contract of a model, read before it runs.
//! - [`style`]: names, mixes and fades of styles.
//! - [`inference`]: trait `Generator` and its implementation by ONNX Runtime.
//! - [`flow`], [`confidence`], [`warp`], [`temporal`]: optical flow, confidence in it, warp, and the blend with the history.
//! - [`metrics`]: warping error, sharpness, lag.
//! - [`upsample`]: from the inference size to the frame's size.
//! - [`stylizer`]: one call a frame: generator and stabilizer together.
//! - [`schedule`]: inference size and interval by the time that frames take; latency.
//! - `element`: the GStreamer element.
//!
//! Only `element` uses GStreamer (feature `plugin`) and only [`inference`] uses ONNX Runtime (feature `onnx`);
//! everything else builds and is tested with `--no-default-features`. Imports go one way, from the end of this list
//! towards its start.

#![warn(missing_docs)]

pub mod frame;

pub mod tensor;

pub mod model;

pub mod style;

pub mod inference;

pub mod flow;

pub mod confidence;

pub mod warp;

pub mod metrics;

pub mod temporal;

pub mod upsample;

pub mod stylizer;

pub mod schedule;

#[cfg(feature = "plugin")]
mod element;

#[cfg(feature = "plugin")]
pub use plugin::plugin_register_static;

/// The plugin's description, read by GStreamer when it loads the library.
#[cfg(feature = "plugin")]
#[allow(missing_docs)]
mod plugin {
    use crate::element::register;

    gst::plugin_define!(
        styletransfer,
        env!("CARGO_PKG_DESCRIPTION"),
        register,
        concat!(env!("CARGO_PKG_VERSION"), "-", env!("COMMIT_ID")),
        "MPL",
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_NAME"),
        "Unknown package origin",
        env!("BUILD_REL_DATE")
    );
}
