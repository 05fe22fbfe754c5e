//! `styletransfer`: a GStreamer element that stylizes video frames with an ONNX style generator.
//!
//! The way of one frame:
//!
//! ```text
//! GstVideoFrame ─► element::convert ─► image ─► tensor::ingest ─► inference ─► temporal ─► tensor::egress
//!                  ─► mix (with the original) ─► element::convert ─► GstVideoFrame
//! ```
//!
//! [`image`] knows pixels, [`tensor`] numbers, [`model`] what a model wants, [`inference`] runs it, [`temporal`] keeps
//! it steady, [`style`] says in which style, [`stylizer`] conducts. Only `element` knows GStreamer (feature `plugin`), only `inference::session`,
//! `inference::provider` and `inference::library` know ONNX Runtime (feature `onnx`).

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

pub mod schedule;

pub mod stylizer;

#[cfg(feature = "plugin")]
mod element;

#[cfg(feature = "plugin")]
pub use plugin::plugin_register_static;

/// What GStreamer reads when it loads the library.
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
