//! Pixels: views of planar RGB images, sizes, blending two frames, vector lanes, work shared over threads.
//!
//! Comes in: planes that somebody else owns. Goes out: rows, sizes and mixed rows. Knows neither tensors nor GStreamer.

pub mod image;
pub mod lanes;
pub mod mix;
pub mod size;
pub mod threads;
