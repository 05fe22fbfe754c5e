//! Conversion between images and tensors: value ranges, axis orders, channel orders, element types, padding.
//!
//! Input: planar images. Output: tensors in a model's format; and the reverse. The other modules compute with one
//! format only: planar RGB
//! `f32` in 0..=1.

pub mod egress;
pub mod ingest;
pub mod layout;
pub mod placement;
pub mod resize;
pub mod shuffle;
